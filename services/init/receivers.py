"""Receivers: what `uproar init` asks of each kind of receiver, and the table that it makes of it."""

import base64
import secrets
from collections.abc import Callable
from typing import Any

import click

from services.init.answers import Answers, Draft, parts
from uproar.errors import Malformed

STANDIN_URL = "http://127.0.0.1:8090"
STANDIN_TOKEN, STANDIN_CHANNEL = "xoxb-standin-0000000000", "C0STANDIN01"  # they open nothing


def ask_receiver(answers: Answers, draft: Draft) -> None:
    """Ask who is paged; raises Malformed where it is none of those."""
    if answers.receiver is None and not answers.yes:
        for name, (what, _) in RECEIVERS.items():
            click.echo(f"  {name:<14} {what}", err=True)
    kind = answers.ask("receiver", "Who is paged?", "local")
    if kind not in RECEIVERS:
        raise Malformed(f"--receiver {kind!r}: use one of {', '.join(RECEIVERS)}")
    draft.receiver = RECEIVERS[kind][1](answers, draft)


def _slack(answers: Answers, draft: Draft) -> dict[str, Any]:
    draft.secrets["token"] = answers.ask("token", "Bot token (xoxb-..., scope chat:write)")
    channel = answers.ask("channel", "Channel id (C...)")
    question = "App-level token for buttons, without a public address (xapp-...; may be empty)"
    _maybe(answers, draft, "app_token", question)
    if "app_token" not in draft.secrets:
        question = "Signing secret for buttons, with a public address (may be empty)"
        _maybe(answers, draft, "signing_secret", question)
    return {"name": "slack", "type": "slack", "channel": channel}


def _slack_webhook(answers: Answers, draft: Draft) -> dict[str, Any]:
    draft.secrets["webhook_url"] = answers.ask("url", "Address of the incoming webhook")
    return {"name": "slack", "type": "slack"}


def _pagerduty(answers: Answers, draft: Draft) -> dict[str, Any]:
    draft.secrets["routing_key"] = answers.ask("routing_key", "Integration key")
    question = "Secret of a v3 webhook, to hear of acts there (may be empty)"
    _maybe(answers, draft, "webhook_secret", question)
    return {"name": "pagerduty", "type": "pagerduty"}


def _email(answers: Answers, draft: Draft) -> dict[str, Any]:
    named = answers.ask("server", "Mail server (smtp.example.org or host:port)")
    host, _, port = named.partition(":")
    receiver: dict[str, Any] = {"name": "email", "type": "email", "server": host}
    if port.isdecimal():
        receiver["port"] = int(port)
    if port == "465":
        receiver["security"] = "tls"
    if host in {"localhost", "127.0.0.1"}:
        receiver["security"] = "none"
    receiver["sender"] = answers.ask("sender", "Sender (uproar <uproar@example.org>)")
    receiver["to"] = [part.strip() for part in answers.ask("to", "To whom").split(",")]
    if user := answers.ask("username", "User of the mail server (may be empty)", ""):
        receiver["username"] = user
        draft.secrets["password"] = answers.ask("password", "Password")
    return receiver


def _alertmanager(answers: Answers, _: Draft) -> dict[str, Any]:
    urls = parts(answers.ask("url", "Address of every instance"))
    return {"name": "alertmanager", "type": "alertmanager", "urls": urls}


def _webhook(answers: Answers, draft: Draft) -> dict[str, Any]:
    url = answers.ask("url", "Address (https://...)")
    draft.secrets["secret"] = answers.secret or _signing_key()
    return {"name": "webhook", "type": "webhook", "url": url}


def _local(answers: Answers, _: Draft) -> dict[str, Any]:
    url = answers.ask("url", "Address of the stand-in", STANDIN_URL).rstrip("/")
    receiver = {"name": "local", "type": "slack", "token": STANDIN_TOKEN}
    return receiver | {"channel": STANDIN_CHANNEL, "api_url": f"{url}/slack/api"}


def _maybe(answers: Answers, draft: Draft, name: str, question: str) -> None:
    """Ask for a secret that may be left out."""
    if said := answers.ask(name, question, ""):
        draft.secrets[name] = said


def _signing_key() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


RECEIVERS: dict[str, tuple[str, Callable[[Answers, Draft], dict[str, Any]]]] = {
    "slack": ("Slack, with a bot token: one message an incident, kept up to date", _slack),
    "slack-webhook": ("Slack, with an incoming webhook: it can only post", _slack_webhook),
    "pagerduty": ("PagerDuty, Events API v2", _pagerduty),
    "email": ("e-mail, through any SMTP server: one thread an incident", _email),
    "alertmanager": ("Prometheus Alertmanager: fires as long as the incident lasts", _alertmanager),
    "webhook": ("any HTTPS endpoint, signed (Standard Webhooks)", _webhook),
    "local": ("a stand-in of Slack on this machine, to try uproar without an account", _local),
}
"""What can be chosen: how it is described, and what is asked."""

"""Init: `uproar init`: a few questions, an uproar.toml, a receiver that was tried. It starts nothing."""

import asyncio
import json
import os
import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from services.init.answers import Answers, Draft, parts
from services.init.receivers import STANDIN_TOKEN, ask_receiver
from services.process import Settings
from uproar.errors import Malformed, Misconfigured
from uproar.subject import Kind, watch_list


def main(*, config: Path, force: bool, no_try: bool, **given: Any) -> None:
    """
    Ask what was not given, write the file, try the receiver and say what comes next.

    Raises:
        Malformed: An answer cannot be used; the text says why.
        Misconfigured: The file is there already, cannot be written, or the receiver refuses us.
    """
    if config.exists() and not force:
        raise Misconfigured(f"{config} is there already: edit it, or give --force to replace it")
    answers = Answers(**{key: value for key, value in given.items() if value is not None})
    draft = Draft()
    _ask_whom(answers, draft)
    ask_receiver(answers, draft)
    folder = Settings.load().data_dir.absolute() / "secrets"
    text = write(draft, folder)
    watch_list(tomllib.loads(text))
    for name, value in draft.secrets.items():
        _keep(folder / _file(draft, name), value)
    _keep(config, text)
    click.echo(f"{config} watches {draft.subject['name']} and pages {draft.receiver['name']}")
    if no_try:
        _check(config)
    else:
        click.echo(asyncio.run(_try(config, visible=draft.receiver["type"] in {"slack", "email"})))
    click.echo(f"next: {_command(config)}")


# -------------------------------------------------------------------------------------- questions


def _ask_whom(answers: Answers, draft: Draft) -> None:
    name = answers.ask("name", "Whom do you watch, as people write it?")
    if not name:
        raise Malformed("--name is empty")
    kind = answers.ask("kind", "Is it a brand, person, product or place?", "brand")
    if kind not in set(Kind) - {Kind.CANARY}:
        raise Malformed(f"--kind {kind!r}: use brand, person, product or place")
    subject: dict[str, Any] = {"id": _slug(name), "name": name, "kind": kind}
    if kind == Kind.PERSON:
        subject["purpose"] = answers.ask("purpose", "Why do you watch this person?")
    subject["aliases"] = list(answers.aliases)
    asked = not (answers.handles or answers.yes)
    handles = list(answers.handles)
    if asked:
        line = click.prompt(
            "Accounts people mention (@one, @two; may be empty)", default="", err=True
        )
        handles = parts(line)
    subject["handles"] = handles
    subject["own_accounts"] = list(answers.own_accounts) or handles
    subject["languages"] = parts(
        answers.ask("languages", "Languages to watch (en, fr; empty for all)", "")
    )
    draft.subject = {key: value for key, value in subject.items() if value or value == ""}


def _slug(name: str) -> str:
    slug = re.sub(r"[^\w.]+", "-", name.casefold().lstrip("@#")).strip("-_.")[:100]
    return slug or "subject"


# --------------------------------------------------------------------------------------- the file


def write(draft: Draft, folder: Path) -> str:
    """
    Write uproar.toml.

    Args:
        draft: What it says.
        folder: Where the secrets will lie.
    """
    subject = "\n".join(_line(key, value) for key, value in draft.subject.items())
    receiver = draft.receiver | {
        f"{key}_file": str(folder / _file(draft, key)) for key in draft.secrets
    }
    return _FILE.format(
        subject=subject,
        receiver="\n".join(_line(key, value) for key, value in receiver.items()),
        name=_toml(draft.receiver["name"]),
    )


_FILE = """\
# uproar.toml: whom uproar watches and whom it pages. `uproar doctor` checks it; `uproar up` reads it
# at its start. Everything that may stand here: README.md, Configure.

[[subject]] # one table for each brand, person, product or place
{subject}
# aliases = ["another spelling"]
# keywords = ["a product of theirs"]     # further words that make a post be about it
# exclude = ["words that make it not so"] # a post with one of these is about something else
# budget = "1/month"                      # how often chance may page: N/week, N/month, N/year

[[receiver]]
{receiver}

[[route]] # who hears of an incident, and from which level on: watch, alert or crisis
name = "default"
receivers = [{name}]
level = "alert"
"""


def _file(draft: Draft, secret: str) -> str:
    return f"{draft.receiver['name']}-{secret.replace('_', '-')}"


def _line(key: str, value: object) -> str:
    return f"{key} = {_toml(value)}"


def _toml(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool | int):
        return str(value).lower()
    text = "".join(c for c in str(value) if c.isprintable())
    return json.dumps(text, ensure_ascii=False)  # JSON's strings are TOML's


def _keep(path: Path, text: str) -> None:
    """Write a file that only its owner can read; it is there whole or not at all."""
    spare = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        spare.unlink(missing_ok=True)
        with os.fdopen(os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        spare.replace(path)
    except OSError as error:
        raise Misconfigured(f"cannot write {path}: {error}") from error


# -------------------------------------------------------------------------------------- the trial


def _check(config: Path) -> None:
    """Read the receiver as the alerter will; raises Misconfigured."""
    from services.alerter import notifiers
    from services.alerter.settings import read

    notifiers.receivers(read(config, None).receivers)


async def _try(config: Path, *, visible: bool) -> str:
    """
    Try the receiver: Slack with a message that says so, the others without waking anybody.

    Raises:
        Misconfigured: It does not work; the text says why and what to do.
    """
    from services.alerter import notifiers
    from services.alerter.notifier import DeliveryId, Sent
    from services.alerter.notifier.exchange import Surroundings
    from services.alerter.settings import AlerterSettings, read

    tables, settings = read(config, None).receivers, AlerterSettings.load()
    now = datetime.now(UTC)
    async with notifiers.new_client() as client:
        surroundings = Surroundings(
            client=client, installation="init", clock=lambda: datetime.now(UTC)
        )
        (notifier,) = notifiers.build(tables, surroundings).values()
        if visible:
            (receiver,) = notifiers.receivers(tables)
            trial = DeliveryId(f"trial-{int(now.timestamp())}")
            delivery = notifiers.trial_delivery(receiver, trial, url=settings.console_url, now=now)
            outcome = await notifier.notify(delivery)
        else:
            outcome = await notifier.check()
    if isinstance(outcome, Sent):
        return f"tried {notifier.name}: {'it has a message' if visible else 'it takes our events'}"
    raise Misconfigured(
        f"{config} is written, but {notifier.name} does not work: {outcome.reason}\n{_help(tables)}"
    )


def _help(tables: Any) -> str:
    if tables[0].options.get("token") == STANDIN_TOKEN:
        start = "start a stand-in (python -m services.demo.standins --port 8090)"
        return f"{start}, then `uproar doctor`"
    return "correct its [[receiver]] table, then `uproar doctor`"


def _command(config: Path) -> str:
    found = config.name == "uproar.toml" and config.absolute().parent == Path.cwd()
    return "uproar up" if found else f"UPROAR_CONFIG={config} uproar up"

"""PagerDuty: pages people through the Events API v2, hears of their acts by webhooks v3 and REST."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, Final
from urllib.parse import urlencode

import structlog
from pydantic import Field, SecretStr, field_validator

from services.alerter.notifier import Delivery, Outcome, Pace, Refused, Retry, Sent, Unknown
from services.alerter.notifier.callback import Nothing, Signed, Take, Told
from services.alerter.notifier.exchange import Answer, Surroundings, failure, send
from services.alerter.notifier.options import ReceiverOptions, web_address
from services.alerter.notifiers.pagerduty import news
from services.alerter.notifiers.pagerduty.keys import alerts, dedup_key, replaced
from uproar.backlash import Level
from uproar.errors import Malformed
from uproar.incident import State
from uproar.notice import Notice, NoticeKind
from uproar.notice.defang import defanged
from uproar.notice.storm import storm
from uproar.routing import ReceiverName

MAX_SUMMARY: Final = 1024
MAX_LISTING: Final = 1024 * 1024
"""Bytes of PagerDuty's answer about one incident: with all it holds, it is longer than most."""
KEY_LENGTH: Final = 32
_AT_ONCE: Final = 8
"""Questions to its REST API under way together; it takes 960 a minute, and then says:"""
_TOO_MANY: Final = 429
_SEVERITY: Final = {Level.WATCH: "warning", Level.ALERT: "error", Level.CRISIS: "critical"}
_ACTION: Final = {NoticeKind.ACKNOWLEDGE: "acknowledge", NoticeKind.RESOLVE: "resolve"}
_STORM_ACTION: Final = {State.ACKNOWLEDGED: "acknowledge", State.RESOLVED: "resolve"}

log = structlog.get_logger(room="alerter/pagerduty")


class PagerDutyOptions(ReceiverOptions):
    """
    ``routing_key`` is the integration key of an Events API v2 integration.

    With ``webhook_secret``, what people do in PagerDuty comes back through a v3 webhook subscription
    to /v1/pagerduty/webhooks. PagerDuty drops webhooks that it cannot deliver: with ``api_token``
    (a REST API key, read-only) we also ask once a minute how our open incidents stand there.
    """

    routing_key: SecretStr
    webhook_secret: SecretStr | None = None
    previous_webhook_secret: SecretStr | None = None
    api_token: SecretStr | None = None
    api_url: str = Field(default="https://events.pagerduty.com")
    rest_url: str = Field(default="https://api.pagerduty.com")

    @field_validator("routing_key")
    @classmethod
    def _key(cls, value: SecretStr) -> SecretStr:
        key = value.get_secret_value()
        if len(key) != KEY_LENGTH or not key.isascii() or not key.isalnum():
            raise ValueError(f"must be {KEY_LENGTH} letters and digits")
        return value

    @field_validator("api_url", "rest_url")
    @classmethod
    def _url(cls, value: str) -> str:
        return web_address(value)


class PagerDuty:
    """
    Sends one PagerDuty event for each page, acknowledgement and end of an incident.

    Every attempt carries the same ``dedup_key``, so repeating an event does no harm: after a lost
    answer it is simply sent again. In a storm many incidents share one alert, which is
    acknowledged once none of them is open, and resolved once all are.
    """

    type: Final = "pagerduty"
    options: Final = PagerDutyOptions
    pages_only: Final = True  # a trigger that is no page could open anew what people have closed
    # It takes about 120 events a minute and integration, and drops what is over: half of that.
    pace: Final = Pace(every=timedelta(seconds=1), burst=20, bundle=100)

    def __init__(
        self, name: ReceiverName, options: PagerDutyOptions, surroundings: Surroundings
    ) -> None:
        self.name = name
        self._options, self._surroundings = options, surroundings
        secrets = (options.webhook_secret, options.previous_webhook_secret)
        self._secrets = [secret.get_secret_value() for secret in secrets if secret]

    async def notify(self, delivery: Delivery) -> Outcome:
        """See :class:`services.alerter.notifier.Notifier`."""
        key = dedup_key(delivery, self._surroundings.installation)
        if former := replaced(delivery, self._surroundings.installation):
            outcome = await self._enqueue({"event_action": "resolve", "dedup_key": former}, former)
            if not isinstance(outcome, Sent):
                return Retry(outcome.reason) if isinstance(outcome, Unknown) else outcome
        if delivery.bundle_ref and delivery.bundle_state in _STORM_ACTION:
            action = _STORM_ACTION[delivery.bundle_state]
            event = {"event_action": action, "dedup_key": delivery.bundle_ref}
            outcome = await self._enqueue(event, key)
            if not isinstance(outcome, Sent):
                return outcome
        outcome = await self._enqueue(render(delivery, key=key), key)
        if delivery.kind is NoticeKind.CANARY and isinstance(outcome, Sent):
            return await self._enqueue({"event_action": "resolve", "dedup_key": key}, key)
        return outcome

    async def check(self) -> Outcome:
        """Resolve an alert that never was: PagerDuty checks the key and drops the event."""
        key = f"uproar:{self._surroundings.installation}:check"
        return await self._enqueue({"event_action": "resolve", "dedup_key": key}, key)

    # --------------------------------------------------------------- what people do there

    def verifies(self, signed: Signed, *, now: datetime) -> bool:  # noqa: ARG002 - it signs no time
        """See :class:`services.alerter.notifier.callback.Listener`."""
        return news.verifies(signed, self._secrets)

    def read(self, body: bytes) -> Sequence[Told]:
        """See :class:`services.alerter.notifier.callback.Listener`."""
        return news.read(body, installation=self._surroundings.installation)

    async def reply(self, told: Told, why: Nothing) -> None:
        """PagerDuty has no way to answer a person; its incident stays as they left it."""

    async def tend(self, standing: Sequence[Delivery], take: Take) -> None:
        """Ask how the incidents stand in PagerDuty: a webhook may have been dropped."""
        if self._options.api_token is None:
            return
        token = self._options.api_token.get_secret_value()
        each = (alerts(one, self._surroundings.installation) for one in standing)
        keys = list(dict.fromkeys(chain.from_iterable(each)))  # that of a storm once
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            answers = await asyncio.gather(*(self._ask(key, token) for key in some))
            for told in chain.from_iterable(map(self._heard, answers)):
                await take(told)
            if any(isinstance(one, Answer) and one.status == _TOO_MANY for one in answers):
                return  # the rest in a minute

    async def _ask(self, key: str, token: str) -> Answer | Retry | Unknown:
        query = urlencode(
            {"incident_key": key, "date_range": "all", "sort_by": "created_at:desc", "limit": 1}
        )
        return await send(
            self._surroundings.client,
            f"{self._options.rest_url}/incidents?{query}",
            None,
            headers={
                "Accept": "application/vnd.pagerduty+json;version=2",
                "Authorization": f"Token token={token}",
            },
            most=MAX_LISTING,
        )

    def _heard(self, answer: Answer | Retry | Unknown) -> Sequence[Told]:
        try:
            if isinstance(answer, Answer) and answer.status == 200:
                return news.read_listing(answer.body, installation=self._surroundings.installation)
            reason = answer.reason if not isinstance(answer, Answer) else f"HTTP {answer.status}"
        except Malformed as error:
            reason = str(error)
        log.warning("cannot ask how incidents stand", receiver=self.name, reason=reason)
        return []

    async def _enqueue(self, event: dict[str, Any], key: str) -> Outcome:
        secret = self._options.routing_key.get_secret_value()
        answer = await send(
            self._surroundings.client,
            f"{self._options.api_url}/v2/enqueue",
            json.dumps(event | {"routing_key": secret}).encode(),
            headers={"Content-Type": "application/json"},
        )
        if not isinstance(answer, Answer):
            return answer
        now = self._surroundings.clock()
        return failure(answer, now=now) or _outcome(answer, key, secret)


def render(delivery: Delivery, *, key: str) -> dict[str, Any]:
    """Write the event, without its routing key."""
    notice = delivery.notice
    if action := _ACTION.get(delivery.kind):
        return {"event_action": action, "dedup_key": key}
    if delivery.bundle:
        return _storm([notice, *delivery.bundle], key)
    return {
        "event_action": "trigger",
        "dedup_key": key,
        "client": "uproar",
        "client_url": notice.link,
        "links": [{"href": notice.link, "text": notice.headline[:MAX_SUMMARY]}],
        "payload": {
            "summary": notice.title[:MAX_SUMMARY],
            "source": notice.subject_name or notice.subject,
            "severity": "info" if delivery.kind is NoticeKind.CANARY else _SEVERITY[notice.level],
            "timestamp": notice.at.astimezone(UTC).isoformat(),
            "component": notice.subject,
            "group": "uproar",
            "class": notice.what.value,
            "custom_details": _details(notice),
        },
    }


def _storm(notices: Sequence[Notice], key: str) -> dict[str, Any]:
    """Write the event of many incidents: each is named in its details, the worst first."""
    said = storm(notices)
    worst = said.worst[0]
    return {
        "event_action": "trigger",
        "dedup_key": key,
        "client": "uproar",
        "client_url": worst.link,
        "payload": {
            "summary": said.title[:MAX_SUMMARY],
            "source": "uproar",
            "severity": _SEVERITY[worst.level],
            "timestamp": worst.at.astimezone(UTC).isoformat(),
            "group": "uproar",
            "class": "storm",
            "custom_details": {
                "why": said.why,
                "incidents": [
                    {
                        "incident": one.incident,
                        "subject": one.subject_name,
                        "severity": one.severity,
                        "headline": one.headline[:MAX_SUMMARY],
                        "link": one.link,
                    }
                    for one in said.worst
                ],
            },
        },
    }


def _details(notice: Notice) -> dict[str, Any]:
    said = {
        "why_now": notice.why_now,
        "how_big": notice.how_big,
        "changed": notice.changed,
        "advice": notice.advice,
        "incident": notice.incident,
        "link": notice.link,
    }
    posts = [
        {"text": defanged(quote.text), "at": quote.created_at.astimezone(UTC).isoformat()}
        | ({"url": quote.url} if quote.url else {})
        for quote in notice.quotes
    ]
    return {name: text for name, text in said.items() if text} | {"posts": posts}


def _outcome(answer: Answer, key: str, secret: str) -> Outcome:
    if answer.status == 202:
        return Sent(key)
    said = f"PagerDuty: HTTP {answer.status}"
    if not 400 <= answer.status < 500:
        return Retry(said)
    try:
        errors = "; ".join(map(str, json.loads(answer.body)["errors"]))
    except (ValueError, KeyError, TypeError):
        return Refused(said)
    return Refused(f"{said}: {errors[:300]}".replace(secret, "[secret]"))

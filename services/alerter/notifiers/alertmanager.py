"""Alertmanager: our incidents as its alerts, told again while they last. It asks nothing back."""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from services.alerter.notifier import (
    UNLIMITED,
    Delivery,
    Outcome,
    Refused,
    Retry,
    Sent,
    Unknown,
)
from services.alerter.notifier.callback import Take
from services.alerter.notifier.exchange import Answer, Surroundings, failure, send
from services.alerter.notifier.options import ReceiverOptions, web_address
from uproar.backlash import Level
from uproar.incident import State
from uproar.notice import NoticeKind
from uproar.notice.defang import defanged
from uproar.routing import ReceiverName

LASTS: Final = timedelta(minutes=5)
"""How long an alert fires without being told again: four times the pause between two tellings."""
_SEVERITY: Final = {Level.WATCH: "info", Level.ALERT: "warning", Level.CRISIS: "critical"}
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OURS: Final = {"alertname", "installation", "incident", "episode", "subject", "severity"}


class AlertmanagerOptions(ReceiverOptions):
    """
    ``urls`` names every instance of the cluster, no load balancer: each must know of the alert.

    ``labels`` are added to every alert, for its routes. ``token`` is a bearer token, where a proxy
    before it wants one.
    """

    urls: tuple[str, ...] = Field(min_length=1, max_length=20)
    token: SecretStr | None = None
    labels: Mapping[str, str] = Field(default_factory=dict)

    @field_validator("urls", mode="before")
    @classmethod
    def _several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("labels")
    @classmethod
    def _labels(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        if wrong := [name for name in value if not _LABEL.fullmatch(name) or name in _OURS]:
            raise ValueError(f"no label of yours may be called {wrong[0][:50]!r}")
        return value

    @model_validator(mode="after")
    def _addresses(self) -> Self:
        for url in self.urls:  # a token must not go over the network in the clear
            web_address(url, plain=self.token is None)
        return self


class Alertmanager:
    """
    Keeps one alert for each episode of an incident and its severity.

    Labels are the identity of an alert: they hold no number that changes. When the severity rises,
    the alert of the lower one is resolved with the same request. Repeats do no harm.
    """

    type: Final = "alertmanager"
    options: Final = AlertmanagerOptions
    pages_only: Final = False
    pace: Final = UNLIMITED  # it groups by itself

    def __init__(
        self, name: ReceiverName, options: AlertmanagerOptions, surroundings: Surroundings
    ) -> None:
        self.name = name
        self._options, self._surroundings = options, surroundings
        self._urls = [url.rstrip("/") for url in options.urls]

    async def notify(self, delivery: Delivery) -> Outcome:
        """See :class:`services.alerter.notifier.Notifier`."""
        now, labels = self._surroundings.clock(), self._labels
        if delivery.kind is NoticeKind.CANARY:  # it fires no longer than it takes to say so
            return await self._post([_alert(delivery, labels, until=now, now=now)])
        return await self._post(render(delivery, labels=labels, now=now))

    async def check(self) -> Outcome:
        """Post no alert at all: Alertmanager takes that, and it shows that we reach it."""
        return await self._post([])

    async def tend(self, standing: Sequence[Delivery], take: Take) -> None:  # noqa: ARG002
        """Tell of every open incident again, or Alertmanager takes it for resolved."""
        now = self._surroundings.clock()
        alerts = [a for one in standing for a in render(one, labels=self._labels, now=now)]
        for start in range(0, len(alerts), 100):
            await self._post(alerts[start : start + 100])

    @property
    def _labels(self) -> Mapping[str, str]:
        return {"installation": self._surroundings.installation, **self._options.labels}

    async def _post(self, alerts: list[dict[str, Any]]) -> Outcome:
        """Post to every instance; one that has it is enough: the others hear of it within a minute."""
        headers = {"Content-Type": "application/json"}
        if self._options.token:
            headers["Authorization"] = f"Bearer {self._options.token.get_secret_value()}"
        body = json.dumps(alerts).encode()
        outcomes = await asyncio.gather(*(self._one(url, body, headers) for url in self._urls))
        for kind in (Sent, Unknown, Retry):
            if found := [outcome for outcome in outcomes if isinstance(outcome, kind)]:
                return found[0]
        return outcomes[0]

    async def _one(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        client = self._surroundings.client
        answer = await send(client, f"{url}/api/v2/alerts", body, headers=headers)
        if not isinstance(answer, Answer):
            return answer
        if 200 <= answer.status < 300:
            return Sent()
        said = f"Alertmanager: HTTP {answer.status}"
        if outcome := failure(answer, now=self._surroundings.clock()):
            return outcome
        return Refused(said) if 400 <= answer.status < 500 else Retry(said)


def render(delivery: Delivery, *, labels: Mapping[str, str], now: datetime) -> list[dict[str, Any]]:
    """Write the alert of a delivery, firing or over, and the ends of those of lower severity."""
    notice = delivery.notice
    over = notice.state is State.RESOLVED
    until = now if over else now + LASTS
    lower = [level for level in Level if level.rank < notice.level.rank]
    return [
        _alert(delivery, labels, until=until, now=now),
        *(_alert(delivery, labels, until=now, now=now, level=level) for level in lower),
    ]


def _alert(
    delivery: Delivery,
    labels: Mapping[str, str],
    *,
    until: datetime,
    now: datetime,
    level: Level | None = None,
) -> dict[str, Any]:
    notice = delivery.notice
    posts = "\n".join(f"{q.created_at:%H:%M} {defanged(q.text)}" for q in notice.quotes)
    said = {
        "summary": notice.headline,
        "what_happened": notice.title,
        "description": " ".join(filter(None, [notice.why_now, notice.how_big])),
        "who": notice.standing,
        "advice": notice.advice,
        "posts": posts,
        "subject_name": notice.subject_name,
        "link": notice.link,
    }
    return {
        "labels": {
            **labels,
            "alertname": "UproarBacklash",
            "incident": notice.incident,
            "episode": str(delivery.episode),
            "subject": notice.subject,
            "severity": _SEVERITY[level or notice.level],
        },
        "annotations": {name: _whole(text) for name, text in said.items() if text},
        "startsAt": _written(min(notice.opened_at, now)),
        "endsAt": _written(until),
        "generatorURL": notice.link,
    }


def _whole(text: str) -> str:
    """Write lone surrogates, which are no UTF-8, as question marks."""
    return text.encode("utf-8", "replace").decode()


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")

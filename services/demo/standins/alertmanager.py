"""A stand-in for Alertmanager: POST /api/v2/alerts, with its checks and its idea of an alert."""

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from services.demo.standins.ledger import Ledger

RESOLVE_TIMEOUT: Final = timedelta(minutes=5)
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_KEYS: Final = {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}


@dataclass(slots=True, kw_only=True)
class Known:
    """One alert: its labels are its identity."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    ends_at: datetime
    updates: int = 1


@dataclass(slots=True)
class AlertmanagerStandIn:
    """One instance, which forgets what it is not told again."""

    ledger: Ledger
    alerts: dict[tuple[tuple[str, str], ...], Known] = field(default_factory=dict)

    def firing(self, *, at: datetime | None = None) -> list[Known]:
        """Return what fires now, or at another moment."""
        moment = at or self.ledger.clock()
        return [alert for alert in self.alerts.values() if alert.ends_at > moment]

    def take(self, posted: dict[str, Any]) -> None:
        """Take one alert, new or known."""
        now = self.ledger.clock()
        key = tuple(sorted(posted["labels"].items()))
        known = self.alerts.get(key)
        ends_at = _moment(posted.get("endsAt")) or now + RESOLVE_TIMEOUT
        alert = Known(
            labels=posted["labels"],
            annotations=posted.get("annotations", {}),
            starts_at=_moment(posted.get("startsAt")) or now,
            ends_at=ends_at,
            updates=known.updates + 1 if known else 1,
        )
        self.alerts[key] = alert
        fires = ends_at > now
        self.ledger.write(
            "alertmanager",
            "firing" if fires else "resolved",
            text=alert.annotations.get("summary", ""),
            key=posted["labels"].get("incident", ""),
            body=posted,
            effect="changed" if known else ("new" if fires else "dropped"),
        )


def router(alertmanager: AlertmanagerStandIn) -> APIRouter:
    """Serve /alertmanager/api/v2."""
    routes = APIRouter()

    @routes.post("/alertmanager/api/v2/alerts")
    async def alerts(request: Request) -> Response:
        try:
            posted = json.loads(await request.body())
        except ValueError:
            return JSONResponse("the body is no JSON", status_code=400)
        if problem := wrong(posted):
            return JSONResponse(problem, status_code=400)
        for alert in posted:
            alertmanager.take(alert)
        return Response(status_code=200)

    @routes.get("/alertmanager/api/v2/status")
    async def status() -> dict[str, Any]:
        return {"cluster": {"status": "ready"}, "versionInfo": {"version": "0.34.0"}}

    return routes


def wrong(posted: Any) -> str | None:
    """Say why Alertmanager would refuse what was posted; None where it would not."""
    if not isinstance(posted, list):
        return "the body is no list"
    problems = map(_wrong_alert, posted)
    return next((problem for problem in problems if problem), None)


def _wrong_alert(alert: Any) -> str | None:
    if not isinstance(alert, dict) or not isinstance(alert.get("labels"), dict):
        return "an alert has no labels"
    labels, annotations = alert["labels"], alert.get("annotations", {})
    named = [*labels.items(), *annotations.items()]
    starts, ends = _moment(alert.get("startsAt")), _moment(alert.get("endsAt"))
    address = alert.get("generatorURL") or "x:"
    checks = {
        f"unknown: {sorted(set(alert) - _KEYS)}": set(alert) <= _KEYS,
        "at least one label pair required": any(labels.values()),
        "a label or annotation is invalid": all(
            _LABEL.fullmatch(str(name)) and isinstance(value, str) for name, value in named
        ),
        "start time must be before end time": not (starts and ends and ends < starts),
        "generatorURL is no URI": bool(urlsplit(address).scheme),
    }
    return next((problem for problem, fits in checks.items() if not fits), None)


def _moment(text: Any) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None

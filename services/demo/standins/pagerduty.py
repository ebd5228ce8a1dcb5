"""A stand-in for PagerDuty's Events API v2, with its limits, its errors and its dedup semantics."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from services.demo.standins.ledger import Ledger
from services.demo.standins.pagerduty_webhooks import API_TOKEN, OURS, Subscription, agent

ROUTING_KEY: Final = "0" * 31 + "1"
MAX_EVENT: Final = 512_000
_ACTIONS: Final = {"trigger", "acknowledge", "resolve"}
_SEVERITIES: Final = {"critical", "error", "warning", "info"}


class AlertState(StrEnum):
    """Where an alert stands."""

    TRIGGERED = "triggered"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@dataclass(slots=True, kw_only=True)
class Alert:
    """One alert: what all triggers with its key since it opened have become."""

    key: str
    summary: str
    severity: str
    state: AlertState = AlertState.TRIGGERED
    triggers: int = 1
    details: dict[str, Any] = field(default_factory=dict)
    changed_by: str = OURS
    changes: int = 0


@dataclass(slots=True)
class PagerDutyStandIn:
    """
    A service with one integration.

    Attributes:
        subscription: Where webhooks go when an alert changes; None: nobody has subscribed.
    """

    ledger: Ledger
    alerts: list[Alert] = field(default_factory=list)
    subscription: Subscription | None = None

    def open_alert(self, key: str) -> Alert | None:
        """Return the alert of a key that is not resolved."""
        for alert in reversed(self.alerts):
            if alert.key == key and alert.state is not AlertState.RESOLVED:
                return alert
        return None

    def move(self, alert: Alert, state: AlertState, *, by: str) -> None:
        """Let an alert change, by us or by a person there; subscribers hear of it."""
        if alert.state is state:
            return
        alert.state, alert.changed_by, alert.changes = state, by, alert.changes + 1
        if self.subscription:
            self.subscription.tell(f"incident.{state.value}", alert.key, by=by)

    def take(self, event: dict[str, Any]) -> str:
        """Take a valid event; returns its dedup_key."""
        action = str(event["event_action"])
        key = str(event.get("dedup_key") or f"standin-{len(self.ledger.messages)}")
        alert = self.open_alert(key)
        text = alert.summary if alert else ""
        if action == "trigger":
            payload = event["payload"]
            text, effect = payload["summary"], "changed" if alert else "new"
            if alert:
                alert.triggers += 1
                alert.summary, alert.severity = payload["summary"], payload["severity"]
                alert.details = payload.get("custom_details", {})
            else:
                self.alerts.append(
                    Alert(
                        key=key,
                        summary=payload["summary"],
                        severity=payload["severity"],
                        details=payload.get("custom_details", {}),
                    )
                )
        elif alert is None:
            effect = "dropped"  # silently: PagerDuty answers 202 all the same
        else:
            effect = "changed"
            acknowledged = action == "acknowledge"
            self.move(
                alert, AlertState.ACKNOWLEDGED if acknowledged else AlertState.RESOLVED, by=OURS
            )
        body = {name: value for name, value in event.items() if name != "routing_key"}
        self.ledger.write("pagerduty", action, text=text, key=key, body=body, effect=effect)
        return key


def router(pagerduty: PagerDutyStandIn) -> APIRouter:
    """Serve /pagerduty/v2/enqueue."""
    routes = APIRouter()

    @routes.post("/pagerduty/v2/enqueue")
    async def enqueue(request: Request) -> Response:
        body = await request.body()
        if len(body) > MAX_EVENT:
            return _refusal(413, ["Event is larger than 512 KB"])
        try:
            event = json.loads(body)
        except ValueError:
            return _refusal(400, ["The body is no JSON"])
        if errors := wrong(event):
            return _refusal(400, errors)
        key = pagerduty.take(event)
        said = {"status": "success", "message": "Event processed", "dedup_key": key}
        return JSONResponse(said, status_code=202)

    @routes.get("/pagerduty/incidents")
    async def incidents(request: Request, incident_key: str = "") -> Response:
        if request.headers.get("authorization") != f"Token token={API_TOKEN}":
            return JSONResponse({"error": {"code": 2006}}, status_code=401)
        found = [a for a in reversed(pagerduty.alerts) if a.key == incident_key]
        return JSONResponse({"incidents": [_incident(alert) for alert in found], "more": False})

    return routes


def _incident(alert: Alert) -> dict[str, Any]:
    """Show an alert as the REST API shows the incident that it opened."""
    return {
        "id": f"PSTANDIN{abs(hash(alert.key)) % 10**6}",
        "type": "incident",
        "incident_key": alert.key,
        "status": alert.state.value,
        "title": alert.summary,
        "last_status_change_at": f"change {alert.changes}",
        "last_status_change_by": agent(alert.changed_by),
    }


def wrong(event: Any) -> list[str]:
    """Name everything that PagerDuty would not take."""
    if not isinstance(event, dict):
        return ["The event is no object"]
    errors = _wrong_key(event.get("routing_key"))
    if event.get("event_action") not in _ACTIONS:
        errors.append("'event_action' is invalid (must be one of trigger, acknowledge, resolve)")
    key = event.get("dedup_key")
    if key is not None and (not isinstance(key, str) or len(key) > 255):
        errors.append("Length of 'dedup_key' is incorrect (should be at most 255 characters)")
    if event.get("event_action") in {"acknowledge", "resolve"} and not key:
        errors.append("'dedup_key' is missing or blank")
    if event.get("event_action") == "trigger":
        errors += _wrong_payload(event.get("payload"))
    for link in event.get("links", []):
        if not isinstance(link, dict) or not link.get("href"):
            errors.append("'links' must have an href")
    return errors


def _wrong_key(key: Any) -> list[str]:
    if not isinstance(key, str) or not key:
        return ["'routing_key' is missing or blank"]
    errors = []
    if len(key) != 32:
        errors.append("Length of 'routing_key' is incorrect (should be 32 characters)")
    if not key.isalnum():
        errors.append("'routing_key' cannot contain non-alphanumeric characters.")
    return errors or ([] if key == ROUTING_KEY else ["Invalid routing key"])


def _wrong_payload(payload: Any) -> list[str]:
    if not isinstance(payload, dict):
        return ["'payload' is missing or blank"]
    errors = [
        f"'payload.{name}' is missing or blank"
        for name in ("summary", "source", "severity")
        if not isinstance(payload.get(name), str) or not payload[name].strip()
    ]
    if len(str(payload.get("summary", ""))) > 1024:
        errors.append("Length of 'payload.summary' is incorrect (should be at most 1024)")
    if payload.get("severity") and payload["severity"] not in _SEVERITIES:
        errors.append("'payload.severity' is invalid")
    if "timestamp" in payload:
        try:
            datetime.fromisoformat(payload["timestamp"])
        except (TypeError, ValueError):
            errors.append("'payload.timestamp' is no ISO 8601 time")
    if not isinstance(payload.get("custom_details", {}), dict):
        errors.append("'payload.custom_details' is no object")
    return errors


def _refusal(status: int, errors: list[str]) -> Response:
    said = {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
    return JSONResponse(said, status_code=status)

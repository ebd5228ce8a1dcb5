"""Real: what became of the messages of real processes, counted."""

import json
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any

from services.demo.standins import StandIns
from tests.chaos.verdict import REPEATED, named


@dataclass(slots=True, kw_only=True)
class Real:
    """
    What is missing, and what is there twice; see :class:`tests.chaos.verdict.Verdict`.

    Attributes:
        posts_lost: Posts that detection has not counted although the back-test does.
        posts_counted_twice: Posts that it has counted once too often.
        posts_doubled: Records of posts and assessments that repeat one before: harmless, as
            detection drops them.
    """

    pages_lost: int = 0
    pagerduty_duplicates: int = 0
    slack_duplicates: int = 0
    unlabelled: int = 0
    posts_lost: int = 0
    posts_counted_twice: int = 0
    posts_doubled: int = 0

    def add(self, other: "Real") -> None:
        """Count both."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


def judged(standins: StandIns, incidents: Collection[str]) -> Real:
    """Count the pages of incidents: each is to be in Slack, PagerDuty and the webhook, once."""
    real = Real()
    slack = [m.body for m in standins.messages if m.service == "slack" and m.what == "post"]
    keys = Counter(name for alert in standins.pagerduty.alerts for name in named(alert))
    events = [m.body["data"]["id"] for m in standins.messages if m.service == "webhook"]
    for incident in incidents:
        posts = [body for body in slack if _incident(body) == incident]
        real.pages_lost += [bool(posts), keys[incident] > 0, incident in events].count(False)
        real.pagerduty_duplicates += max(0, keys[incident] - 1)
        real.slack_duplicates += max(0, len(posts) - 1)
        real.unlabelled += sum(REPEATED not in json.dumps(body) for body in posts[1:])
    return real


def _incident(body: dict[str, Any]) -> str | None:
    found: str | None = body.get("metadata", {}).get("event_payload", {}).get("incident")
    return found

"""Outcome: what came of the demo, as the API and the stand-ins tell it, and whether that is right."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from services.demo.standins import Received
from services.demo.story import SUBJECT, Story

PAGES = {"slack": "post", "pagerduty": "trigger", "webhook": "incident.opened"}
"""What a page is at each stand-in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One incident: the JSON of ``/v1/incidents/{id}`` and of the lists below it."""

    incident: dict[str, Any]
    timeline: list[dict[str, Any]]
    evidence: list[dict[str, Any]] = field(default_factory=list)
    deliveries: list[dict[str, Any]] = field(default_factory=list)

    @property
    def pages(self) -> list[datetime]:
        """Event times at which it paged."""
        return [datetime.fromisoformat(row["happened_at"]) for row in self.timeline if row["page"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """
    What came of it.

    Attributes:
        story: What was told.
        cases: Every incident.
        messages: What the stand-ins received.
        judged_to: How far detection has come in event time.
        settled: Whether all that detection said has reached the incidents, and all notices people.
    """

    story: Story
    cases: Sequence[Case]
    messages: Sequence[Received]
    judged_to: datetime | None
    settled: bool

    @property
    def backlash(self) -> Case | None:
        """The incident of the backlash: the airline's that paged after the song, if any did."""
        for case in self.cases:
            if (
                case.incident["subject"] == SUBJECT
                and max(case.pages, default=_NEVER) >= self.onset
            ):
                return case
        return None

    @property
    def onset(self) -> datetime:
        """When the musician's post was written."""
        return self.story.onset

    def after_onset(self) -> timedelta:
        """Return how long after the song the first page was decided, in event time."""
        return min(self.backlash.pages) - self.onset if self.backlash else timedelta.max

    def post_to_page(self) -> timedelta | None:
        """
        Return how long the page took, by the wall clock.

        From the acceptance of the batch that closed the deciding minute to the receipt at the
        stand-in of Slack.
        """
        if self.backlash is None:
            return None
        accepted = [
            datetime.fromisoformat(row["accepted_at"])
            for row in self.backlash.deliveries
            if row["kind"] == "trigger" and row["accepted_at"]
        ]
        received = [m.at for m in self.messages if (m.service, m.what) == ("slack", "post")]
        return min(received) - min(accepted) if accepted and received else None


_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The last line of the demo, or what is wrong."""

    line: str
    wrong: Sequence[str]


def judge(outcome: Outcome) -> Verdict:
    """Say whether the backlash has paged once everywhere, and nothing else has."""
    wrong = []
    if not outcome.settled:
        wrong.append("not everything was judged and delivered in time")
    if outcome.backlash is None:
        wrong.append("the backlash has not paged")
    begin, end = outcome.story.giveaway
    for case in outcome.cases:
        for at in case.pages:
            if case is outcome.backlash and at >= outcome.onset:
                continue
            what = "the giveaway" if begin <= at < end + timedelta(days=1) else "a calm day"
            wrong.append(f"{what} paged for {case.incident['subject']} at {at:%Y-%m-%d %H:%M}")
    for service, what in PAGES.items():
        new = [m for m in outcome.messages if (m.service, m.what) == (service, what)]
        count = len({m.key for m in new})  # PagerDuty is triggered again as it grows
        if count != 1:
            wrong.append(f"{service} was told of {count} incidents instead of 1")
    seconds = outcome.post_to_page()
    if seconds is None:
        wrong.append("the page's way cannot be measured")
    if wrong:
        return Verdict(line="", wrong=wrong)
    minutes = round(outcome.after_onset() / timedelta(minutes=1))
    took = f"{seconds.total_seconds() if seconds else 0:.1f}"
    return Verdict(
        line=f"demo: backlash paged {minutes} min after onset (post to page {took} s), "
        "giveaway not paged",
        wrong=(),
    )


# ------------------------------------------------------------------------------------- gathering


async def gather(
    addresses: Mapping[str, str], key: str, told: Story, messages: Sequence[Received]
) -> Outcome:
    """
    Ask the running services what has come of it so far.

    Args:
        addresses: Base URL of each service.
        key: For the alerter's API.
        told: The story that was pushed.
        messages: What the stand-ins have received.
    """
    bearer = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(headers=bearer, timeout=30, trust_env=False) as http:
        judged_to, events = await _detection(http, addresses["classifier"])
        api = addresses["alerter"]
        rows = await _items(http, f"{api}/v1/incidents?limit=200")
        cases = await asyncio.gather(*(_case(http, api, row) for row in rows))
        status = (await http.get(f"{api}/v1/status")).raise_for_status().json()
    told_of = sum(row["backlash"] is not None for case in cases for row in case.timeline)
    return Outcome(
        story=told,
        cases=cases,
        messages=list(messages),
        judged_to=judged_to,
        settled=told_of >= events and status["outbox"]["pending"] == 0,
    )


async def _case(http: httpx.AsyncClient, api: str, incident: dict[str, Any]) -> Case:
    base = f"{api}/v1/incidents/{incident['id']}"
    timeline, evidence, deliveries = [
        await _items(http, f"{base}/{part}") for part in ("timeline", "evidence", "deliveries")
    ]
    return Case(incident=incident, timeline=timeline, evidence=evidence, deliveries=deliveries)


async def _items(http: httpx.AsyncClient, url: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await http.get(url)).raise_for_status().json()["items"]
    return items


async def _detection(http: httpx.AsyncClient, classifier: str) -> tuple[datetime | None, float]:
    """Return how far detection has come, and how many backlash events it has sent."""
    text = (await http.get(f"{classifier}/metrics")).raise_for_status().text
    to, events = 0.0, 0.0
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "uproar_classifier_event_time_timestamp_seconds":
                to = sample.value
            elif sample.name == "uproar_classifier_backlash_total":
                events += sample.value
    return (datetime.fromtimestamp(to, UTC) if to else None), events

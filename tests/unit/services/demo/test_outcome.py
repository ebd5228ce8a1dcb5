from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from services.demo.outcome import Case, Outcome, judge
from services.demo.show import show
from services.demo.standins import Received
from services.demo.story import Story

ONSET = datetime(2025, 6, 8, 15, 0, tzinfo=UTC)
GIVEAWAY = (ONSET - timedelta(days=3), ONSET - timedelta(days=3) + timedelta(hours=4))
WALL = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
TOLD = Story(
    posts=[
        {"text": "win! @airquillon", "created_at": GIVEAWAY[0].isoformat()},
        {"text": "the song", "created_at": ONSET.isoformat()},
    ],
    giveaway=GIVEAWAY,
    onset=ONSET,
)


def a_line(at: datetime, *, page: bool = True) -> dict[str, Any]:
    return {
        "happened": "opened",
        "happened_at": at.isoformat(),
        "at": WALL.isoformat(),
        "level": "alert",
        "posts": 17,
        "page": page,
        "backlash": "b_1",
        "summary": "7 people [complain]",
    }


def a_case(
    *pages: datetime, subject: str = "air-quillon", accepted_at: datetime | None = WALL
) -> Case:
    incident = {
        "subject": subject,
        "subject_name": "Air Quillon",
        "level": "alert",
        "severity": 40,
        "posts": 17,
        "authors": 7,
        "why": {
            "summary": "7 people [red]complain",
            "statistic": 9.0,
            "threshold": 5.1,
            "negative_share": 0.6,
            "baseline_share": 0.3,
        },
    }
    evidence = [
        {
            "text": "They [bold]broke[/bold] it",
            "created_at": ONSET.isoformat(),
            "why": "the strongest complaint",
        }
    ]
    delivery = {"kind": "trigger", "accepted_at": accepted_at and accepted_at.isoformat()}
    return Case(
        incident=incident,
        timeline=[a_line(at) for at in pages],
        evidence=evidence,
        deliveries=[delivery],
    )


def received(service: str, what: str, key: str = "1", number: int = 1) -> Received:
    block = {
        "type": "section",
        "text": {"type": "mrkdwn", "text": "<https://x.example|look> &amp;"},
    }
    return Received(
        number=number,
        at=WALL + timedelta(seconds=1.5),
        service=service,
        what=what,
        text="Backlash against Air Quillon",
        key=key,
        effect="new",
        body={"blocks": [block]},
    )


PAGES = [
    received("slack", "post"),
    received("pagerduty", "trigger"),
    received("webhook", "incident.opened"),
]


def an_outcome(*cases: Case, messages: list[Received] | None = None, **given: Any) -> Outcome:
    defaults: dict[str, Any] = {"story": TOLD, "judged_to": ONSET, "settled": True}
    defaults |= {"cases": cases, "messages": PAGES if messages is None else messages}
    return Outcome(**(defaults | given))


GOOD = a_case(ONSET + timedelta(minutes=20, seconds=10))


def test_the_last_line_is_the_one_that_the_interface_names() -> None:
    verdict = judge(an_outcome(GOOD))
    assert verdict.wrong == ()
    assert verdict.line == (
        "demo: backlash paged 20 min after onset (post to page 1.5 s), giveaway not paged"
    )


def test_it_may_page_again_as_it_becomes_a_crisis() -> None:
    case = a_case(ONSET + timedelta(minutes=20), ONSET + timedelta(minutes=30))
    again = received("pagerduty", "trigger", number=4)
    assert judge(an_outcome(case, messages=[*PAGES, again])).wrong == ()


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (an_outcome(), "the backlash has not paged"),
        (an_outcome(a_case(ONSET - timedelta(hours=5))), "the backlash has not paged"),
        (an_outcome(GOOD, a_case(GIVEAWAY[0])), "the giveaway paged for air-quillon"),
        (
            an_outcome(GOOD, a_case(ONSET + timedelta(hours=1), subject="norvista")),
            "paged for norvista",
        ),
        (an_outcome(GOOD, settled=False), "not everything was judged"),
        (an_outcome(GOOD, messages=PAGES[:2]), "webhook was told of 0 incidents"),
        (
            an_outcome(GOOD, messages=[*PAGES, received("slack", "post", key="2")]),
            "slack was told of 2 incidents",
        ),
        (
            an_outcome(a_case(ONSET + timedelta(minutes=20), accepted_at=None)),
            "cannot be measured",
        ),
    ],
)
def test_whatever_is_not_so_is_said(outcome: Outcome, reason: str) -> None:
    verdict = judge(outcome)
    assert any(reason in line for line in verdict.wrong), verdict.wrong
    assert verdict.line == ""


def test_what_is_shown_is_what_was_said_and_nothing_in_it_is_markup() -> None:
    console = Console(record=True, width=100, file=open("/dev/null", "w"))
    show(console, an_outcome(GOOD))
    shown = console.export_text()
    for words in (
        "PAGE",
        "They [bold]broke[/bold] it",
        "7 people [red]complain",
        "look &",
        "no page",
    ):
        assert words in shown


def test_without_a_backlash_there_is_still_something_to_show() -> None:
    console = Console(record=True, width=100, file=open("/dev/null", "w"))
    show(console, an_outcome(messages=[]))
    assert "giveaway" in console.export_text()

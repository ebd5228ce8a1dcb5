from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from services.backtest.evaluate.in_time import Entry, judge
from uproar.backlash import Backlash, Event, Level, Why

ONSET = datetime(2024, 7, 29, 1, 27, tzinfo=UTC)


def entry(**given):
    plain = {
        "id": "x",
        "file": "replays/x.jsonl",
        "brand": "Acme",
        "kind": "outage",
        "expect": "page",
        "onset_utc": ONSET,
        "latest_useful_utc": ONSET + timedelta(hours=5),
        "notes": "what the index says beside is left out",
    }
    return msgspec.convert(plain | given, Entry)


def told(hours, kind=Event.OPENED, *, page=True, incident="i1"):
    why = Why(
        summary="", negative=5, baseline=1, window_seconds=600, statistic=5, threshold=4,
        negative_share=0.8, baseline_share=0.3,
    )  # fmt: skip
    return Backlash(
        id=f"b{hours}{kind}", incident=incident, subject="acme", event=kind,
        at=ONSET + timedelta(hours=hours), level=Level.ALERT, page=page, severity=50, posts=5,
        authors=5, why=why,
    )  # fmt: skip


def test_a_page_between_onset_and_the_latest_useful_time_is_in_time():
    assert judge(entry(), [told(0)]).hit == ONSET
    assert judge(entry(), [told(5)]).hit is not None
    late = judge(entry(), [told(5.1)])
    assert (late.hit, late.late, late.false) == (None, ONSET + timedelta(hours=5.1), ())


def test_an_hour_after_the_onset_is_always_in_time():
    soon = entry(latest_useful_utc=ONSET + timedelta(minutes=30))
    assert judge(soon, [told(1)]).hit is not None
    assert judge(soon, [told(1.01)]).hit is None


def test_a_guessed_onset_opens_an_hour_before_and_its_hour_ends_after_the_guess():
    fuzzy = entry(onset_fuzzy=True, latest_useful_utc=ONSET)
    assert judge(fuzzy, [told(-1)]).hit is not None
    assert judge(fuzzy, [told(-1.1)]).false == (ONSET - timedelta(hours=1.1),)
    assert judge(fuzzy, [told(1)]).hit is not None
    assert judge(entry(), [told(-0.5)]).hit is None


def test_what_does_not_page_is_no_page():
    assert judge(entry(), [told(1, page=False)]).hit is None
    assert judge(entry(), [told(1, Event.GREW, page=False)]).hit is None


@pytest.mark.parametrize(
    ("earlier", "opened", "paged", "hit"),
    [
        (True, -3, True, True),
        (False, -3, True, False),  # no earlier event is known: growth does not count
        (True, -3, False, False),  # it never paged
        (True, -12.1, True, False),  # opened too long before
        (True, -12, True, True),
    ],
)
def test_growth_counts_only_of_a_paged_incident_of_an_earlier_real_event(
    earlier, opened, paged, hit
):
    given = {"earlier_event_utc": ONSET - timedelta(hours=3)} if earlier else {}
    events = [told(opened, page=paged), told(1, Event.GREW, page=False)]
    assert (judge(entry(**given), events).hit is not None) is hit


def test_growth_before_the_first_page_of_its_incident_does_not_count():
    known = entry(earlier_event_utc=ONSET)
    events = [told(-3, page=False), told(1, Event.GREW, page=False), told(9, Event.GREW)]
    verdict = judge(known, events)
    assert (verdict.hit, verdict.late) == (None, ONSET + timedelta(hours=9))


def test_a_page_near_another_real_event_or_a_sibling_is_not_false():
    other = ({"utc": "2024-09-02T22:50:00Z", "what": "night outage"},)
    known = entry(other_events=other)
    at = datetime(2024, 9, 2, 22, 50, tzinfo=UTC)
    hours = (at - ONSET) / timedelta(hours=1)
    events = [told(hours - 11.9), told(hours + 12.1), told(2000)]
    assert judge(known, events).false == (events[1].at, events[2].at)
    sibling = entry(id="y", onset_utc=ONSET + timedelta(hours=2000))
    assert judge(known, events, [sibling]).false == (events[1].at,)


def test_on_a_stream_without_event_pages_count_where_it_is_scored():
    quiet = entry(
        expect="no_page",
        onset_utc=None,
        latest_useful_utc=None,
        score_from_utc=ONSET,
        score_to_utc=ONSET + timedelta(hours=10),
        unscored_utc=[(ONSET + timedelta(hours=2), ONSET + timedelta(hours=4))],
    )
    events = [told(h) for h in (-1, 0, 3, 5, 11)]
    assert judge(quiet, events).false == (events[1].at, events[3].at)

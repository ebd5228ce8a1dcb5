"""The detector on small stories: what pages, what must not, what is told, what is kept."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.build import a_deletion, a_subject, an_assessment
from uproar.assessment import Assessment
from uproar.backlash import Backlash, Event, Level
from uproar.detect.surprise import surprise
from uproar.detector import CLOSED_TO, Closed, Detector
from uproar.detector.counted import Minute, run_counted
from uproar.errors import Misconfigured
from uproar.subject import SubjectId, alarms_per_day
from uproar.watch import minute_of

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
BRAND = SubjectId("air-quillon")


def at(*, days: float = 0, hours: float = 0, minutes: float = 0) -> datetime:
    return MONDAY + timedelta(days=days, hours=hours, minutes=minutes)


def talk(
    begin: datetime,
    end: datetime,
    an_hour: float,
    *,
    negative: float = 0.3,
    seed: int = 0,
    name: str = "calm",
    rhythm: float = 0.0,
    **given: Any,
) -> list[Assessment]:
    """People who write at random; ``negative``: the share who complain. ``rhythm``: day and night."""
    rng = np.random.default_rng(seed)
    posts = []
    moment = begin
    while True:
        moment += timedelta(hours=float(rng.exponential(1 / (an_hour * (1 + rhythm)))))
        if moment >= end:
            return posts
        day = 1 + rhythm * np.sin(2 * np.pi * (moment.hour + moment.minute / 60) / 24)
        if rng.random() * (1 + rhythm) > day:
            continue
        complains = rng.random() < negative
        posts.append(
            an_assessment(
                f"{name}:{len(posts)}",
                created_at=moment,
                negative=0.9 if complains else 0.05,
                **{"author": f"{name}{len(posts)}"} | given,
            )
        )


def crowd(begin: datetime, count: int, *, minutes: float, **given: Any) -> list[Assessment]:
    """So many people, spread evenly."""
    negative, name = given.pop("negative", 0.9), given.pop("name", "crowd")
    return [
        an_assessment(
            f"{name}:{n}",
            created_at=begin + timedelta(minutes=minutes * n / count),
            negative=negative,
            **{"author": f"{name}{n}"} | given,
        )
        for n in range(count)
    ]


class Story:
    """A detector that is given posts as event time goes."""

    def __init__(self, *posts: Sequence[Assessment], **subject: Any) -> None:
        self.detector = Detector()
        self.detector.watch(a_subject(BRAND, **subject))
        self.closed = Closed()
        self.offset = 0
        self.close(MONDAY)
        self.tell(*posts)

    def tell(self, *posts: Sequence[Assessment]) -> "Story":
        told = sorted((p for part in posts for p in part), key=lambda p: (p.created_at, p.post))
        self.detector.observe_many(told, range(self.offset, self.offset + len(told)))
        self.offset += len(told)
        return self

    def close(self, moment: datetime) -> Closed:
        closed = self.detector.close_buckets(moment)
        self.closed.backlash.extend(closed.backlash)
        self.closed.readings.extend(closed.readings)
        return closed

    def events(self, until: datetime) -> list[Backlash]:
        self.close(until)
        return self.closed.backlash

    def pages(self, until: datetime) -> list[Backlash]:
        return [event for event in self.events(until) if event.page]


WAVE = at(days=7, minutes=1)
"""When what happens happens, unless a test says otherwise."""


def calm_talk(share: float = 0.3) -> list[Assessment]:
    """A week of a small brand: four posts an hour, a third of them complaints."""
    return talk(at(), at(days=7), 4, negative=share)


@cache
def after_a_calm_week(share: float, budget: str) -> tuple[dict[SubjectId, bytes], int]:
    """Return the rows that a calm week leaves, and how many posts that were."""
    story = Story(calm_talk(share), budget=budget)
    assert story.pages(at(days=7)) == []
    return story.detector.changed_rows(), story.offset


def after_calm(*posts: Sequence[Assessment], share: float = 0.3, budget: str = "1/month") -> Story:
    """A story that begins behind a calm week, which nobody remembers but the rows."""
    rows, offset = after_a_calm_week(share, budget)
    story = Story(budget=budget)
    story.detector = Detector()
    story.detector.watch(a_subject(BRAND, budget=budget))
    story.detector.load(rows)
    story.offset = offset
    return story.tell(*posts)


# ------------------------------------------------------------------------------- what must page


def test_a_wave_of_complaints_pages_within_minutes():
    (first, *_) = after_calm(crowd(WAVE, 30, minutes=30)).pages(at(days=8))
    assert first.level is Level.ALERT
    assert timedelta(0) < first.at - WAVE < timedelta(minutes=10)
    assert first.incident.startswith("e_")


def test_a_calm_week_pages_nobody():
    assert Story(calm_talk()).pages(at(days=7)) == []


def five_a_week() -> list[Assessment]:
    """A restaurant: eight weeks of five posts, one of them a grumble."""
    return [
        an_assessment(
            f"guest:{number}",
            created_at=at(days=7 * number / 5, hours=19 + number % 3),
            negative=0.9 if number % 5 == 0 else 0.05,
        )
        for number in range(40)
    ]


@pytest.mark.parametrize(("angry", "paged"), [(1, False), (3, False), (4, True), (6, True)])
def test_a_restaurant_with_five_posts_a_week_is_warned_at_the_fourth_angry_author(
    angry: int, paged: bool
):
    begin = at(days=60, hours=3)
    story = Story(five_a_week(), crowd(begin, angry, minutes=55))
    assert bool(story.pages(begin + timedelta(hours=1))) is paged


def test_the_third_angry_author_is_watched():
    begin = at(days=60, hours=3)
    events = Story(five_a_week(), crowd(begin, 3, minutes=55)).events(begin + timedelta(hours=1))
    assert [(event.event, event.level, event.page) for event in events] == [
        (Event.OPENED, Level.WATCH, False)
    ]


def test_people_who_join_a_bot_flood_count():
    flood = crowd(WAVE, 300, minutes=60, author="bot", name="bot")
    assert after_calm(flood, crowd(WAVE, 30, minutes=60)).pages(at(days=8))


def test_posts_without_author_are_people_of_their_own():
    assert after_calm(crowd(WAVE, 30, minutes=30, author=None)).pages(at(days=8))


def test_a_subject_that_is_always_criticised_pages_when_the_criticism_swells():
    criticised = talk(at(), at(days=7), 6, negative=0.75)
    assert not Story(criticised).pages(at(days=7))
    storm = talk(at(days=7), at(days=7, hours=6), 40, negative=0.8, name="storm")
    assert Story(criticised, storm).pages(at(days=7, hours=6))


# ---------------------------------------------------------------------------- what must not page


def test_the_rush_hour_of_a_giant_pages_nobody():
    giant = talk(at(), at(days=4), 250, rhythm=0.9)
    assert Story(giant).pages(at(days=4)) == []


def test_the_rush_hours_of_larger_giants_page_nobody_and_a_wave_in_them_does():
    """Up to 50,000 posts an hour, as counted minutes: by day almost twice that, by night a tenth."""
    rates, days = np.array([2_500, 10_000, 50_000, 50_000]), 5
    rng, first = np.random.default_rng(0), minute_of(MONDAY)

    def minutes() -> Iterator[tuple[int, Minute]]:
        for number in range(days * 1440):
            day = 1 + 0.9 * np.sin(2 * np.pi * number / 1440)
            posts = rng.poisson(rates / 60 * day)
            negative = rng.binomial(posts, 0.3)
            if (
                number >= days * 1440 - 60
            ):  # in the last hour one of them gets three times the complaints
                negative[-1] += (more := rng.poisson(0.6 * posts[-1]))
                posts[-1] += more
            yield first + number, Minute(negative.astype(float), posts.astype(float), negative)

    allowed = np.full(len(rates), alarms_per_day("1/month"))
    events = run_counted(minutes(), lanes=len(rates), alarms_per_day=allowed)
    assert {event.lane for event in events if event.page} == {3}
    assert all(event.minute > first + days * 1440 - 60 for event in events if event.page)


def test_a_giveaway_pages_nobody():
    giveaway = talk(at(days=7), at(days=7, hours=5), 300, negative=0.03, name="win")
    story = after_calm(giveaway)
    assert story.pages(at(days=8)) == []
    loud = [r for r in story.closed.readings if r.statistic >= r.threshold]
    assert loud, "the giveaway is large enough to be strange"
    assert {r.gate for r in loud} <= {
        "negative share below the usual",
        "what came on top is mostly not negative",
    }


def test_a_backlash_in_the_evening_of_a_giveaway_pages():
    giveaway = talk(at(days=7), at(days=7, hours=2), 200, negative=0.03, name="win")
    backlash = crowd(at(days=7, hours=4), 60, minutes=60)
    assert after_calm(giveaway, backlash).pages(at(days=7, hours=5))


@pytest.mark.parametrize("flood", [{"author": "bot"}, {"fingerprint": "same words"}])
def test_a_flood_of_one_voice_pages_nobody(flood: dict[str, str]):
    assert after_calm(crowd(WAVE, 300, minutes=60, **flood)).pages(at(days=8)) == []


def test_a_flood_of_three_authors_pages_nobody():
    flood = [
        p for n in range(3) for p in crowd(WAVE, 100, minutes=60, author=f"bot{n}", name=f"bot{n}")
    ]
    assert after_calm(flood).pages(at(days=8)) == []


def test_the_start_of_a_collector_pages_nobody():
    start = talk(at(hours=5), at(days=1), 150, negative=0.6)
    assert Story(start).pages(at(days=1)) == []


@pytest.mark.parametrize("share", [0.3, 0.75, 0.95])
def test_the_start_of_a_collector_of_angry_posts_is_no_flood(share: float):
    stray = crowd(at(minutes=30), 1, minutes=1, name="stray")
    start = talk(at(hours=1, minutes=20), at(hours=20), 200, negative=share)
    assert Story(start).pages(at(hours=20)) == []
    assert Story(stray, start).pages(at(hours=20)) == []


@pytest.mark.parametrize("hours", [2.5, 3.2])
def test_a_new_subject_pages_once_a_crowd_is_ten_times_all_that_was_ever_heard(hours: float):
    before = talk(at(), at(hours=hours), 10, negative=0.3)
    begin = at(hours=hours)
    (first, *_) = Story(before, crowd(begin, 500, minutes=60)).pages(begin + timedelta(hours=1))
    assert first.at - begin < timedelta(minutes=40)
    assert first.why.gates["ceiling"].startswith("reached")
    assert Story(before, crowd(begin, 60, minutes=60)).pages(begin + timedelta(hours=1)) == []


def test_posts_of_the_brand_itself_are_no_complaints():
    story = after_calm(crowd(WAVE, 100, minutes=30, own=True))
    assert story.pages(at(days=8)) == []
    assert story.detector.dropped["own"] == 100


def test_posts_that_could_not_be_scored_are_never_negative_and_are_told():
    story = after_calm(crowd(WAVE, 100, minutes=5, negative=None))
    assert story.pages(at(days=7, minutes=10)) == []
    assert sum(r.unscored for r in story.closed.readings) == 100
    assert sum(r.posts for r in story.closed.readings) == 100


def test_a_smaller_budget_needs_a_larger_wave():
    sizes = {}
    for budget in ("1/week", "1/year"):
        sizes[budget] = next(
            size
            for size in range(3, 90, 2)
            if after_calm(crowd(WAVE, size, minutes=50), budget=budget).pages(at(days=7, hours=1))
        )
    assert sizes["1/week"] < sizes["1/year"]


# ---------------------------------------------------------------------- who raises false alarms

STAGED_DAYS = 30
AFTER_A_MONTH = at(days=7 + STAGED_DAYS, hours=10)


@cache
def staged_month(an_hour: float) -> tuple[dict[SubjectId, bytes], int, float]:
    """Return rows and posts of a month with a staged wave a day, and the usual of an hour."""
    calm = talk(at(), AFTER_A_MONTH, an_hour, seed=3)
    waves = [
        crowd(at(days=7 + day, hours=7 * day % 22), 120, minutes=25, name=f"staged{day}")
        for day in range(STAGED_DAYS)
    ]
    story = Story(calm, *waves)
    alarms = {page.at.date() for page in story.pages(AFTER_A_MONTH)}
    assert len(alarms) > STAGED_DAYS / 2, "the rest falls into an incident that is still open"
    last = story.closed.readings[-1]
    usual = last.baseline / last.window_seconds * 3600
    return story.detector.changed_rows(), story.offset, usual


def real_wave(an_hour: float, people: int) -> list[Backlash]:
    """Return the pages of a real wave within an hour, behind such a month."""
    rows, offset, _ = staged_month(an_hour)
    story = Story()
    story.detector = Detector()
    story.detector.watch(a_subject(BRAND))
    story.detector.load(rows)
    story.offset = offset
    story.tell(crowd(AFTER_A_MONTH + timedelta(minutes=1), people, minutes=55, name="real"))
    return story.pages(AFTER_A_MONTH + timedelta(hours=1))


@pytest.mark.parametrize("an_hour", [0.5, 6])
def test_no_month_of_staged_alarms_silences_a_wave_beyond_the_ceiling(an_hour: float):
    usual = staged_month(an_hour)[2]
    assert usual < an_hour / 2, "staged waves are not what is usual"
    ceiling = 10 * usual + 50
    heard = 0.9  # of each of them, at least: the model is not certain that they complain
    assert real_wave(an_hour, round(ceiling / heard))


@pytest.mark.parametrize(("an_hour", "calm", "silenced"), [(0.5, 8, 20), (6, 20, 40)])
def test_below_the_ceiling_a_month_of_staged_alarms_costs_pages(
    an_hour: float, calm: int, silenced: int
):
    """As docs/decisions/0009 says: the budget is kept, whoever spends it."""
    story = Story(talk(at(), at(days=7), an_hour, seed=3), crowd(WAVE, calm, minutes=55))
    assert story.pages(WAVE + timedelta(hours=1))
    assert not real_wave(an_hour, silenced)


# ---------------------------------------------------------------------------------- late, repeated


def test_a_repeated_post_counts_once():
    wave = crowd(WAVE, 3, minutes=30)
    story = after_calm(wave, wave, wave)
    assert story.pages(at(days=8)) == []
    assert story.detector.dropped["repeat"] == 6


def test_scores_that_are_filled_in_while_the_minute_is_open_are_as_if_they_had_come_at_once():
    wave = crowd(WAVE, 40, minutes=20)
    story = after_calm(crowd(WAVE, 40, minutes=20, negative=None))
    story.tell(wave, wave)
    whole = after_calm(wave)
    assert story.events(at(days=8)) == whole.events(at(days=8))
    assert [(r.at, r.posts, r.negative, r.unscored) for r in story.closed.readings] == [
        (r.at, r.posts, r.negative, r.unscored) for r in whole.closed.readings
    ]
    assert story.detector.dropped["repeat"] == 40


def test_scores_that_are_filled_in_later_count_in_their_slot_and_are_no_posts_more():
    story = after_calm(crowd(WAVE, 40, minutes=20, negative=None))
    assert story.pages(WAVE + timedelta(minutes=40)) == []
    story.tell(crowd(WAVE, 40, minutes=20))
    story.tell(crowd(WAVE, 40, minutes=20, negative=None))
    story.tell(crowd(WAVE + timedelta(minutes=45), 1, minutes=1, name="last"))
    late = after_calm()
    late.close(WAVE + timedelta(minutes=40))
    late.tell(crowd(WAVE, 40, minutes=20))
    late.tell(crowd(WAVE + timedelta(minutes=45), 1, minutes=1, name="last"))
    pages = story.pages(WAVE + timedelta(minutes=50))
    wanted = late.pages(WAVE + timedelta(minutes=50))
    assert [page.at for page in pages] == [page.at for page in wanted] != []
    assert 15 < pages[0].why.negative < 48
    assert story.detector.dropped["repeat"] == 40
    assert sum(r.posts for r in story.closed.readings if r.at > WAVE and not r.decision) <= 41


def test_late_posts_count_in_their_slot_and_change_no_past_event():
    story = after_calm()
    assert story.pages(WAVE + timedelta(minutes=50)) == []
    before = list(story.closed.backlash)
    story.tell(crowd(WAVE, 30, minutes=20))
    story.tell(crowd(WAVE + timedelta(minutes=50), 1, minutes=1, name="last"))
    pages = story.pages(WAVE + timedelta(minutes=55))
    assert story.closed.backlash[: len(before)] == before
    assert [page.at for page in pages][:1] == [WAVE + timedelta(minutes=51)]


def polled(story: Story, posts: Sequence[Assessment], every: int, until: datetime) -> Story:
    """Give a story posts as a collector brings them that asks every few minutes: most come late."""
    brought: set[str] = set()
    moment = posts[0].created_at.replace(second=0)
    while moment < until:
        if (moment - MONDAY) // timedelta(minutes=1) % every == 0:
            new = [p for p in posts if p.created_at < moment and p.post not in brought]
            story.tell(new)
            brought |= {p.post for p in new}
        story.close(moment)
        moment += timedelta(minutes=1)
    return story


@pytest.mark.parametrize("every", [1, 5, 15])
def test_a_collector_that_asks_now_and_then_pages_as_soon_as_it_has_asked(every: int):
    begin = at(days=60, hours=3, minutes=2)
    angry = crowd(begin, 6, minutes=55)
    story = polled(Story(five_a_week()), angry, every, begin + timedelta(hours=2))
    fourth = angry[3].created_at
    (first, *_) = story.pages(begin + timedelta(hours=2))
    assert first.at - fourth <= timedelta(minutes=every + 2)


def test_a_wave_that_comes_late_as_a_whole_is_judged_without_another_post():
    story = after_calm()
    story.close(WAVE + timedelta(minutes=40))
    story.tell(crowd(WAVE, 30, minutes=20))
    (first, *_) = story.pages(WAVE + timedelta(minutes=42))
    assert first.at == WAVE + timedelta(minutes=41)


def test_posts_later_than_an_hour_change_nothing_and_are_told():
    evening = talk(at(days=7), at(days=7, hours=4), 4, name="evening")
    last = crowd(at(days=7, hours=4), 1, minutes=1, name="last")
    story, other = after_calm(evening), after_calm(evening)
    for one in (story, other):
        one.close(at(days=7, hours=4))
    story.tell(crowd(WAVE, 60, minutes=60))
    for one in (story, other):
        one.tell(last)
        one.close(at(days=7, hours=5))
    assert story.closed == other.closed
    assert story.detector.dropped["too late"] == 60


def test_a_backfill_never_pages_and_teaches_what_is_usual():
    history = talk(at(days=-20), at(), 40, negative=0.5, backfill=True, name="past")
    story = Story()
    story.close(at(hours=1))
    story.tell(history)
    live = talk(at(hours=1), at(hours=9), 40, negative=0.5, name="live")
    assert story.tell(live).pages(at(hours=9)) == []
    last = story.closed.readings[-1]
    assert 10 < last.baseline / last.window_seconds * 3600 < 30
    angry = crowd(at(hours=9), 180, minutes=30)
    assert story.tell(angry).pages(at(hours=10))


@pytest.mark.parametrize("ahead", [False, True], ids=["a gap before the live", "a fresh start"])
def test_a_backfill_before_the_live_source_pages_nobody(ahead: bool):
    """Whatever it brings was not seen by anybody who could answer: it is history."""
    story = Story() if ahead else after_calm()
    begin = at(days=-2) if ahead else at(days=7)
    old = talk(begin, begin + timedelta(days=2), 4, name="old")
    wave = crowd(begin + timedelta(days=1), 60, minutes=30, name="then")
    story.tell([msgspec.structs.replace(p, backfill=True) for p in [*old, *wave]])
    now = begin + timedelta(days=2)
    live = talk(now, now + timedelta(hours=8), 4, name="live")
    assert story.tell(live).pages(now + timedelta(hours=8)) == []


def test_a_wave_in_a_backfill_does_not_hide_the_next_one():
    story = after_calm()
    story.close(at(days=7, hours=1))
    story.tell(crowd(at(days=6), 3000, minutes=60, name="then", backfill=True))
    assert story.tell(crowd(at(days=7, hours=2), 60, minutes=30)).pages(at(days=7, hours=3))


def test_one_old_post_does_not_make_a_new_subject_a_silent_one():
    old = crowd(at(days=-300), 1, minutes=1, negative=0.05, backfill=True, name="old")
    start = talk(at(hours=5), at(days=1), 30, negative=0.45)
    story = Story()
    story.close(at(hours=1))
    assert story.tell(old, start).pages(at(days=2)) == []


def test_a_backfill_after_a_change_of_broker_teaches():
    story = after_calm()
    story.close(at(days=7, minutes=30))
    rows = story.detector.changed_rows()
    usual = []
    for history in ([], talk(at(days=5), at(days=7), 40, negative=0.5, backfill=True, name="past")):
        again = Story()
        again.detector = Detector()
        again.detector.watch(a_subject(BRAND))
        again.detector.load(rows, offsets_valid=False)
        again.tell(history, crowd(at(days=7, minutes=40), 1, minutes=1, name="last"))
        again.close(at(days=7, hours=1))
        usual.append(again.closed.readings[-1].baseline)
        assert again.detector.dropped["counted before"] == 0
    assert usual[1] > 2 * usual[0]


def test_a_post_of_a_minute_to_come_waits():
    story = after_calm(crowd(WAVE, 30, minutes=30))
    story.close(at(days=6))
    assert all(reading.at <= at(days=6) for reading in story.closed.readings)


def test_closing_again_says_nothing_again():
    story = after_calm(crowd(WAVE, 30, minutes=30))
    story.close(at(days=8))
    assert story.close(at(days=8)) == Closed()
    assert story.close(at(days=3)) == Closed()


# ------------------------------------------------------------------------------------ what is told


def a_big_wave() -> Story:
    rise = crowd(WAVE, 20, minutes=40, name="rise")
    peak = crowd(WAVE + timedelta(minutes=40), 300, minutes=120, name="peak")
    return after_calm(rise, peak)


def test_a_wave_opens_grows_subsides_and_ends():
    events = a_big_wave().events(at(days=10))
    kinds = [event.event for event in events]
    assert kinds[0] is Event.OPENED
    assert kinds[-2:] == [Event.SUBSIDED, Event.ENDED]
    assert set(kinds[1:-2]) == {Event.GREW}
    assert len(kinds) <= 12
    assert len({event.incident for event in events}) == 1
    assert 320 <= events[-1].posts <= 330, "those of the window in which it opened are part of it"
    assert events[-1].authors == pytest.approx(320, rel=0.35)


def test_it_pages_once_at_alert_and_once_at_crisis():
    pages = a_big_wave().pages(at(days=10))
    assert [page.level for page in pages] == [Level.ALERT, Level.CRISIS]


def test_a_second_wave_after_the_end_is_an_incident_of_its_own():
    again = crowd(at(days=12), 30, minutes=30, name="again")
    story = a_big_wave()
    pages = story.tell(again).pages(at(days=13))
    assert len({page.incident for page in pages}) == 2


def test_a_page_says_why_in_one_sentence_and_in_numbers():
    page = a_big_wave().pages(at(days=8))[0]
    why = page.why
    assert why.summary.startswith(f"{round(why.negative)} people complained about Air Quillon")
    assert why.summary.count(".") == 1
    assert why.statistic >= why.threshold
    assert why.negative > why.baseline
    assert why.negative_share > 0.5 > why.baseline_share
    assert why.gates == {"share": "open", "excess": "open", "authors": "open"}


def test_a_larger_wave_is_more_severe():
    small = after_calm(crowd(WAVE, 12, minutes=60)).pages(at(days=8))
    large = after_calm(crowd(WAVE, 1200, minutes=60)).pages(at(days=8))
    assert 0 < small[0].severity < large[-1].severity <= 100


def test_evidence_is_eight_posts_of_distinct_authors_each_with_its_reason():
    event = a_big_wave().events(at(days=7, hours=2))[-1]
    assert len(event.evidence) == 8
    assert len({piece.author for piece in event.evidence}) == 8
    assert event.evidence[0].why == "the first post of the wave"
    assert all(piece.why and piece.created_at < event.at for piece in event.evidence)


def test_what_was_taken_back_is_no_evidence():
    story = after_calm(crowd(WAVE, 40, minutes=40))
    story.close(WAVE + timedelta(minutes=1))
    story.detector.forget([a_deletion(id="crowd:0"), a_deletion(author="crowd1")])
    story.detector.forget([a_deletion(id="crowd:2")])
    shown = {piece.id for e in story.events(at(days=8)) for piece in e.evidence}
    assert shown
    assert not shown & {"crowd:0", "crowd:1", "crowd:2"}


def test_there_is_a_reading_for_every_five_minutes_with_activity_and_for_every_event():
    story = a_big_wave()
    events = story.events(at(days=10))
    regular = [r for r in story.closed.readings if not r.decision]
    decisions = [r for r in story.closed.readings if r.decision]
    assert [(r.at, r.seconds) for r in decisions] == [(event.at, 60) for event in events]
    assert len({r.at for r in regular}) == len(regular)
    assert all(r.seconds == 300 and r.at.minute % 5 == 0 and r.posts > 0 for r in regular)
    assert sum(r.posts for r in regular) == 320
    assert sum(r.authors for r in regular) == 320


def test_every_reading_holds_what_its_statistic_follows_from():
    story = a_big_wave()
    story.close(at(days=9))
    strange = [r for r in story.closed.readings if r.statistic > 0.5 and not r.slow]
    assert len(strange) > 20
    for r in strange:
        one = surprise(np.array(r.heard), np.array(r.baseline), np.array(r.certainty))
        assert float(one) == pytest.approx(r.statistic, rel=0.02, abs=0.02)


# -------------------------------------------------------------------------------- subjects and rows


def test_a_post_about_nobody_we_watch_is_dropped():
    detector = Detector()
    detector.observe_many([an_assessment()], [0])
    assert detector.dropped == {"unknown subject": 1}
    assert detector.oldest_waiting is None


def test_a_subject_taken_off_the_list_is_forgotten():
    story = after_calm(crowd(WAVE, 30, minutes=30))
    story.close(WAVE)
    story.detector.changed_rows()
    story.detector.unwatch(BRAND)
    story.detector.unwatch(BRAND)
    assert story.pages(at(days=8)) == []
    assert story.detector.changed_rows()[BRAND] == b""


def test_a_changed_budget_counts_from_then_on_and_nothing_is_forgotten():
    wave = crowd(WAVE, 9, minutes=50)
    story = after_calm(wave, budget="1/year")
    story.close(at(days=7))
    story.detector.watch(a_subject(BRAND, budget="5/week"))
    assert story.pages(at(days=8))


def test_what_happens_to_one_subject_does_not_touch_another():
    alone = a_big_wave()
    both = a_big_wave()
    both.detector.watch(a_subject("rival"))
    theirs = crowd(WAVE, 400, minutes=90, fingerprint="the same words", name="peak")
    both.tell([msgspec.structs.replace(post, subject=SubjectId("rival")) for post in theirs])
    mine = [event for event in both.events(at(days=10)) if event.subject == BRAND]
    assert mine == alone.events(at(days=10))


def test_a_row_is_at_most_512_bytes_and_only_changed_ones_are_given():
    story = Story(calm_talk()[:20])
    story.close(at(days=1))
    rows = story.detector.changed_rows()
    assert list(rows) == [BRAND, CLOSED_TO]
    assert all(len(row) <= 512 for row in rows.values())
    assert story.detector.changed_rows() == {}


def test_a_detector_loaded_from_its_rows_goes_on_as_if_nothing_had_happened():
    evening = talk(at(days=7), at(days=8), 4, name="evening")
    posts = sorted([*evening, *crowd(WAVE, 40, minutes=60)], key=lambda p: p.created_at)
    whole = after_calm(posts)
    whole.close(at(days=8))
    middle = WAVE + timedelta(minutes=20)
    first = after_calm(posts)
    first.close(middle)
    second = Detector()
    second.watch(a_subject(BRAND))
    second.load(first.detector.changed_rows())
    hold, begin = first.detector.oldest_waiting, first.offset - len(posts)
    assert hold is not None
    second.observe_many(posts[hold - begin :], range(hold, first.offset))
    rest = second.close_buckets(at(days=8))
    told = [(e.id, e.at, e.level, e.page, e.posts) for e in whole.closed.backlash]
    assert any(event.page for event in whole.closed.backlash)
    assert [
        (e.id, e.at, e.level, e.page, e.posts) for e in [*first.closed.backlash, *rest.backlash]
    ] == told


def test_with_a_new_broker_what_comes_again_counts_once_and_what_is_new_counts():
    posts = crowd(WAVE, 30, minutes=30)
    first = after_calm(posts)
    first.close(WAVE + timedelta(minutes=5))
    second = Detector()
    second.watch(a_subject(BRAND))
    second.load(first.detector.changed_rows(), offsets_valid=False)
    second.observe_many(posts, range(len(posts)))
    rest = second.close_buckets(at(days=8)).backlash
    assert second.dropped == {"counted before": 5}
    whole = after_calm(posts)
    assert whole.pages(at(days=8))
    assert [
        (e.id, e.at, e.page, e.posts, e.why.summary) for e in [*first.closed.backlash, *rest]
    ] == [(e.id, e.at, e.page, e.posts, e.why.summary) for e in whole.closed.backlash]


def test_rows_of_another_version_are_refused():
    detector = Detector()
    with pytest.raises(Misconfigured, match="another version"):
        detector.load({BRAND: b"\x00" * 10})


def test_the_commit_may_pass_what_is_older_than_an_hour_and_no_more():
    story = Story()
    story.tell(crowd(at(), 180, minutes=180))
    assert story.detector.oldest_waiting == 0
    story.close(at(hours=2))
    assert story.detector.oldest_waiting == 60
    story.close(at(hours=9))
    assert story.detector.oldest_waiting is None


def all_ids(events: Iterable[Backlash]) -> list[str]:
    return [event.id for event in events]


def test_the_same_posts_give_the_same_ids():
    assert all_ids(a_big_wave().events(at(days=10))) == all_ids(a_big_wave().events(at(days=10)))


def test_a_day_of_silence_means_something_and_an_hour_of_it_does_not():
    for hours, paged in ((5, False), (30, True)):
        begin = at(hours=hours)
        assert bool(Story(crowd(begin, 20, minutes=30)).pages(begin + timedelta(hours=1))) is paged


@given(
    share=st.sampled_from([0.03, 0.06, 0.1]),
    times=st.floats(1, 20),
    hours=st.floats(0.5, 10),
    seed=st.integers(0, 1000),
)
@settings(max_examples=12, deadline=None)
def test_more_of_the_calm_talk_there_always_was_pages_nobody(
    share: float, times: float, hours: float, seed: int
):
    begin = at(days=7)
    end = begin + timedelta(hours=hours)
    more = talk(begin, end, 4 * times, negative=share, seed=seed, name="more")
    assert after_calm(more, share=share).pages(end) == []


def test_two_people_who_complain_again_every_hour_page_nobody():
    begin = at(days=60, hours=3)
    two = [
        an_assessment(
            f"two:{hour}-{who}",
            created_at=begin + timedelta(hours=hour * 1.05, minutes=who),
            author=f"two{who}",
        )
        for hour in range(30)
        for who in range(2)
    ]
    assert Story(five_a_week(), two).pages(begin + timedelta(days=2)) == []

"""Candidates for evidence: few, the right ones, the same in every replay."""

from datetime import timedelta

from tests.build import NOON, an_assessment
from uproar.story import reservoir as rooms
from uproar.story.reservoir import Reservoir

LATER = NOON + timedelta(days=30)


def a_reservoir(count: int = 0, **given) -> Reservoir:
    kept = Reservoir(most=10, negative=0.5)
    for n in range(count):
        kept.offer(a_candidate(n, **given))
    return kept


def a_candidate(n: int, **given):
    return an_assessment(
        f"p:{n}", **{"created_at": NOON + timedelta(minutes=n), "negative": 0.7} | given
    )


def ids(kept: Reservoir, subject: str = "air-quillon", since=NOON, until=LATER) -> list[str]:
    return [c.post.post for c in kept.candidates(subject, since=since, until=until)]


def test_negative_posts_are_kept_in_order_of_time():
    assert ids(a_reservoir(3)) == ["p:0", "p:1", "p:2"]


def test_posts_that_are_not_negative_or_not_scored_are_no_evidence():
    kept = a_reservoir()
    kept.offer(a_candidate(1, negative=0.3))
    kept.offer(a_candidate(2, negative=None))
    assert ids(kept) == []


def test_memory_of_a_subject_is_bounded():
    assert len(ids(a_reservoir(500))) <= 20


def test_the_first_the_widest_seen_the_strongest_and_the_most_copied_stay():
    kept = a_reservoir()
    for n in range(300):
        given = {50: {"shares": 9}, 60: {"negative": 0.99}}.get(n, {})
        kept.offer(a_candidate(n, **given))
        if n < 70:
            kept.offer(a_candidate(1000 + n, fingerprint="copied", author=f"c{n}"))
    assert {"p:0", "p:50", "p:60", "p:1000"} <= set(ids(kept))
    copied = next(
        c for c in kept.candidates("air-quillon", since=NOON, until=LATER) if c.copies > 1
    )
    assert copied.copies == 70


def test_the_same_posts_leave_the_same_candidates():
    assert ids(a_reservoir(400)) == ids(a_reservoir(400))


def test_what_is_older_than_a_day_gives_way():
    kept = a_reservoir(15)
    for n in range(10):
        kept.offer(a_candidate(5000 + n))
    assert set(ids(kept)) == {f"p:{5000 + n}" for n in range(10)}


def test_only_those_of_the_time_asked_for_are_given():
    assert ids(
        a_reservoir(9), since=NOON + timedelta(minutes=2), until=NOON + timedelta(minutes=4)
    ) == ["p:2", "p:3"]


def test_a_post_and_all_posts_of_an_author_can_be_forgotten():
    kept = a_reservoir()
    for n in range(4):
        kept.offer(a_candidate(n, author="x" if n > 1 else "y"))
    kept.forget("p:0", None)
    kept.forget(None, "x")
    assert ids(kept) == ["p:1"]


def test_the_subject_not_heard_of_for_longest_gives_way(monkeypatch):
    monkeypatch.setattr(rooms, "SUBJECTS", 2)
    kept = a_reservoir()
    for n, subject in enumerate(["a", "b", "a", "c"]):
        kept.offer(a_candidate(n, subject=subject))
    assert ids(kept, "b") == []
    assert ids(kept, "a") == ["p:0", "p:2"]
    kept.release("a")
    assert ids(kept, "a") == []

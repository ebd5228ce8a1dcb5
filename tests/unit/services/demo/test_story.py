from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from services.demo.story import START, SUBJECT, WATCH, WORDS, Story, minute_of, story
from services.process import read_document
from uproar.inbox import read_post
from uproar.match import Matcher
from uproar.post import Post, fingerprint
from uproar.subject import Kind, watch_list

SUBJECTS = watch_list(read_document(WATCH))
MATCHER = Matcher(list(SUBJECTS))


@pytest.fixture(scope="module")
def told() -> Story:
    return story(1)


@pytest.fixture(scope="module")
def posts(told: Story) -> list[Post]:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        read_post(post, stream="chirp", now=now, key=b"k" * 32, names=MATCHER)
        for post in told.posts
    ]


def written(post: dict[str, str]) -> datetime:
    return datetime.fromisoformat(post["created_at"])


def test_a_seed_tells_the_same_story_and_another_another(told: Story) -> None:
    assert story(1) == told
    assert story(2).posts != told.posts


def test_it_is_told_in_order_with_ids_of_their_own(told: Story) -> None:
    times = [written(post) for post in told.posts]
    assert times == sorted(times)
    assert len({post["id"] for post in told.posts}) == len(told.posts)
    assert 1_200 <= len(told.posts) <= 3_000


def test_calm_days_then_the_giveaway_then_the_song(told: Story) -> None:
    begin, end = told.giveaway
    assert START + timedelta(days=3) < begin < end < told.onset - timedelta(days=2)
    assert told.onset > START + timedelta(days=6)
    assert told.end > told.onset + timedelta(hours=3)


def test_the_giveaway_is_louder_than_any_calm_hour(told: Story) -> None:
    by_hour = Counter(written(p).replace(minute=0, second=0, microsecond=0) for p in told.posts)
    begin, end = told.giveaway
    loudest = max(by_hour[hour] for hour in by_hour if begin <= hour < end)
    calm = max(n for hour, n in by_hour.items() if hour < begin - timedelta(hours=1))
    assert loudest > 2 * calm


def test_the_storm_begins_with_one_post_of_somebody_without_followers(told: Story) -> None:
    (first,) = [post for post in told.posts if post["author"] == "@maelle.verdier"]
    assert written(first) == told.onset
    assert first["author_followers"] < 1_000
    assert first["media"] == ["video"]


def test_every_post_can_be_read_in_both_languages(posts: list[Post]) -> None:
    languages = Counter(post.lang for post in posts)
    assert languages["en"] > languages["fr"] > 300


def test_each_of_the_watched_is_talked_about(posts: list[Post]) -> None:
    about = Counter(subject for post in posts for subject in post.subjects)
    assert set(about) == {subject.id for subject in SUBJECTS}
    assert about.most_common(1)[0][0] == SUBJECT
    assert {subject.kind for subject in SUBJECTS} == {Kind.BRAND, Kind.PERSON}


def test_a_sword_is_no_airline(posts: list[Post]) -> None:
    swords = [post for post in posts if "sword" in post.text.lower() or "épée" in post.text.lower()]
    assert swords
    assert all(not post.subjects for post in swords)


def test_the_airline_speaks_for_itself_and_is_known_to(posts: list[Post]) -> None:
    own = [post for post in posts if SUBJECT in post.own_of]
    assert len(own) >= 10


def test_people_do_not_repeat_each_other_but_for_shared_posts(posts: list[Post]) -> None:
    said = Counter(fingerprint(post.text) for post in posts if not post.text.startswith("RT"))
    assert len(said) > 0.85 * sum(said.values())


def test_nobody_speaks_for_many(posts: list[Post]) -> None:
    by_author = Counter(post.author for post in posts if not post.own_of)
    assert max(by_author.values()) <= 5


def test_no_hole_is_left_in_a_line() -> None:
    assert "{" not in "".join(post["text"] for seed in range(3) for post in story(seed).posts)
    assert "@airquillon" in WORDS.read_text("utf-8")


def test_a_minute_begins_at_its_second_zero() -> None:
    moment = datetime(2025, 6, 8, 14, 3, 59, 999, tzinfo=UTC)
    assert minute_of(moment) == datetime(2025, 6, 8, 14, 3, tzinfo=UTC)

"""services/bench/crisis.py: what is posted while crises come and go."""

import json
import tomllib
from datetime import datetime, timedelta

import pytest

from services.bench.crisis import ANGRY, CALM_A_MINUTE, CRISES_A_MINUTE, LEARNING, START, Crises
from services.bench.names import invented
from services.classifier.engine.tokens import normalise
from uproar.match import Matcher
from uproar.subject import watch_list


@pytest.fixture(scope="module")
def told():
    crises = Crises()
    minutes = [[json.loads(post) for post in crises.minute()] for _ in range(LEARNING + 12)]
    return crises, minutes


def test_it_is_the_same_every_time(told):
    again = Crises()
    assert [[json.loads(post) for post in again.minute()] for _ in range(3)] == told[1][:3]


def test_every_post_stands_in_its_minute_in_order(told):
    for number, posts in enumerate(told[1]):
        begin = START + timedelta(minutes=number)
        times = [datetime.fromisoformat(post["created_at"]) for post in posts]
        assert times == sorted(times)
        assert begin <= times[0] <= times[-1] < begin + timedelta(minutes=1)


def test_every_post_is_about_one_brand_of_the_watch_list(told):
    crises, minutes = told
    subjects = watch_list(tomllib.loads(crises.watch_list()))
    matcher = Matcher(subjects)
    for posts in minutes[-3:]:
        assert {len(matcher.match(post["text"])) for post in posts} == {1}


def test_crises_begin_when_detection_has_learnt_and_then_some_every_minute(told):
    sizes = [len(posts) for posts in told[1]]
    assert set(sizes[:LEARNING]) == {CALM_A_MINUTE}
    assert sizes[LEARNING] == CALM_A_MINUTE + CRISES_A_MINUTE * ANGRY[0]
    assert sizes[-1] == CALM_A_MINUTE + CRISES_A_MINUTE * sum(ANGRY)


def test_about_a_quarter_reads_like_a_post_before_it(told):
    texts = [normalise(post["text"]) for posts in told[1][-12:] for post in posts]
    seen = {normalise(post["text"]) for posts in told[1][:-12] for post in posts}
    copies = 0
    for text in texts:
        copies += text in seen
        seen.add(text)
    assert 0.2 < copies / len(texts) < 0.35


def test_the_minutes_before_cost_the_model_next_to_nothing(told):
    texts = [normalise(post["text"]) for posts in told[1][:LEARNING] for post in posts]
    assert len(texts) > 50 * len(set(texts))


def test_what_people_say_can_be_given():
    crises = Crises(["a text of a file"], copies=0)
    assert all(b"a text of a file" in post for post in crises.minute())


def test_invented_names_differ_and_may_be_single_words():
    from random import Random

    assert len(set(invented(Random(1), 500))) == 500
    assert not any(" " in name for name in invented(Random(1), 500, single=True))
    assert any(" " in name for name in invented(Random(1), 50))


def test_a_quarter_of_a_minutes_posts_lies_in_that_quarter_of_the_minute(told):
    for number, posts in list(enumerate(told[1]))[-5:]:
        begin = START + timedelta(minutes=number)
        for quarter in range(4):
            some = posts[quarter * len(posts) // 4 : (quarter + 1) * len(posts) // 4]
            times = [datetime.fromisoformat(post["created_at"]) for post in some]
            assert begin + timedelta(seconds=15 * quarter) <= times[0]
            assert times[-1] < begin + timedelta(seconds=15 * quarter + 15)

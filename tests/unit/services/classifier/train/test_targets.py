"""services/classifier/train/targets.py: which label teaches which head."""

import pytest

from services.classifier.train.targets import BINARY, HEADS, Target, target

ALL = HEADS


def of(head, labels):
    return target(labels, ALL).binary[BINARY.index(head)]


def test_what_a_row_does_not_say_is_unknown():
    assert target({}, ALL) == Target()
    assert not target({}, ALL).teaches()
    assert target({"sentiment": "mixed"}, ALL).sentiment == -1


def test_a_head_that_the_source_does_not_teach_stays_unknown():
    labels = {"sentiment": "negative", "complaint": True, "complaint_severity": 3}
    only = target(labels, ["complaint"])
    assert (only.sentiment, only.binary, only.level) == (-1, (1, -1, -1, -1, -1), -1)
    whole = target(labels, ALL)
    assert (whole.sentiment, whole.level) == (0, 3)
    assert whole.teaches()


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"hostile": True}, 1),
        ({"hostile": False}, 0),
        ({"emotion": "anger"}, 1),
        ({"emotion": "joy"}, 0),
        ({"hostile": False, "emotion": "anger"}, 1),
        ({"outrage": True}, 1),
        ({"offensive": True}, -1),
        ({}, -1),
    ],
)
def test_outrage_is_hostile_or_angry_and_no_only_where_somebody_asked(labels, expected):
    assert of("outrage", labels) == expected


def test_proxies_teach_the_heads_they_stand_for():
    assert of("call_to_action", {"boycott_intent": True}) == 1
    assert of("call_to_action", {"call_to_action": False, "boycott_intent": True}) == 0
    assert of("sarcasm", {"irony": False}) == 0
    assert of("complaint", {"complaint": "yes"}) == -1  # a word is no label

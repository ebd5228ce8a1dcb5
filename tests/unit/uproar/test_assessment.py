"""What the model says of one post about one subject."""

import json

import pytest

from tests.build import an_assessment, some_scores
from uproar.assessment import MAX_EVIDENCE_TEXT
from uproar.topics import ASSESSMENTS


def test_a_head_not_trained_is_none_and_not_zero():
    scores = some_scores(0.9)
    assert (scores.outrage, scores.sarcasm, scores.call_to_action) == (None, None, None)
    assert scores.negative + scores.neutral + scores.positive == pytest.approx(1.0)


def test_a_post_that_could_not_be_scored_flows_on_without_scores():
    value = an_assessment(negative=None)
    assert ASSESSMENTS.codec.decode(ASSESSMENTS.codec.encode(value)) == value
    assert (value.scores, value.model) == (None, None)


def test_scores_are_told_by_name():
    told = json.loads(ASSESSMENTS.codec.encode(an_assessment()))["scores"]
    assert set(told) == {
        "negative", "neutral", "positive", "complaint", "complaint_severity", "offensive",
        "outrage", "call_to_action", "sarcasm",
    }  # fmt: skip


def test_evidence_texts_are_limited_as_published():
    assert MAX_EVIDENCE_TEXT == 1000

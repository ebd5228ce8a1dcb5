"""services/classifier/evaluate/behaviour.py: every case through the shipped model, none skipped."""

from collections import Counter
from functools import cache

import pytest

from services.classifier.engine import FIREHOSE, load
from services.classifier.evaluate.behaviour import CASES, Case, Verdict, holds, judge, rates, read
from services.classifier.evaluate.embedding import pairs
from services.classifier.evaluate.rows import same
from tests.shared import ROOT
from uproar.errors import Misconfigured

FLOORS = {
    "invariance": (17, 49), "direction": (20, 20), "negation": (23, 34), "sarcasm": (12, 44),
    "rival": (13, 15), "word_names": (16, 30), "verlan": (10, 15), "quebec": (12, 20),
    "dropped_accents": (9, 29), "arabizi": (5, 6), "praise_swearing": (12, 24), "repost": (10, 21),
    "support": (15, 23), "boycott": (13, 23), "emoji": (8, 15), "hashtags": (7, 10),
    "elongation": (7, 20), "code_switching": (9, 14), "typos": (6, 22), "other_languages": (23, 35),
}  # fmt: skip
"""
Of each class: cases passed whole, and demands that hold. Each is what the shipped model reached
(e5-small-6l-5: 267 of 316 cases with either encoder), less one for another processor's rounding.
These are floors, to be raised with every better model; the goal is 95 % of all cases and no class
below 70 %.
"""


@cache
def shipped(name: str | None = None) -> list[Verdict]:
    engine = load(name)

    def score(texts):
        return [
            dict(zip(engine.heads, map(float, row), strict=True)) for row in engine.score(texts)
        ]

    return judge(read(), score, engine.thresholds, engine.marks, engine.shares)


@cache
def held() -> Counter[str]:
    count: Counter[str] = Counter()
    for verdict in shipped():
        count[verdict.case.kind] += len(verdict.case.must) - len(verdict.broken)
    return count


def test_there_are_enough_cases_of_every_class_and_most_are_english_or_french():
    cases = read()
    assert len(cases) >= 300
    assert min(Counter(case.kind for case in cases).values()) >= 10
    assert {"de", "es", "it", "pt", "ar", "hi"} < {case.lang for case in cases}
    assert sum(case.lang in {"en", "fr"} for case in cases) >= 250
    asked = [(case.text, case.subject) for case in cases]
    assert len(set(asked)) == len(asked)


def test_every_demand_can_be_understood():
    heads = {"negative", "neutral", "positive", "complaint", "complaint_severity", "offensive",
             "outrage", "call_to_action", "sarcasm"}  # fmt: skip
    for case in read():
        assert case.must
        for demand in case.must:
            assert demand.strip("=+-") in heads, case
            assert bool(case.other) or demand[-1] not in "=+-", case


def test_the_rates_of_the_shipped_model_do_not_fall(capsys):
    found, demands = rates(shipped()), held()
    with capsys.disabled():
        print()
        for kind, (passed, asked) in found.items():
            print(f"behaviour: {kind:16} {passed:3} of {asked:3}  {passed / asked:4.0%}")
        print(f"behaviour: all {sum(p for p, _ in found.values())} of {len(shipped())}")
    assert found.keys() == FLOORS.keys()
    fallen = {
        kind: (found[kind][0], demands[kind])
        for kind, (cases, holding) in FLOORS.items()
        if found[kind][0] < cases or demands[kind] < holding
    }
    assert fallen == {}
    assert sum(passed for passed, _ in found.values()) >= 183


def test_the_small_model_passes_three_cases_of_four():
    passed = sum(not verdict.broken for verdict in shipped(FIREHOSE))
    assert passed >= 237, passed  # 240 of 316, less a few for another processor's rounding


def test_nothing_the_model_learned_from_is_a_case_or_a_pair():
    ours = (ROOT / "services/classifier/train/data").glob("*.tsv")
    lines = [line for file in ours for line in file.read_text("utf-8").splitlines()[1:]]
    learned = {same(line.split("\t")[-1]) for line in lines}
    asked = {same(text) for case in read() for text in (case.text, case.other) if text}
    asked |= {same(text) for pair in pairs() for text in pair}
    assert len(learned) > 450
    assert not learned & asked


TEXT = {"negative": 0.6, "neutral": 0.3, "positive": 0.1, "complaint": 0.4}
OTHER = {"negative": 0.45, "neutral": 0.1, "positive": 0.45, "complaint": 0.9}


@pytest.mark.parametrize(
    ("demand", "expected"),
    [
        ("negative", True),
        ("-negative", False),
        ("positive", False),
        ("-positive", True),
        ("complaint", False),
        ("-complaint", True),
        ("negative=", True),
        ("complaint=", False),
        ("negative+", True),
        ("negative-", False),
        ("complaint-", True),
        ("complaint+", False),
        ("sarcasm", False),
        ("-sarcasm", False),
        ("sarcasm=", False),
    ],
)
def test_a_demand_holds_as_it_reads_and_never_of_a_head_that_is_missing(demand, expected):
    assert holds(demand, TEXT, OTHER, {}) is expected


def test_a_head_holds_from_its_own_threshold_on():
    assert holds("complaint", TEXT, OTHER, {"complaint": 0.4})
    assert not holds("complaint", TEXT, OTHER, {"complaint": 0.41})


def test_the_subject_is_marked_for_a_model_that_was_taught_it():
    case = Case("rival", "en", "Kivoro", ("negative",), "Kivoro lies, Nordelle does not", "")
    asked = []

    def score(texts):
        asked.extend(texts)
        return [TEXT] * len(texts)

    (verdict,) = judge([case], score, {}, ("<", ">"))
    assert asked == ["<Kivoro> lies, Nordelle does not"] * 2
    assert verdict.broken == ()
    (verdict,) = judge([case], lambda texts: [OTHER | {"positive": 0.9}] * 2, {}, None)
    assert verdict.broken == ("negative",)
    assert rates([verdict]) == {"rival": (0, 1)}


def test_a_file_that_is_no_table_of_cases_is_refused(tmp_path):
    (tmp_path / "x.tsv").write_text("class\ttext\na\tb\n")
    with pytest.raises(Misconfigured, match="table of cases"):
        read(tmp_path / "x.tsv")
    assert CASES.is_file()

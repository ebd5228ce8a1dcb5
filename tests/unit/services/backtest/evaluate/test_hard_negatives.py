from datetime import timedelta

import numpy as np
import pytest

from services.backtest.evaluate import generated, staged
from services.backtest.evaluate.brands import Part, brands
from services.backtest.evaluate.metrics import Incident
from services.backtest.evaluate.sayings import NOT_A_BACKLASH
from tests.build import some_scores


def test_every_kind_of_count_is_laid_over_the_brands_and_is_no_more_negative_than_they_are():
    lanes, waves = [], []
    usual = brands(Part.TUNE, giant=False)[3:6]
    cases = generated.place(
        lanes, waves, brands=usual, each=3, alarms_per_day=0.03, warm=2,
        rng=np.random.default_rng(1),
    )  # fmt: skip
    assert len(cases) == len(lanes) == len(waves) == 3 * len(generated.KINDS)
    assert {case.brand for case in cases} == {brand.name for brand in usual}
    for wave, lane in zip(waves, lanes, strict=True):
        posts = wave.posts.sum()
        assert wave.negative.sum() <= posts * (lane.brand.share + 0.1) + 3 * posts**0.5
    sizes = [
        wave.posts.sum() / (3 * max(lane.brand.rate, 1))
        for wave, lane in zip(waves, lanes, strict=True)
    ]
    assert max(sizes) > 5


def test_a_case_is_rejected_unless_it_pages_while_it_is_judged():
    cases = [generated.Case("meme", "a", lane, 1000) for lane in range(3)]
    found = {
        0: [Incident(1010, (1010,), (1010,), "alert")],
        1: [Incident(1010, (), (1010,), "watch")],
        2: [Incident(1400, (1400,), (1400,), "alert")],
    }
    wrong = [generated.paged(case, found) for case in cases]
    assert wrong == [True, False, False]
    kind, all_ = generated.measures(cases, wrong)
    assert kind.name == "hard negatives rejected, meme"
    assert all_.value == pytest.approx(2 / 3)


class Model:
    name = "calm"

    def __init__(self, marks=None):
        self.marks, self.asked = marks, []

    def score(self, texts):
        self.asked += texts
        return [some_scores(0.1) for _ in texts]


def stage(kind, seed=1, marks=None):
    rng, model = np.random.default_rng(seed), Model(marks)
    staged_ = [s for s in staged.stages(1, model, rng) if s.kind == kind]
    return staged_[0], model.asked


def crowd(found):
    """Posts of the six hours from the event on: how many, authors, fingerprints."""
    posts = [p for _, p in found.posts if found.at <= p.created_at < found.at + timedelta(hours=6)]
    return posts, {p.author for p in posts}, {p.fingerprint for p in posts if p.fingerprint}


def test_few_authors_are_few_and_write_much():
    posts, authors, texts = crowd(stage("bots: few authors")[0])
    loud = {a for a in authors if "loud" in a}
    assert len(loud) <= 3
    assert len(posts) >= 100
    assert len(texts) > 90


def test_near_copies_are_of_many_accounts_and_no_two_words_apart():
    posts, _, texts = crowd(stage("bots: near copies")[0])
    copies = [p for p in posts if p.text]
    assert len({p.author for p in copies}) >= 40
    assert len(texts) <= len(staged._TAILS)


def test_a_flush_comes_late_and_a_backfill_is_marked():
    late = [(a, p) for a, p in stage("collector: late flush")[0].posts if a != p.created_at]
    assert late
    assert all(arrives > p.created_at for arrives, p in late)
    assert not any(p.backfill for _, p in late)
    filled = [p for _, p in stage("collector: backfill")[0].posts if p.backfill]
    assert filled
    assert all(p.created_at < staged.BEGIN for p in filled)


def test_a_gap_is_silent_before_the_event():
    found = stage("collector: gap")[0]
    day = timedelta(days=1)
    assert not [p for _, p in found.posts if found.at - day <= p.created_at < found.at]


def test_talk_in_words_is_judged_by_the_model():
    found, asked = stage("giveaway, in words")
    assert any(p.scores == some_scores(0.1) for _, p in found.posts)
    assert len(asked) > 20 * len(NOT_A_BACKLASH)
    assert all("{b}" not in text for text in asked)


def test_a_model_with_marks_is_told_whom_the_talk_is_about(monkeypatch):
    _, plain = stage("giveaway, in words")
    found, marked = stage("giveaway, in words", marks=("<<", ">>"))
    assert [text.replace("<<", "").replace(">>", "") for text in marked] == plain
    assert all("<<" in text for text, bare in zip(marked, plain, strict=True) if "Acme" in bare)
    assert not any("<<" in p.text for _, p in found.posts)


def test_people_page_and_their_calm_week_does_not():
    chosen = [stage("backlash of people", seed)[0] for seed in range(2)]
    for number, found in enumerate(chosen):
        renamed = f"brand{number}"
        found.posts = [
            (at, type(p)(**{f: getattr(p, f) for f in p.__slots__} | {"subject": renamed}))
            for at, p in found.posts
        ]
        found.subject = type(found.subject)(id=renamed, name=renamed)
    told = staged.run(chosen)
    rows = {m.name: m for m in staged.measures(chosen, told)}
    assert rows["staged, found within 6 h, backlash of people"].value == 1.0
    assert rows["hard negatives rejected, all as posts"].n == 0

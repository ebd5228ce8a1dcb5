"""services/classifier/engine/mending.py: an engine that may be missing, and comes back by itself."""

import numpy as np
import pytest

from services.classifier.engine.mending import PATIENCE, Mending
from uproar.errors import Misconfigured, Unavailable


class Engine:
    name, heads = "mine", ("negative", "neutral", "positive")
    marks = ("<", ">")
    broken = False

    def score(self, texts):
        if self.broken:
            raise RuntimeError("out of memory")
        return np.full((len(texts), 3), 0.5, np.float32)


class House:
    """A clock that is set by hand, and a loader that is told whether the files are there."""

    def __init__(self):
        self.now, self.files, self.loaded = 0.0, True, []
        self.mending = Mending(self._load, monotonic=lambda: self.now)

    def _load(self):
        if not self.files:
            raise Misconfigured("/models/mine: no such folder")
        self.loaded.append(Engine())
        return self.loaded[-1]


@pytest.fixture
def house():
    return House()


def test_it_is_loaded_at_the_first_need_and_once(house):
    assert house.loaded == []
    assert house.mending.score(["a", "b"]).shape == (2, 3)
    house.mending.score(["c"])
    assert len(house.loaded) == 1
    assert (house.mending.name, house.mending.heads) == ("mine", Engine.heads)


def test_the_marks_are_those_of_the_engine_which_is_loaded_to_say_so(house):
    house.files = False
    with pytest.raises(Unavailable, match="no such folder"):
        _ = house.mending.marks
    house.now, house.files = PATIENCE.total_seconds(), True
    assert house.mending.marks == ("<", ">")
    assert len(house.loaded) == 1


def test_what_cannot_be_loaded_is_unavailable_and_says_why_at_every_call(house):
    house.files = False
    for _ in range(2):
        with pytest.raises(Unavailable, match="no such folder"):
            house.mending.score(["a"])
    assert house.mending.name == "none"


def test_it_is_tried_again_after_a_while_and_not_before(house):
    house.files = False
    with pytest.raises(Unavailable):
        house.mending.score(["a"])
    house.files = True
    with pytest.raises(Unavailable):
        house.mending.score(["a"])
    house.now = PATIENCE.total_seconds()
    assert house.mending.score(["a"]).shape == (1, 3)


def test_one_failure_is_passed_on_and_the_engine_kept(house):
    house.mending.score(["a"])
    house.loaded[0].broken = True
    with pytest.raises(RuntimeError, match="out of memory"):
        house.mending.score(["a"])
    house.loaded[0].broken = False
    house.mending.score(["a"])
    assert len(house.loaded) == 1


def test_an_engine_that_keeps_failing_is_loaded_anew(house):
    house.mending.score(["a"])
    house.loaded[0].broken = True
    house.now = 100.0
    for _ in range(3):
        with pytest.raises(RuntimeError):
            house.mending.score(["a"])
    assert house.mending.score(["a"]).shape == (1, 3)
    assert len(house.loaded) == 2

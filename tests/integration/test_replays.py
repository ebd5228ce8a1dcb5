"""A few of the recorded streams through the whole product; `make replays` plays them all."""

import json
from pathlib import Path

import msgspec
import pytest

from tests.build import a_backlash
from tests.replays.run import backtest, differences, product, told
from tests.replays.stream import streams
from tests.shared import SHARED

pytestmark = [
    pytest.mark.skipif(SHARED is None, reason="../shared/data is absent"),
    pytest.mark.timeout(600),
]


@pytest.mark.parametrize(
    ("name", "partitions", "speed"),
    [
        ("manyavar-2021-09-22", 12, None),
        ("airline-virginamerica-2015", 1, 50_000),
        ("us-airways-storm-2015-02-21", 4, None),
    ],
)
def test_the_events_of_a_recorded_stream_are_those_of_the_backtest(
    tmp_path: Path, name: str, partitions: int, speed: float | None
) -> None:
    assert SHARED is not None
    (stream,) = [one for one in streams(SHARED / "data") if one.name == name]
    file, watch = stream.write(SHARED / "data", tmp_path)
    expected = backtest(file, watch)
    got, _ = product(file, watch, tmp_path / "house", partitions=partitions, speed=speed)
    assert differences(expected, got) == []


def test_the_comparison_sees_what_differs() -> None:
    one, other = (told(json.loads(msgspec.json.encode(a_backlash(subject=s)))) for s in "ab")
    paged = told(json.loads(msgspec.json.encode(a_backlash(subject="a", page=False))))
    assert differences([one, other], [one, other]) == []
    assert "another order" in differences([one, other], [other, one])[0]
    assert "missing" in differences([one, other], [one])[0]
    assert "has it not" in differences([one], [one, other])[0]
    assert "page is false, not true" in differences([one], [paged])[0]
    assert "told twice" in differences([one], [one, one])[0]

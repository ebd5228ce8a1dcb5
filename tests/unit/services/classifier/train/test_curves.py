"""services/classifier/train/curves.py: points that survive a checkpoint, and a picture."""

import pytest

from services.classifier.train.curves import Curves, Point, draw


def test_a_running_mean_follows_slowly_and_points_keep_it(tmp_path):
    curves = Curves()
    for value in (1.0, 1.0, 0.0):
        curves.hear({"labels": value})
    curves.mark(3, held_out=0.7)
    (point,) = curves.points
    assert 0.95 < point.parts["labels"] < 1
    assert point.parts["held_out"] == 0.7
    assert curves.total == point.parts["labels"]


def test_points_after_the_checkpoint_are_forgotten(tmp_path):
    curves = Curves([Point(10, {"labels": 1.0}), Point(20, {"labels": 0.5})])
    curves.write(tmp_path / "c.json")
    assert [point.step for point in Curves.read(tmp_path / "c.json", 15).points] == [10]
    assert Curves.read(tmp_path / "none.json", 15).points == []


def test_it_is_drawn_as_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    points = [Point(1, {"labels": 1.0}), Point(2, {"labels": 0.5, "held_out": 0.6})]
    assert draw(points, "t", tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")

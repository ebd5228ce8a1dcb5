"""services/bench: what is made of what was measured."""

import math
import os
from datetime import datetime

import pytest

from services.bench import ingest, pictures, whole
from services.bench.found import Found
from services.bench.house import pages_of, processes
from services.bench.pipeline import HALF, Load
from services.bench.soak import Memory, growths, settled
from uproar.errors import Misconfigured


def a_load(share: float) -> Load:
    return Load(share=share, posts_per_s=600 * share, waits=[0.1 * share, 0.2, 0.9])


def memory(slope: float, *, jump: int = 0) -> Memory:
    """Grow by a share an hour after ten minutes, and by whatever before."""
    at = [float(second) for second in range(0, 3600, 5)]
    held = [100_000_000 + jump * min(t, 600) + 1e8 * slope * max(t - 600, 0) / 3600 for t in at]
    return Memory(at, [int(each) for each in held])


@pytest.mark.parametrize("slope", [0.0, 0.02, -0.1])
def test_growth_is_what_comes_after_the_first_ten_minutes_an_hour(slope):
    assert memory(slope).growth(600) == pytest.approx(slope, abs=1e-6)


def test_what_a_process_takes_at_the_beginning_is_no_growth():
    assert memory(0.0, jump=50_000).growth(600) == pytest.approx(0.0, abs=1e-6)


def test_a_short_soak_settles_in_a_third_of_its_time():
    assert (settled(60), settled(30), settled(6)) == (600, 600, 120)
    assert growths({"ingest": memory(0.5)}, 60)["ingest"] == pytest.approx(0.5, abs=1e-6)


def test_the_figure_of_post_to_page_is_that_of_half_load():
    found = Found(loads=[a_load(0.25), a_load(HALF), a_load(0.9)])
    whole._tell_loads(found)
    assert found.figures["post_to_page_p50_s"] == 0.2
    assert found.figures["post_to_page_p99_s"] == pytest.approx(0.886)
    assert found.figures["post_to_page_pages"] == 3
    assert found.figures["post_to_page_missing"] == 0


def test_a_page_that_never_came_is_counted_and_makes_nothing_faster():
    at = "2026-03-02T12:00:0{}+00:00".format
    rows: list[dict] = [
        {"id": str(n), "sequence": 1, "accepted_at": at(0), "bundle": None, "state": "delivered"}
        for n in range(4)
    ]
    rows[2] |= {"bundle": "0"}  # it came in the message of another
    rows[3] |= {"state": "pending"}  # it never came
    rows += [rows[0] | {"state": "superseded"}, rows[0] | {"sequence": 2}]
    received = {str(n): datetime.fromisoformat(at(n + 1)) for n in (0, 1)}
    pages = pages_of(rows, {1}, received)
    assert [page.seconds for page in pages] == [1.0, 2.0, 1.0, math.inf]

    waits = sorted(page.seconds for page in pages)
    found = Found(loads=[Load(share=HALF, posts_per_s=300, waits=waits)])
    whole._tell_loads(found)
    assert found.figures["post_to_page_missing"] == 1
    assert found.figures["post_to_page_p50_s"] == 2.0
    assert "post_to_page_p99_s" not in found.figures
    assert found.missing == ["post_to_page_p99_s: 1 of 4 pages never came"]


def test_without_a_page_there_is_no_figure_but_a_reason():
    found = Found(loads=[Load(share=HALF, posts_per_s=300, waits=[])])
    whole._tell_loads(found)
    assert found.figures == {}
    assert "post_to_page" in found.missing[0]


def test_ingest_gives_the_median_of_its_rounds():
    found = Found()
    ingest.tell(found, [1.0, 9.0, 5.0])
    assert found.figures == {"ingest_posts_per_s": 5.0}


def test_pictures_are_drawn_of_what_was_measured_and_of_nothing_else(tmp_path):
    assert pictures.draw(tmp_path, Found()) == []
    found = Found(loads=[a_load(share) for share in (0.25, 0.5, 0.9)], memory={"ingest": memory(0)})
    drawn = pictures.draw(tmp_path / "new", found)
    assert [path.name for path in drawn] == ["post-to-page.png", "memory.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Misconfigured, match="cannot draw into"):
        pictures.draw(tmp_path / "file", Found(loads=[a_load(0.5)]))


def test_processes_are_only_ours():
    assert os.getpid() not in dict(processes()).values()

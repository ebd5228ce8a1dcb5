"""The yardstick on the real research data, where they lie beside the checkout."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from rich.console import Console

from services.backtest.evaluate import budget, fit, nab, pictures, replays, speed
from services.backtest.evaluate.background import Brand
from services.backtest.evaluate.brands import Part, tempers
from services.backtest.evaluate.evaluation import PARTS, Evaluation
from services.backtest.evaluate.pictures import Album
from services.backtest.evaluate.recordings import streams, tickers
from services.backtest.evaluate.size import QUICK
from services.backtest.evaluate.wave import curves
from services.classifier.engine import load
from services.classifier.score import Scorer
from services.cli import run
from tests.shared import SHARED

pytestmark = pytest.mark.skipif(SHARED is None, reason="../shared/data is absent")
DATA = None if SHARED is None else SHARED / "data"


def test_the_index_holds_ten_events_and_six_streams_that_must_not_page():
    entries = replays.entries(DATA)
    expected = [entry.expect for entry in entries]
    assert (expected.count("page"), expected.count("no_page")) == (10, 6)
    assert {entry.id for entry in entries} >= replays.TUNED
    assert all(entry.begin <= entry.until for entry in entries if entry.expect == "page")


def test_real_curves_begin_with_a_post_and_are_whole():
    found = curves(DATA)
    assert len(found) == 14
    for curve in found:
        assert curve.share[:5].sum() > 0
        assert curve.share.sum() == pytest.approx(1)
        assert curve.share[:60].sum() < 0.3  # a crisis does not come whole in its first hour


@pytest.mark.parametrize("name", ["CRM", "KO", "AAPL", "Free", "United"])
def test_simulated_daily_maxima_look_like_the_real_ones(name):
    recordings = [*tickers(DATA), *(stream.recording for stream in streams(DATA))]
    (real,) = (r for r in recordings if r.name == name)
    mean = real.counts[real.usual].mean() * fit.HOUR
    brand = Brand(name="", rate=float(mean), temper=tempers()[name])
    counts = fit.simulate([brand] * 20, 56, 1)
    made = fit.daily_maxima(counts, np.ones(len(counts), bool)) / mean
    seen = fit.daily_maxima(real.counts[:, None], real.usual)[:, 0] / mean
    for quantile in (0.5, 0.8):
        each = np.quantile(made, quantile, axis=0)
        assert 0.7 * each.min() <= np.quantile(seen, quantile) <= 1.4 * each.max()
        assert np.quantile(seen, quantile) == pytest.approx(np.median(each), rel=0.4)


def test_the_series_pass_the_sanity_bar():
    *_, best = nab.measures(nab.curve(DATA))
    assert best.n == 17
    assert best.value >= 0.6


def test_two_quiet_streams_go_through_the_model_and_do_not_page(tmp_path):
    scorer = Scorer(load(None))
    book = replays.ScoreBook(tmp_path, scorer)
    names = {"macbook-neo-2026-03-04", "airline-virginamerica-2015"}
    wanted = [entry for entry in replays.entries(DATA) if entry.id in names]
    judged = replays.replay(DATA, wanted, book, budget="1/month", now=datetime.now(UTC))
    rows = {m.name: m for m in replays.measures(judged)}
    hard = rows["replays, pages on real hard negatives"]
    assert (hard.value, hard.n) == (0, 2)
    assert all(len(replayed.outcome.readings) > 5 for _, replayed in judged)


def test_a_small_evaluation_measures_and_draws_everything(tmp_path, monkeypatch):
    monkeypatch.setenv("UPROAR_DATA_DIR", str(tmp_path))
    size = replace(
        QUICK,
        years=budget.Plan(replicates=1, warm=1, days=4),
        points=budget.Plan(replicates=1, warm=1, days=3),
        curve=("1/week",),
        warm=3,
        starts=1,
        rungs=2,
        crises=1,
        hard=1,
        staged=1,
        posts=300,
    )
    evaluation = Evaluation(DATA, Part.TUNE, size, Console(stderr=True))
    monkeypatch.setattr(speed, "LANES", 1000)
    monkeypatch.setattr(pictures, "REPLICATES", 2)
    album = Album(tmp_path / "pictures")
    evaluation.measure(set(PARTS) - {"replays", "real"}, album)
    assert [path.stem for path in album.drawn] == [
        "backgrounds",
        "budgets",
        "sizes",
        "delays",
        "curves",
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in album.drawn)
    names = [measure.name for measure in evaluation.measures]
    assert len(names) == len(set(names))
    for part in ("NAB", "budget 1/week", "smallest", "recombined", "hard neg", "S-H-ESD", "speed"):
        assert any(name.startswith(part) for name in names)


def test_a_folder_without_the_data_is_refused(tmp_path, capsys):
    assert run(["evaluate", "detector", "--data", str(tmp_path)]) == 78
    assert "no folder volumes and replays in it" in capsys.readouterr().err


def test_json_is_a_list_of_named_values(capfdbinary):
    asked = ["evaluate", "detector", "--data", str(DATA), "--json", "--quick", "--only", "series"]
    assert run(asked) == 0
    rows = json.loads(capfdbinary.readouterr().out)
    assert len(rows) > 5
    assert all(set(row) == {"name", "value", "low", "high", "n"} for row in rows)


def test_a_part_that_is_none_is_refused(capsys):
    assert run(["evaluate", "detector", "--data", str(DATA), "--only", "magic"]) == 2
    assert "--only magic: one of series, replays" in capsys.readouterr().err

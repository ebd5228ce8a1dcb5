import json
from datetime import UTC, datetime, timedelta

import pytest

from services.backtest.evaluate import replays
from services.backtest.evaluate.replays import ScoreBook, input_post
from tests.build import a_subject, some_scores
from uproar.errors import Misconfigured

ONSET = datetime(2024, 3, 8, 12, 0, tzinfo=UTC)


class Model:
    marks = None

    def __init__(self, name="m"):
        self.name, self.asked = name, []

    def score(self, texts):
        self.asked += texts
        return [some_scores(0.9 if "broken" in text else 0.1) for text in texts]


def test_a_row_becomes_a_post_without_its_labels():
    row = {
        "id": "1", "text": "x", "lang": "fr", "created_at": "2024-03-01T00:00:00Z", "author": None,
        "brand": "Acme", "author_is_brand": True, "followers": 7, "labels": {"sentiment": "negative"},
    }  # fmt: skip
    assert input_post(row, {"Acme": a_subject("acme")}) == {
        "id": "1", "text": "x", "lang": "fr", "created_at": "2024-03-01T00:00:00Z",
        "author_followers": 7, "subjects": ["acme"], "own": True,
    }  # fmt: skip
    assert input_post(row | {"brand": "Other"}, {"Acme": a_subject("acme")})["subjects"] == []


def test_the_book_asks_the_model_once_and_keeps_no_text(tmp_path):
    model = Model("m/1")
    first = ScoreBook(tmp_path, model).score(["all broken", "fine"])
    again = ScoreBook(tmp_path, model).score(["fine", "all broken", "new"])
    assert [s.negative for s in (*first, *again)] == [0.9, 0.1, 0.1, 0.9, 0.1]
    assert model.asked == ["all broken", "fine", "fine", "new"]  # one twice: is it still the same?
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"broken" not in kept
    other = Model("m/2")
    ScoreBook(tmp_path, other).score(["fine", "fine"])
    assert other.asked == ["fine"]


def test_a_book_that_was_cut_off_is_read_up_to_there(tmp_path):
    model = Model()
    ScoreBook(tmp_path, model).score(["one text", "another text"])
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-9])
    assert len(ScoreBook(tmp_path, model).score(["one text", "another text"])) == 2
    assert model.asked == ["one text", "another text", "one text", "another text"]


def test_a_model_that_has_changed_under_its_name_scores_all_again(tmp_path):
    ScoreBook(tmp_path, Model()).score(["all broken", "fine"])
    model = Model()
    model.score = lambda texts: [some_scores(0.4) for _ in texts]
    assert [s.negative for s in ScoreBook(tmp_path, model).score(["fine", "all broken"])] == [
        0.4
    ] * 2
    assert [s.negative for s in ScoreBook(tmp_path, model).score(["all broken"])] == [0.4]


def test_a_book_that_is_none_says_how_to_mend_it(tmp_path):
    (tmp_path / "scores-m.jsonl").write_text("nonsense\n")
    with pytest.raises(Misconfigured, match="remove it"):
        ScoreBook(tmp_path, Model())


def archive(folder):
    """A week of calm, then a storm of one brand; of another brand nothing but calm."""
    rows = []
    for number in range(7 * 24):
        at = ONSET - timedelta(days=7) + timedelta(hours=number)
        rows += [(at, brand, f"fine number {number}") for brand in ("Acme", "Quiet")]
    rows += [
        (ONSET + timedelta(minutes=number), "Acme", f"it is broken, case {number}")
        for number in range(40)
    ]
    (folder / "replays").mkdir()
    with (folder / "replays" / "x.jsonl").open("w") as file:
        for number, (at, brand, text) in enumerate(rows):
            row = {"id": str(number), "text": text, "created_at": at.isoformat(), "brand": brand}
            file.write(json.dumps(row | {"author": f"a{number}"}) + "\n")
    plain = {"file": "replays/x.jsonl", "kind": "outage", "other_events": []}
    index = [
        plain | {"id": "storm", "brand": "Acme", "expect": "page", "onset_utc": ONSET.isoformat()},
        plain | {"id": "calm", "brand": "Quiet", "expect": "no_page"},
    ]
    (folder / "replays" / "replays.json").write_text(json.dumps(index))
    return folder


def run(data, model, folder):
    book = ScoreBook(folder, model)
    wanted = replays.entries(data)
    return replays.replay(data, wanted, book, budget="1/month", now=ONSET + timedelta(days=9))


def test_a_storm_is_told_in_time_and_calm_is_not(tmp_path):
    judged = run(archive(tmp_path), Model(), tmp_path / "book")
    rows = {m.name: m for m in replays.measures(judged)}
    assert rows["replays, share in time"].value == 1.0
    assert 0 < rows["replay storm, minutes to page (in time)"].value < 30
    assert rows["replays, pages on real hard negatives"].value == 0
    assert [line for verdict in judged for line in replays.explain(*verdict)] == []


def test_a_brand_is_watched_by_all_the_names_that_the_index_gives(tmp_path):
    data, model = archive(tmp_path), Model()
    index = data / "replays" / "replays.json"
    rows = json.loads(index.read_text())
    index.write_text(json.dumps([row | {"aliases": ["number"]} for row in rows]))
    model.marks = ("<", ">")
    run(data, model, tmp_path / "book")
    assert "fine <number> 0" in model.asked


def test_a_miss_is_explained_by_the_readings(tmp_path):
    model = Model()
    model.score = lambda texts: [some_scores(0.2) for _ in texts]
    judged = run(archive(tmp_path), model, tmp_path / "b")
    told = [line for verdict in judged for line in replays.explain(*verdict)]
    assert told[0].startswith("MISSED storm: onset 2024-03-08 12:00")
    assert "statistic" in told[1]
    assert "gate" in told[1]

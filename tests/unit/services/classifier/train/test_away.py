"""services/classifier/train: teacher, student and embedding, fitted elsewhere and finished here."""

import json
import re
import shutil

import numpy as np
import pytest

pytest.importorskip("torch", reason="uproar[torch] is not installed")

from services.classifier.engine import load
from services.classifier.engine.mention import mark
from services.classifier.evaluate.bench import Bench
from services.classifier.evaluate.recorded import Recorded, Vectors
from services.classifier.evaluate.run import measure
from services.classifier.train import away, run, soft
from services.classifier.train.settings import read
from tests.unit.services.classifier.train.rows import write
from tests.unit.services.classifier.train.tiny import BAD, GOOD, PLAIN, a_base
from uproar.errors import Misconfigured

TEACHER = """
name = "teacher"
layers = 2
soft = "{folder}/soft.npz"
vectors = "{folder}/vectors.npz"
vector_files = ["val.jsonl"]
answers = "{folder}/answers.npz"
asked = ["tweeteval", "behaviour"]
shards = false
"""
STUDENT = """
name = "student"
layers = [1]
[distil]
teacher = "{folder}/soft.npz"
weight = 0.5
[embedding]
size = 8
lexical = 6
"""
BOTH = """
base = "{folder}/base"
data = "{folder}/data/labelled"
output = "{folder}/weights"
work = "{folder}/work/{name}"
seed = 5
vocabulary = 60
batch_tokens = 128
learning_rate = 0.002
calibration_share = 0.2
"""
SOURCES = """
[[source]]
file = "train.jsonl"
heads = ["sentiment", "complaint", "complaint_severity", "sarcasm", "outrage"]
licence = "ours"
repeat = 5.0
[[source]]
file = "towards.jsonl"
heads = ["sentiment"]
licence = "ours"
repeat = 8.0
subject = true
[[validation]]
file = "val.jsonl"
heads = ["sentiment", "complaint", "complaint_severity"]
licence = "ours"
"""


def a_row(at):
    kind = at % 3
    text = f"the {(BAD, PLAIN, GOOD)[kind][at % 5]} {(BAD, PLAIN, GOOD)[kind][at // 5 % 5]} {at}"
    labels = {
        "sentiment": ("negative", "neutral", "positive")[kind], "complaint": kind == 0,
        "complaint_severity": 3 * (kind == 0), "irony": at % 2 == 0, "hostile": kind == 0,
    }  # fmt: skip
    return {"id": f"row-{at}", "text": text, "lang": "en", "labels": labels}


def a_rivalry(at):
    """Two names, one praised and one blamed; which is asked decides."""
    good, bad = ("store", "ticket") if at % 2 else ("ticket", "store")
    asked = good if at % 4 < 2 else bad
    text = f"{good} {GOOD[at % 5]} {bad} {BAD[at // 2 % 5]} {at}"
    labels = {"sentiment": "positive" if asked == good else "negative", "target": asked}
    return {"id": f"rival-{at}", "text": text, "lang": "en", "labels": labels}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pack here, fit on another machine, bring home, finish: the teacher first, then the student."""
    here = tmp_path_factory.mktemp("away")
    a_base(here / "base")
    data = here / "data" / "labelled"
    data.mkdir(parents=True)
    write(data / "train.jsonl", [a_row(at) for at in range(240)])
    write(data / "val.jsonl", [a_row(at) for at in range(240, 270)])
    write(data / "towards.jsonl", [a_rivalry(at) for at in range(160)])
    write(data / "tweeteval_sentiment_val.jsonl", [a_row(at) for at in range(300, 330)])
    configs = []
    for name, own in (("teacher", TEACHER), ("student", STUDENT)):
        head, _, tables = own.partition("\n[")
        text = head + BOTH + ("[" + tables if tables else "") + SOURCES
        configs.append(here / f"{name}.toml")
        configs[-1].write_text(text.replace("{folder}", str(here)).replace("{name}", name))
    size = away.pack(configs, here / "parcel")
    away.fit(configs, here / "out", here / "elsewhere", here / "parcel")
    (here / "soft.npz").unlink()  # it was written elsewhere: only what came home is here
    (here / "vectors.npz").unlink()
    (here / "answers.npz").unlink()
    away.home(here / "out", configs)
    shutil.rmtree(here / "elsewhere")
    run(configs[1], resume=True)
    return here, size


def test_what_comes_home_is_what_was_asked_for(folder):
    here, size = folder
    names = {file.name for file in (here / "out").iterdir()}
    assert names == {"teacher.tar", "student.tar", "student.trained-00.safetensors"}
    assert size < 200_000


def test_the_soft_labels_of_the_teacher_say_what_its_labels_say(folder):
    here, _ = folder
    rows = [f"row-{at}" for at in range(240)]
    found = soft.read(here / "soft.npz", [("train.jsonl", rows)])
    known = ~np.isnan(found[:, 0])
    assert 150 < known.sum() < 240  # the others are held out to calibrate
    truth = np.arange(240)[known] % 3
    assert (found[known, :3].argmax(axis=1) == truth).mean() > 0.9


def test_the_answers_of_the_teacher_tell_its_figures_though_its_weights_stayed_away(folder):
    here, _ = folder
    bench = Bench(
        data=here / "data",
        engine=Recorded(here / "answers.npz"),
        rng=np.random.default_rng(1),
        resamples=0,
    )
    tweets, all_cases, *_ = measure(bench, ("tweeteval", "behaviour"))
    assert tweets.value > 80
    assert all_cases.n > 300
    assert not list((here / "work" / "teacher").glob("*.safetensors"))


def test_vectors_came_home_for_the_texts_that_were_named(folder):
    here, _ = folder
    texts = [a_row(at)["text"] for at in range(240, 270)]
    assert Vectors(here / "vectors.npz").pooled(texts).shape == (30, 32)
    with pytest.raises(Misconfigured, match="other texts"):
        Vectors(here / "vectors.npz").pooled(["never asked"])


def test_the_student_has_the_heads_that_were_taught_and_no_others(folder):
    engine = load(str(folder[0] / "weights" / "student"))
    assert engine.heads == (
        "negative", "neutral", "positive", "complaint", "outrage", "sarcasm", "complaint_severity",
    )  # fmt: skip
    assert engine.marks == ("►", "◄")


def test_the_student_tells_good_from_bad_and_how_bad(folder):
    engine = load(str(folder[0] / "weights" / "student"))
    scores = engine.score([a_row(at)["text"] for at in range(240, 300)])
    truth = np.arange(60) % 3
    assert ((scores[:, :3] / engine.shares).argmax(axis=1) == truth).mean() > 0.7
    severity = scores[:, engine.heads.index("complaint_severity")]
    assert severity[truth == 0].mean() > 2
    assert severity[truth > 0].mean() < 1
    assert 0 <= severity.min() <= severity.max() <= 4


def test_the_student_judges_towards_the_subject_that_is_marked(folder):
    engine = load(str(folder[0] / "weights" / "student"))
    text = "store great ticket awful"
    of_store, of_ticket = engine.score(
        [mark(text, (name,), engine.marks) for name in ("store", "ticket")]
    )
    assert of_store[2] > of_ticket[2]
    assert of_ticket[0] > of_store[0]


def test_the_embedding_has_its_size_and_length_one(folder):
    engine = load(str(folder[0] / "weights" / "student"))
    scores, vectors = engine.score_and_embed(["the great merci", ""])
    assert vectors.shape == (2, 8 + 6)
    assert np.linalg.norm(vectors[0]) == pytest.approx(1, abs=1e-5)
    assert np.isnan(scores[1]).all()
    assert np.isnan(vectors[1]).all()


def test_the_card_names_proxies_teacher_and_curves(folder):
    made = folder[0] / "weights" / "student"
    card = (made / "README.md").read_text("utf-8")
    assert "Learned from a proxy" in card
    assert "soft labels: `soft.npz`" in card
    assert "towards the subject" in card
    assert re.search(r"Fitted in \d+ s on ", card)
    assert "severity: mean error in levels" in card
    assert (made / "curves.png").read_bytes().startswith(b"\x89PNG")
    points = json.loads((folder[0] / "work" / "student" / "curves.json").read_bytes())
    assert {"labels", "teacher", "embedding"} <= points[-1]["parts"].keys()
    assert points[-1]["parts"]["held_out"] < points[5]["parts"].get("held_out", 99)


def test_weights_of_another_configuration_are_refused(folder):
    here, _ = folder
    other = here / "other.toml"
    other.write_text((here / "student.toml").read_text().replace("seed = 5", "seed = 6"))
    with pytest.raises(Misconfigured, match="another configuration"):
        run(other, resume=True)


def test_runs_from_different_bases_do_not_travel_together(folder):
    here, _ = folder
    other = here / "far.toml"
    other.write_text(
        (here / "student.toml").read_text().replace(f"{here}/data/", f"{here}/elsewhere/")
    )
    with pytest.raises(Misconfigured, match="one base"):
        away.pack([here / "teacher.toml", other], here / "parcel2")
    assert read(here / "student.toml").taught

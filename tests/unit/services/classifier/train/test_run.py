"""services/classifier/train: a whole run on a tiny base, from the configuration to the scores."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="uproar[torch] is not installed")

from services.classifier.engine import load
from services.classifier.engine.tokens import Tokeniser
from services.classifier.train import data, export, fit, run
from services.classifier.train.batches import encode, plan
from services.classifier.train.settings import read
from services.classifier.train.targets import COLUMNS
from tests.unit.services.classifier.train.tiny import a_config
from uproar.errors import Misconfigured


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Run it once; return the folder and the model as it was before it became int8."""
    folder, models = tmp_path_factory.mktemp("trained"), []
    write = export.export

    def watched(model, *given):
        models.append(model)
        write(model, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "export", watched)
        run(a_config(folder), resume=False)
    return folder, models[0]


def test_the_trained_model_tells_good_from_bad(trained):
    engine = load(str(trained[0] / "weights" / "tiny"))
    assert engine.name == "tiny"
    assert engine.heads == ("negative", "neutral", "positive", "complaint")
    bad, plain, good = engine.score(["the honteux refund", "the store monday", "the great merci"])
    assert bad[:3].argmax() == 0
    assert plain[:3].argmax() == 1
    assert good[:3].argmax() == 2
    assert bad[3] > engine.thresholds["complaint"] > good[3]
    assert engine.shares == (0.2, 0.4, 0.4)
    assert engine.marks is None


def test_the_card_names_every_file_its_terms_and_what_was_measured(trained):
    card = (trained[0] / "weights" / "tiny" / "README.md").read_text("utf-8")
    assert "| `train.jsonl` | sentiment, complaint |" in card
    assert "| ours |" in card
    assert "val.jsonl, en, sentiment: macro-F1 | 100.0 | 30" in card


def test_int8_says_what_the_trained_floats_say(trained):
    folder, model = trained
    rows = data.validation(read(folder / "tiny.toml"))["val.jsonl"]
    tokeniser = Tokeniser(folder / "work" / "tokenizer.json")
    floats = fit.logits(model, encode(rows, tokeniser))
    engine = load(str(folder / "weights" / "tiny"))
    scores = engine.score([row.text for row in rows])
    assert floats.shape[1] == len(COLUMNS)
    assert (floats[:, :3].argmax(axis=1) == (scores[:, :3] / engine.shares).argmax(axis=1)).all()
    order = scores[:, 3].argsort()
    assert np.corrcoef(floats[order, 3], np.arange(len(rows)))[0, 1] > 0.8


def test_a_run_that_was_cut_off_goes_on_to_the_same_model(tmp_path, monkeypatch):
    monkeypatch.setattr(fit, "CHECKPOINT_SECONDS", 0)  # after every step
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    run(a_config(whole), resume=False)

    config = a_config(cut)
    config.write_text(config.read_text("utf-8").replace(str(cut / "base"), str(whole / "base")))
    loss, steps = fit.losses, []
    fresh = lambda model: model.training  # not what is held out, looked at now and then

    def until_the_power_fails(*given):
        if fresh(given[0]):
            steps.append(1)
        if len(steps) > 20:
            raise KeyboardInterrupt
        return loss(*given)

    monkeypatch.setattr(fit, "losses", until_the_power_fails)
    with pytest.raises(KeyboardInterrupt):
        run(config, resume=False)
    assert not (cut / "weights").exists()
    seen = len(steps)
    monkeypatch.setattr(
        fit, "losses", lambda *given: (fresh(given[0]) and steps.append(1), loss(*given))[1]
    )
    run(config, resume=True)
    resumed = len(steps) - seen
    total = len(_plan_of(read(config)))
    assert resumed == total - 20  # the checkpoint after 20 steps was the last

    texts = ["the awful refund", "le store opens", "superbe merci"]
    first, second = (load(str(f / "weights" / "tiny")).score(texts) for f in (whole, cut))
    assert np.allclose(first, second, atol=1e-3)


def _plan_of(settings):
    parts = data.training(settings)
    rows = [row for part in parts for row in part.train]
    tokeniser = Tokeniser(settings.work / "tokenizer.json")
    lengths = encode(rows, tokeniser).lengths
    rng = np.random.default_rng(settings.seed)
    return plan(lengths, [6.0] * len(rows), settings.batch_tokens, rng)


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(fit, "CHECKPOINT_SECONDS", 0)
    run(a_config(tmp_path, steps=4), resume=False)
    for file in (tmp_path / "work").glob("trained-*"):
        file.unlink()  # as if it had been cut off
    with pytest.raises(Misconfigured, match="another configuration"):
        run(a_config(tmp_path, steps=4, learning_rate=0.1), resume=True)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"base": "./nowhere"}, "nowhere"),
        ({"data": "./nowhere"}, "nowhere"),
        ({"seed": "x"}, "seed"),
    ],
)
def test_a_wrong_configuration_is_refused_with_the_reason(tmp_path, changed, complaint):
    with pytest.raises(Misconfigured, match=complaint):
        run(a_config(tmp_path, **changed), resume=False)


def test_a_head_that_does_not_exist_is_refused(tmp_path):
    config = a_config(tmp_path)
    config.write_text(config.read_text("utf-8").replace('"complaint"', '"charm"'))
    with pytest.raises(Misconfigured, match="no such head: charm"):
        run(config, resume=False)

"""Every engine: one table of texts, the same promises."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from services.classifier.engine import FIREHOSE, SHIPPED, Engine, load
from tests.shared import ROOT
from uproar.errors import Misconfigured

TEXTS = [
    "they lost my bag and nobody answers",
    "",
    "   \n\t ",
    "\ud800 a lone surrogate \udfff",
    "x" * 10_000,
    "null\x00bytes\x00inside",
    "😡" * 12_500,  # 50 KB
    "https://example.org/" + "a" * 9_000,
    "مرحبا كيف الحال",
    "&#xd800;&amp;&notanentity;",
    "\u202eright to left\u202c e\u0301" + "\u0301" * 500,
    "Merci pour tout, équipage formidable !",
]


@pytest.fixture(scope="module")
def a_published_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentiment model as its makers would publish it: untrained, as only its shape matters."""
    torch = pytest.importorskip("torch", reason="uproar[torch] is not installed")
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("published")
    tokenizer = ROOT / "services/classifier/weights" / SHIPPED / "tokenizer.json"
    size = len(json.loads(tokenizer.read_text("utf-8"))["model"]["vocab"])
    labels = {0: "negative", 1: "neutral", 2: "positive"}
    torch.manual_seed(1)
    config = transformers.BertConfig(
        vocab_size=size, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, pad_token_id=1, id2label=labels,
        label2id={name: at for at, name in labels.items()},
    )  # fmt: skip
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes(tokenizer.read_bytes())
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>"})
    )
    return folder


@pytest.fixture(scope="module", params=["int8", "firehose", "huggingface"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    if request.param == "int8":
        yield load()
    elif request.param == "firehose":
        yield load(FIREHOSE)
    else:
        yield load(str(request.getfixturevalue("a_published_model")))


def test_it_has_a_name_and_begins_with_the_sentiment(engine):
    assert engine.name
    assert engine.heads[:3] == ("negative", "neutral", "positive")
    assert len(set(engine.heads)) == len(engine.heads)


def test_every_text_has_a_row_of_probabilities_or_none(engine):
    scores = engine.score(TEXTS)
    assert scores.dtype == np.float32
    assert scores.shape == (len(TEXTS), len(engine.heads))
    most = np.where(np.array(engine.heads) == "complaint_severity", 4, 1)
    for text, row in zip(TEXTS, scores, strict=True):
        if not text.strip():
            assert np.isnan(row).all()
        else:
            assert np.isnan(row).all() or ((row >= 0) & (row <= most)).all()
    readable = scores[~np.isnan(scores[:, 0])]
    assert len(readable) >= 8
    assert np.allclose(readable[:, :3].sum(axis=1), 1, atol=1e-5)


def test_no_text_changes_the_score_of_another(engine):
    together = engine.score(TEXTS)
    backwards = engine.score(TEXTS[::-1])[::-1]
    alone = np.concatenate([engine.score([text]) for text in TEXTS])
    assert np.array_equal(together, alone, equal_nan=True)
    assert np.array_equal(together, backwards, equal_nan=True)


def test_no_texts_have_no_rows(engine):
    assert engine.score([]).shape == (0, len(engine.heads))


def test_links_and_handles_are_read_alike(engine):
    first, second = engine.score(["@anna see https://a.org/1", "@bert_2 see http://b.org?x"])
    assert np.array_equal(first, second)


def test_pickled_weights_are_refused(a_published_model, tmp_path):
    torch = pytest.importorskip("torch")
    for file in a_published_model.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(Misconfigured, match="cannot be loaded"):
        load(str(tmp_path))


def test_code_that_comes_with_a_model_is_never_run(a_published_model, tmp_path):
    for file in a_published_model.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    config["model_type"] = "their-own"
    config["auto_map"] = {
        "AutoConfig": "theirs.Config",
        "AutoModelForSequenceClassification": "theirs.Model",
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    ran = tmp_path / "ran"
    (tmp_path / "theirs.py").write_text(f"open({str(ran)!r}, 'w')\nclass Config: ...\n")
    with pytest.raises(Misconfigured, match="cannot be loaded"):
        load(str(tmp_path))
    assert not ran.exists()


def test_a_model_without_a_sentiment_is_refused(a_published_model, tmp_path):
    for file in a_published_model.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    config["id2label"] = {"0": "cat", "1": "dog", "2": "fish"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(Misconfigured, match="cat, dog, fish"):
        load(str(tmp_path))

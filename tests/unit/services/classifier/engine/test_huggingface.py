"""services/classifier/engine/huggingface.py: other people's models, as they come."""

import errno
import sys

import pytest

from services.classifier.engine import load
from services.classifier.engine.huggingface import _download, columns
from uproar.errors import Misconfigured, Unavailable


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({0: "negative", 1: "neutral", 2: "positive"}, [0, 1, 2]),
        ({0: "Positive", 1: "Negative"}, [2, 0]),
        ({0: "NEG", 1: "NEU", 2: "POS"}, [0, 1, 2]),
        ({0: "LABEL_0", 1: "LABEL_1"}, [0, 2]),
        ({0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}, [0, 1, 2]),
        ({n: f"{n + 1} star{'s' * (n > 0)}" for n in range(5)}, [0, 0, 1, 2, 2]),
        (
            {0: "Very Negative", 1: "Negative", 2: "Neutral", 3: "Positive", 4: "Very Positive"},
            [0, 0, 1, 2, 2],
        ),
    ],
)
def test_labels_are_understood(labels, expected):
    assert columns(labels) == expected


@pytest.mark.parametrize(
    "labels",
    [
        {0: "joy", 1: "anger"},
        {0: "negative", 1: "neutral"},
        {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2", 3: "LABEL_3"},
        {0: "5 stars", 1: "4 stars", 2: "3 stars", 3: "2 stars", 4: "1 star"},
        {0: "ham", 1: "spam"},
    ],
)
def test_labels_that_are_no_sentiment_are_named_in_the_error(labels):
    with pytest.raises(Misconfigured, match=labels[0]):
        columns(labels)


def test_without_torch_the_error_says_what_to_install(monkeypatch, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(Misconfigured, match=r"uproar\[torch\]"):
        load(str(tmp_path))


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(Misconfigured, match=r"neither heads\.json nor config\.json"):
        load(str(tmp_path))


def test_a_folder_that_is_not_there_is_not_looked_for_on_the_hub():
    with pytest.raises(Misconfigured, match="no directory here"):
        load("./no/such/folder")


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_a_disk_that_takes_nothing_is_no_network_that_is_away(monkeypatch, number):
    hub = pytest.importorskip("huggingface_hub")

    def refuse(*_, **__):
        raise OSError(number, "no", "/nonexistent/.cache")

    monkeypatch.setattr(hub, "snapshot_download", refuse)
    with pytest.raises(Misconfigured, match="HF_HOME"):
        _download("someone/model")


def test_a_network_that_is_away_is_waited_for(monkeypatch):
    hub = pytest.importorskip("huggingface_hub")

    def away(*_, **__):
        raise ConnectionError(errno.ECONNREFUSED, "refused")

    monkeypatch.setattr(hub, "snapshot_download", away)
    with pytest.raises(Unavailable, match="does not answer"):
        _download("someone/model")

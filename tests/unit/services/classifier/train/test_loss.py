"""services/classifier/train/loss.py: what is unknown costs nothing, and a teacher is followed."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="uproar[torch] is not installed")

import torch

from services.classifier.train.batches import Encoded
from services.classifier.train.loss import Lessons, _by_teacher, log_prior, losses
from services.classifier.train.settings import Distil, Embedding
from services.classifier.train.targets import COLUMNS


class Fixed(torch.nn.Module):
    """Gives the same logits and vectors, whatever it reads."""

    def __init__(self, logits, vectors=None):
        super().__init__()
        self.logits, self.vectors = torch.tensor(logits), vectors

    def forward(self, ids, mask):
        return self.logits[: len(ids)], self.vectors


class Run:
    """The settings that a loss reads."""

    distil = None
    embedding = None


def lessons(sentiment=-1, binary=(-1,) * 5, level=-1, soft=None, anchors=None):
    data = Encoded(
        [[0, 2]], np.array([sentiment]), np.array([binary], np.float32), np.array([level])
    )
    return Lessons(data=data, soft=soft, anchors=anchors, prior=torch.zeros(3))


LOGITS = np.linspace(-1, 1, len(COLUMNS), dtype=np.float32)[None]


def test_a_row_that_says_nothing_costs_nothing():
    found = losses(Fixed(LOGITS), lessons(), [0], Run())
    assert found["labels"].item() == 0


@pytest.mark.parametrize(
    "labels", [{"sentiment": 0}, {"binary": (-1, 1, -1, -1, -1)}, {"level": 2}]
)
def test_each_label_is_the_logarithm_of_its_chance(labels):
    found = losses(Fixed(LOGITS), lessons(**labels), [0], Run())["labels"].item()
    row = torch.tensor(LOGITS[0])
    expected = {
        "sentiment": -row[:3].log_softmax(0)[0],
        "binary": -torch.nn.functional.logsigmoid(row[4]),
        "level": -row[8:].log_softmax(0)[2],
    }[next(iter(labels))]
    assert found == pytest.approx(expected.item(), abs=1e-6)


def test_a_student_that_agrees_with_its_teacher_has_nothing_to_learn():
    same = torch.tensor(LOGITS)
    assert _by_teacher(same, same, 2.0).item() == pytest.approx(0, abs=1e-5)
    assert _by_teacher(same + torch.randn_like(same), same, 2.0).item() > 0.05


def test_a_row_without_a_teacher_is_learned_from_its_labels_alone():
    run = Run()
    run.distil = Distil(teacher="x", weight=0.6)
    none = np.full((1, len(COLUMNS)), np.nan, np.float32)
    found = losses(Fixed(LOGITS), lessons(sentiment=1, soft=none), [0], run)
    assert found["teacher"].item() == 0
    assert found["labels"].item() > 0


def test_an_embedding_is_drawn_to_its_anchor():
    run = Run()
    run.embedding = Embedding(size=2, weight=1.0)
    anchors = np.array([[1, 0]], np.float16)
    near = losses(Fixed(LOGITS, torch.tensor([[3.0, 0.0]])), lessons(anchors=anchors), [0], run)
    far = losses(Fixed(LOGITS, torch.tensor([[-1.0, 0.0]])), lessons(anchors=anchors), [0], run)
    assert near["embedding"].item() == pytest.approx(0)
    assert far["embedding"].item() == pytest.approx(4)


def test_the_prior_is_how_often_each_sentiment_is_drawn():
    data = Encoded([[0]] * 4, np.array([0, 1, 1, -1]), np.zeros((4, 5)), np.zeros(4, int))
    prior = log_prior(data, np.array([2.0, 1, 1, 9]), 0.5)
    assert torch.exp(2 * prior).tolist() == pytest.approx([0.5, 0.5, 0.25])

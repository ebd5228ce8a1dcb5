"""Loss: how wrong the model is on a batch: by labels, by its teacher, by the base's embedding."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from services.classifier.train.batches import Encoded
from services.classifier.train.model import Classifier, padded
from services.classifier.train.settings import Settings
from services.classifier.train.targets import BINARY, SENTIMENT, UNKNOWN

_THREE, _YES = len(SENTIMENT), len(SENTIMENT) + len(BINARY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessons:
    """
    What a run learns from, row by row.

    Attributes:
        data: Tokens and labels.
        soft: (rows, columns) logits of the teacher, NaN where it has none; None without a teacher.
        anchors: (rows, size) vectors of length 1 that the embedding has to reach; None without.
        prior: (3,) logarithms of how often each sentiment is drawn, times their weight.
    """

    data: Encoded
    soft: NDArray[np.float32] | None
    anchors: NDArray[np.float16] | None
    prior: Tensor


def losses(
    model: Classifier, lessons: Lessons, batch: list[int], settings: Settings
) -> dict[str, Tensor]:
    """
    Give the parts of the loss of a batch, each already weighted: their sum is what is minimised.

    ``labels``: cross entropy of what is known, averaged over the rows. ``teacher``: divergence from
    the teacher on every head, softened (Hinton et al. 2015). ``embedding``: squared distance from
    the anchor (Reimers and Gurevych 2020).
    """
    device = lessons.prior.device
    ids, mask = padded([lessons.data.ids[row] for row in batch], device)
    logits, vectors = model(ids, mask)
    logits = logits.float()
    hard = _by_labels(logits, lessons, batch)
    found = {"labels": hard}
    if lessons.soft is not None and settings.distil is not None:
        soft = torch.from_numpy(lessons.soft[batch]).to(device)
        share = settings.distil.weight
        taught = _by_teacher(logits, soft, settings.distil.temperature)
        found = {"labels": (1 - share) * hard, "teacher": share * taught}
    if lessons.anchors is not None and vectors is not None and settings.embedding is not None:
        anchors = torch.from_numpy(lessons.anchors[batch]).to(device).float()
        distance = functional.normalize(vectors.float(), dim=1) - anchors
        found["embedding"] = settings.embedding.weight * distance.square().sum(1).mean()
    return found


def _by_labels(logits: Tensor, lessons: Lessons, batch: list[int]) -> Tensor:
    device, data = logits.device, lessons.data
    sentiment = torch.from_numpy(data.sentiment[batch]).to(device)
    binary = torch.from_numpy(data.binary[batch]).to(device)
    level = torch.from_numpy(data.level[batch]).to(device)
    of_sentiment = functional.cross_entropy(
        logits[:, :_THREE] + lessons.prior, sentiment, ignore_index=UNKNOWN, reduction="sum"
    )
    of_binary = functional.binary_cross_entropy_with_logits(
        logits[:, _THREE:_YES], binary.clamp(min=0), weight=(binary >= 0).float(), reduction="sum"
    )
    of_level = functional.cross_entropy(
        logits[:, _YES:], level, ignore_index=UNKNOWN, reduction="sum"
    )
    return (of_sentiment + of_binary + of_level) / len(batch)


def _by_teacher(logits: Tensor, soft: Tensor, temperature: float) -> Tensor:
    known = ~soft[:, 0].isnan()
    if not known.any():
        return logits.sum() * 0
    ours, theirs = logits[known] / temperature, soft[known] / temperature
    total = logits.new_zeros(())
    for start, end in ((0, _THREE), (_YES, logits.shape[1])):
        total = total + functional.kl_div(
            ours[:, start:end].log_softmax(1),
            theirs[:, start:end].log_softmax(1),
            log_target=True,
            reduction="sum",
        )
    # the divergence of two coins: their cross entropy less the teacher's own
    coins = functional.binary_cross_entropy_with_logits
    chance = theirs[:, _THREE:_YES].sigmoid()
    total = total + coins(ours[:, _THREE:_YES], chance, reduction="sum")
    total = total - coins(theirs[:, _THREE:_YES], chance, reduction="sum")
    return total * temperature**2 / len(logits)


def log_prior(data: Encoded, repeats: NDArray[np.float64], weight: float) -> Tensor:
    """Say how often each sentiment is drawn, as logarithms: rare ones need not fight their rareness."""
    known = data.sentiment != UNKNOWN
    drawn = np.bincount(data.sentiment[known], weights=repeats[known], minlength=_THREE)
    shares = np.maximum(drawn, 1.0) / max(drawn.sum(), 1.0)
    return torch.from_numpy(np.log(shares) * weight).float()

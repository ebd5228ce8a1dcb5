"""Heads: the last layer. One vector of a post -> probabilities, levels, an embedding; nothing else."""

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from uproar.errors import Misconfigured

FORMATS = (1, 2)
"""Of ``heads.json``: 2 may hold levels, thresholds, an embedding and marks; 1 has none of them."""
_ROWS = 64  # multiplied at once: small enough for the cache


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """
    Columns that are computed together.

    Attributes:
        names: Several share one softmax; a single one is a logistic function.
        weight: (logits, width), with the calibration in it; ``bias`` likewise, (logits,).
        levels: For a single name with several logits: the value of each, whose mean by their
            softmax is the score (``complaint_severity``: 0 to 4).
        threshold: From which score on a single name holds; chosen on validation rows.
        shares: How common each of several names is in the stream that the probabilities are for;
            None: equally common. The class of a post is the likeliest after dividing by them.
    """

    names: list[str]
    weight: list[list[float]]
    bias: list[float]
    levels: list[float] | None = None
    threshold: float = 0.5
    shares: list[float] | None = None


class _File(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    name: str
    groups: list[Group]
    embedding: list[list[float]] | None = None
    marks: tuple[str, str] | None = None


class Heads:
    """
    All heads of a model.

    Attributes:
        model: Name of the model.
        names: Columns of :meth:`scores`.
        width: Numbers in the vector of a post.
        thresholds: From which score on each yes-or-no head holds.
        shares: Of negative, neutral and positive in the stream the probabilities are for.
        marks: What stands around a mention of the subject; None if the model was not taught it.
    """

    def __init__(self, file: Path) -> None:
        stored = _read(file)
        self.model = stored.name
        self.names = tuple(name for group in stored.groups for name in group.names)
        self.marks = stored.marks
        first = stored.groups[0]
        self.shares = tuple(first.shares or [1 / len(first.names)] * len(first.names))
        self.thresholds = {
            group.names[0]: group.threshold
            for group in stored.groups
            if len(group.names) == 1 and group.levels is None
        }
        self._groups = stored.groups
        self._weight = np.array([row for g in stored.groups for row in g.weight], np.float32)
        self.width: int = self._weight.shape[1]
        self._bias = np.array([b for g in stored.groups for b in g.bias], np.float32)
        self._projection = (
            None if stored.embedding is None else np.array(stored.embedding, np.float32)
        )

    def scores(self, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn (posts, width) into (posts, names); a post's row never depends on the others."""
        logits = product(pooled, self._weight) + self._bias
        columns, at = [], 0
        for group in self._groups:
            part = logits[:, at : at + len(group.bias)]
            at += len(group.bias)
            columns.append(_values(group, part))
        return np.concatenate(columns, axis=1)

    def embedding(self, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn (posts, width) into vectors of length 1: nearer the more alike their contents are."""
        return unit(pooled if self._projection is None else product(pooled, self._projection))


def _values(group: Group, logits: NDArray[np.float32]) -> NDArray[np.float32]:
    if logits.shape[1] == 1:
        return ((1 + np.tanh(logits / 2)) / 2).astype(np.float32, copy=False)
    parts = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float32] = parts / parts.sum(axis=1, keepdims=True)
    if group.levels is None:
        return shares
    levels = np.array(group.levels, np.float32)
    expected: NDArray[np.float32] = (shares * levels).sum(axis=1, keepdims=True)
    return expected


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give each row length 1; one of zeros stays."""
    lengths = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    short: NDArray[np.float32] = rows / np.maximum(lengths, 1e-9)
    return short


def product(rows: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Multiply (rows, width) by (columns, width); a row of (rows, columns) depends on its own alone."""
    # not `@`: BLAS picks its order of addition by the number of posts
    parts = [
        (rows[at : at + _ROWS, None, :] * weight).sum(axis=-1) for at in range(0, len(rows), _ROWS)
    ]
    return np.concatenate(parts) if parts else np.empty((0, len(weight)), np.float32)


def _read(file: Path) -> _File:
    try:
        content = file.read_bytes()
        version: Any = json.loads(content).get("format")
        if version not in FORMATS:
            known = " and ".join(map(str, FORMATS))
            raise Misconfigured(f"{file}: format {version!r}, this version reads {known}")
        return msgspec.json.decode(content, type=_File)
    except (OSError, ValueError, AttributeError, msgspec.ValidationError) as error:
        raise Misconfigured(f"{file}: {error}") from error

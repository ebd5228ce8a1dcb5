"""Bench: the model that is measured, and what every benchmark asks of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.classifier.evaluate import rows
from services.classifier.evaluate.figure import RESAMPLES, Figure, bootstrap
from services.classifier.evaluate.metrics import Metric
from services.classifier.evaluate.recorded import EQUAL
from services.classifier.evaluate.rows import Row

SENTIMENT = ("negative", "neutral", "positive")
_BATCH = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """
    What benchmarks work with.

    Attributes:
        data: Folder of the research data.
        engine: The model; what it can do beyond ``score`` (``pooled``, ``score_and_embed``,
            ``thresholds``, ``marks``, ``held_out``) is asked for where it is needed.
        blind: Encoder that never saw a complaint set, for heads refitted on one; None: ``engine``.
        rng: Where chance comes from.
        keep: Where answers of refitted heads are put by benchmark, to be recorded; None: nowhere.
        advance: Called with how many posts were read.
        resamples: Draws of each interval.
    """

    data: Path
    engine: Any
    rng: np.random.Generator
    blind: Any = None
    keep: dict[str, NDArray[np.float64]] | None = None
    advance: Callable[[int], None] = field(default=lambda _count: None)
    resamples: int = RESAMPLES

    def read(self, file: str) -> list[Row]:
        """Read a file of the data."""
        return rows.read(self.data / file)

    def scores(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Score texts, a batch at a time: (texts, heads)."""
        return self._batched(texts, self.engine.score, len(self.engine.heads))

    def head(self, texts: Sequence[str], name: str) -> NDArray[np.float64]:
        """Give one head's scores, (texts,); a text that cannot be read counts as 0."""
        column = self.engine.heads.index(name)
        known: NDArray[np.float64] = np.nan_to_num(self.scores(texts)[:, column].astype(float))
        return known

    def has(self, name: str) -> bool:
        """Say whether the model has a head."""
        return name in self.engine.heads

    def threshold(self, name: str) -> float:
        """Give the score from which on a head holds."""
        return float(getattr(self.engine, "thresholds", {}).get(name, 0.5))

    @property
    def shares(self) -> NDArray[np.float64]:
        """How common the sentiments are in the stream that the probabilities are for."""
        return np.array(getattr(self.engine, "shares", EQUAL))

    def features(self, texts: Sequence[str]) -> NDArray[np.float64] | None:
        """Give the blind encoder's vectors, (texts, width); None if the model has none to give."""
        pooled = getattr(self.blind or self.engine, "pooled", None)
        if pooled is None:
            return None
        vectors = self._batched(texts, pooled, None)
        known: NDArray[np.float64] = np.nan_to_num(vectors.astype(float))
        return known

    def embeddings(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """Give embeddings, (texts, size); None if the model has none."""
        both = getattr(self.engine, "score_and_embed", None)
        if both is None:
            return None
        return np.nan_to_num(self._batched(texts, lambda chunk: both(chunk)[1], None))

    def figure(
        self, name: str, metric: Metric, truth: NDArray[np.int64], guess: NDArray[np.int64],
        **about: Any,
    ) -> Figure:  # fmt: skip
        """Measure true against guessed classes, in points of a hundred."""
        return bootstrap(
            name,
            len(truth),
            lambda at: 100 * metric(truth[at], guess[at]),
            self.rng,
            resamples=self.resamples,
            unit="%",
            **about,
        )

    def _batched(
        self, texts: Sequence[str], ask: Callable[[list[str]], NDArray[np.float32]],
        width: int | None,
    ) -> NDArray[np.float32]:  # fmt: skip
        parts = []
        for start in range(0, len(texts), _BATCH):
            chunk = list(texts[start : start + _BATCH])
            parts.append(ask(chunk))
            self.advance(len(chunk))
        return np.concatenate(parts) if parts else np.empty((0, width or 0), np.float32)

"""Floats: a fitted model as an engine, before it becomes int8: for its own figures, on any device."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.classifier.engine.heads import Heads
from services.classifier.engine.lexical import Lexical, joined
from services.classifier.engine.tokens import Tokeniser
from services.classifier.train.fit import pooled
from services.classifier.train.model import Classifier


class FloatEngine:
    """Does what the int8 engine does, in the precision of training; scores may hang on neighbours."""

    def __init__(
        self, model: Classifier, tokeniser: Tokeniser, heads: Path, lexical: Path | None
    ) -> None:
        self._model = model
        words = model.encoder.embeddings.word_embeddings.weight.detach().float().cpu().numpy()
        self._lexical = None if lexical is None else Lexical(words, None, lexical)
        self._tokeniser = tokeniser
        self._heads = Heads(heads)
        self.name = f"{self._heads.model} (floats)"
        self.heads = self._heads.names
        self.thresholds = self._heads.thresholds
        self.marks = self._heads.marks
        self.shares = self._heads.shares

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Score texts: (texts, heads); NaN where the model cannot read the text."""
        return self._heads.scores(self.pooled(texts))

    def score_and_embed(
        self, texts: Sequence[str]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Score texts and give their embeddings."""
        vectors = self.pooled(texts)
        embedded = self._heads.embedding(vectors)
        if self._lexical is not None:
            embedded = joined(embedded, self._lexical.vectors(self._tokeniser.encode(texts)))
        return self._heads.scores(vectors), embedded

    def pooled(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Give the encoder's vectors, (texts, width)."""
        ids = self._tokeniser.encode(texts)
        vectors = pooled(self._model, [row or [] for row in ids])
        vectors[[at for at, row in enumerate(ids) if not row]] = np.nan
        return vectors

"""Int8: the shipped weights on CTranslate2, heads in numpy. No torch."""

from collections.abc import Sequence
from pathlib import Path

import ctranslate2
import numpy as np
from numpy.typing import NDArray

from services.classifier.engine.heads import Heads
from services.classifier.engine.tokens import Tokeniser, equal_length_batches
from uproar.errors import Misconfigured

_BATCH_TOKENS = 1024  # about 36 posts: more no longer fits the cache (measured)


class Int8Engine:
    """
    An encoder in int8, mean pooling, and one linear layer for all heads.

    Every post is computed on its own numbers alone: activations are scaled per token, batches hold
    texts of equal length, and what numpy adds up it adds up per post. So its scores are the same,
    bit for bit, whoever its neighbours are.

    Attributes:
        thresholds: From which score on each single head holds.
        marks: What stands around a mention of the subject; None if the model was not taught it.
    """

    def __init__(self, folder: Path, *, device: str = "cpu", threads: int = 1) -> None:
        self._heads = Heads(folder / "heads.json")
        self.name: str = self._heads.model
        self.heads: tuple[str, ...] = self._heads.names
        self.thresholds: dict[str, float] = self._heads.thresholds
        self.marks: tuple[str, str] | None = self._heads.marks
        self._tokeniser = Tokeniser(folder / "tokenizer.json")
        try:
            self._encoder = ctranslate2.Encoder(
                str(folder), device=device, compute_type="int8", intra_threads=threads
            )
        except (RuntimeError, ValueError) as error:
            raise Misconfigured(f"{folder}: CTranslate2 cannot load it: {error}") from error

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """
        Score texts.

        Returns:
            float32 (texts, heads), probabilities in the order of :attr:`heads`, a row for each text
            in order; NaN where the model cannot read the text.
        """
        return self._heads.scores(self.pooled(texts))

    def score_and_embed(
        self, texts: Sequence[str]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Score texts and give the embedding (texts, size), of length 1, from the same pass."""
        pooled = self.pooled(texts)
        return self._heads.scores(pooled), self._heads.embedding(pooled)

    def pooled(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Give what the heads stand on: the mean of the encoder's output; NaN as in ``score``."""
        ids = self._tokeniser.encode(texts)
        rows = np.full((len(texts), self._heads.width), np.nan, np.float32)
        for positions in equal_length_batches([len(i or ()) for i in ids], _BATCH_TOKENS):
            rows[positions] = self._forward(np.array([ids[p] for p in positions], np.int32))
        return rows

    def _forward(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        lengths = np.full(len(ids), ids.shape[1], np.int32)
        output = self._encoder.forward_batch(
            ctranslate2.StorageView.from_array(ids), ctranslate2.StorageView.from_array(lengths)
        )
        hidden = np.asarray(output.last_hidden_state.to_device(ctranslate2.Device.cpu))
        pooled: NDArray[np.float32] = hidden.mean(axis=1)
        return pooled

"""Int8: the shipped weights, from texts to scores, on all cores. No torch."""

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.classifier.engine import lexical
from services.classifier.engine.heads import Heads
from services.classifier.engine.lexical import Lexical, joined
from services.classifier.engine.native import NativeEncoder, Unsuitable
from services.classifier.engine.native.weights import read
from services.classifier.engine.portable import PortableEncoder
from services.classifier.engine.tokens import Tokeniser

ENCODERS = ("native", "portable", "dequantised")
_NICE = 5  # below everything else of the product: event loops and the broker go first


class Encoder(Protocol):
    """Token ids -> mean-pooled vectors; see :class:`NativeEncoder` and :class:`PortableEncoder`."""

    window: int

    def encode(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Encode texts of 1 to 128 tokens: float32 (texts, width). Called by several threads."""
        ...


class Int8Engine:
    """
    An encoder in int8, mean pooling, and one linear layer for all heads.

    Every post is computed on its own numbers alone: the encoders see to it, and what numpy adds up
    it adds up per post. So its scores are the same, bit for bit, whoever its neighbours are and
    however many threads there are. The two encoders differ in the last digits.

    Args:
        folder: ``model.bin``, ``tokenizer.json``, ``heads.json`` and, for an embedding that knows
            words, ``lexical.npz``.
        device: ``cpu`` or ``cuda``.
        threads: How many compute at once; each takes a few texts from token ids to vectors. They
            give way to everything else on the machine.
        encoder: One of :data:`ENCODERS`; None for the fastest that runs here. ``dequantised`` is
            torch, in floats: only where it is asked for, as its last digits hang on the neighbours.

    Attributes:
        encoder: Which one runs.
        thresholds: From which score on each single head holds.
        marks: What stands around a mention of the subject; None if the model was not taught it.
        shares: Of negative, neutral and positive in the stream the probabilities are for; the class
            of a post is the likeliest after dividing by them.
    """

    def __init__(
        self, folder: Path, *, device: str = "cpu", threads: int = 1, encoder: str | None = None
    ) -> None:
        self._heads = Heads(folder / "heads.json")
        self.name: str = self._heads.model
        self.heads: tuple[str, ...] = self._heads.names
        self.thresholds: dict[str, float] = self._heads.thresholds
        self.marks: tuple[str, str] | None = self._heads.marks
        self.shares: tuple[float, ...] = self._heads.shares
        self._tokeniser = Tokeniser(folder / "tokenizer.json")
        self._lexical = _lexical(folder)
        self.encoder, self._encoder = _encoder(folder, device, threads, encoder)
        self._pool = (
            ThreadPoolExecutor(threads, "engine", initializer=_give_way) if threads > 1 else None
        )
        self.pooled(["warm up"])

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
        vectors = self._heads.embedding(pooled)
        if self._lexical is not None:
            vectors = joined(vectors, self._lexical.vectors(self._tokeniser.encode(texts)))
        return self._heads.scores(pooled), vectors

    def pooled(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Give what the heads stand on: the mean of the encoder's output; NaN as in ``score``."""
        window = self._encoder.window
        if self._pool is None or len(texts) <= 1:
            return self._rows(texts)
        size = max(1, min(window, -(-len(texts) // self._pool._max_workers)))
        parts = [texts[at : at + size] for at in range(0, len(texts), size)]
        return np.concatenate(list(self._pool.map(self._rows, parts)))

    def _rows(self, texts: Sequence[str]) -> NDArray[np.float32]:
        ids = self._tokeniser.encode(texts)
        rows = np.full((len(texts), self._heads.width), np.nan, np.float32)
        readable = [place for place, some in enumerate(ids) if some]
        if readable:
            rows[readable] = self._encoder.encode([some for some in ids if some])
        return rows


def _lexical(folder: Path) -> Lexical | None:
    file = folder / lexical.FILE
    if not file.is_file():
        return None
    stored = read(folder / "model.bin")
    words = stored["encoder/embeddings_0/weight"]
    return Lexical(words, stored["encoder/embeddings_0/weight_scale"], file)


def _encoder(folder: Path, device: str, threads: int, wanted: str | None) -> tuple[str, Encoder]:
    if wanted == "dequantised":
        from services.classifier.engine.dequantised import DequantisedEncoder

        return "dequantised", DequantisedEncoder(folder, device=device)
    if device == "cpu" and wanted != "portable":
        try:
            return "native", NativeEncoder(folder)
        except Unsuitable:
            if wanted == "native":
                raise
    return "portable", PortableEncoder(folder, device=device, threads=threads)


def _give_way() -> None:
    """Let this thread wait for all others of the machine; where that cannot be said, it does not."""
    with suppress(AttributeError, OSError):
        nice = os.getpriority(os.PRIO_PROCESS, 0) + _NICE
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)

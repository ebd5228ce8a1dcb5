"""Portable: the encoder on CTranslate2, for every processor and for GPUs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.classifier.engine.tokens import equal_length_batches
from uproar.errors import Misconfigured

_BATCH_TOKENS = 256  # a third faster than 1,024, which leaves the second cache (measured)


class PortableEncoder:
    """
    Token ids -> mean-pooled vectors.

    Activations are scaled per token and batches hold texts of equal length, so a text's vector is
    the same, bit for bit, whoever its neighbours are. Several threads may call :meth:`encode` at
    once.

    Args:
        folder: As CTranslate2's converter writes it.
        threads: Calls that are computed at the same time, each by one thread.

    Raises:
        Misconfigured: CTranslate2 is not installed, or cannot load the folder.
    """

    window = 128
    """Texts that one thread takes at a time: enough for several of each length."""

    def __init__(self, folder: Path, *, device: str = "cpu", threads: int = 1) -> None:
        try:
            import ctranslate2
        except ImportError as error:
            raise Misconfigured(f"CTranslate2 is missing: {error}") from error
        try:
            self._encoder = ctranslate2.Encoder(
                str(folder),
                device=device,
                compute_type="int8",
                inter_threads=threads,
                intra_threads=1,
            )
        except (RuntimeError, ValueError) as error:
            raise Misconfigured(f"{folder}: CTranslate2 cannot load it: {error}") from error
        self._library = ctranslate2

    def encode(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Encode texts of 1 to 128 tokens: float32 (texts, width)."""
        found: dict[int, NDArray[np.float32]] = {}
        for places in equal_length_batches([len(ids) for ids in texts], _BATCH_TOKENS):
            rows = self._forward(np.array([texts[place] for place in places], np.int32))
            found.update(zip(places, rows, strict=True))
        return np.stack([found[place] for place in range(len(texts))])

    def _forward(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        lengths = np.full(len(ids), ids.shape[1], np.int32)
        view, cpu = self._library.StorageView.from_array, self._library.Device.cpu
        output = self._encoder.forward_batch(view(ids), view(lengths))
        hidden = np.asarray(output.last_hidden_state.to_device(cpu))
        pooled: NDArray[np.float32] = hidden.mean(axis=1)
        return pooled

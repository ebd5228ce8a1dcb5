"""Int8: the shipped weights on CTranslate2, heads in numpy. No torch."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from numpy.typing import NDArray

from services.classifier.engine.tokens import Tokeniser, equal_length_batches
from uproar.errors import Misconfigured

_BATCH_TOKENS = 1024  # about 36 posts: more no longer fits the cache (measured)
FORMAT = 1


class Int8Engine:
    """
    An encoder in int8, mean pooling, and one linear layer for all heads.

    Every post is computed on its own numbers alone: activations are scaled per token, batches hold
    texts of equal length, and what numpy adds up it adds up per post. So its scores are the same,
    bit for bit, whoever its neighbours are.
    """

    def __init__(self, folder: Path, *, device: str = "cpu", threads: int = 1) -> None:
        heads = _read_heads(folder / "heads.json")
        self.name: str = heads["name"]
        self._groups = [tuple(group["names"]) for group in heads["groups"]]
        self.heads: tuple[str, ...] = tuple(name for group in self._groups for name in group)
        self._weight = np.array([r for g in heads["groups"] for r in g["weight"]], np.float32)
        self._bias = np.array([b for g in heads["groups"] for b in g["bias"]], np.float32)
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
        scores = np.full((len(texts), len(self.heads)), np.nan, np.float32)
        ids = self._tokeniser.encode(texts)
        for positions in equal_length_batches([len(i or ()) for i in ids], _BATCH_TOKENS):
            scores[positions] = self._forward(np.array([ids[p] for p in positions], np.int32))
        return scores

    def _forward(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        lengths = np.full(len(ids), ids.shape[1], np.int32)
        output = self._encoder.forward_batch(
            ctranslate2.StorageView.from_array(ids), ctranslate2.StorageView.from_array(lengths)
        )
        hidden = np.asarray(output.last_hidden_state.to_device(ctranslate2.Device.cpu))
        pooled = hidden.mean(axis=1)
        # not `@`: BLAS picks its order of addition by the number of posts
        logits = (pooled[:, None, :] * self._weight).sum(axis=-1) + self._bias
        return self._probabilities(logits)

    def _probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take the softmax of a group of several heads, the logistic function of a single one."""
        columns, at = [], 0
        for group in self._groups:
            part = logits[:, at : at + len(group)]
            at += len(group)
            if len(group) == 1:
                columns.append((1 + np.tanh(part / 2)) / 2)
            else:
                shares = np.exp(part - part.max(axis=1, keepdims=True))
                columns.append(shares / shares.sum(axis=1, keepdims=True))
        return np.concatenate(columns, axis=1)


def _read_heads(file: Path) -> dict[str, Any]:
    try:
        heads: dict[str, Any] = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Misconfigured(f"{file}: {error}") from error
    if heads.get("format") != FORMAT:
        raise Misconfigured(f"{file}: format {heads.get('format')!r}, this version reads {FORMAT}")
    return heads

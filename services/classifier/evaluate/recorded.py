"""Recorded: the answers of a model that is not shipped, so that its rows can be told again. No text."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.classifier.engine import Engine
from uproar.errors import Misconfigured

EQUAL = (1 / 3, 1 / 3, 1 / 3)


class Recorded:
    """
    An engine that knows the answers to the texts it was asked before, and no others.

    Attributes:
        held_out: What heads refitted without a part said of its rows, by benchmark.
    """

    def __init__(self, file: Path) -> None:
        try:
            with np.load(file, allow_pickle=False) as stored:
                about = json.loads(str(stored["about"]))
                self._digests: NDArray[np.uint64] = stored["digests"]
                self._scores: NDArray[np.float32] = stored["scores"].astype(np.float32)
                self.held_out = {
                    key.removeprefix("held_out/"): stored[key].astype(float)
                    for key in stored.files
                    if key.startswith("held_out/")
                }
            self.name: str = about["name"]
            self.heads: tuple[str, ...] = tuple(about["heads"])
            self.thresholds: dict[str, float] = about["thresholds"]
            self.shares: tuple[float, ...] = tuple(about["shares"])
            self.marks: tuple[str, str] | None = about["marks"] and tuple(about["marks"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Misconfigured(f"{file}: no recorded answers: {error!r}") from error

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Give the recorded scores (texts, heads); NaN for a text it was never asked."""
        wanted = np.array([_digest(text) for text in texts], np.uint64)
        at = np.minimum(np.searchsorted(self._digests, wanted), len(self._digests) - 1)
        rows = self._scores[at]
        rows[self._digests[at] != wanted] = np.nan
        return rows


class Vectors:
    """What an encoder made of the texts of some files: enough to refit heads on it."""

    def __init__(self, file: Path) -> None:
        try:
            with np.load(file, allow_pickle=False) as stored:
                self._digests: NDArray[np.uint64] = stored["digests"]
                self._vectors: NDArray[np.float16] = stored["vectors"]
        except (OSError, ValueError, KeyError) as error:
            raise Misconfigured(f"{file}: no recorded vectors: {error!r}") from error

    def pooled(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """
        Give the recorded vectors, (texts, width).

        Raises:
            Misconfigured: One of the texts was not recorded.
        """
        wanted = np.array([_digest(text) for text in texts], np.uint64)
        at = np.minimum(np.searchsorted(self._digests, wanted), len(self._digests) - 1)
        if (self._digests[at] != wanted).any():
            raise Misconfigured("these recorded vectors are of other texts than the data's")
        return self._vectors[at].astype(np.float32)

    @staticmethod
    def write(file: Path, texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Write vectors, (texts, width), in half precision, under the hashes of their texts."""
        digests = np.array([_digest(text) for text in texts], np.uint64)
        digests, first = np.unique(digests, return_index=True)
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(file, digests=digests, vectors=vectors[first].astype(np.float16))


class Recorder:
    """An engine that remembers what it was asked, to be written down."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name = engine.name
        self.heads = engine.heads
        self.thresholds: dict[str, float] = getattr(engine, "thresholds", {})
        self.marks: tuple[str, str] | None = engine.marks
        self.shares: tuple[float, ...] = getattr(engine, "shares", EQUAL)
        self.pooled = getattr(engine, "pooled", None)
        self.score_and_embed = getattr(engine, "score_and_embed", None)
        self.held_out: dict[str, NDArray[np.float64]] = {}
        self._answers: dict[int, NDArray[np.float32]] = {}

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Score as the engine does, and remember."""
        scores = self._engine.score(texts)
        self._answers |= {_digest(t): row for t, row in zip(texts, scores, strict=True)}
        return scores

    def write(self, file: Path) -> None:
        """Write the answers: hashes of texts, scores in half precision."""
        about = {
            "name": self.name,
            "heads": self.heads,
            "thresholds": self.thresholds,
            "shares": self.shares,
            "marks": self.marks,
        }
        digests = sorted(self._answers)
        rows = [self._answers[digest] for digest in digests]
        file.parent.mkdir(parents=True, exist_ok=True)
        held_out: dict[str, Any] = {
            f"held_out/{name}": answer.astype(np.float16) for name, answer in self.held_out.items()
        }
        np.savez_compressed(
            file,
            about=np.array(json.dumps(about)),
            digests=np.array(digests, np.uint64),
            scores=np.array(rows, np.float16).reshape(-1, len(self.heads)),
            **held_out,
        )


def _digest(text: str) -> int:
    raw = text.encode("utf-8", "replace")
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest())

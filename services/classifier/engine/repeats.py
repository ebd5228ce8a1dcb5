"""Repeats: remembers the scores of texts, so that a copy costs nothing. Keeps hashes, never a text."""

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.classifier.engine.tokens import normalise

ENTRIES = 65_536
"""About 15 MB. The oldest not asked for again goes first."""
_KEY_BYTES = 16


class _Scores(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def heads(self) -> tuple[str, ...]: ...
    @property
    def marks(self) -> tuple[str, str] | None: ...

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


class Repeats:
    """
    An engine in front of another: it asks that one once for each text that reads the same.

    The key is a hash of what the model reads (:func:`normalise`): links and handles do not count,
    so copies and reposts share one. Since a score never depends on the neighbours, a remembered one
    is the one that would be computed again, bit for bit. One caller at a time.

    Args:
        engine: What scores.
        entries: Most texts that are remembered.

    Attributes:
        asked: Texts so far.
        repeated: Those of them that the other engine was not asked for.
    """

    def __init__(self, engine: _Scores, *, entries: int = ENTRIES) -> None:
        self.asked = self.repeated = 0
        self._engine, self._entries = engine, entries
        self._slots: OrderedDict[bytes, int] = OrderedDict()
        self._rows = np.empty((0, 0), np.float32)

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._engine.name

    @property
    def heads(self) -> tuple[str, ...]:
        """Columns of the scores."""
        return self._engine.heads

    @property
    def marks(self) -> tuple[str, str] | None:
        """What the model wants around a mention; raises what the other engine raises."""
        return self._engine.marks

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Score texts, as the other engine would; what that one raises leaves nothing behind."""
        keys = [_key(text) for text in texts]
        fresh: dict[bytes, int] = {}  # where each is in what the other engine is asked for
        known: dict[int, int] = {}  # place -> slot
        for at, key in enumerate(keys):
            if (slot := self._slots.get(key)) is None:
                fresh.setdefault(key, len(fresh))
            else:
                known[at] = slot
        asked = dict(zip(keys, texts, strict=True))
        computed = self._engine.score([asked[key] for key in fresh])
        if self._rows.shape[1] != computed.shape[1]:  # the first time
            self._rows = np.empty((self._entries, computed.shape[1]), np.float32)
        scores = np.empty((len(texts), computed.shape[1]), np.float32)
        scores[list(known)] = self._rows[list(known.values())]
        unknown = [at for at in range(len(keys)) if at not in known]
        scores[unknown] = computed[[fresh[keys[at]] for at in unknown]]
        for at in known:
            self._slots.move_to_end(keys[at])
        for key, row in zip(fresh, computed, strict=True):
            self._remember(key, row)
        self.asked += len(texts)
        self.repeated += len(texts) - len(fresh)
        return scores

    def _remember(self, key: bytes, row: NDArray[np.float32]) -> None:
        if len(self._slots) < self._entries:
            slot = len(self._slots)
        else:
            _, slot = self._slots.popitem(last=False)
        self._slots[key] = slot
        self._rows[slot] = row


def _key(text: str) -> bytes:
    return blake2b(normalise(text).encode(), digest_size=_KEY_BYTES).digest()

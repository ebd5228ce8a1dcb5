"""Mending: an engine that may be missing. Loaded when it is needed, and anew when it keeps failing."""

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from uproar.errors import Unavailable

PATIENCE = timedelta(seconds=10)
"""Between two attempts to load it."""
_TOO_OFTEN = 3  # failures one after the other, after which it is loaded anew


class _Engine(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def heads(self) -> tuple[str, ...]: ...
    @property
    def marks(self) -> tuple[str, str] | None: ...

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


class Mending:
    """
    An engine in front of one that may not be there yet, or break.

    Args:
        load: Gives the engine, or raises; may block.
        monotonic: Seconds.
    """

    def __init__(
        self, load: Callable[[], _Engine], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._load, self._monotonic = load, monotonic
        self._engine: _Engine | None = None
        self._failures = 0
        self._tried_at: float | None = None
        self._reason = ""

    @property
    def name(self) -> str:
        """The model that is loaded, or was."""
        return "none" if self._engine is None else self._engine.name

    @property
    def heads(self) -> tuple[str, ...]:
        """Its columns; none before it is loaded."""
        return () if self._engine is None else self._engine.heads

    @property
    def marks(self) -> tuple[str, str] | None:
        """
        What it wants around a mention. Loads it if that is due, since a text that was written for
        no marks is the wrong one for a model with them.

        Raises:
            Unavailable: As ``score``.
        """
        return self.load().marks

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """
        Score texts, after loading the engine if that is due.

        Raises:
            Unavailable: It cannot be loaded; the reason stands there, also between two attempts.
            Exception: What the engine raises.
        """
        engine = self.load()
        try:
            scores = engine.score(texts)
        except Exception:
            self._failures += 1
            if self._failures >= _TOO_OFTEN:
                self._engine, self._failures = None, 0
            raise
        self._failures = 0
        return scores

    def load(self) -> _Engine:
        """Return the engine, loaded if it was not and :data:`PATIENCE` has passed; as ``score``."""
        if self._engine is None:
            now = self._monotonic()
            waited = self._tried_at is None or now - self._tried_at >= PATIENCE.total_seconds()
            if not waited:
                raise Unavailable(self._reason)
            self._tried_at, self._reason = now, "the model has just failed and is loaded anew"
            try:
                self._engine = self._load()
            except Exception as error:
                self._reason = f"the model cannot be loaded: {error}"
                raise Unavailable(self._reason) from error
        return self._engine

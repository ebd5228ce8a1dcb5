"""
A virtual clock: an event loop that jumps to the next timer instead of waiting for it.

Nothing in it depends on threads, sockets or the wall clock, so a schedule runs as fast as the
processor allows, and the same seed takes the same steps.
"""

import asyncio
import selectors
from collections.abc import Callable
from typing import Any


class Jump(selectors.SelectSelector):
    """Never waits: moves the clock to where the loop wanted to wait to."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everybody waits for something that nobody will do")
        self.now += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time, which begins at 0."""

    def __init__(self) -> None:
        self.jump = Jump()
        super().__init__(self.jump)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self.jump.now

    def run_in_executor(  # type: ignore[override]  # its types name each argument of the function
        self, _executor: Any, look_up: Callable[..., Any], *given: Any
    ) -> asyncio.Future[Any]:
        """Do at once what a thread would do: look up the stand-ins' names, which are addresses."""
        done = self.create_future()
        done.set_result(look_up(*given))
        return done

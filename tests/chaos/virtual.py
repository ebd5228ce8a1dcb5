"""
A virtual clock: an event loop that jumps to the next timer instead of waiting for it.

Nothing in it depends on threads, sockets or the wall clock, so a schedule runs as fast as the
processor allows, and the same seed takes the same steps.
"""

import asyncio
import selectors
import socket
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

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> list[Any]:
        """Resolve nothing: the stand-ins have an address, not a name."""
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]

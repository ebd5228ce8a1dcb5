"""Slowed: a process that may run a tenth of the time, as on a machine that is ten times too small."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SHARE, PERIOD = 0.1, 0.25  # of its time that the process may run; seconds


@contextmanager
def slowed(pid: int) -> Iterator[None]:
    """Stop a process and let it go on, four times a second, until the block ends."""
    over = threading.Event()

    def hold() -> None:
        while not over.is_set():
            os.kill(pid, signal.SIGSTOP)
            over.wait(PERIOD * (1 - SHARE))
            os.kill(pid, signal.SIGCONT)
            over.wait(PERIOD * SHARE)

    holding = threading.Thread(target=hold)
    holding.start()
    try:
        yield
    finally:
        over.set()
        holding.join()
        os.kill(pid, signal.SIGCONT)

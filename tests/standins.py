"""Stand-ins of Slack and the others, in a thread of their own: the test waits for other things."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from services.demo.standins import StandIns


@contextmanager
def standins() -> Iterator[StandIns]:
    """Run them until the block ends."""
    made, up, over = StandIns(), threading.Event(), threading.Event()

    async def live() -> None:
        async with made:
            up.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(live()))
    thread.start()
    assert up.wait(60)
    try:
        yield made
    finally:
        over.set()
        thread.join()

"""
Pipeline: the whole product beside a naive consumer of the same posts, and from post to page.

A round pushes minutes of a crisis as fast as ingest takes them, and ends when detection has decided
the last of them and the receiver has heard of it.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from services.bench.crisis import LEARNING
from services.bench.house import House, processor_seconds
from services.bench.rounds import Rates

ROUND_MINUTES = 12
"""Of event time; some 4,500 posts."""
LOADS = (0.25, 0.5, 0.75, 0.9)
HALF = 0.5
HALF_SECONDS, LOAD_SECONDS = 75.0, 25.0
MARGIN_SECONDS = 2.0
MINUTE, QUARTERS = timedelta(minutes=1), 4

Advance = Callable[[float], None]
"""Is told how many seconds of work were done, for a progress bar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """
    Post to page at one load.

    Attributes:
        share: Of what the pipeline can do.
        posts_per_s: What was really pushed.
        waits: Seconds of each page, rising; infinite where it never came.
    """

    share: float
    posts_per_s: float
    waits: Sequence[float]

    def quantile(self, q: float) -> float:
        """Return a quantile of the waits; infinite where it falls to a page that never came."""
        return float(np.quantile(self.waits, q, method="higher" if self.missing else "linear"))

    @property
    def missing(self) -> int:
        """How many pages never came."""
        return int(np.isinf(self.waits).sum())


async def learn(house: House) -> None:
    """Let detection hear what is usual, before the first crisis."""
    for _ in range(LEARNING):
        await house.push(house.crises.minute())
    await house.decided()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """
    What the rounds of the pipeline and of its rival were.

    Attributes:
        rates: Posts a second of each round.
        repeats: Share of the pipeline's posts that read like one before.
        processor: Seconds of a processor that each process used for a post.
    """

    rates: Rates
    repeats: float
    processor: Mapping[str, float]


async def rounds(
    house: House, naive: Callable[[], float] | None, *, count: int, advance: Advance
) -> Rounds:
    """Let both work in turn."""
    rates: dict[str, list[float]] = {"pipeline": []}
    await _pipeline(house)  # warm, and something for the rival to read
    if naive:
        rates["naive"] = []
        await asyncio.to_thread(naive)
    scored, repeated = "uproar_classifier_posts_total", "uproar_classifier_posts_repeated_total"
    before, pushed = await house.metrics("classifier"), house.pushed
    used: Counter[str] = Counter()
    for number in range(count):
        names = list(rates)[:: -1 if number % 2 else 1]
        for name in names:
            if naive and name == "naive":
                rates[name].append(await _naive(naive))
                continue
            begun = processor_seconds()
            rates[name].append(await _pipeline(house))
            used.update({n: now - begun[n] for n, now in processor_seconds().items()})
        advance(1)
    after = await house.metrics("classifier")
    share = (after[repeated] - before[repeated]) / (after[scored] - before[scored])
    posts = house.pushed - pushed
    return Rounds(
        rates=rates, repeats=share, processor={name: each / posts for name, each in used.items()}
    )


async def _pipeline(house: House) -> float:
    minutes = [(house.crises.minute(), house.crises.now) for _ in range(ROUND_MINUTES)]
    began = time.perf_counter()
    for posts, end in minutes:
        await house.push(posts, up_to=end)
    await house.decided()
    return sum(len(posts) for posts, _ in minutes) / (time.perf_counter() - began)


async def _naive(naive: Callable[[], float]) -> float:
    began = time.perf_counter()
    done = await asyncio.to_thread(naive)
    return done / (time.perf_counter() - began)


async def steady(house: House, rate: float, *, seconds: float, advance: Advance) -> float:
    """
    Push at an even pace, a quarter of a minute of event time after the other.

    The pace does not wait for answers that are late.

    Returns:
        Posts a second that were really pushed.
    """
    loop, pushed = asyncio.get_running_loop(), house.pushed
    began = due = loop.time()
    while due - began < seconds:
        moment, posts = house.crises.now, house.crises.minute()
        for number in range(QUARTERS):
            some = posts[number * len(posts) // QUARTERS : (number + 1) * len(posts) // QUARTERS]
            moment += MINUTE / QUARTERS
            await asyncio.sleep(max(0.0, due - loop.time()))
            await house.push(some, up_to=moment)
            due += len(some) / rate
            advance(len(some) / rate)
    return (house.pushed - pushed) / (max(due, loop.time()) - began)


async def load(house: House, rate: float, *, share: float, advance: Advance) -> Load:
    """Measure post to page at a share of a rate, once the pace has set in."""
    seconds = HALF_SECONDS if share == HALF else LOAD_SECONDS
    await steady(house, share * rate, seconds=MARGIN_SECONDS, advance=advance)
    since = house.crises.now
    real = await steady(house, share * rate, seconds=seconds, advance=advance)
    await house.decided()
    pages = await house.pages(since)
    return Load(share=share, posts_per_s=real, waits=sorted(page.seconds for page in pages))

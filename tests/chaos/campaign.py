"""
Campaign: many schedules, in as many processes as there are cores, real kills beside them, and one line
at the end.

``python -m tests.chaos.campaign --schedules 10000 --kills 10``: what ``make chaos`` runs.
``python -m tests.chaos.campaign --replay SEED`` plays one schedule again and tells all of it.
"""

import asyncio
import logging
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import click
import structlog

from tests.chaos import kills
from tests.chaos.plan import draw
from tests.chaos.real import Real
from tests.chaos.schedule import Product, Stage
from tests.chaos.verdict import Verdict
from tests.databases import migrated, sqlite_url

_BATCH = 50


@contextmanager
def stage(product: Product | None = None) -> Iterator[Stage]:
    """Give a folder in memory where there is one, with a migrated, empty database."""
    memory = Path("/dev/shm")
    where = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="uproar-chaos-", dir=where) as directory:
        folder = Path(directory)
        for name in ("empty", "play"):
            (folder / name).mkdir()
        asyncio.run(_migrate(folder / "empty"))
        empty = folder / "empty" / "uproar.db"
        yield Stage(folder=folder / "play", empty=empty, product=product or Product())


async def _migrate(folder: Path) -> None:
    async with migrated(sqlite_url(folder)):
        pass


def play(seeds: range) -> list[Verdict]:
    """Play some schedules, one after the other."""
    quiet()
    with stage() as one:
        return [one.replay(seed) for seed in seeds]


def quiet() -> None:
    """A campaign meets thousands of faults: nobody wants to read of each."""
    silent = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=silent)


def schedules(count: int, seed: int) -> list[Verdict]:
    """Play so many schedules and show how far it is."""
    batches = [
        range(first, min(first + _BATCH, seed + count))
        for first in range(seed, seed + count, _BATCH)
    ]
    verdicts: list[Verdict] = []
    begun = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(os.cpu_count(), maxtasksperchild=20) as pool:
        for done in pool.imap_unordered(play, batches):
            verdicts += done
            for verdict in done:
                if not verdict.fine:
                    print(f"\nseed {verdict.seed}: {verdict}", flush=True)
            rate = len(verdicts) / (time.monotonic() - begun) * 60
            show = f"{len(verdicts)} of {count} schedules, {rate:.0f} a minute"
            print(show, end="\r" if sys.stdout.isatty() else "\n", flush=True)
    return verdicts


def told(verdicts: list[Verdict]) -> None:
    """Say what the schedules were made of: a campaign in which nothing happens proves nothing."""
    deaths = sum(len(v.deaths) for v in verdicts)
    faults = Counter(fault for v in verdicts for fault in v.faults)
    where = Counter(_room(death) for v in verdicts for death in v.deaths)
    pages, bundles = sum(v.pages for v in verdicts), sum(v.bundles for v in verdicts)
    print(f"pages {pages}, bundles {bundles}, deaths {deaths}, faults {dict(faults)}")
    print(f"deaths at: {dict(where.most_common(12))}")


def _room(death: str) -> str:
    return " ".join(death.split()[:2]) if death[:1].isupper() else death


@click.command()
@click.option("--schedules", "count", default=10_000, show_default=True)
@click.option("--seed", default=1, show_default=True, help="The first seed; each schedule has one.")
@click.option("--kills", "number", default=10, show_default=True, help="Real SIGKILLs.")
@click.option("--kafka", is_flag=True, help="The real processes use Apache Kafka.")
@click.option("--replay", "again", type=int, help="Play the schedule of one seed, and show it.")
def main(count: int, seed: int, number: int, kafka: bool, again: int | None) -> None:
    """Try to lose a page."""
    if again is not None:
        with stage() as one:
            print(draw(again))
            verdict = one.replay(again)
            for message in one.standins.messages:
                print(message.at.time(), message.service, message.what, message.key, message.effect)
            print(verdict)
            raise SystemExit(not verdict.fine)
    print(f"seeds {seed} to {seed + count - 1}", flush=True)
    with ThreadPoolExecutor(1) as beside:  # kills wait more than they work, and are to be hurried
        playing = beside.submit(schedules, count, seed)
        real = kills.campaign(number, seed=seed, kafka=kafka)
        verdicts = playing.result()
    told(verdicts)
    sums = summed(verdicts, real)
    if broken := {what: number for what, number in sums.items() if what in BROKEN and number}:
        print(f"broken: {broken}")
    print(
        f"chaos: {len(verdicts)} schedules, pages lost {sums['pages lost']}, "
        f"PagerDuty duplicates {sums['PagerDuty duplicates']}, "
        f"Slack duplicates {sums['Slack duplicates']} (labelled), "
        f"posts lost {sums['posts lost']}, seed {seed}"
    )
    raise SystemExit(bool(broken))


BROKEN = {
    "pages lost",
    "PagerDuty duplicates",
    "Slack duplicates without a label",
    "alerts with a wrong end",
    "posts lost",
    "posts counted twice",
    "no storm",
}
"""What is never to be; a Slack message that says it may be a repeat is within the promise."""
STORMS_FROM = 1000
"""So many schedules cannot go by without a bundle."""


def summed(verdicts: Sequence[Verdict], real: Real) -> dict[str, int]:
    """Add up what went wrong in schedules and real kills, by its name."""
    bundles = sum(v.bundles for v in verdicts)
    return {
        "pages lost": sum(len(v.lost) for v in verdicts) + real.pages_lost,
        "PagerDuty duplicates": sum(len(v.pagerduty_duplicates) for v in verdicts)
        + real.pagerduty_duplicates,
        "Slack duplicates": sum(v.slack_duplicates for v in verdicts) + real.slack_duplicates,
        "Slack duplicates without a label": sum(v.unlabelled for v in verdicts) + real.unlabelled,
        "alerts with a wrong end": sum(len(v.wrong_end) for v in verdicts),
        "posts lost": real.posts_lost,
        "posts counted twice": real.posts_counted_twice,
        "no storm": int(len(verdicts) >= STORMS_FROM and not bundles),
    }


if __name__ == "__main__":
    main()

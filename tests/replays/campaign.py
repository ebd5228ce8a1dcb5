"""
Campaign: every recorded stream of the shared data through the whole product, held against the back-test.

``python -m tests.replays.campaign``: what ``make replays`` runs. Each run is written down when it is
over: an interrupted campaign goes on where it was, and one of another code begins anew.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from tests.broker import KIND
from tests.replays import book
from tests.replays.book import Done
from tests.replays.run import Told, backtest, differences, product
from tests.replays.stream import Stream, streams
from tests.replays.table import INTRODUCTION, table
from tests.shared import ROOT, SHARED

FAST = 10_000.0
SLICE = ("spotify-outage-2017-11-28", "2017-11-28T19:30:00+00:00", "2017-11-28T22:30:00+00:00")
"""Three hours with an onset in them, replayed at x 100: 108 s."""
SLICE_SPEED = 100.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """One run: what, over how many partitions, how fast (None: as fast as it goes)."""

    stream: Stream
    partitions: int
    speed: float | None

    @property
    def part(self) -> str:
        """Which posts."""
        if (window := self.stream.window) is None:
            return self.stream.name
        return f"{self.stream.name} {window[0]:%Y%m%d%H%M}-{window[1]:%Y%m%d%H%M}"

    @property
    def name(self) -> str:
        """What it is called in the book."""
        speed = "unthrottled" if self.speed is None else f"x {self.speed:,.0f}"
        return f"{self.part}, {self.partitions} partitions, {speed}, {KIND}"


def plan(every: Sequence[Stream], partitions: Sequence[int]) -> Iterator[Wanted]:
    """Yield the runs: all unthrottled, all once at x 10,000, one slice at x 100."""
    for stream in every:
        for count in partitions:
            yield Wanted(stream, count, None)
    name, begin, end = SLICE
    for stream in every:
        if stream.name == name:
            part = stream.slice(datetime.fromisoformat(begin), datetime.fromisoformat(end))
            yield Wanted(part, 4, SLICE_SPEED)
    for stream in sorted(every, key=_span):
        yield Wanted(stream, 4, FAST)


def _span(stream: Stream) -> float:
    return 0.0 if stream.window is None else (stream.window[1] - stream.window[0]).total_seconds()


def run(wanted: Wanted, data: Path, code: str, expected: list[Told] | None) -> Done:
    """Run one, and compare; what the back-test says of these posts may be known already."""
    with tempfile.TemporaryDirectory(prefix="uproar-replay-") as place:
        folder = Path(place)
        file, watch = wanted.stream.write(data, folder)
        if expected is None:
            expected = backtest(file, watch)
        got, seconds = product(
            file, watch, folder / "house", partitions=wanted.partitions, speed=wanted.speed
        )
    return Done(
        code=code,
        name=wanted.name,
        stream=wanted.stream.name,
        part=wanted.part,
        partitions=wanted.partitions,
        speed=wanted.speed,
        seconds=seconds,
        expected=expected,
        differences=differences(expected, got),
    )


@click.command()
@click.option("--only", multiple=True, help="Part of a stream's id; may be given again.")
@click.option("--partitions", multiple=True, type=int, default=(1, 4, 12), show_default=True)
@click.option(
    "--minutes", default=0.0, help="Begin nothing new after so long; 0: go on to the end."
)
@click.option("--throttled/--unthrottled", default=None, help="Only these; by default both.")
@click.option(
    "--book",
    "path",
    default=ROOT / "build" / "replays" / "runs.jsonl",
    type=click.Path(path_type=Path),
    help="Where each run is written down.",
)
@click.option("--write", type=click.Path(path_type=Path), help="Write the table there as well.")
def main(
    *,
    only: tuple[str, ...],
    partitions: tuple[int, ...],
    minutes: float,
    throttled: bool | None,
    path: Path,
    write: Path | None,
) -> None:
    """Replay the recorded streams of ../shared and compare, event by event, with the back-test."""
    if SHARED is None:
        raise SystemExit("the recorded streams (../shared/data) are not here")
    data, code, began = SHARED / "data", book.version(), datetime.now(UTC)
    every = [s for s in streams(data) if not only or any(part in s.name for part in only)]
    runs = [w for w in plan(every, partitions) if throttled in {None, w.speed is not None}]
    path.parent.mkdir(parents=True, exist_ok=True)
    done = book.read(path, code)
    for number, wanted in enumerate(runs, start=1):
        if wanted.name in done:
            continue
        if minutes and (datetime.now(UTC) - began).total_seconds() > minutes * 60:
            break
        print(f"{number} of {len(runs)}: {wanted.name}", end=" ", flush=True)
        known = next((d.expected for d in done.values() if d.part == wanted.part), None)
        one = done[wanted.name] = run(wanted, data, code, known)
        book.add(path, one)
        print(f"{len(one.expected)} events, {_verdict(one)}, {one.seconds:.0f} s", flush=True)
        for difference in one.differences[:20]:
            print(f"    {difference}", flush=True)
    shown = table(every, [done[w.name] for w in runs if w.name in done])
    print(shown)
    if write:
        count = sum(wanted.name in done for wanted in runs)
        whole = len(list(plan(streams(data), (1, 4, 12))))
        runs_said = f"Runs in this table: {count}, of {whole}; of the code and model `{code}`."
        write.write_text(f"{INTRODUCTION}\n{runs_said}\n\n{shown}\n", "utf-8")
    left = sum(wanted.name not in done for wanted in runs)
    different = [one.name for one in done.values() if one.differences]
    print(
        f"replays: {len(runs) - left} of {len(runs)} runs, different from the back-test {len(different)}"
    )
    sys.exit(bool(different or left))


def _verdict(done: Done) -> str:
    return f"{len(done.differences)} DIFFERENCES" if done.differences else "equal"


if __name__ == "__main__":
    main()

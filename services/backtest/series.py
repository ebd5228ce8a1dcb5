"""`uproar series`: the volume detector on a bare count series, a JSON line for each point."""

import csv
import math
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from rich.console import Console

from services.ingest.recording import MAX_LINE_BYTES
from services.process import read_text
from uproar.detect.volume import Strangeness, strangeness
from uproar.errors import Malformed
from uproar.subject import alarms_per_day

MAX_BYTES = 256 * 1024 * 1024
COLUMNS = ("timestamp", "value")


@dataclass(frozen=True, slots=True)
class Series:
    """Counts, evenly spaced; the timestamps as they stand in the file."""

    timestamps: list[str]
    values: list[float]
    begin: datetime
    step: timedelta


def main(file: Path, *, budget: str, as_json: bool) -> None:
    """Write a JSON line for each point to stdout; without ``as_json`` also a summary to stderr."""
    series = read(file)
    judged = strangeness(
        series.values,
        step=series.step,
        first_hour=series.begin.hour,
        alarms_per_day=alarms_per_day(budget),
    )
    out, encoder = sys.stdout.buffer, msgspec.json.Encoder()
    for timestamp, value, score, alarm in zip(
        series.timestamps, series.values, judged.score.tolist(), judged.alarm.tolist(), strict=True
    ):
        number = int(value) if value.is_integer() else value
        point = {"timestamp": timestamp, "value": number, "score": round(score, 4), "alarm": alarm}
        out.write(encoder.encode(point) + b"\n")
    out.flush()
    if not as_json:
        _summarise(series, judged, budget)


def read(file: Path) -> Series:
    """
    Read a CSV with the columns ``timestamp`` (ISO 8601) and ``value``.

    Raises:
        Misconfigured: It cannot be read, or not within 256 MB.
        Malformed: It is no such series; the reason names the line.
    """
    text = read_text(file, most=MAX_BYTES).removeprefix("\ufeff")
    csv.field_size_limit(MAX_LINE_BYTES)
    rows = csv.DictReader(text.splitlines())
    try:
        names = rows.fieldnames or ()
    except csv.Error as error:
        raise Malformed(f"{file}: line 1: {error}") from error
    if missing := [name for name in COLUMNS if name not in names]:
        raise Malformed(f"{file}: line 1: no column {' and '.join(missing)}")
    timestamps, moments, values = [], [], []
    try:
        for row in rows:
            timestamps.append(row["timestamp"])
            moments.append(_moment(row["timestamp"]))
            values.append(_value(row["value"]))
            _check(moments)
    except (Malformed, csv.Error) as error:
        raise Malformed(f"{file}: line {rows.line_num}: {error}") from error
    if len(values) < 2:
        raise Malformed(f"{file}: {len(values)} points: a series needs two at least")
    return Series(timestamps, values, moments[0], moments[1] - moments[0])


def _moment(text: str | None) -> datetime:
    try:
        return datetime.fromisoformat((text or "").strip())
    except ValueError as error:
        raise Malformed(f"timestamp {(text or '')[:40]!r}: write 2026-01-31T09:00:00") from error


def _value(text: str | None) -> float:
    try:
        value = float(text or "")
    except ValueError as error:
        raise Malformed(f"value {(text or '')[:40]!r} is no number") from error
    if not math.isfinite(value) or value < 0:
        raise Malformed(f"value {text}: a count is 0 or more")
    return value


def _check(moments: list[datetime]) -> None:
    """Refuse a point that is not as far from the one before as the second from the first."""
    if len(moments) < 2:
        return
    try:
        step, gap = moments[1] - moments[0], moments[-1] - moments[-2]
    except TypeError as error:
        raise Malformed("some timestamps have a time zone, others none") from error
    if gap <= timedelta(0):
        raise Malformed("timestamps must rise")
    if gap != step:
        raise Malformed(f"{gap} after the point before, where {step} is usual: not evenly spaced")


def _summarise(series: Series, judged: Strangeness, budget: str) -> None:
    days = len(series.values) * series.step / timedelta(days=1)
    raised = [t for t, alarm in zip(series.timestamps, judged.alarm, strict=True) if alarm]
    console = Console(stderr=True, highlight=False)
    console.print(f"{len(series.values)} points over {days:.1f} days, {len(raised)} alarms", end="")
    console.print(f" (chance alone may raise {budget})")
    for timestamp in raised:
        console.print(f"  {timestamp}")

"""Recordings: the research files as the yardstick reads them, from where the user puts them."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np

from services.backtest.evaluate.background import STEP, Array
from services.backtest.series import read as read_series
from uproar.errors import Malformed, Misconfigured

TICKERS: Final = ("AAPL", "CRM", "FB", "KO", "UPS")
PARTS: Final = ("volumes", "replays")


@dataclass(frozen=True, slots=True)
class Recording:
    """
    Posts of a real brand in five minutes each.

    Attributes:
        begin: Minute at which it begins, since 1970.
        counts: Posts, shape (steps,).
        usual: Whether a step is everyday life: no labelled event, no hole.
    """

    name: str
    begin: int
    counts: Array
    usual: Array


def check(data: Path) -> Path:
    """
    Return the folder of the research data.

    Raises:
        Misconfigured: It is not there, or not whole; the reason says what is missing.
    """
    missing = [part for part in PARTS if not (data / part).is_dir()]
    if missing:
        raise Misconfigured(
            f"{data}: no folder {' and '.join(missing)} in it; --data names the research data"
            " (volumes/nab, volumes/crisislex, replays), which uproar does not ship"
        )
    return data


def read_json(path: Path) -> Any:
    """
    Read a JSON document.

    Raises:
        Misconfigured: It is not there.
        Malformed: It is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Misconfigured(f"cannot read {path}: {error}") from error
    except ValueError as error:
        raise Malformed(f"{path} is no JSON: {error}") from error


def moment(text: str) -> datetime:
    """Read a time; one without a zone is UTC."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def tickers(data: Path) -> list[Recording]:
    """Read NAB's five series; their labelled windows are not everyday life."""
    windows = read_json(data / "volumes" / "nab_windows.json")
    found = []
    for name in TICKERS:
        file = f"Twitter_volume_{name}.csv"
        series = read_series(data / "volumes" / "nab" / file)
        begin = int(series.begin.replace(tzinfo=UTC).timestamp() // 60)
        values = np.array(series.values)
        usual = np.ones(len(values), dtype=bool)
        for first, last in windows[f"realTweets/{file}"]:
            at = [(int(moment(t).timestamp() // 60) - begin) // STEP for t in (first, last)]
            usual[max(at[0], 0) : at[1] + 1] = False
        found.append(Recording(name, begin, values, usual))
    return found


def posts(file: Path) -> Iterator[dict[str, Any]]:
    """Read the rows of a replay."""
    try:
        with (
            gzip.open(file, "rt") if file.suffix == ".gz" else file.open(encoding="utf-8") as lines
        ):
            yield from map(json.loads, lines)
    except OSError as error:
        raise Misconfigured(f"cannot read {file}: {error}") from error


_EVERYDAY: Final = {  # what of a replay is everyday life: replays.json tells why
    "airline-virginamerica-2015": (None, None),
    "airline-southwest-2015": (None, "2015-02-21T12:00:00Z"),
    "airline-united-2015": (None, "2015-02-22T00:00:00Z"),
    "us-airways-storm-2015-02-21": (None, "2015-02-21T18:00:00Z"),
    "free-fibre-sabotage-2024-07-29": ("2024-07-30T12:00:00Z", "2024-10-15T00:00:00Z"),
}


@dataclass(frozen=True, slots=True)
class Labelled:
    """Posts of a small brand one by one: minutes since 1970, and which are labelled negative."""

    recording: Recording
    minutes: Array
    negative: Array | None


def streams(data: Path) -> list[Labelled]:
    """Read the streams of small brands, their events not counted as everyday life."""
    entries = {entry["id"]: entry for entry in read_json(data / "replays" / "replays.json")}
    found = []
    for name, (first, last) in _EVERYDAY.items():
        entry = entries[name]
        rows = [
            row
            for row in posts(data / entry["file"])
            if row.get("brand") == entry["brand"] and not row.get("author_is_brand")
        ]
        minutes = np.array([int(moment(r["created_at"]).timestamp() // 60) for r in rows])
        labels = [(row.get("labels") or {}).get("sentiment") for row in rows]
        known = sum(label is not None for label in labels) > 0.9 * len(labels)
        negative = np.array([label == "negative" for label in labels]) if known else None
        begin = int(minutes[0]) // 1440 * 1440
        counts = np.bincount((minutes - begin) // STEP).astype(np.float64)
        at = begin + np.arange(len(counts)) * STEP
        usual = (at >= (_at(first) or minutes[0])) & (at < (_at(last) or minutes[-1]))
        for event in entry["other_events"]:
            usual &= np.abs(at - (_at(event["utc"]) or 0)) > timedelta(hours=12) / timedelta(
                minutes=1
            )
        found.append(Labelled(Recording(entry["brand"], begin, counts, usual), minutes, negative))
    return found


def _at(text: str | None) -> int | None:
    return None if text is None else int(moment(text).timestamp() // 60)

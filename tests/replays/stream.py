"""Stream: a recorded stream of the shared data, as posts and a watch list that the product reads."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from services.backtest.evaluate.in_time import Entry
from services.backtest.evaluate.recordings import posts, read_json
from services.backtest.evaluate.replays import entries, input_post, watched

Window = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Stream:
    """
    What is replayed.

    Attributes:
        entries: What happened in it: those of one brand in one file and window.
        window: The slice that is replayed; None for the whole file.
    """

    entries: tuple[Entry, ...]
    window: Window | None

    @property
    def name(self) -> str:
        """What to call it."""
        return self.entries[0].id

    @property
    def brand(self) -> str:
        """Whom it is about."""
        return self.entries[0].brand

    def slice(self, begin: datetime, end: datetime) -> "Stream":
        """Return a part of it."""
        return replace(self, window=(begin, end))

    def write(self, data: Path, folder: Path) -> tuple[Path, Path]:
        """Write posts and watch list into a folder; returns where they are."""
        folder.mkdir(parents=True, exist_ok=True)
        file, watch = folder / f"{self.name}.jsonl", folder / "watch.toml"
        with file.open("w", encoding="utf-8") as out:
            out.writelines(json.dumps(post) + "\n" for post in self._posts(data))
        subject = watched(self.entries[0])
        table = {name: getattr(subject, name) for name in ("id", "name", "aliases", "handles")}
        lines = (f"{name} = {json.dumps(value)}\n" for name, value in table.items())  # also TOML
        watch.write_text("[[subject]]\n" + "".join(lines), "utf-8")
        return file, watch

    def _posts(self, data: Path) -> Iterator[dict[str, Any]]:
        subjects = {self.brand: watched(self.entries[0])}
        for row in posts(data / self.entries[0].file):
            at = datetime.fromisoformat(row["created_at"])
            if self.window is None or self.window[0] <= at <= self.window[1]:
                yield input_post(row, subjects)


def streams(data: Path) -> list[Stream]:
    """Return every stream of the index: one for each brand, file and window."""
    rows: Sequence[dict[str, Any]] = read_json(data / "replays" / "replays.json")
    told = {entry.id: entry for entry in entries(data)}
    found: dict[tuple[Any, ...], Stream] = {}
    for row in rows:
        window = _window(row.get("window_utc"))
        place, entry = (row["file"], row["brand"], window), told[row["id"]]
        if place in found:
            found[place] = replace(found[place], entries=(*found[place].entries, entry))
        else:
            found[place] = Stream((entry,), window)
    return list(found.values())


def _window(given: Sequence[str] | None) -> Window | None:
    if given is None:
        return None
    begin, end = map(datetime.fromisoformat, given)
    return begin, end

"""Data: labelled files -> rows to train, calibrate and measure with, and no leak between them."""

import csv
import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.classifier.evaluate.rows import same
from services.classifier.train.settings import BINARY, SENTIMENT, Settings, Source
from uproar.errors import Misconfigured

UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Row:
    """
    A labelled text.

    Attributes:
        sentiment: 0 negative, 1 neutral, 2 positive, -1 unknown.
        binary: For each of :data:`BINARY`: 1 yes, 0 no, -1 unknown.
    """

    text: str
    lang: str
    sentiment: int
    binary: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one file, each in exactly one of three uses, and why others were left out."""

    source: Source
    train: list[Row]
    calibration: list[Row]
    test: list[Row]
    left_out: Counter[str]


def training(settings: Settings) -> list[Part]:
    """Read all training files, leaving out every row that a validation file holds too."""
    held = {
        same(text) for source in settings.validation for text, *_ in _read(settings.data, source)
    }
    return [_part(source, settings, held) for source in settings.source]


def validation(settings: Settings) -> dict[str, list[Row]]:
    """Read the validation files, by file name."""
    return {
        source.file: [_row(source, text, lang, labels) for text, lang, labels, _ in rows]
        for source in settings.validation
        if (rows := list(_read(settings.data, source)))
    }


def _part(source: Source, settings: Settings, held: set[str]) -> Part:
    part = Part(source, [], [], [], Counter())
    seen: set[str] = set()
    for text, lang, labels, dup_of in _read(settings.data, source):
        row = _row(source, text, lang, labels)
        key = same(text)
        if dup_of or key in held:
            part.left_out["in a validation file"] += 1
        elif key in seen:
            part.left_out["repeated"] += 1
        elif row.sentiment == UNKNOWN and max(row.binary) == UNKNOWN:
            part.left_out["no label"] += 1
        else:
            at = _place(key)
            test, calibration = source.test_share, settings.calibration_share
            use = part.test if at < test else part.calibration
            (part.train if at >= test + calibration else use).append(row)
        seen.add(key)
    return part


def _row(source: Source, text: str, lang: str, labels: dict[str, Any]) -> Row:
    used = {head: labels.get(head) for head in source.heads}
    sentiment = used.get("sentiment")
    return Row(
        text=text,
        lang=lang,
        sentiment=SENTIMENT.index(sentiment) if sentiment in SENTIMENT else UNKNOWN,
        binary=tuple(_yes_or_no(used.get(head)) for head in BINARY),
    )


def _yes_or_no(label: object) -> int:
    return int(label) if isinstance(label, bool) else UNKNOWN


def _read(data: Path, source: Source) -> Iterator[tuple[str, str, dict[str, Any], object]]:
    """Yield text, language, labels and ``dup_of`` of each row."""
    path = Path(source.file) if source.file.startswith("./") else data / source.file
    try:
        open_text = gzip.open if path.suffix == ".gz" else open
        with open_text(path, "rt", encoding="utf-8") as lines:
            if path.suffix == ".tsv":
                yield from _read_tsv(lines)
                return
            for line in lines:
                row = json.loads(line)
                yield row["text"], row["lang"], row["labels"], row.get("dup_of")
    except (OSError, ValueError, KeyError) as error:
        raise Misconfigured(f"{path}: {error!r}") from error


def _read_tsv(lines: Any) -> Iterator[tuple[str, str, dict[str, Any], object]]:
    yes = {"yes": True, "no": False}
    for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
        labels: dict[str, Any] = {head: yes.get(row.get(head) or "") for head in BINARY}
        yield row["text"], row["lang"], {"sentiment": row["sentiment"], **labels}, None


def _place(key: str) -> float:
    """A fixed number in [0, 1) for a text: the same use in every run, whatever else changes."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=7).digest()) / 2**56

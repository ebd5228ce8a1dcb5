"""Data: labelled files -> rows to train, calibrate and measure with, and no leak between them."""

import csv
import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.classifier.engine.mention import mark
from services.classifier.evaluate import rows as labelled
from services.classifier.evaluate.leak import leaks
from services.classifier.evaluate.rows import same
from services.classifier.train.settings import Settings, Source
from services.classifier.train.targets import Target, target
from uproar.errors import Misconfigured


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    A text and what it teaches.

    Attributes:
        id: As the file has it; name and line for our own files.
        text: With its subject marked, if the source is about one.
    """

    id: str
    text: str
    lang: str
    target: Target


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one file, each in exactly one of three uses, and why others were left out."""

    source: Source
    train: list[Row]
    calibration: list[Row]
    test: list[Row]
    left_out: Counter[str]


def training(settings: Settings) -> list[Part]:
    """
    Read all training files, leaving out every row that a validation file holds too.

    Raises:
        Misconfigured: A file cannot be read, or (a fault of ours) rows of two uses are the same.
    """
    held = {
        key
        for source in settings.validation
        for row in _read(settings.data, source)
        for key in (same(row.text), row.id)
        if key
    }
    parts = [_part(source, settings, held) for source in settings.source]
    _check(settings, parts)
    return parts


def validation(settings: Settings) -> dict[str, list[Row]]:
    """Read the validation files, by file name."""
    return {
        source.file: rows
        for source in settings.validation
        if (rows := [_row(source, row) for row in _read(settings.data, source)])
    }


def _part(source: Source, settings: Settings, held: set[str]) -> Part:
    part = Part(source, [], [], [], Counter())
    seen: set[str] = set()
    for raw in _read(settings.data, source):
        row = _row(source, raw)
        key = same(raw.text)
        asked = f"{key} {_pictures(raw.text)} {raw.labels.get('target') if source.subject else ''}"
        if raw.lang in source.without_languages:
            part.left_out["its language"] += 1
        elif raw.dup_of or key in held or raw.id in held:
            part.left_out["in a validation file"] += 1
        elif asked in seen:
            part.left_out["repeated"] += 1
        elif not row.target.teaches():
            part.left_out["no label"] += 1
        else:
            at = _place(key)  # of the text: all its subjects have one use
            test, calibration = source.test_share, source.calibration_share
            calibration = settings.calibration_share if calibration is None else calibration
            use = part.test if at < test else part.calibration
            (part.train if at >= test + calibration else use).append(row)
        seen.add(asked)
    if source.most is not None and len(part.train) > source.most:
        chosen = sorted(part.train, key=lambda row: _place(f"most {same(row.text)} {row.id}"))
        kept = {row.id for row in chosen[: source.most]}
        part.left_out["beyond the cap"] = len(part.train) - len(kept)
        part.train[:] = [row for row in part.train if row.id in kept]
    return part


def _pictures(text: str) -> str:
    """Give the emoji of a text: two posts that differ in nothing else may teach opposite things."""
    return "".join(sign for sign in text if unicodedata.category(sign) == "So")


def _check(settings: Settings, parts: list[Part]) -> None:
    """Refuse rows to learn from that are measured on: by id and by text, over all files."""
    measured = {
        "validation": [
            (row.id, row.text)
            for source in settings.validation
            for row in _read(settings.data, source)
        ],
        "test": [(row.id, row.text) for part in parts for row in part.test],
    }
    learned = [
        (row.id, row.text)
        for part in parts
        for use in (part.train, part.calibration)
        for row in use
    ]
    for name, rows in measured.items():
        found = leaks({"training": learned, name: rows})
        if found:
            ((_, ids),) = found.items()
            raise Misconfigured(f"{name} rows are in the training rows: {', '.join(ids[:5])} ...")


def _row(source: Source, row: labelled.Row) -> Row:
    named = str(row.labels.get("target") or "")
    return Row(
        id=row.id,
        text=mark(row.text, (named,) if source.subject else ()),
        lang=row.lang,
        target=target(row.labels, source.heads),
    )


def _read(data: Path, source: Source) -> list[labelled.Row]:
    path = Path(source.file) if source.file.startswith("./") else data / source.file
    if path.suffix != ".tsv":
        return labelled.read(path)
    try:
        with path.open(encoding="utf-8") as lines:
            return list(_read_tsv(lines, path.stem))
    except (OSError, KeyError) as error:
        raise Misconfigured(f"{path}: {error!r}") from error


def _read_tsv(lines: Any, name: str) -> Iterator[labelled.Row]:
    """Read our own posts: a column a label, ``yes``, ``no`` or nothing; ``subject`` is the target."""
    yes = {"yes": True, "no": False}
    for at, row in enumerate(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)):
        labels: dict[str, Any] = {name: yes.get(value, value) for name, value in row.items()}
        labels["target"] = row.get("subject") or ""
        if level := row.get("complaint_severity"):
            labels["complaint_severity"] = int(level)
        yield labelled.Row(id=f"{name}-{at}", text=row["text"], lang=row["lang"], labels=labels)


def _place(key: str) -> float:
    """A fixed number in [0, 1) for a text: the same use in every run, whatever else changes."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=7).digest()) / 2**56

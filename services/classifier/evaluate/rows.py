"""Rows: labelled files as they lie in the research data -> rows with their labels. Not which to use."""

import gzip
import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from services.classifier.engine.tokens import normalise
from uproar.errors import Misconfigured


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    One labelled post.

    Attributes:
        id: As the file has it.
        labels: By the vocabulary of the data's README; an absent one is unknown.
        raw: What else the source says of it.
        dup_of: Validation files that hold its text too.
        own: Written by the brand itself.
        created_at: RFC 3339, where the file has it.
    """

    id: str
    text: str
    lang: str
    labels: dict[str, Any] = field(default_factory=dict)
    raw: dict[str, Any] = field(default_factory=dict)
    dup_of: tuple[str, ...] = ()
    own: bool = False
    created_at: str = ""


def read(file: Path) -> list[Row]:
    """
    Read a file of the research data (JSONL, also ``.gz``).

    Raises:
        Misconfigured: It is absent, or a line is not a row.
    """
    try:
        open_text = gzip.open if file.suffix == ".gz" else open
        with open_text(file, "rt", encoding="utf-8") as lines:
            return [_row(json.loads(line)) for line in lines]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Misconfigured(f"{file}: {error!r}") from error


def read_json(file: Path) -> dict[str, Any]:
    """
    Read a JSON object.

    Raises:
        Misconfigured: It is absent or none.
    """
    try:
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Misconfigured(f"{file}: {error!r}") from error
    return found


def _row(row: dict[str, Any]) -> Row:
    return Row(
        id=row["id"],
        text=row["text"],
        lang=row["lang"],
        labels=row["labels"],
        raw=row.get("raw") or {},
        dup_of=tuple(row.get("dup_of") or ()),
        own=bool(row.get("author_is_brand")),
        created_at=row.get("created_at") or "",
    )


_REMEMBERED = 1 << 18  # texts: a run asks for each of its rows four times
_NOISE = re.compile(r"@user|http\S*|[\W_]+")


@lru_cache(_REMEMBERED)
def same(text: str) -> str:
    """Two texts are the same post when they differ in case, links, handles or punctuation only."""
    words = _NOISE.sub(" ", normalise(text).casefold()).split()
    return " ".join(words) or text

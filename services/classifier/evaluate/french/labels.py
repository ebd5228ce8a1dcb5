"""Labels: the two passes over the French posts, joined with their texts where the data is."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from services.classifier.evaluate import rows
from services.classifier.evaluate.french.draw import FILES, SEED, draw
from services.classifier.evaluate.rows import Row
from uproar.errors import Misconfigured

LABELS = Path(__file__).parent / "labels.tsv"
_SAID = {"yes": True, "no": False, "": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What was said of a post; ``second`` and ``adjudicated`` are None where nobody said it."""

    id: str
    first: bool
    second: bool | None
    adjudicated: bool | None

    @property
    def complaint(self) -> bool:
        """What counts: the adjudicated label, else the one both gave, else that of the one pass."""
        return self.first if self.adjudicated is None else self.adjudicated


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A post with its label."""

    text: str
    complaint: bool
    first: bool
    second: bool | None


def read(file: Path = LABELS) -> list[Label]:
    """
    Read the labels.

    Raises:
        Misconfigured: A line is no label, or the passes differ and nobody decided between them.
    """
    with file.open(encoding="utf-8") as lines:
        try:
            found = [
                Label(
                    id=row["id"],
                    first=bool(_SAID[row["first"] or "no"]),
                    second=_SAID[row["second"]],
                    adjudicated=_SAID[row["adjudicated"]],
                )
                for row in csv.DictReader(lines, delimiter="\t")
            ]
        except KeyError as error:
            raise Misconfigured(f"{file}: yes, no or nothing expected, not {error}") from error
    open_ones = [
        label.id
        for label in found
        if label.second not in {None, label.first} and label.adjudicated is None
    ]
    if open_ones:
        raise Misconfigured(f"{file}: nobody decided between the passes: {', '.join(open_ones)}")
    return found


def posts(data: Path) -> list[Row]:
    """Draw the 300 posts from the research data: the same ones every time."""
    rng = np.random.default_rng(SEED)
    return [row for file in FILES.values() for row in draw(rows.read(data / file), rng)]


def labelled(data: Path) -> list[Labelled]:
    """
    Join labels and texts.

    Raises:
        Misconfigured: The data gives other posts than those that were labelled.
    """
    labels = {label.id: label for label in read()}
    drawn = posts(data)
    if labels.keys() != {row.id for row in drawn}:
        raise Misconfigured(f"{data}: its French posts are not those that were labelled")
    return [
        Labelled(
            text=row.text,
            complaint=labels[row.id].complaint,
            first=labels[row.id].first,
            second=labels[row.id].second,
        )
        for row in drawn
    ]

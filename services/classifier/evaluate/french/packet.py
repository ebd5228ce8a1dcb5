"""
Packet: what an annotator gets, and what comes of it. Texts go to a file outside of the repository.

``python -m services.classifier.evaluate.french.packet --data ../shared/data --seed 2 > /tmp/posts.tsv``
writes ids and texts in an order of its own; ``... packet --take answers.tsv`` enters a second pass
(lines of ``id<TAB>yes|no``) into the labels and prints the ids on which the two passes differ.
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np

from services.classifier.evaluate.french.labels import LABELS, posts
from uproar.errors import Misconfigured

_COLUMNS = ("id", "first", "second", "adjudicated")


def write(data: Path, seed: int) -> str:
    """Give ids and texts, one post a line, in an order drawn from ``seed``."""
    drawn = posts(data)
    order = np.random.default_rng(seed).permutation(len(drawn))
    lines = [f"{drawn[at].id}\t{' '.join(drawn[at].text.split())}\n" for at in order]
    return "".join(lines)


def take(answers: Path, labels: Path = LABELS) -> list[str]:
    """
    Enter a second pass.

    Returns:
        The ids on which the two passes differ: somebody has to decide (column ``adjudicated``).

    Raises:
        Misconfigured: A post has no answer, two, or one that is neither yes nor no.
    """
    given = [line.split("\t")[:2] for line in answers.read_text("utf-8").splitlines() if line]
    said = {row[0]: row[-1].strip().lower() for row in given}
    with labels.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    wrong = sorted({row["id"] for row in rows} ^ said.keys())
    wrong += [post for post, answer in said.items() if answer not in {"yes", "no"}]
    if wrong or len(given) != len(said):
        raise Misconfigured(f"{answers}: one yes or no for each post, wrong: {', '.join(wrong)}")
    for row in rows:
        row["second"] = said[row["id"]]
    text = "\t".join(_COLUMNS) + "\n"
    text += "".join("\t".join(row[column] for column in _COLUMNS) + "\n" for row in rows)
    labels.write_text(text, "utf-8")
    return [row["id"] for row in rows if row["first"] != row["second"]]


def main() -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--take", type=Path)
    given = parser.parse_args()
    if given.take is not None:
        sys.stdout.write("".join(f"{post}\n" for post in take(given.take)))
    else:
        sys.stdout.write(write(given.data, given.seed))


if __name__ == "__main__":
    main()

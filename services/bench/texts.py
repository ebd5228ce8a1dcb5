"""Texts: distinct posts to measure with, made of our own sentences. The same ones every time."""

import csv
import gzip
import json
from collections.abc import Iterator
from importlib.resources import files
from itertools import islice
from pathlib import Path
from random import Random

from uproar.errors import Malformed

_SENTENCES = ("train/data/brand_talk.tsv", "evaluate/behaviour.tsv")
_PARTS = (1, 2, 2, 3)  # sentences in a post: 29 tokens in the mean, as tweets have
_SEED = 7


def made(count: int, *, seed: int = _SEED) -> list[str]:
    """Make posts, no two alike."""
    return list(islice(_distinct(Random(seed)), count))


def recorded(file: Path, count: int, *, least: int | None = None) -> list[str]:
    """
    Take the first distinct texts of a JSONL file, packed (``.gz``) or not.

    Args:
        file: One object with a ``text`` a line.
        count: As many as are wanted.
        least: With so many it is content.

    Raises:
        Malformed: A line is no object with a text, or there are too few of them.
    """
    found: dict[str, None] = {}
    with (gzip.open if file.suffix == ".gz" else open)(file, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                found[str(json.loads(line)["text"])] = None
            except (ValueError, KeyError, TypeError) as error:
                raise Malformed(f"{file}:{number}: no object with a text: {error!r}") from error
            if len(found) == count:
                return list(found)
    if len(found) < (least or count):
        raise Malformed(f"{file} holds {len(found)} distinct texts, {least or count} are needed")
    return list(found)


def with_repeats(texts: list[str], share: float, *, seed: int = _SEED) -> list[str]:
    """Put in place of a share of the texts copies of others, spread over all; same number."""
    rng = Random(seed)
    copies = round(len(texts) * share)
    kept = texts[: len(texts) - copies]
    mixed = kept + [rng.choice(kept) for _ in range(copies)]
    rng.shuffle(mixed)
    return mixed


def _distinct(rng: Random) -> Iterator[str]:
    sentences, seen = _sentences(), set[str]()
    while True:
        text = " ".join(rng.sample(sentences, rng.choice(_PARTS)))
        if text not in seen:
            seen.add(text)
            yield text


def _sentences() -> list[str]:
    found = []
    for name in _SENTENCES:
        with (files("services.classifier") / name).open(encoding="utf-8") as lines:
            found += [row["text"] for row in csv.DictReader(lines, delimiter="\t")]
    return found

"""Draw: which 300 French posts are labelled. The same ones for everybody who has the research data."""

from collections.abc import Sequence

import numpy as np

from services.classifier.evaluate.rows import Row, same

FILES = {"rerc": "unlabelled/rerc_fr.jsonl", "free": "replays/free_fr_2024_summer.jsonl"}
"""Prefix of the ids -> file. For validation only: never train on them."""
EACH = 150
SEED = 20261126


def draw(rows: Sequence[Row], rng: np.random.Generator, count: int = EACH) -> list[Row]:
    """
    Draw posts of customers, each text once.

    Args:
        rows: All posts of one file, in its order.
        rng: Where chance comes from.
        count: How many.
    """
    seen: set[str] = set()
    distinct = []
    for row in rows:
        if row.own or same(row.text) in seen:
            continue
        seen.add(same(row.text))
        distinct.append(row)
    return [distinct[at] for at in sorted(rng.permutation(len(distinct))[:count])]

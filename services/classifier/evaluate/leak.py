"""Leak: rows that two parts share, by id and by what the text says; pure."""

from collections.abc import Iterable, Mapping
from itertools import combinations

from services.classifier.evaluate.rows import same

Part = Iterable[tuple[str, str]]
"""Ids and texts of its rows."""


def leaks(parts: Mapping[str, Part]) -> dict[tuple[str, str], list[str]]:
    """
    Find what two parts share.

    Args:
        parts: Training, calibration, validation, test: rows of each as (id, text). An id counts
            as the same only where it is not empty; a text, if it differs in case, links, handles or
            punctuation only.

    Returns:
        For each pair of parts that share something, the ids (of the first) that they share.
    """
    keys = {name: _keys(rows) for name, rows in parts.items()}
    found = {}
    for one, other in combinations(keys, 2):
        shared = keys[one].keys() & keys[other].keys()
        if shared:
            found[one, other] = sorted({keys[one][key] for key in shared})
    return found


def _keys(rows: Part) -> dict[tuple[str, str], str]:
    keys: dict[tuple[str, str], str] = {}
    for row, text in rows:
        if row:
            keys["id", row] = row
        keys["text", same(text)] = row
    return keys

"""Soft labels: what a teacher thinks of each training row. Hashes of ids and numbers, no text."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.classifier.train.targets import COLUMNS
from uproar.errors import Misconfigured

Logits = NDArray[np.float32]


def write(file: Path, parts: Mapping[str, tuple[Sequence[str], Logits]]) -> None:
    """
    Write soft labels.

    Args:
        file: An ``.npz``.
        parts: By file of the rows: their ids and the teacher's logits (rows, columns); NaN rows
            are left out.
    """
    arrays: dict[str, NDArray[np.generic]] = {"columns": np.array(COLUMNS)}
    for name, (ids, logits) in parts.items():
        known = ~np.isnan(logits[:, 0])
        arrays[f"{name}:rows"] = _digests(ids)[known]
        arrays[f"{name}:logits"] = logits[known].astype(np.float16)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as out:
        np.savez_compressed(out, allow_pickle=False, **arrays)


def read(file: Path, parts: Sequence[tuple[str, Sequence[str]]]) -> Logits:
    """
    Read the soft labels of rows.

    Args:
        file: As :func:`write` wrote it.
        parts: File and ids of the rows, part by part.

    Returns:
        (rows, columns) in that order; NaN for a row the teacher did not see.

    Raises:
        Misconfigured: It cannot be read, or is of another set of heads.
    """
    try:
        with np.load(file, allow_pickle=False) as stored:
            if tuple(stored["columns"]) != COLUMNS:
                raise Misconfigured(f"{file}: a teacher of other heads: {stored['columns']}")
            found = [
                _looked_up(stored[f"{name}:rows"], stored[f"{name}:logits"], _digests(ids))
                if f"{name}:rows" in stored.files
                else np.full((len(ids), len(COLUMNS)), np.nan, np.float32)
                for name, ids in parts
            ]
    except (OSError, ValueError, KeyError) as error:
        raise Misconfigured(f"{file}: no soft labels: {error!r}") from error
    return np.concatenate(found)


def _looked_up(
    known: NDArray[np.uint64], logits: NDArray[np.float16], wanted: NDArray[np.uint64]
) -> Logits:
    place = {int(digest): at for at, digest in enumerate(known)}
    at = np.array([place.get(int(digest), -1) for digest in wanted], int)
    rows = np.full((len(wanted), len(COLUMNS)), np.nan, np.float32)
    rows[at >= 0] = logits[at[at >= 0]]
    return rows


def _digests(ids: Sequence[str]) -> NDArray[np.uint64]:
    return np.array(
        [int.from_bytes(hashlib.blake2b(i.encode(), digest_size=6).digest()) for i in ids],
        np.uint64,
    )

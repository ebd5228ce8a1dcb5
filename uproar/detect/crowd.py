"""Crowd: how many distinct people there are, in a few bytes: exact for a few, estimated for many."""

import hashlib
import math
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from uproar.watch import AUTHORS, SKETCH_BYTES, Array, Rows

Bytes = np.ndarray[Any, np.dtype[np.uint8]]

REGISTERS: Final = 2 * SKETCH_BYTES
_ALPHA: Final = 0.7213 / (1 + 1.079 / REGISTERS)  # HyperLogLog's constant
_MOST_RANK: Final = 15  # what four bits hold


def name_of(author: str) -> int:
    """Number an author, the same in every process; 64 bits, never 0."""
    digest = hashlib.blake2b(author.encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


def names_of(texts: Iterable[str]) -> Array:
    """Number many at once, as :func:`name_of`; uint64."""
    digests = [
        hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest() for text in texts
    ]
    return np.maximum(np.frombuffer(b"".join(digests), "<u8").astype(np.uint64), 1)


def remember(w: Rows, rows: Array, authors: Array, minute: int) -> None:
    """
    Keep authors of negative posts of a minute among the newest of their rows.

    Args:
        w: The rows.
        rows: Places of rows; (authors,).
        authors: Whom to keep, for each of them; of too many of a row the last; uint64.
        minute: When they wrote.
    """
    order = np.argsort(rows[::-1], kind="stable")
    rows, short = rows[::-1][order], np.maximum(authors[::-1][order] & 0xFFFFFFFF, 1)
    turn = np.arange(len(rows)) - np.searchsorted(rows, rows)
    names, at = w.change("authors"), w.change("authors_at")
    for number in range(min(int(turn.max(initial=-1)) + 1, AUTHORS)):
        which = turn == number  # no row twice
        mine, name = rows[which], short[which]
        known = names[mine] == name[:, None]
        place = np.where(known.any(axis=1), known.argmax(axis=1), at[mine].argmin(axis=1))
        newer = minute >= at[mine, place]  # a late post does not make one older
        mine, place = mine[newer], place[newer]
        names[mine, place], at[mine, place] = name[newer], minute


def remember_strangers(w: Rows, count: Array, minute: int) -> None:
    """Keep so many authors that nobody has heard of among the newest of each row."""
    names, at = w.change("authors"), w.change("authors_at")
    for number in range(AUTHORS):
        rows = np.flatnonzero(count > number)
        oldest = at[rows].argmin(axis=1)
        names[rows, oldest] = (minute * AUTHORS + number) % 0xFFFFFFFF + 1
        at[rows, oldest] = minute


def add(sketch: Bytes, author: int) -> None:
    """Count an author in a sketch, in place; a HyperLogLog."""
    register, rest = author % REGISTERS, author >> 6
    rank = min(_MOST_RANK, 59 - rest.bit_length())
    byte, shift = divmod(register, 2)
    shift *= 4
    if rank > (int(sketch[byte]) >> shift) & 15:
        sketch[byte] = int(sketch[byte]) & (0xF0 >> shift) | rank << shift


def count(sketch: Bytes) -> int:
    """Estimate how many authors a sketch has seen: within 1 up to ten, within 15 % or so beyond."""
    ranks = np.concatenate([sketch & 15, sketch >> 4]).astype(np.float64)
    empty = int((ranks == 0).sum())
    estimate = _ALPHA * REGISTERS**2 / float((2.0**-ranks).sum())
    if estimate <= 2.5 * REGISTERS and empty:
        estimate = REGISTERS * math.log(REGISTERS / empty)
    return round(estimate)

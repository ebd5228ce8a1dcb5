"""Crowd: how many distinct people there are, in a few bytes: exact for a few, estimated for many."""

import hashlib
import math
from typing import Any, Final

import numpy as np

from uproar.watch import AUTHORS, SKETCH_BYTES, Array, Row, Rows

Bytes = np.ndarray[Any, np.dtype[np.uint8]]

REGISTERS: Final = 2 * SKETCH_BYTES
_ALPHA: Final = 0.7213 / (1 + 1.079 / REGISTERS)  # HyperLogLog's constant
_MOST_RANK: Final = 15  # what four bits hold


def name_of(author: str) -> int:
    """Number an author, the same in every process; 64 bits, never 0."""
    digest = hashlib.blake2b(author.encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


def remember(row: Row, author: int, minute: int) -> None:
    """Keep an author of a negative post among the newest of a row."""
    names, at = row.change("authors"), row.change("authors_at")
    short = author & 0xFFFFFFFF or 1
    known = np.flatnonzero(names == short)
    if len(known):
        at[known[0]] = max(minute, at[known[0]])
        return
    oldest = int(np.argmin(at))
    if minute >= at[oldest]:
        names[oldest], at[oldest] = short, minute


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

"""Heard: posts as columns of numbers, as detection counts them. No texts, no statistics."""

from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np

from uproar.watch import Array

UNSCORED: Final = -1.0


@dataclass(frozen=True, slots=True)
class Heard:
    """
    Posts about subjects of a partition; arrays of shape (posts,) if nothing else is said.

    Attributes:
        at: float64, event time, seconds since 1970.
        post: uint64, name of the post's id.
        slot: int64, whom it is about.
        author: uint64, name of its author; of the post itself when it has none.
        copy: uint64, shape (posts, 2), names of what its text says: near copies share one of the two;
            0 for none.
        negative: float64, probability; UNSCORED when the model could not say.
        positive: float64.
        counted: bool, it was counted before a crash: it only reminds of its author and its copies.
        filled: bool, it was counted unscored, and brings its scores: no post more.
    """

    at: Array
    post: Array
    slot: Array
    author: Array
    copy: Array
    negative: Array
    positive: Array
    counted: Array
    filled: Array

    def __len__(self) -> int:
        return len(self.at)

    def __getitem__(self, which: Array | slice) -> Self:
        return type(self)(*(getattr(self, field.name)[which] for field in fields(self)))

    def in_order(self) -> Self:
        """Return them by time and name: no two runs may differ by the order of arrival."""
        if (self.at[1:] > self.at[:-1]).all():
            return self
        return self[np.lexsort((self.slot, self.post, self.at))]


def nothing() -> Heard:
    """Return no posts."""
    floats, names, no = np.zeros(0), np.zeros(0, np.uint64), np.zeros(0, bool)
    texts, slots = np.zeros((0, 2), np.uint64), np.zeros(0, np.int64)
    return Heard(floats, names, slots, names, texts, floats, floats, no, no)


def together(parts: list[Heard]) -> Heard:
    """Put posts one behind the other."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return nothing()
    columns = [[getattr(part, f.name) for part in parts] for f in fields(Heard)]
    return Heard(*map(np.concatenate, columns))


def key(slot: Array, name: Array) -> Array:
    """Mix slots and names into one uint64 each (the finaliser of splitmix64)."""
    with np.errstate(over="ignore"):
        mixed = name.astype(np.uint64) ^ (
            (slot.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        )
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def numbers(hashes: Array) -> Array:
    """Turn whole numbers that stand for people or texts into names: uint64, mixed, never 0."""
    return np.maximum(key(np.zeros(len(hashes), np.int64), hashes), np.uint64(1))

"""Owed: posts that flowed on unscored because the engine failed, until their scores are filled in."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from uproar.post import Post
from uproar.wire import Headers

MOST = 10_000
"""Posts of all partitions; beyond, the oldest of a partition stay unscored."""


@dataclass(frozen=True, slots=True)
class Debt:
    """A post that is owed its scores, and where it stands in its partition."""

    post: Post
    headers: Headers
    offset: int


class Owed:
    """What each partition is owed, oldest first."""

    def __init__(self, *, most: int = MOST) -> None:
        self._most = most
        self._debts: dict[int, deque[Debt]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._debts.values()))

    def add(self, partition: int, debts: Sequence[Debt]) -> int:
        """Remember posts; returns how many older ones had to be given up for them."""
        waiting = self._debts.setdefault(partition, deque())
        waiting.extend(debts)
        over = max(0, min(len(self) - self._most, len(waiting)))
        for _ in range(over):
            waiting.popleft()
        return over

    def first(self, partition: int, count: int) -> list[Debt]:
        """Return the oldest; they stay owed until :meth:`settle`."""
        return list(self._debts.get(partition, ()))[:count]

    def settle(self, partition: int, count: int) -> None:
        """Forget the oldest: filled in, or given up."""
        for _ in range(count):
            self._debts[partition].popleft()

    def forget(self, partition: int) -> None:
        """Forget a partition: it is read again, by us or by somebody else."""
        self._debts.pop(partition, None)

    def oldest(self, partition: int) -> int | None:
        """Offset that the commit must not pass, so that a restart owes the same."""
        waiting = self._debts.get(partition)
        return waiting[0].offset if waiting else None

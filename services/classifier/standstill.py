"""
Standstill: tells a move of partitions that takes long from one that has come to a halt.

Faust waits without bound for what ends a rebalance or the recovery of a table. Where that never comes
the process lives, does nothing and keeps its partitions from others; one that ends is started again,
and begins anew.
"""

from collections.abc import Hashable


class Standstill:
    """The steps of a move, and since when there was none."""

    def __init__(self) -> None:
        self._step: Hashable = None
        self._since: float | None = None

    def over(self) -> None:
        """Nothing moves."""
        self._since = None

    def lasts(self, step: Hashable, *, now: float, answered: bool) -> float:
        """
        Return for how many seconds a move has made no step.

        Args:
            step: How far it is: any change of it is progress.
            now: Monotonic, in seconds.
            answered: Whether the broker answers; while it does not, nobody can move.
        """
        if self._since is None or step != self._step or not answered:
            self._step, self._since = step, now
        return now - self._since

"""
Standstill: tells a move of partitions that takes long from one that has come to a halt.

Faust waits without bound for what ends a rebalance or the recovery of a table. Where that never comes
(seen once, on Apache Kafka: no record of the changelog any more), the process lives, does nothing and
keeps its partitions from others; one that ends is started again, and begins anew.
"""

from collections.abc import Hashable


class Standstill:
    """
    The steps of a move, and since when there was none.

    Args:
        patience: Seconds without a step, while the broker answers, after which it is a halt.
    """

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self._step: Hashable = None
        self._since: float | None = None

    def over(self) -> None:
        """Nothing moves."""
        self._since = None

    def halted(self, step: Hashable, *, now: float, answered: bool) -> bool:
        """
        Say whether the move has come to a halt.

        Args:
            step: How far it is: any change of it is progress.
            now: Monotonic, in seconds.
            answered: Whether the broker answers; while it does not, nobody can move.
        """
        if self._since is None or step != self._step or not answered:
            self._step, self._since = step, now
        return now - self._since > self.patience

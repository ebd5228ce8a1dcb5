"""What the worker asks of an agent (Handler) and what an agent answers (Effects): data, no client."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from uproar.wire import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """
    What shall happen because of a batch; the worker does it, and does it again until it is done.

    Attributes:
        stages: Records to send; all of a stage are acknowledged before the next stage is sent. A
            record without a partition goes where its key says.
        rows: State to keep, by key; written after the last stage is acknowledged.
        hold: Offset the commit must not pass: that of the oldest record which still waits in
            memory. None: nothing waits.
    """

    stages: Sequence[Sequence[Record]] = ()
    rows: Mapping[bytes, bytes] = field(default_factory=dict)
    hold: int | None = None


class Handler(Protocol):
    """
    An agent, as the worker sees it. All calls come on the event loop; those about one partition one
    after the other, those about several partitions side by side.
    """

    def assigned(self, partition: int, rows: Mapping[bytes, bytes], *, offsets_valid: bool) -> None:
        """
        Take over a partition, also one that has never left us: whatever was known of it is void.

        Args:
            partition: Of the source topic.
            rows: All that was ever kept of it.
            offsets_valid: False when the rows were written with the offsets of another broker: the
                first effects must bring all of them anew.
        """

    def revoked(self, partition: int) -> None:
        """Forget a partition: it belongs to somebody else now."""

    async def handle(self, partition: int, records: Sequence[Record]) -> Effects:
        """
        Say what follows from the next records of a partition, in order and without a hole.

        Raises:
            Malformed: A record can never be processed. Raised before anything is remembered: the
                worker calls again with fewer records, and buries the one that is left.
            Unavailable: The world is down. Raised before anything is remembered: the worker calls
                again with the same records.
            Exception: A bug of ours: the process ends, its offset uncommitted.
        """

    def done(self, partition: int) -> None:
        """Learn that all that the last effects of a partition asked for is acknowledged and kept."""

    async def tick(self, partition: int) -> Effects:
        """Say what follows from the time alone; called about once a second."""

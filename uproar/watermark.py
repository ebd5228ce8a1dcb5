"""Watermarks: how far event time has come, carried as records; Frontier: the minimum over them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class State(StrEnum):
    """What a source is: live, bringing history, ended by its own word, or out of our sight."""

    LIVE = "live"
    BACKFILL = "backfill"
    ENDED = "ended"
    BLIND = "blind"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watermark:
    """
    No post of ``source`` with an earlier event time than ``at`` will come behind this record.

    Attributes:
        source: Name of the stream.
        at: Event time reached (UTC), exclusive: a post written at ``at`` may still come.
        state: LIVE counts in the minimum; ENDED counts once more and leaves; BLIND leaves at once;
            BACKFILL holds nothing back.
        partition: The posts partition it came through; None on the posts topic itself.
        partitions: How many posts partitions there are; None on the posts topic itself.
    """

    source: str
    at: datetime
    state: State = State.LIVE
    partition: int | None = None
    partitions: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """
    What ingest says every 10 seconds of one source (``uproar.sources.v1``, compacted).

    Attributes:
        source: Name of the stream.
        state: As in its last watermark.
        event_time: How far its event time has come; None before its first post.
        cursor: Where reading goes on after a restart, in the source's own words.
        last_post_at: Wall clock of the newest post taken.
        reported_at: Wall clock of this report.
    """

    source: str
    state: State
    event_time: datetime | None
    cursor: str | None
    last_post_at: datetime | None
    reported_at: datetime

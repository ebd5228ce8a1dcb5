"""Admit: may a push come in beside the streams that are under way? It changes no stream."""

from collections.abc import Iterable

from services.ingest.cursors import ACTIVE, Behind, Clock, Conflict, Stream
from services.ingest.intake import Push
from uproar.watermark import State

CANARY = "canary"
"""The stream of the product's own test posts: it stands in no replay's way."""


def live_besides(streams: Iterable[Stream], source: str) -> list[Stream]:
    """Return what else is live, the canary apart."""
    return [
        stream
        for stream in streams
        if stream.state is State.LIVE and stream.source not in {source, CANARY}
    ]


def check_live(push: Push, stream: Stream | None) -> None:
    """Raise Conflict where a push without a time of its own meets a stream that has one."""
    if stream and stream.state in ACTIVE and stream.clock is Clock.OWN:
        raise Conflict(
            f"{push.source} goes by its own time: go on with ?up_to, or push live posts "
            "under another ?source"
        )


def check_own(push: Push, stream: Stream | None, streams: Iterable[Stream]) -> None:
    """Raise Conflict where a push with a time of its own contradicts its stream, or another one."""
    if stream is not None:
        _agree(push, stream)
    if push.backfill or push.source == CANARY:
        return
    if stream and push.end and stream.state is State.LIVE and stream.clock is Clock.WALL:
        return  # a live push that says good-bye brings no time of its own
    for other in live_besides(streams, push.source):
        raise Conflict(
            f"{other.source} is live: a stream with a time of its own would hold it back. "
            "Send it with ?backfill=true, or to an ingest where nothing else is live"
        )


def check_network(push: Push, stream: Stream | None) -> None:
    """Raise Conflict where somebody pushes under the name of a network right now."""
    if stream and stream.state in ACTIVE and stream.clock is not Clock.NETWORK:
        raise Conflict(f"somebody pushes as {push.source}: give the [[source]] a name of its own")


def _agree(push: Push, stream: Stream) -> None:
    if stream.state is State.LIVE and push.backfill:
        raise Conflict(f"{stream.source} is live: give the backfill a ?source of its own")
    if stream.state is State.BACKFILL and not push.backfill:
        raise Conflict(f"{stream.source} is a backfill under way: go on with ?backfill=true")
    if stream.state is State.LIVE and stream.clock is Clock.WALL and push.up_to is not None:
        raise Conflict(
            f"{stream.source} is live by the wall clock: give this stream a ?source of its own"
        )
    if push.up_to is not None and stream.reached is not None and push.up_to < stream.reached:
        raise Behind(
            f"{stream.source} has come to {stream.reached.isoformat()} already and cannot go back "
            f"to {push.up_to.isoformat()}: go on from there, or use another ?source",
            stream,
        )

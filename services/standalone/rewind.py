"""
Rewind: what a new, empty broker must be given again.

Detection goes on from its snapshot; posts that ingest had passed on since are gone with the broker
they were in. So ingest forgets that it has taken them: a replay goes on from there, and a push that
is sent again is taken again.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from services.classifier import snapshot
from services.classifier.detect import FRONTIER
from services.ingest.cursors import Clock, Cursors
from services.ingest.seen import Seen
from uproar.post import OLDEST
from uproar.watermark import Frontier, State

SNAPSHOT = Path("classifier", "snapshot")  # as services.classifier.app, which loads Faust, has it
INGEST = Path("ingest")


def rewind(folder: Path) -> list[str]:
    """
    Take ingest back to where the classifier's snapshot stands.

    Args:
        folder: The data folder; nobody else may be at work in it.

    Returns:
        What was done, in lines for people.

    Raises:
        Misconfigured: The cursors cannot be read.
    """
    if not (folder / INGEST).is_dir():
        return []
    kept = snapshot.read(folder / SNAPSHOT)
    closed = _closed(kept)
    said = list(_cursors(folder / INGEST, closed, kept.event_times if kept else {}))
    seen = Seen(folder / INGEST)
    try:
        forgotten = seen.forget_since(min([closed, *(kept.event_times if kept else {}).values()]))
    finally:
        seen.close()
    if forgotten:
        said.append(f"{forgotten} posts that the former broker took with it may be sent again")
    return said


def _cursors(folder: Path, closed: datetime, needed: dict[str, datetime]) -> Iterator[str]:
    cursors = Cursors(folder)
    for stream in cursors:
        back_to = min(closed, needed.get(stream.source, closed))
        if stream.clock is Clock.WALL or stream.reached is None or stream.reached <= back_to:
            continue
        stream.reached = None if back_to <= OLDEST else back_to
        stream.state = State.BLIND
        where = f"{back_to:%Y-%m-%d %H:%M}" if stream.reached else "its beginning"
        yield f"the stream {stream.source} goes on from {where}: replay it again"
    cursors.save()


def _closed(kept: snapshot.Snapshot | None) -> datetime:
    """Return up to when the snapshot holds everything, in all of its partitions."""
    if kept is None:
        return OLDEST
    rows = {key: row for key, row in kept.rows.items() if key.endswith(b"/" + FRONTIER)}
    if len(rows) < kept.partitions:
        return OLDEST
    limits = [Frontier.load(row).limit or OLDEST for row in rows.values()]
    return min(
        limit - timedelta(seconds=limit.second, microseconds=limit.microsecond) for limit in limits
    )

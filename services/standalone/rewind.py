"""
Rewind: what a new, empty broker must be given again.

Detection goes on from its snapshot; posts that ingest had passed on since are gone with the broker
they were in. So ingest forgets that it has taken them: a replay goes on from there, and a push that
is sent again is taken again. It goes back an hour further than that: the authors and texts of that
hour are remembered outside the snapshot. Detection knows by their minute that it has counted them.
"""

from datetime import datetime
from pathlib import Path

from services.classifier import snapshot
from services.classifier.detect import FRONTIER
from services.ingest.cursors import Clock, Cursors, Stream
from services.ingest.seen import Seen
from uproar.detector import Policy
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
    closed, needed = _closed(kept), (kept.event_times if kept else {})
    cursors = Cursors(folder / INGEST)
    judged = {stream.source: min(closed, needed.get(stream.source, closed)) for stream in cursors}
    said = [line for stream in cursors if (line := _back(stream, judged[stream.source]))]
    cursors.save()
    seen = Seen(folder / INGEST)
    try:
        seen.forget_since(_earlier(min([closed, *needed.values()])))
    finally:
        seen.close()
    return said


def _back(stream: Stream, judged: datetime) -> str | None:
    """Take a stream back to what was judged of it; returns what a person should know."""
    if stream.newest is None or stream.newest < judged:
        return None  # nothing was on its way
    since = "its beginning" if judged <= OLDEST else f"{judged:%Y-%m-%d %H:%M}"
    if stream.clock is Clock.WALL:
        return f"what was pushed to {stream.source} since {since} was not judged: send it again"
    stream.reached = None if judged <= OLDEST else _earlier(judged)
    if stream.clock is Clock.NETWORK:
        stream.cursor = None  # its connector goes on at what it has reached
        return f"{stream.source} was not judged since {since}: it is read again from there"
    if stream.state is State.ENDED:
        stream.state = State.BLIND
    return f"{stream.source} was not judged since {since}: replay it again, and it goes on there"


def _closed(kept: snapshot.Snapshot | None) -> datetime:
    """Return up to when the snapshot holds everything, in all of its partitions."""
    if kept is None:
        return OLDEST
    rows = {key: row for key, row in kept.rows.items() if key.endswith(b"/" + FRONTIER)}
    if len(rows) < kept.partitions:
        return OLDEST
    limits = [Frontier.load(row).limit or OLDEST for row in rows.values()]
    return min(_minute(limit) for limit in limits)


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _earlier(moment: datetime) -> datetime:
    return max(OLDEST, moment - Policy().apart)

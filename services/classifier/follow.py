"""Follow: what the agents of a process hear beside their stream, the watch list above all. No client."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from uproar.errors import Malformed
from uproar.subject import Subject, SubjectId
from uproar.topics import SUBJECTS, Topic
from uproar.wire import Record

log = structlog.get_logger(room="classifier/follow")

LIST_PATIENCE = 2.0  # seconds: ingest may know a new subject a little earlier than we

Change = Subject | SubjectId  # watched, no longer watched


class WatchList:
    """
    Who is watched at this moment: one table for all agents of the process.

    Attributes:
        listed: Set when the list has been read whole.
        subjects: Everybody on it.
    """

    def __init__(self) -> None:
        self.listed = asyncio.Event()
        self.subjects: dict[SubjectId, Subject] = {}
        self._strangers: set[SubjectId] = set()
        self._changed = asyncio.Event()
        self._listeners: list[Callable[[Change], None]] = []

    def tell(self, listener: Callable[[Change], None]) -> None:
        """Tell somebody of every change to come."""
        self._listeners.append(listener)

    def follow(self, records: Sequence[Record]) -> None:
        """Take changes of the list."""
        for record in records:
            subject_id = SubjectId((record.key or b"").decode("utf-8", "replace"))
            if record.value is None:
                self.subjects.pop(subject_id, None)
                self._strangers.add(subject_id)
                self._say(subject_id)
            elif isinstance(subject := decoded(SUBJECTS, record), Subject):
                self.subjects[subject.id] = subject
                self._strangers.discard(subject.id)
                self._say(subject)
        self._changed.set()

    def _say(self, change: Change) -> None:
        for listener in self._listeners:
            listener(change)

    async def know(self, named: set[SubjectId]) -> None:
        """
        Wait until the list has been read, and names these subjects.

        For one that ingest knows already two seconds, once for each.
        """
        await self.listed.wait()
        try:
            async with asyncio.timeout(LIST_PATIENCE):
                while named - self.subjects.keys() - self._strangers:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            self._strangers |= named - self.subjects.keys()


def decoded(topic: Topic, record: Record) -> object:
    """Return what a record of a followed topic says; None, and a line in the log, if nobody can tell."""
    try:
        return topic.decode(record)
    except Malformed as error:
        where = f"{record.topic}/{record.partition}/{record.offset}"
        log.warning("record ignored", origin=where, reason=str(error))
        return None

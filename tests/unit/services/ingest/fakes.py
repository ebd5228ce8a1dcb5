"""Stand-ins of the unit tests of ingest: a broker that keeps what it is sent, and plain names."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from uproar.errors import Unavailable
from uproar.post import Post
from uproar.subject import SubjectId
from uproar.topics import POSTS, SOURCES
from uproar.watermark import SourceState, Watermark
from uproar.wire import Record

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class FakeBroker:
    """Keeps what it is sent; `hold` lets senders wait, `down` refuses them."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.down = False
        self.asked = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, records: Sequence[Record]) -> None:
        if not records:
            return
        self.asked.set()
        if self.down:
            raise Unavailable("the broker is down")
        await self.open.wait()
        if self.down:
            raise Unavailable("the broker is down")
        self.records += records

    def values(self) -> list[object]:
        return [POSTS.decode(r) for r in self.records if r.topic == POSTS.name]

    @property
    def posts(self) -> list[Post]:
        return [value for value in self.values() if isinstance(value, Post)]

    @property
    def watermarks(self) -> list[Watermark]:
        return [value for value in self.values() if isinstance(value, Watermark)]

    @property
    def reports(self) -> list[SourceState]:
        return [SOURCES.decode(r) for r in self.records if r.topic == SOURCES.name]


class PlainNames:
    """A text names a subject whose id stands in it; an account belongs to the subject of its name."""

    def __init__(self, *subjects: str) -> None:
        self.subjects = tuple(SubjectId(subject) for subject in subjects)

    def match(self, text, *, title=None, lang=None):
        return tuple(s for s in self.subjects if s in f"{text} {title or ''}".lower())

    def own(self, account):
        return tuple(s for s in self.subjects if s == account.lower())


class Wall:
    """A wall clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def a_json(id: str = "1", **given: object) -> bytes:  # noqa: A002
    """A post about acme as somebody would push it."""
    fields = {"id": id, "text": f"acme lost bag {id}", "created_at": "2026-03-02T11:59:30Z"}
    return json.dumps(fields | given).encode()

"""
Replay: recorded posts to a running ingest, over HTTP, in the order they were written in.

Ingest alone knows how far the stream has come. So the client keeps no position: it asks at the
beginning and after every lost connection, and goes on from there; what it sends twice is dropped.
"""

import asyncio
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec

from services.ingest.recording import Recorded, Recording, read_recording, stream_of
from services.ingest.replay.client import MAX_DELAY_SECONDS, Behind, Client, Lost
from services.process import read_document
from uproar.errors import Misconfigured, Unavailable
from uproar.inbox import InputPost, mend_surrogates, stream_name
from uproar.match import Matcher
from uproar.post import clean
from uproar.subject import watch_list

MAX_POSTS = 500
MAX_BODY_BYTES = 900 * 1024
HEARTBEAT_SECONDS = 20.0
IDLE_SECONDS = 2.0
PATIENCE_SECONDS = 600.0
_VERDICTS = ("accepted", "duplicate", "unmatched", "rejected", "cut", "late")


class Progress(Protocol):
    """Who wants to know how a replay goes."""

    def begin(self, posts: int) -> None:
        """Hear how many posts there are."""

    def moved(self, posts: int, reached: datetime | None) -> None:
        """Hear how many of them ingest has, and how far event time has come."""


@dataclass(slots=True)
class Summary:
    """
    What became of a replay.

    Attributes:
        source: Name of its stream.
        posts: Posts in the file.
        skipped: Posts that ingest had from a former run: not sent again.
        bad: Lines of the file that cannot be read; ``reasons`` names the first hundred.
        repeats: Posts with the id of another one of the file.
        counts: By verdict, and ``cut`` and ``late``.
        rejected: Id and reason of the first hundred rejected posts.
        reached: How far event time has come.
    """

    source: str
    posts: int
    bad: int
    reasons: list[tuple[int, str]]
    repeats: int = 0
    skipped: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    rejected: list[tuple[str | None, str]] = field(default_factory=list)
    reached: datetime | None = None

    def add(self, answer: dict[str, Any]) -> None:
        """Add ingest's answer to a batch."""
        self.counts.update({name: answer.get(name, 0) for name in _VERDICTS})
        for judged in answer["verdicts"]:
            if judged["verdict"] == "rejected" and len(self.rejected) < 100:
                self.rejected.append((judged["id"], judged["reason"]))


async def replay(
    file: Path,
    *,
    to: str,
    token: str | None = None,
    source: str | None = None,
    speed: float | None = None,
    backfill: bool = False,
    watch: Path | None = None,
    progress: Progress | None = None,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Summary:
    """
    Send the posts of a file.

    Args:
        file: JSONL or CSV, plain or ``.gz`` (see ``recording``).
        to: Base URL of ingest.
        token: Its bearer token.
        source: Name of the stream; by default the file's stem.
        speed: So many times as fast as it was; None is as fast as it goes.
        backfill: Whether it only corrects what is known, and pages nobody.
        watch: A watch list to match the posts by, instead of the one of ingest. Its subjects must
            be on that one too.
        progress: Told how it goes.
        patience_seconds: How long ingest may be out of reach.

    Raises:
        Misconfigured: The file, the watch list or the address cannot be used.
        Malformed: The file cannot be read, or ingest refuses the stream; the text says why.
        Unavailable: Ingest is out of reach for too long.
    """
    if speed is not None and not speed > 0:
        raise Misconfigured(f"--speed {speed}: give a number above 0")
    name = stream_name(source) if source else stream_of(file)
    recording = await asyncio.to_thread(read_recording, file, now=datetime.now(UTC))
    if watch is not None:
        await asyncio.to_thread(_match, recording, watch)
    async with Client(to, token, name, patience_seconds, backfill=backfill) as ingest:
        return await _Player(ingest, recording, speed, progress, patience_seconds).play()


class _Player:
    """One replay: where it is in the file, and what is sent next."""

    def __init__(
        self,
        ingest: Client,
        recording: Recording,
        speed: float | None,
        progress: Progress | None,
        patience: float,
    ) -> None:
        self._ingest, self._posts = ingest, recording.posts
        self._speed, self._progress, self._patience = speed, progress, patience
        self._clock = asyncio.get_running_loop().time
        self._next = 0
        self._answered_at = 0.0
        self._began: tuple[float, datetime] | None = None
        self._summary = Summary(
            source=ingest.source,
            posts=len(recording.posts),
            bad=recording.bad,
            repeats=recording.repeats,
            reasons=recording.reasons,
        )

    async def play(self) -> Summary:
        """Send everything, from where ingest has come to already."""
        if self._progress:
            self._progress.begin(len(self._posts))
        if self._posts:
            await self._ask()
            self._summary.skipped = self._next
            self._tell()
        while self._next < len(self._posts):
            try:
                await self._step()
            except Behind as behind:
                self._seek(behind.reached)
            except Lost:
                await self._ask()
            self._tell()
        return self._summary

    async def _step(self) -> None:
        due = await self._due()
        if self._clock() - self._answered_at > IDLE_SECONDS:
            await self._ask()  # ingest may have been started again meanwhile, unseen
        if due <= self._next:  # nothing for a while: say that the stream goes on
            await self._ingest.send([], up_to=self._posts[self._next].created_at)
            return
        batch = _batch(self._posts, self._next, due)
        after = self._next + len(batch)
        if after < len(self._posts):
            answer = await self._ingest.send(batch, up_to=self._posts[after].created_at)
        else:
            answer = await self._ingest.send(batch, end=True)
        self._next, self._answered_at = after, self._clock()
        self._summary.add(answer)
        if reached := answer.get("up_to_reached"):
            self._summary.reached = datetime.fromisoformat(reached)

    async def _due(self) -> int:
        """Return up to which post it is time to send; wait for the next one if there is none."""
        if self._speed is None:
            return len(self._posts)
        if self._began is None:
            self._began = self._clock(), self._posts[self._next].created_at
        began, first = self._began
        event_seconds = (self._posts[self._next].created_at - first).total_seconds()
        wait = began + event_seconds / self._speed - self._clock()
        if wait > HEARTBEAT_SECONDS:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            return self._next
        await asyncio.sleep(max(wait, 0))
        played = (self._clock() - began) * self._speed
        due = self._next
        while due < len(self._posts):
            if (self._posts[due].created_at - first).total_seconds() > played:
                break
            due += 1
        return max(due, self._next + 1)

    async def _ask(self) -> None:
        """Find out how far the stream has come: before its first post only a new one can be."""
        first = self._posts[0].created_at
        delay, waited = 0.25, 0.0
        while True:
            try:
                await self._ingest.send([], up_to=first)
                self._seek(first)
            except Behind as behind:
                self._seek(behind.reached)
            except Lost as lost:
                if waited >= self._patience:
                    raise Unavailable(f"no ingest at {lost}") from lost
                await asyncio.sleep(delay)
                waited, delay = waited + delay, min(delay * 2, MAX_DELAY_SECONDS)
                continue
            self._answered_at = self._clock()
            return

    def _seek(self, reached: datetime) -> None:
        self._next = bisect_left(self._posts, reached, key=lambda post: post.created_at)
        self._summary.reached = reached

    def _tell(self) -> None:
        if self._progress:
            self._progress.moved(self._next, self._summary.reached)


def _batch(posts: list[Recorded], start: int, stop: int) -> list[bytes]:
    batch: list[bytes] = []
    size = 0
    for post in posts[start : min(stop, start + MAX_POSTS)]:
        size += len(post.raw) + 1
        if batch and size > MAX_BODY_BYTES:
            break
        batch.append(post.raw)
    return batch


def _match(recording: Recording, watch: Path) -> None:
    """Find the subjects of each post here, by a watch list of one's own."""
    matcher = Matcher(list(watch_list(read_document(watch))))
    decoder = msgspec.json.Decoder(InputPost)
    matched = []
    for post in recording.posts:
        try:
            sent = decoder.decode(mend_surrogates(post.raw))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            matched.append(post)  # ingest says what is wrong with it
            continue
        if sent.subjects is None:
            text, title = clean(sent.text or "")[0], clean(sent.title or "")[0] or None
            sent.subjects = list(matcher.match(text, title=title, lang=sent.lang))
        matched.append(Recorded(post.created_at, post.id, msgspec.json.encode(sent)))
    recording.posts = matched

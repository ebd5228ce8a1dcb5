"""
Bluesky, through Jetstream: all public posts of the network as JSON frames, over one WebSocket.

The wire is ``network.bsky.jetstream.subscribeEvents`` (lexicon and docs in github.com/bluesky-social/
jetstream), which needs no account. The server filters: commits of posts, and what became of
accounts. A post's event time is when Jetstream saw it: ``createdAt`` is the clock of a stranger's
phone. The cursor is that time (``witnessedAt``, which no import of an operator alters) in
microseconds, as sequence numbers hold on one server only; a reconnect goes back a little further,
for clocks of servers differ.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msgspec
import websockets

from services.ingest.source import Frame, Gone, Unreadable
from services.ingest.sources.bluesky.wire import METHOD, NETWORK, POSTS, parse
from uproar.errors import Malformed, Misconfigured, Unavailable

PUBLIC: Final = "wss://jetstream.us-east.bsky.network"

SLACK: Final = timedelta(seconds=5)
"""By how much the clocks of two servers may differ: a reconnect reads this much again."""

MAX_FRAME_BYTES: Final = 256 * 1024
"""A post holds 300 characters and its links; the server leaves out what is larger."""

MAX_BATCH, MAX_BATCH_BYTES, BATCH_SECONDS = 500, 4 * 1024 * 1024, 1.0
SILENCE_SECONDS = 30.0
"""Somebody posts every second; when nothing comes for so long the connection is dead."""

_LEAP = SLACK + timedelta(seconds=1)


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a ``[[source]]`` of this type may say: ``url`` of a Jetstream of one's own."""

    url: str = PUBLIC


class Bluesky:
    """Reads the posts of Bluesky; see :class:`services.ingest.source.Source`."""

    type: Final = NETWORK

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        """
        Make a connector; nothing is opened before :meth:`read`.

        Raises:
            Misconfigured: Which option is wrong.
        """
        try:
            self._url = msgspec.convert(options, Options).url.rstrip("/")
            parts = urlsplit(self._url)
            port = parts.port
        except (msgspec.ValidationError, ValueError) as error:
            raise Misconfigured(f"source {name!r}: {error}") from error
        if parts.scheme not in {"ws", "wss"} or not parts.hostname or port == 0 or parts.query:
            raise Misconfigured(f"source {name!r}: url must be wss://host, for example {PUBLIC}")
        self.name = name

    def since(self, moment: datetime) -> str:
        """Return the moment in microseconds since 1970."""
        return str(int(moment.timestamp() * 1_000_000))

    async def read(self, cursor: str | None) -> AsyncGenerator[Frame, None]:
        """
        Yield frames from behind the cursor on, at most one a second while the network is calm.

        Raises:
            Unavailable: The connection cannot be opened, has broken, or is silent.
        """
        here = cursor or self.since(_now())
        try:
            async with websockets.connect(
                self._address(cursor),
                subprotocols=[websockets.Subprotocol("xrpc.v1.json")],
                max_size=MAX_FRAME_BYTES,
                compression=None,  # the server never offers it, and a bomb cannot be sent packed
                open_timeout=10,
                close_timeout=1,
            ) as socket:
                batch = _Batch(here)
                while batch.open:
                    yield (batch := await _fill(_Batch(batch.cursor), socket)).frame()
                raise Unavailable(f"Bluesky: {batch.ended}")
        except websockets.InvalidStatus as error:
            why = _refusal(error.response)
            if "CursorTooOld" not in why:
                raise Unavailable(f"Bluesky refuses: {why}") from error
            yield Frame(cursor=self.since(_now()), gap=f"the network no longer has them: {why}")
        except (OSError, TimeoutError, websockets.WebSocketException) as error:
            raise Unavailable(f"Bluesky cannot be reached: {_name(error)}") from error

    def _address(self, cursor: str | None) -> str:
        asked = [
            ("kinds", "commit"),
            ("kinds", "account"),
            ("collections", POSTS),
            ("maxMessageSizeBytes", str(MAX_FRAME_BYTES)),
        ]
        if cursor is not None:
            asked.append(("cursor", _moved(cursor, -SLACK)))
        return f"{self._url}/xrpc/{METHOD}?{urlencode(asked)}"


# ------------------------------------------------------------------------------------ connection


@dataclass(slots=True)
class _Batch:
    """What came within a second; ``ended`` says why nothing more will."""

    cursor: str
    up_to: datetime | None = None
    posts: list[bytes] = field(default_factory=list)
    gone: list[Gone] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    gap: str | None = None
    ended: str | None = None
    frames: int = 0
    size: int = 0

    @property
    def open(self) -> bool:
        return self.ended is None

    @property
    def full(self) -> bool:
        return self.frames >= MAX_BATCH or self.size >= MAX_BATCH_BYTES or not self.open

    def add(self, raw: bytes) -> None:
        self.frames += 1
        self.size += len(raw)
        try:
            heard = parse(raw, now=_now())
        except Malformed as error:
            self.unreadable.append(Unreadable(raw, str(error)))
            return
        self.gap, self.ended = heard.gap or self.gap, heard.ended or self.ended
        if heard.at is not None:
            self.cursor = str(max(int(self.cursor), int(heard.at.timestamp() * 1_000_000)))
            self.up_to = max(heard.at, self.up_to or heard.at)
        if heard.post is not None:
            self.posts.append(heard.post)
        if heard.gone is not None:
            self.gone.append(heard.gone)

    def close(self, error: websockets.ConnectionClosed) -> None:
        """The connection is gone; where we closed it on a frame too large, leap over its second."""
        self.ended = f"the connection broke: {_name(error)}"
        if error.sent is not None and error.sent.code == websockets.CloseCode.MESSAGE_TOO_BIG:
            self.cursor = _moved(self.cursor, _LEAP)
            self.gap = f"a frame over {MAX_FRAME_BYTES} bytes: a second is left out"

    def frame(self) -> Frame:
        return Frame(
            cursor=self.cursor,
            posts=self.posts,
            up_to=self.up_to and self.up_to - SLACK,
            gone=self.gone,
            unreadable=self.unreadable,
            gap=self.gap,
        )


async def _fill(batch: _Batch, socket: websockets.ClientConnection) -> _Batch:
    """Wait for a frame, then take what comes within a second."""
    try:
        async with asyncio.timeout(SILENCE_SECONDS):
            batch.add(await _receive(socket))
        with suppress(TimeoutError):
            async with asyncio.timeout(BATCH_SECONDS):
                while not batch.full:
                    batch.add(await _receive(socket))
    except websockets.ConnectionClosed as error:
        batch.close(error)
    except TimeoutError:
        batch.ended = f"nothing has come for {SILENCE_SECONDS:.0f} s"
    return batch


async def _receive(socket: websockets.ClientConnection) -> bytes:
    raw = await socket.recv(decode=False)
    return raw if isinstance(raw, bytes) else raw.encode()


def _moved(cursor: str, by: timedelta) -> str:
    return str(max(0, int(cursor) + by // timedelta(microseconds=1)))


def _now() -> datetime:
    return datetime.now(UTC)


def _name(error: Exception) -> str:
    return str(error)[:300] or type(error).__name__


def _refusal(response: websockets.Response) -> str:
    said = (response.body or b"")[:300].decode("utf-8", "replace")
    return f"HTTP {response.status_code} {said}".strip()

"""A Jetstream on this machine: the documented wire of Bluesky, over a real WebSocket, and its troubles."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

METHOD = "network.bsky.jetstream.subscribeEvents"
POSTS = "app.bsky.feed.post"
TIMESTAMP = 10**15  # cursors from here on are microseconds, those below are sequence numbers
DID = "did:plc:ewvi7nxzyoun6zhxrhs64oiz"


@dataclass
class Event:
    """One frame of the log; ``at`` and ``kind`` are what a cursor and a filter look at."""

    at: datetime
    raw: str
    kind: str = "commit"
    collection: str | None = POSTS


@dataclass
class Jetstream:
    """
    Keeps a log and plays it to whoever connects, from the cursor on.

    Attributes:
        log: What was witnessed, in order.
        asked: The query of each connection.
        refusal: Status and body that the next connections get instead.
        break_after: Frames after which a connection is cut off; the next one is not.
        farewell: An error frame with which the next connection that has read everything ends.
    """

    log: list[Event] = field(default_factory=list)
    asked: list[dict[str, list[str]]] = field(default_factory=list)
    refusal: tuple[int, str] | None = None
    break_after: int | None = None
    farewell: str | None = None
    port: int = 0
    sent: int = 0

    def __post_init__(self) -> None:
        self._news = asyncio.Event()
        self._open: set[ServerConnection] = set()
        self._server: Server | None = None
        self._seq = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        self._server = await serve(
            self._play, "127.0.0.1", self.port, process_request=self._refuse, compression=None,
            subprotocols=["xrpc.v1.json"], ping_interval=None, close_timeout=0.5,
        )  # fmt: skip
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self.cut()
            await self._server.wait_closed()
            self._server = None

    @property
    def options(self) -> Mapping[str, Any]:
        return {"url": f"ws://127.0.0.1:{self.port}"}

    @property
    def readers(self) -> int:
        return len(self._open)

    def cut(self) -> None:
        """Cut every connection off, without a good-bye."""
        for connection in list(self._open):
            connection.transport.abort()

    # ----------------------------------------------------------------------- what it witnesses

    async def say(self, raw: str, *, at: datetime | None = None, **more: Any) -> None:
        """Witness any frame."""
        self.log.append(Event(at or datetime.now(UTC), raw, **more))
        self._news.set()
        self._news = asyncio.Event()

    async def babble(self, raw: str, *, at: datetime | None = None) -> None:
        """Witness what no schema allows; it goes out whatever a reader asked for."""
        await self.say(raw, at=at, kind="raw")

    async def publish(
        self, text: str, *, rkey: str, at: datetime | None = None, **record: Any
    ) -> str:
        """Witness a post; returns its id, as the connector names it."""
        body = {"$type": POSTS, "createdAt": "2026-11-20T09:13:58.412Z", "text": text} | record
        await self.commit(
            "create", rkey, at=at, record=body, cid="bafyreidwaivazkwu67xztlmuobx35hs2"
        )
        return f"at://{DID}/{POSTS}/{rkey}"

    async def delete(self, rkey: str, *, at: datetime | None = None) -> None:
        """Witness that a post is taken back."""
        await self.commit("delete", rkey, at=at)

    async def close_account(self, *, at: datetime | None = None) -> None:
        """Witness that the account is deleted."""
        moment = at or datetime.now(UTC)
        account = {
            "active": False,
            "did": DID,
            "seq": 1,
            "status": "deleted",
            "time": _time(moment),
        }
        await self.say(self._frame("account", moment, account=account), at=moment, kind="account")

    async def commit(self, operation: str, rkey: str, *, at: datetime | None, **more: Any) -> None:
        moment = at or datetime.now(UTC)
        said = {"rev": "3m5xk2cabcd2z", "operation": operation, "collection": POSTS, "rkey": rkey}
        await self.say(self._frame("commit", moment, **said, **more), at=moment)

    def _frame(self, kind: str, at: datetime, **said: Any) -> str:
        self._seq += 1
        head = {"$type": f"{METHOD}#{kind}", "seq": self._seq, "did": DID, "time": _time(at)}
        return json.dumps({"$type": "message", "payload": head | said}, ensure_ascii=False)

    # ----------------------------------------------------------------------------- the connection

    def _refuse(self, connection: ServerConnection, request: Request) -> Response | None:
        if urlsplit(request.path).path != f"/xrpc/{METHOD}":
            return connection.respond(404, '{"error":"MethodNotImplemented"}')
        return connection.respond(*self.refusal) if self.refusal else None

    async def _play(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        asked = parse_qs(urlsplit(connection.request.path).query)
        self.asked.append(asked)
        self._open.add(connection)
        with suppress(ConnectionClosed):
            await self._replay(connection, asked)
        self._open.discard(connection)

    async def _replay(self, connection: ServerConnection, asked: dict[str, list[str]]) -> None:
        position, sent = self._position(asked), 0
        limit, self.break_after = self.break_after, None
        while True:
            while position < len(self.log):
                event = self.log[position]
                position += 1
                if not _wanted(event, asked):
                    continue
                await connection.send(event.raw)
                sent += 1
                self.sent += 1
                if sent == limit:
                    connection.transport.abort()
                    return
            if self.farewell is not None:
                said, self.farewell = self.farewell, None
                await connection.send(said)
                return
            if await self._is_over(connection):
                return

    async def _is_over(self, connection: ServerConnection) -> bool:
        """Wait for news; True where the connection ends first."""
        waiting = [asyncio.ensure_future(w) for w in (self._news.wait(), connection.wait_closed())]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for one in waiting:
            one.cancel()
        return connection.close_code is not None

    def _position(self, asked: dict[str, list[str]]) -> int:
        if "cursor" not in asked:
            return len(self.log)
        cursor = int(asked["cursor"][0])
        if cursor < TIMESTAMP:
            raise AssertionError("a sequence number holds on one server only")
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=cursor)
        return next((n for n, e in enumerate(self.log) if e.at >= moment), len(self.log))


def _wanted(event: Event, asked: dict[str, list[str]]) -> bool:
    most = int(asked.get("maxMessageSizeBytes", ["0"])[0])
    kinds, collections = asked.get("kinds"), asked.get("collections")
    if event.kind == "raw":  # it keeps to no promise
        return True
    if (kinds and event.kind not in kinds) or (most and len(event.raw.encode()) > most):
        return False
    return event.kind != "commit" or not collections or event.collection in collections


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

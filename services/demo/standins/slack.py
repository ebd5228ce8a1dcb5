"""A stand-in for Slack: the methods that uproar calls, with Slack's limits and Slack's errors."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from services.demo.standins.ledger import Ledger
from services.demo.standins.slack_clicks import APP_TOKEN, Clicks
from services.demo.standins.slack_limits import SlackRefusal, content, metadata_of

TOKEN: Final = "xoxb-standin-0000000000"  # noqa: S105 - opens nothing
CHANNEL: Final = "C0STANDIN01"
HOOK: Final = "T0STANDIN/B0STANDIN/standin-hook"


@dataclass(slots=True, kw_only=True)
class Posted:
    """One message as it now stands in a channel."""

    channel: str
    ts: str
    text: str
    blocks: list[dict[str, Any]]
    metadata: dict[str, Any] | None = None
    thread_ts: str | None = None
    broadcast: bool = False
    edited: int = 0


@dataclass(slots=True, kw_only=True)
class SlackStandIn:
    """
    A workspace with one bot.

    Attributes:
        channels: Where the bot may post; None: every channel there is asked for.
        readable: Whether the bot has the scope channels:history.
        per_second: Messages a channel takes in a second; 0: no limit.
    """

    ledger: Ledger
    channels: frozenset[str] | None = None
    readable: bool = True
    per_second: float = 0.0
    messages: dict[tuple[str, str], Posted] = field(default_factory=dict)
    last_post: dict[str, float] = field(default_factory=dict)
    ticks: int = 0
    clicks: Clicks = field(default_factory=Clicks)

    def top_level(self) -> list[Posted]:
        """Return the messages of all channels, threads apart."""
        return [m for m in self.messages.values() if m.thread_ts is None]

    def thread(self, ts: str) -> list[Posted]:
        """Return the replies to a message."""
        return [m for m in self.messages.values() if m.thread_ts == ts]

    def delete(self, ts: str) -> None:
        """Do what a person does who deletes a message."""
        for key in [key for key in self.messages if key[1] == ts]:
            del self.messages[key]

    def post_message(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """chat.postMessage."""
        channel = self._channel(given)
        text, blocks = content(given)
        thread = given.get("thread_ts")
        if thread is not None and (channel, str(thread)) not in self.messages:
            raise SlackRefusal("thread_not_found")
        posted = Posted(
            channel=channel,
            ts=self._ts(),
            text=text,
            blocks=blocks,
            metadata=metadata_of(given),
            thread_ts=None if thread is None else str(thread),
            broadcast=bool(given.get("reply_broadcast")),
        )
        self.messages[channel, posted.ts] = posted
        what = "post" if thread is None else "reply"
        self._write(what, posted, dict(given))
        return {"channel": channel, "ts": posted.ts, "message": {"text": text, "ts": posted.ts}}

    def update(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """chat.update."""
        channel, ts = self._channel(given), str(given.get("ts", ""))
        if (channel, ts) not in self.messages:
            raise SlackRefusal("message_not_found")
        posted = self.messages[channel, ts]
        posted.text, posted.blocks = content(given)  # without blocks the old ones vanish
        posted.edited += 1
        self._write("update", posted, dict(given), effect="changed")
        return {"channel": channel, "ts": ts, "text": posted.text}

    def history(self, given: Mapping[str, Any], *, thread: bool) -> dict[str, Any]:
        """conversations.history, or conversations.replies of a thread."""
        if not self.readable:
            raise SlackRefusal("missing_scope")
        channel, ts = str(given.get("channel", "")), str(given.get("ts", ""))
        if not re.fullmatch(r"[CDG][A-Z0-9]{7,}", channel):
            raise SlackRefusal("channel_not_found")
        shown = [
            m
            for m in self.messages.values()
            if m.channel == channel
            and (ts in {m.ts, m.thread_ts} if thread else m.thread_ts is None or m.broadcast)
            and float(m.ts) >= float(given.get("oldest", 0))
        ]
        if thread and not shown:
            raise SlackRefusal("thread_not_found")
        newest_first = sorted(shown, key=lambda m: m.ts, reverse=not thread)
        with_metadata = str(given.get("include_all_metadata", "")).lower() == "true"
        limit, start = min(int(given.get("limit", 100)), 999), int(given.get("cursor") or 0)
        page = newest_first[start : start + limit]
        more = start + limit < len(newest_first)
        return {
            "messages": [_shown(m, with_metadata=with_metadata) for m in page],
            "has_more": more,
            "response_metadata": {"next_cursor": str(start + limit) if more else ""},
        }

    def hook(self, given: Mapping[str, Any]) -> None:
        """Take a message through the incoming webhook: it can only post."""
        text, blocks = content(given)
        posted = Posted(channel=CHANNEL, ts=self._ts(), text=text, blocks=blocks)
        self.messages[CHANNEL, posted.ts] = posted
        self._write("post", posted, dict(given))

    def limited(self, channel: str) -> bool:
        """Whether a channel has had enough for this second."""
        now = self.ledger.clock().timestamp()
        if self.per_second and abs(now - self.last_post.get(channel, 0.0)) < 1 / self.per_second:
            return True
        self.last_post[channel] = now
        return False

    def _channel(self, given: Mapping[str, Any]) -> str:
        asked = str(given.get("channel") or "")
        if not asked:
            raise SlackRefusal("channel_not_found")
        if self.channels is not None and asked not in self.channels:
            raise SlackRefusal("channel_not_found")
        if re.fullmatch(r"[CDG][A-Z0-9]{7,}", asked):
            return asked
        return "C" + hashlib.sha256(asked.lstrip("#").encode()).hexdigest()[:10].upper()

    def _ts(self) -> str:
        self.ticks += 1  # two messages never bear the same time
        return f"{self.ledger.clock().timestamp() + self.ticks / 1e6:.6f}"

    def _write(
        self, what: str, posted: Posted, body: dict[str, Any], *, effect: str = "new"
    ) -> None:
        key = f"{posted.channel}:{posted.thread_ts or posted.ts}"
        self.ledger.write("slack", what, text=posted.text, key=key, body=body, effect=effect)


def router(slack: SlackStandIn) -> APIRouter:
    """Serve the Web API under /slack/api and the incoming webhook beside it."""
    routes = APIRouter()
    slack.clicks.add_routes(routes)
    methods: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
        "chat.postMessage": slack.post_message,
        "chat.update": slack.update,
        "apps.connections.open": lambda _: {"url": slack.clicks.ticket()},
        "auth.test": lambda _: {"team": "Stand-in", "user": "uproar", "bot_id": "B0STANDIN"},
        "conversations.history": lambda given: slack.history(given, thread=False),
        "conversations.replies": lambda given: slack.history(given, thread=True),
    }

    @routes.post("/slack/api/{method}")
    async def call(method: str, request: Request) -> Response:
        try:
            token = APP_TOKEN if method == "apps.connections.open" else TOKEN
            if request.headers.get("authorization") != f"Bearer {token}":
                raise SlackRefusal("invalid_auth")
            if method not in methods:
                raise SlackRefusal("unknown_method")
            given = await _arguments(request)
            if method == "chat.postMessage" and slack.limited(str(given.get("channel"))):
                return _too_many()
            return JSONResponse({"ok": True} | methods[method](given))
        except SlackRefusal as refusal:
            return JSONResponse({"ok": False, "error": str(refusal)})

    @routes.post("/slack/services/{path:path}")
    async def hook(path: str, request: Request) -> Response:
        if path != HOOK:
            return PlainTextResponse("no_service", status_code=404)
        try:
            given = await _arguments(request)
            if slack.limited(CHANNEL):
                return _too_many()
            slack.hook(given)
        except SlackRefusal as refusal:
            return PlainTextResponse(str(refusal), status_code=400)
        return PlainTextResponse("ok")

    return routes


def _too_many() -> Response:
    body = {"ok": False, "error": "ratelimited"}
    return JSONResponse(body, status_code=429, headers={"Retry-After": "1"})


async def _arguments(request: Request) -> dict[str, Any]:
    """Read JSON or a form, as Slack does."""
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
    try:
        given = json.loads(await request.body())
    except ValueError:
        raise SlackRefusal("invalid_payload") from None
    if not isinstance(given, dict):
        raise SlackRefusal("invalid_payload")
    return given


def _shown(message: Posted, *, with_metadata: bool) -> dict[str, Any]:
    """Show a message as Slack does: with its blocks, which are most of it."""
    shown: dict[str, Any] = {
        "type": "message",
        "ts": message.ts,
        "bot_id": "B0STANDIN",
        "text": message.text,
        "blocks": message.blocks,
    }
    if message.thread_ts:
        shown["thread_ts"] = message.thread_ts
    if with_metadata and message.metadata:
        shown["metadata"] = message.metadata
    return shown

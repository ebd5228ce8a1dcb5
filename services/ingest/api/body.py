"""The body of a push: read within its limits, and told apart into posts, which stay unread."""

import asyncio
import io
import zlib
from contextlib import suppress
from typing import Any

import msgspec
from fastapi import Request

from services.ingest.api.refused import Refused
from uproar.errors import Malformed
from uproar.inbox import mend_surrogates

MAX_BODY_BYTES = 1024 * 1024
MAX_POSTS = 20_000
"""As many as can be posts, at some 50 bytes each; every one has its verdict in the answer."""
MAX_MEMBERS = 100
"""Of a gzip body."""


async def read_body(request: Request) -> bytes:
    """Read the body, packed or not, and stop where it becomes too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise _too_large()
    match request.headers.get("content-encoding", "identity").strip().lower():
        case "identity" | "":
            return bytes(body)
        case "gzip":
            return await asyncio.to_thread(_unpack, bytes(body))
        case other:
            raise Refused(415, "Unsupported", f"content-encoding {other[:50]!r}: send gzip or none")


def _unpack(packed: bytes) -> bytes:
    body, members = b"", 0
    while packed:  # a gzip file may have several members; each copies what is behind it
        if (members := members + 1) > MAX_MEMBERS:
            raise Refused(400, "Unreadable body", f"gzip: more than {MAX_MEMBERS} members")
        member = zlib.decompressobj(wbits=31)
        try:
            body += member.decompress(packed, MAX_BODY_BYTES + 1 - len(body))
        except zlib.error as error:
            raise Refused(400, "Unreadable body", f"gzip: {error}") from error
        if len(body) > MAX_BODY_BYTES:
            raise _too_large()
        if not member.eof:
            raise Refused(400, "Unreadable body", "gzip: the end is missing")
        packed = member.unused_data
    return body


def _too_large() -> Refused:
    return Refused(413, "Too large", f"a body may hold {MAX_BODY_BYTES} bytes, also unpacked")


def _too_many() -> Refused:
    return Refused(413, "Too large", f"a body may hold {MAX_POSTS} posts")


_LINES = {
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
}
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_ANY = msgspec.json.Decoder(msgspec.Raw)


def tell_apart(body: bytes, kind: str) -> list[bytes | Malformed]:
    """
    Tell the posts of a body apart: an object, an array, or one object a line.

    Args:
        body: Bytes of anybody.
        kind: Media type, lower case; anything but NDJSON is told by its first character.

    Returns:
        Each post's JSON, unread; a broken line is the reason why it cannot be read.

    Raises:
        Refused: The body as a whole cannot be read (400, and where), or holds too many posts (413).
    """
    body = mend_surrogates(body.removeprefix(b"\xef\xbb\xbf"))
    start = body.lstrip(b" \t\r\n")[:1]
    if kind in _LINES:
        return _lines(body)
    if start == b"[":
        given = _decoded(_ARRAY, body)
        if len(given) > MAX_POSTS:
            raise _too_many()
        return [bytes(item) for item in given]
    if start != b"{":
        raise Refused(400, "Unreadable body", "send a JSON object, an array, or one object a line")
    first, _, rest = body.strip().partition(b"\n")
    if rest.strip() and _is_json(first):
        return _lines(body)
    _decoded(_ANY, body)
    return [body]


def _lines(body: bytes) -> list[bytes | Malformed]:
    items: list[bytes | Malformed] = []
    for number, line in enumerate(io.BytesIO(body), start=1):
        if not line.strip():
            continue
        if len(items) == MAX_POSTS:
            raise _too_many()
        try:
            items.append(bytes(_decoded(_ANY, line)))
        except Refused as refused:
            items.append(Malformed(f"line {number}: {refused.detail}"))
    return items


def _decoded(decoder: msgspec.json.Decoder[Any], raw: bytes) -> Any:
    try:
        return decoder.decode(raw)
    except RecursionError as error:
        raise Refused(400, "Unreadable body", "nested too deeply") from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise Refused(400, "Unreadable body", str(error)) from error


def _is_json(raw: bytes) -> bool:
    with suppress(Refused):
        _decoded(_ANY, raw)
        return True
    return False

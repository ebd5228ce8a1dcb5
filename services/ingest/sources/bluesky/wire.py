"""The wire of Jetstream: one JSON frame -> what it says. A pure function of bytes; no connection."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from services.ingest.source import Gone
from uproar.errors import Malformed
from uproar.inbox import mend_surrogates, reason
from uproar.post import event_time

NETWORK: Final = "bluesky"
METHOD: Final = "network.bsky.jetstream.subscribeEvents"
POSTS: Final = "app.bsky.feed.post"


@dataclass(frozen=True, slots=True)
class Heard:
    """
    What one frame says.

    Attributes:
        at: How far the network has come with it: when this server witnessed it.
        post: An input post.
        gone: What was taken back.
        gap: Why posts before it are missing.
        ended: Why the server ends the connection behind it.
    """

    at: datetime | None = None
    post: bytes | None = None
    gone: Gone | None = None
    gap: str | None = None
    ended: str | None = None


_NOTHING: Final = msgspec.Raw()


class _Account(msgspec.Struct):
    active: bool
    status: str | None = None


class _Payload(msgspec.Struct):
    kind: str = msgspec.field(name="$type")
    did: str | None = None
    time: datetime | None = None
    witnessed_at: datetime | None = msgspec.field(name="witnessedAt", default=None)
    operation: str | None = None
    collection: str | None = None
    rkey: str | None = None
    record: msgspec.Raw = _NOTHING
    account: _Account | None = None
    name: str | None = None
    message: str | None = None


class _Envelope(msgspec.Struct):
    kind: str = msgspec.field(name="$type")
    payload: _Payload | None = None
    error: str | None = None
    message: str | None = None


class _Record(msgspec.Struct):
    text: str = ""
    langs: msgspec.Raw = _NOTHING
    reply: msgspec.Raw = _NOTHING
    embed: msgspec.Raw = _NOTHING


class _Reference(msgspec.Struct):
    uri: str


class _Reply(msgspec.Struct):
    parent: _Reference


class _Card(msgspec.Struct):
    title: str = ""


class _Embed(msgspec.Struct):
    kind: str = msgspec.field(name="$type")
    external: _Card | None = None
    media: "_Embed | None" = None


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_RECORD = msgspec.json.Decoder(_Record)
_LANGS = msgspec.json.Decoder(list[str])
_REPLY = msgspec.json.Decoder(_Reply)
_EMBED = msgspec.json.Decoder(_Embed)

_MEDIA = {"images": "image", "gallery": "image", "video": "video", "external": "link"}
_FINAL = {"deleted", "takendown"}  # deactivated, suspended and the like may end


def parse(raw: bytes, *, now: datetime) -> Heard:
    """
    Read one frame.

    Args:
        raw: The frame.
        now: Wall clock (aware), against times in the future.

    Raises:
        Malformed: What is wrong with it.
    """
    envelope = _decoded(_ENVELOPE, mend_surrogates(raw))
    if envelope.kind == "error":
        return Heard(ended=f"{envelope.error}: {envelope.message}"[:300])
    said = envelope.payload
    if envelope.kind != "message" or said is None:
        raise Malformed(f"$type: {envelope.kind[:100]!r} is neither a message nor an error")
    match said.kind.removeprefix(METHOD):
        case "#commit":
            return _commit(said, *_times(said, now))
        case "#account":
            return _account(said, *_times(said, now))
        case "#info":
            notice = f"{said.name}: {said.message}"[:300]
            return Heard(gap=notice if said.name == "OutdatedCursor" else None)
        case "#identity" | "#sync":
            return Heard(at=_times(said, now)[1])
    raise Malformed(f"payload.$type: {said.kind[:100]!r} is not known")


def _times(said: _Payload, now: datetime) -> tuple[datetime, datetime]:
    """
    Return the time of an event, and when this server witnessed it, which alone a cursor goes by.

    They are the same unless an operator of the server imported times; old servers say only the first.
    """
    if said.time is None or not said.did:
        raise Malformed(f"payload.{'did' if said.time else 'time'}: missing")
    at = _checked("time", said.time, now)
    if said.witnessed_at is None:
        return at, at
    return at, _checked("witnessedAt", said.witnessed_at, now)


def _checked(name: str, moment: datetime, now: datetime) -> datetime:
    try:
        return event_time(moment, now=now)
    except Malformed as error:
        raise Malformed(f"payload.{name}: {error}") from error


def _commit(said: _Payload, at: datetime, witnessed: datetime) -> Heard:
    if not said.rkey or not said.operation or not said.collection:
        raise Malformed("payload: no operation, collection or rkey")
    if said.collection != POSTS:
        return Heard(at=witnessed)
    uri = f"at://{said.did}/{POSTS}/{said.rkey}"
    if said.operation == "delete":
        return Heard(at=witnessed, gone=Gone(network=NETWORK, id=uri, at=at))
    if said.record == _NOTHING:
        raise Malformed("payload.record: missing")
    return Heard(at=witnessed, post=_post(said, _decoded(_RECORD, said.record), uri, at))


def _post(said: _Payload, record: _Record, uri: str, at: datetime) -> bytes | None:
    """Make an input post; None where there is nothing to read in it."""
    embed = _lenient(_EMBED, record.embed)
    card = embed and (embed.external or (embed.media and embed.media.external))
    title = card.title if card else ""
    if not record.text.strip() and not title.strip():
        return None
    langs = _lenient(_LANGS, record.langs)
    reply = _lenient(_REPLY, record.reply)
    post = {
        "id": uri,
        "source": NETWORK,
        "text": record.text,
        "title": title or None,
        "created_at": at,
        "author": said.did,
        "lang": langs[0] if langs else None,
        "url": f"https://bsky.app/profile/{said.did}/post/{said.rkey}",
        "media": [media] if (media := _media(embed)) else None,
        "reply_to": reply.parent.uri if reply else None,
    }
    return msgspec.json.encode({name: value for name, value in post.items() if value is not None})


def _media(embed: _Embed | None) -> str | None:
    for found in (embed, embed and embed.media):
        kind = found.kind.removeprefix("app.bsky.embed.") if found else ""
        if kind in _MEDIA:
            return _MEDIA[kind]
    return None


def _account(said: _Payload, at: datetime, witnessed: datetime) -> Heard:
    if said.account is None:
        raise Malformed("payload.account: missing")
    if said.account.active or said.account.status not in _FINAL:
        return Heard(at=witnessed)
    return Heard(at=witnessed, gone=Gone(network=NETWORK, author=said.did, at=at))


def _decoded(decoder: msgspec.json.Decoder[Any], raw: bytes | msgspec.Raw) -> Any:
    try:
        return decoder.decode(raw)
    except UnicodeDecodeError as error:
        raise Malformed("not UTF-8") from error
    except RecursionError as error:
        raise Malformed("nested too deeply") from error
    except (msgspec.MsgspecError, ValueError, OverflowError) as error:
        raise Malformed(reason(error)) from error


def _lenient(decoder: msgspec.json.Decoder[Any], raw: msgspec.Raw) -> Any:
    """Read an ornament of a post; an odd one does not cost the post."""
    try:
        return None if raw == _NOTHING else _decoded(decoder, raw)
    except Malformed:
        return None

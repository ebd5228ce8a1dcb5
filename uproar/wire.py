"""Wire: typed values <-> JSON bytes with a schema name and version; Record: what a topic holds."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final, get_args, get_type_hints

import msgspec

from uproar.errors import Malformed

Headers = tuple[tuple[str, bytes], ...]

TRACEPARENT: Final = "traceparent"
"""Header: W3C trace context, from ingest to page."""
ACCEPTED_AT: Final = "accepted-at"
"""Header: wall clock (RFC 3339) at which ingest accepted the batch that led to this record."""

MAX_VALUE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """
    One record of a topic, whatever client reads or writes it.

    Attributes:
        topic: Name of the topic.
        value: As on the wire; None deletes the key of a compacted topic.
        key: As on the wire; None spreads records over the partitions.
        headers: Name and bytes, in order.
        partition: Where it was read, or where it must be written; None leaves it to the key.
        offset: Where it was read; None for a record to be written.
    """

    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    partition: int | None = None
    offset: int | None = None

    def header(self, name: str) -> bytes | None:
        """Return the first header of that name."""
        return next((value for key, value in self.headers if key == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """
    What can never be processed, and why.

    Attributes:
        origin: ``topic/partition/offset`` it was read at, or the source it came from.
        reason: Why, in words.
        sha256: Of the whole value, to find it again.
        size: Bytes of the whole value.
        beginning: Its first 200 characters.
        at: Wall clock of its burial (UTC).
    """

    origin: str
    reason: str
    sha256: str
    size: int
    beginning: str
    at: datetime


def dead_letter(record: Record, reason: str, *, at: datetime) -> DeadLetter:
    """Shorten a record that can never be processed to what may be kept of it."""
    value = record.value or b""
    place = (record.topic, record.partition, record.offset)
    return DeadLetter(
        origin="/".join(str(part) for part in place if part is not None),
        reason=reason[:1000],
        sha256=hashlib.sha256(value).hexdigest(),
        size=len(value),
        beginning=value[:800].decode("utf-8", "replace")[:200],
        at=at,
    )


class _Head(msgspec.Struct):
    schema: str = ""
    version: int = 0


_HEAD = msgspec.json.Decoder(_Head)


class Codec:
    """
    Values of a few types <-> JSON objects that begin ``{"schema":NAME,"version":N,...}``.

    Keys that a type does not know are ignored, so that a newer writer may add optional fields.
    """

    def __init__(self, types: Mapping[str, type], *, version: int = 1) -> None:
        self.types: Mapping[str, type] = dict(types)
        self._names = {type_: name for name, type_ in types.items()}
        self._decoders: dict[str, msgspec.json.Decoder[Any]] = {
            name: msgspec.json.Decoder(type_) for name, type_ in types.items()
        }
        self._version = version

    def encode(self, value: object) -> bytes:
        """Return the value as UTF-8 JSON; its type must be one of the codec's."""
        head = f'{{"schema":"{self._names[type(value)]}","version":{self._version},'
        return head.encode() + msgspec.json.encode(value)[1:]

    def decode(self, raw: bytes | None) -> Any:
        """
        Return the value that the bytes hold.

        Raises:
            Malformed: No JSON, another schema or version, or a field of the wrong type; the
                reason names the field.
        """
        if raw is None:
            raise Malformed("empty value")
        if len(raw) > MAX_VALUE_BYTES:
            raise Malformed(f"{len(raw)} bytes: more than {MAX_VALUE_BYTES}")
        try:
            head = _HEAD.decode(raw)
            decoder = self._decoders.get(head.schema)
            if decoder is None or head.version != self._version:
                known = ", ".join(f"{name}.v{self._version}" for name in self._decoders)
                raise Malformed(
                    f"schema {head.schema!r} version {head.version}: this topic carries {known}"
                )
            value = decoder.decode(raw)
            _check_times(value, "$")
            return value
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError) as error:
            raise Malformed(str(error)) from error


def _check_times(value: Any, place: str) -> None:
    """Raise Malformed where a time has no zone, or is none that can be told in UTC and moved."""
    kind: Any = type(value)
    for name, nested in _times(kind):
        found = getattr(value, name)
        if not nested:
            if found is not None and found.tzinfo is None:
                raise Malformed(f"Expected a time zone - at `{place}.{name}`")
            if found is not None and not 1 < found.year < 9999:
                raise Malformed(f"Time out of range - at `{place}.{name}`")
        else:
            for item in found:
                _check_times(item, f"{place}.{name}[...]")


@cache
def _times(type_: Any) -> tuple[tuple[str, bool], ...]:
    """Return the fields of a type that hold a time, and (True) rows of values that do."""
    times = []
    for name, hint in get_type_hints(type_).items():
        inner: tuple[Any, ...] = get_args(hint)
        if datetime in (hint, *inner):
            times.append((name, False))
        elif Ellipsis in inner and has_fields(inner[0]) and _times(inner[0]):
            times.append((name, True))
    return tuple(times)


def has_fields(type_: Any) -> bool:
    """Whether a type is written as an object of named fields."""
    return is_dataclass(type_) or isinstance(type_, msgspec.StructMeta)

"""Post: one public message, normalised and pseudonymised. Not whom it concerns and not its verdict."""

import hashlib
import re
import unicodedata
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NewType

import msgspec

from uproar.errors import Malformed
from uproar.subject import SubjectId

PostId = NewType("PostId", str)

MAX_TEXT_BYTES = 16 * 1024
MAX_ID_LENGTH = 512
OLDEST = datetime(2000, 1, 1, tzinfo=UTC)
FUTURE_TOLERANCE = timedelta(minutes=5)


class Media(StrEnum):
    """What a post carries beside its text."""

    VIDEO = "video"
    IMAGE = "image"
    LINK = "link"


class Post(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    One public message.

    Attributes:
        id: ``network:id``, unique over all networks.
        stream: Name of the stream whose watermark covers the post (``?source=`` of a push).
        network: Where it was published; half of the id.
        text: As written, NFC, without null bytes or lone surrogates, at most 16 KiB of UTF-8.
        created_at: When it was published (event time, UTC).
        received_at: When ingest took it (wall clock, UTC).
        author: Pseudonym of the account; None makes the post an author of its own.
        cut: The text was longer and has been cut.
        own: Written by the subject itself, as the sender says.
        own_of: Subjects among whose own accounts the author is.
        backfill: Comes with a backfill: corrects baselines and evidence, never pages.
        subjects: Whom it is about.
    """

    id: PostId
    stream: str
    network: str
    text: str
    created_at: datetime
    received_at: datetime
    author: str | None = None
    author_followers: int | None = None
    lang: str | None = None
    url: str | None = None
    title: str | None = None
    rating: float | None = None
    media: tuple[Media, ...] = ()
    views: int | None = None
    shares: int | None = None
    likes: int | None = None
    replies: int | None = None
    repost_of: str | None = None
    reply_to: str | None = None
    cut: bool = False
    own: bool = False
    own_of: tuple[SubjectId, ...] = ()
    backfill: bool = False
    subjects: tuple[SubjectId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """A post (or, with ``author`` alone, all posts of an account) that was taken back."""

    id: PostId | None = None
    author: str | None = None
    at: datetime


def clean(text: str) -> tuple[str, bool]:
    """
    Make a text safe to store and compare.

    Returns:
        The text in NFC, without null bytes and lone surrogates, cut to 16 KiB of UTF-8 at a
        character's edge; and whether it was cut.
    """
    if text.isascii() and len(text) <= MAX_TEXT_BYTES and "\x00" not in text:  # most are
        return text, False
    text = text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "")
    text = unicodedata.normalize("NFC", text)
    raw = text.encode()
    if len(raw) <= MAX_TEXT_BYTES:
        return text, False
    return raw[:MAX_TEXT_BYTES].decode("utf-8", "ignore"), True


def pseudonym(account: str, network: str, key: bytes) -> str:
    """
    Name an account without telling who it is: the same for the same account, network and key.

    Args:
        account: Account name or id as the network gives it; case and a leading ``@`` do not count.
        network: Where the account lives.
        key: Secret of the installation, at most 64 bytes.
    """
    plain = f"{network}\x00{account.strip().lstrip('@').casefold()}".encode("utf-8", "replace")
    return "a_" + hashlib.blake2b(plain, key=key, digest_size=8).hexdigest()


def event_time(written: datetime, *, now: datetime) -> datetime:
    """
    Check and normalise the time of a post.

    Raises:
        Malformed: No time zone, out of range, before 2000 (a missing clock: 1970), or more than 5 minutes ahead.
    """
    if written.tzinfo is None:
        raise Malformed(
            "created_at has no time zone: write RFC 3339, for example 2026-01-31T09:00:00Z"
        )
    try:
        moment = written.astimezone(UTC)
    except OverflowError as error:  # the last day of the year 9999, west of Greenwich
        raise Malformed("created_at: out of range") from error
    if moment < OLDEST:
        raise Malformed(
            f"created_at {moment.isoformat()} is before 2000: the sender's clock is missing"
        )
    if moment > now + FUTURE_TOLERANCE:
        raise Malformed(f"created_at {moment.isoformat()} is more than 5 minutes in the future")
    return moment


_NOISE = re.compile(r"https?://\S+|www\.\S+|@\w+|^\s*rt\b|[^\w\s]|_", re.IGNORECASE)


_HALF_WORDS, _HALF_LETTERS = 4, 20
"""What a half must hold, or people who happen to use the same few words would pass for copies."""


def fingerprint(text: str) -> str | None:
    """
    Name what a text says, so that copies, reposts and near copies of it have a name in common.

    Case, links, handles, ``RT``, punctuation, emoji, accents and blanks do not count. The distinct
    words fall into two halves, by a hash of each word alone, and each half has a name: whoever adds
    or leaves out a word leaves one of the two as it was, and so does every second who replaces one.
    (A signature of words as I-Match, Chowdhury et al. 2002, made robust as by the several lexicons
    of Kolcz et al. 2004.)
    The whole text's name stands for a half that is too small.

    Returns:
        16 hexadecimal digits, or twice 16 with a dot between; None when fewer than three words
        remain: too little to tell a copy from people who happen to say the same.
    """
    folded = unicodedata.normalize("NFKD", _NOISE.sub(" ", text.casefold()))
    words = "".join(c for c in folded if not unicodedata.combining(c)).split()
    if len(words) < 3:
        return None
    halves: tuple[list[str], list[str]] = ([], [])
    for word in sorted(set(words)):
        halves[zlib.crc32(word.encode("utf-8", "replace")) & 1].append(word)
    large = [half for half in halves if _tells(half)]
    names = [_named(half) for half in large] + [_named(words)] * (len(large) < 2)
    return ".".join(names)


def _tells(half: list[str]) -> bool:
    return len(half) >= _HALF_WORDS and sum(map(len, half)) >= _HALF_LETTERS


def _named(words: list[str]) -> str:
    return hashlib.blake2b(" ".join(words).encode("utf-8", "replace"), digest_size=8).hexdigest()

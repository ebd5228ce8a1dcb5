"""Inbox: one post as its sender wrote it -> Post. Not how it came, nor whether it was seen before."""

import re
from collections.abc import Container, Mapping
from datetime import datetime
from typing import Annotated, Any, Protocol

import msgspec

from uproar.errors import Malformed
from uproar.post import MAX_ID_LENGTH, Media, Post, PostId, clean, event_time, pseudonym
from uproar.subject import SubjectId

MAX_URL_LENGTH = 4096
_MOST = 2**63 - 1

Count = Annotated[int, msgspec.Meta(ge=0, le=_MOST)] | Annotated[float, msgspec.Meta(ge=0)] | None


class InputPost(msgspec.Struct, kw_only=True, omit_defaults=True):
    """
    A post as anybody may send it; keys that are not here are ignored.

    ``subjects``, when given, replaces matching. ``reply_to`` may be a bare ``true`` in exports that
    do not say to what.
    """

    id: str
    created_at: datetime
    text: str | None = None
    author: str | None = None
    author_followers: Count = None
    lang: str | None = None
    source: str | None = None
    url: str | None = None
    title: str | None = None
    rating: Annotated[float, msgspec.Meta(ge=0)] | None = None
    media: list[Media] | None = None
    views: Count = None
    shares: Count = None
    likes: Count = None
    replies: Count = None
    repost_of: str | None = None
    reply_to: str | bool | None = None
    subjects: list[str] | None = None
    own: bool | None = None


class Names(Protocol):
    """Whom a text names: :class:`uproar.match.Matcher`."""

    def match(
        self, text: str, *, title: str | None = None, lang: str | None = None
    ) -> tuple[SubjectId, ...]:
        """Return the subjects that a text, or its title, names."""

    def own(self, account: str) -> tuple[SubjectId, ...]:
        """Return the subjects to which an account belongs."""


_DECODER = msgspec.json.Decoder(InputPost)


def read_post(
    raw: bytes | Mapping[str, Any],
    *,
    stream: str,
    now: datetime,
    key: bytes,
    names: Names | None = None,
    known: Container[str] | None = None,
    backfill: bool = False,
) -> Post:
    """
    Read, clean and pseudonymise one post, and find whom it concerns.

    Args:
        raw: A JSON object as bytes, or already parsed.
        stream: Name of the stream it came through; its network when it names none.
        now: Wall clock (aware), for ``received_at`` and against times in the future.
        key: Secret of the pseudonyms, at most 64 bytes.
        names: Finds the subjects of a post that does not give them; None finds nobody.
        known: Ids on the watch list; None lets every given subject pass.
        backfill: Whether it comes with a backfill.

    Raises:
        Malformed: The reason, naming the field.
    """
    sent = _parse(raw)
    text, title, cut = _words(sent)
    lang = _short("lang", sent.lang, 35)
    network = stream_name(sent.source) if sent.source and sent.source.strip() else stream
    author = _short("author", sent.author, MAX_ID_LENGTH)
    reply_to = sent.reply_to if isinstance(sent.reply_to, str) else None
    subjects = _subjects(sent.subjects, known)
    if subjects is None:
        subjects = names.match(text, title=title, lang=lang) if names else ()
    return Post(
        id=PostId(f"{network}:{_id(sent.id)}"),
        stream=stream,
        network=network,
        text=text,
        created_at=event_time(sent.created_at, now=now),
        received_at=now,
        author=pseudonym(author, network, key) if author else None,
        author_followers=_count("author_followers", sent.author_followers),
        lang=lang,
        url=_url(sent.url),
        title=title,
        rating=sent.rating,
        media=tuple(dict.fromkeys(sent.media or ())),
        views=_count("views", sent.views),
        shares=_count("shares", sent.shares),
        likes=_count("likes", sent.likes),
        replies=_count("replies", sent.replies),
        repost_of=_short("repost_of", sent.repost_of, MAX_ID_LENGTH),
        reply_to=_short("reply_to", reply_to, MAX_ID_LENGTH),
        cut=cut,
        own=bool(sent.own),
        own_of=names.own(author) if names and author and subjects else (),
        backfill=backfill,
        subjects=subjects,
    )


def _parse(raw: bytes | Mapping[str, Any]) -> InputPost:
    try:
        if isinstance(raw, bytes):
            return _DECODER.decode(mend_surrogates(raw))
        return msgspec.convert(raw, InputPost)
    except UnicodeDecodeError as error:
        raise Malformed("not UTF-8") from error
    except RecursionError as error:
        raise Malformed("nested too deeply") from error
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError) as error:
        raise Malformed(reason(error)) from error


_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]*)`")
_PLACE = re.compile(r"(?P<what>.*) - at `\$\.?(?P<where>[^`]*)`", re.DOTALL)


def reason(error: Exception) -> str:
    """Say in one line what msgspec found wrong, the field first."""
    text = str(error)
    if match := _MISSING.match(text):
        return f"{match['field']}: missing"
    if match := _PLACE.fullmatch(text):
        text = f"{match['where']}: {match['what']}" if match["where"] else match["what"]
    return text.replace("`", "'")[:300]


def _words(sent: InputPost) -> tuple[str, str | None, bool]:
    text, text_cut = clean(sent.text or "")
    title, title_cut = clean(sent.title or "")
    if not text.strip() and not title.strip():
        raise Malformed("text: empty, and there is no title either")
    return text, title or None, text_cut or title_cut


def _subjects(
    given: list[str] | None, known: Container[str] | None
) -> tuple[SubjectId, ...] | None:
    if given is None:
        return None
    unknown = [subject for subject in given if known is not None and subject not in known]
    if unknown:
        raise Malformed(f"subjects: unknown subject {unknown[0][:100]!r}")
    return tuple(SubjectId(subject) for subject in dict.fromkeys(given))


def _id(given: str) -> str:
    name = _short("id", given, MAX_ID_LENGTH)
    if name is None:
        raise Malformed("id: empty")
    return name


_NETWORK = re.compile(r"[a-z0-9._-]{1,100}")


def stream_name(given: str) -> str:
    """
    Check and normalise the name of a stream or network.

    Raises:
        Malformed: Not 1 to 100 letters a-z, digits, ``.``, ``_`` or ``-``, whatever their case.
    """
    name = given.strip().lower()
    if not _NETWORK.fullmatch(name):
        raise Malformed(f"source: {name[:100]!r} is not 1 to 100 of a-z, 0-9, '.', '_' and '-'")
    return name


def _short(field: str, given: str | None, most: int) -> str | None:
    if not given:
        return None
    text = clean(given[: most + 1])[0].strip()
    if len(given) > most:
        raise Malformed(f"{field}: more than {most} characters")
    return text or None


def _url(given: str | None) -> str | None:
    url = _short("url", given, MAX_URL_LENGTH)
    if url and not url.lower().startswith(("http://", "https://")):
        raise Malformed("url: must begin with http:// or https://")
    return url


def _count(field: str, given: float | None) -> int | None:
    if given is None or isinstance(given, int):
        return given
    if not given.is_integer() or given > _MOST:  # an export may write 12.0
        raise Malformed(f"{field}: {given} is not a whole number")
    return int(given)


_ESCAPE = re.compile(
    rb"\\(?:u([dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)"
)


def mend_surrogates(raw: bytes) -> bytes:
    r"""
    Replace lone surrogates (``\ud800``) in a JSON text by U+FFFD, as no decoder of ours takes them.

    Pairs, which stand for one character, and everything else stay as they are.
    """
    if b"\\ud" not in raw and b"\\uD" not in raw:
        return raw
    return _ESCAPE.sub(_mended, raw)


def _mended(match: re.Match[bytes]) -> bytes:
    escape = match[0]
    lone = len(escape) == 6 and match[1] is None
    return b"\\ufffd" if lone else escape

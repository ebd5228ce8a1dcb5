"""
Lines: scored posts as JSON lines (also ``.gz``), into chunks of columns, a chunk in memory at a time.

A line is a post with its ``scores`` as ``uproar classify`` gives them, or a flat one with the names
of a Parquet file's columns (:mod:`services.backtest.parquet`). What is plain is taken as it stands;
whatever is not goes the way of the pipeline, with its checks and its reasons.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from services.backtest.chunk import POSTS, Chunk, Counts
from services.backtest.gathering import RECORDED, Gathering, Said, why_not
from services.backtest.recorded import Reader
from services.classifier.score import assess
from services.ingest.recording import MAX_LINE_BYTES, read_lines, stream_of
from uproar.assessment import Assessment, Probability, Scores
from uproar.errors import Malformed
from uproar.inbox import InputPost, mend_surrogates, reason, stream_name
from uproar.post import FUTURE_TOLERANCE, MAX_ID_LENGTH, OLDEST, event_time, pseudonym

_MOST_BYTES: Final = 2**50
_NO_TEXT: Final = "-"
_AUTHORS: Final = 500_000
_MAX_LANG: Final = 35
_REACH: Final = ("author_followers", "views", "shares", "likes", "replies")
_WORDS: Final = ("text", "title", "url", "media", "repost_of", "reply_to")


class _Post(InputPost, kw_only=True):
    scores: Scores | None = None
    error: str | None = None


class _Row(msgspec.Struct, kw_only=True, gc=False):
    id: str | int
    time: datetime
    subject: str | list[str] | None = None
    negative: Probability | None = None
    neutral: Probability | None = None
    positive: Probability | None = None
    complaint: Probability | None = None
    offensive: Probability | None = None
    author_hash: str | int | None = None
    text_hash: str | int | None = None
    own: bool | None = None
    source: str | None = None


_POST = msgspec.json.Decoder(_Post)
_ROW = msgspec.json.Decoder(_Row)


class Lines:
    """A file of scored posts."""

    def __init__(self, path: Path, reader: Reader) -> None:
        self._path, self._reader = path, reader
        self._stream = stream_of(path)
        self._oldest = OLDEST.timestamp()
        self._newest = (reader.now + FUTURE_TOLERANCE).timestamp()
        self._place = {subject.id: place for place, subject in enumerate(reader.subjects)}
        self._authors: dict[tuple[str, str], tuple[str, Sequence[str]]] = {}

    def chunks(self, counts: Counts, *, posts: int = POSTS) -> Iterator[Chunk]:
        """
        Yield the posts in chunks, as they stand in the file; count what cannot be read.

        Raises:
            Misconfigured, Malformed: The file as a whole cannot be read.
        """
        gathering = Gathering(self._reader.subjects)
        for place, line in enumerate(read_lines(self._path, most=_MOST_BYTES), start=1):
            raw = line.strip().removeprefix(b"\xef\xbb\xbf")
            if not raw:
                continue
            try:
                if len(line) > MAX_LINE_BYTES:
                    raise Malformed(f"longer than {MAX_LINE_BYTES} bytes")
                self._take(mend_surrogates(raw), gathering, counts)
            except Malformed as error:
                counts.refuse(f"line {place}", str(error))
            if gathering.read == posts and (chunk := gathering.chunk()):
                yield chunk
        if chunk := gathering.chunk():
            yield chunk

    def _take(self, raw: bytes, gathering: Gathering, counts: Counts) -> None:
        try:
            line = _POST.decode(raw) if b'"created_at"' in raw else _ROW.decode(raw)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise Malformed(reason(error)) from error
        said = self._row(line) if isinstance(line, _Row) else self._plain(line)
        if said is not None:
            gathering.say(said)
            counts.unmatched += not said.subjects
            counts.unscored += said.scores is None and bool(said.subjects)
            return
        at, about = scored(raw, self._reader, stream=self._stream)
        gathering.heard(at.timestamp())
        counts.unmatched += not about
        counts.unscored += any(told.scores is None for told in about)
        for told in about:
            gathering.add(told)

    def _plain(self, post: _Post) -> Said | None:  # noqa: PLR0911 - one for each thing to look at
        """Return what a post says that names its subjects and holds no words; None for another."""
        if post.subjects is None or any(getattr(post, name) for name in _WORDS):
            return None
        if not (_is_plain(post.id) and all(map(_is_plain, filter(None, (post.author, post.lang))))):
            return None
        reach = {name: count for name in _REACH if (count := getattr(post, name)) is not None}
        if len(post.lang or "") > _MAX_LANG or not all(type(n) is int for n in reach.values()):
            return None
        places = [self._place.get(subject) for subject in dict.fromkeys(post.subjects)]  # type: ignore[call-overload]
        scores, sent = post.scores, post.created_at
        if None in places or sent.tzinfo is None or (scores is None and post.error is None):
            return None
        if scores and why_not(scores.negative, scores.neutral, scores.positive):
            return None
        at = sent.timestamp()
        if not self._oldest <= at <= self._newest:
            return None
        network = stream_name(post.source) if post.source and post.source.strip() else self._stream
        author, own_of = self._author(post.author, network) if post.author else (None, ())
        return Said(
            f"{network}:{post.id}",
            at,
            places,
            scores,
            author,
            own=bool(post.own),
            own_of=own_of,
            more={"lang": post.lang, **reach},
        )

    def _author(self, account: str, network: str) -> tuple[str, Sequence[str]]:
        """Return the pseudonym of an account, and whose own account it is."""
        key = account, network
        if (known := self._authors.get(key)) is None:
            if len(self._authors) >= _AUTHORS:
                self._authors.clear()
            called = pseudonym(account, network, self._reader.key)
            known = called, self._reader.names.own(account)
            self._authors[key] = known
        return known

    def _row(self, row: _Row) -> Said:
        """Return what a flat line says."""
        event_time(row.time, now=self._reader.now)
        given = [row.subject] if isinstance(row.subject, str) else row.subject or []
        scores = None
        if row.negative is not None or row.neutral is not None or row.positive is not None:
            if row.negative is None or row.neutral is None or row.positive is None:
                raise Malformed("negative, neutral, positive: give all three, or none")
            if problem := why_not(row.negative, row.neutral, row.positive):
                raise Malformed(problem)
            scores = Scores(
                negative=row.negative,
                neutral=row.neutral,
                positive=row.positive,
                complaint=row.complaint,
                offensive=row.offensive,
            )
        network = stream_name(row.source) if row.source else self._stream
        return Said(
            f"{network}:{_id(row.id)}",
            row.time.timestamp(),
            [self._known(subject) for subject in dict.fromkeys(given)],
            scores,
            None if row.author_hash == "" else row.author_hash,
            None if row.text_hash == "" else row.text_hash,
            own=bool(row.own),
        )

    def _known(self, subject: str) -> int:
        place = self._place.get(subject)  # type: ignore[call-overload]
        if place is None:
            raise Malformed(f"subjects: unknown subject {subject[:100]!r}")
        return int(place)


def scored(raw: bytes, reader: Reader, *, stream: str) -> tuple[datetime, list[Assessment]]:
    """
    Read a post that has been scored: its own keys, and ``scores`` as classify gives them.

    A post that names its ``subjects`` needs no text. One with an ``error`` in the place of
    ``scores``, or null there, is one that the model could not score.

    Returns:
        Its event time, and what the pipeline would make of it, once for each subject.

    Raises:
        Malformed: Why it cannot be read.
    """
    raw = mend_surrogates(raw)
    post = reader.post(_with_text(raw), stream=stream)
    scores = _scores(raw)
    told = msgspec.structs.replace(post, text="") if post.text == _NO_TEXT else post
    return post.created_at, assess(told, dict.fromkeys(told.subjects, scores), RECORDED)


def _with_text(raw: bytes) -> bytes:
    """Give a post that names its subjects, but no text, one that says nothing."""
    if b'"text"' in raw:
        return raw
    try:
        post = msgspec.json.decode(raw, type=InputPost)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return raw  # read_post says what is wrong with it
    if post.subjects is not None and not post.text and not post.title:
        post.text = _NO_TEXT
    return msgspec.json.encode(post)


def _scores(raw: bytes) -> Scores | None:
    try:
        line = _POST.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Malformed(reason(error)) from error
    scores = line.scores
    if scores is None:
        if line.error is None and b'"scores"' not in raw:
            raise Malformed("scores: missing")
        return None
    if problem := why_not(scores.negative, scores.neutral, scores.positive):
        raise Malformed(problem)
    return scores


def _is_plain(text: str) -> bool:
    """Whether cleaning would leave a text as it stands."""
    return (
        0 < len(text) <= MAX_ID_LENGTH
        and text.isascii()
        and text.isprintable()
        and text == text.strip()
    )


def _id(given: str | int) -> str:
    name = str(given)
    if not name.strip():
        raise Malformed("id: empty")
    if len(name) > MAX_ID_LENGTH:
        raise Malformed(f"id: more than {MAX_ID_LENGTH} characters")
    return name

"""`uproar classify`: one JSON object in, its scores out, in the same order."""

import json
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, BinaryIO

import msgspec
import numpy as np
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from services.classifier.engine import Engine, load
from services.classifier.engine.repeats import Repeats
from services.classifier.judge import Marks, model_input

MAX_LINE_BYTES = 1024 * 1024
DIGITS = 4


class _Line(msgspec.Struct):
    id: str | int | None = None
    text: str = ""  # a post may have a title alone
    title: str | None = None
    lang: str | None = None
    subject: str | None = None  # whom the sentiment is wanted towards


_DECODER = msgspec.json.Decoder(_Line)


def main(*, model: str | None, batch: int) -> None:
    """Read posts from stdin, write scores to stdout; progress on stderr when it is a terminal."""
    engine = Repeats(load(model))
    out = sys.stdout.buffer
    columns = (SpinnerColumn(), TextColumn("{task.completed} posts"), TimeElapsedColumn())
    with Progress(*columns, disable=not sys.stderr.isatty(), transient=True) as progress:
        task = progress.add_task("classify")
        for line in classify(read_lines(sys.stdin.buffer), engine, batch=batch):
            out.write(line)
            progress.advance(task)
    out.flush()


def read_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a stream; of one that is too long only its beginning, a byte too much."""
    while line := stream.readline(MAX_LINE_BYTES + 1):
        yield line
        part = line
        while part and not part.endswith(b"\n"):
            part = stream.readline(MAX_LINE_BYTES)


def classify(lines: Iterable[bytes], engine: Engine, *, batch: int = 256) -> Iterator[bytes]:
    """
    Score JSON lines.

    Args:
        lines: One post each, with a ``text``, a ``title`` or both, and perhaps a ``subject``: the
            name whose mention a model that was taught so judges by; blank lines are left out.
        engine: What scores.
        batch: Lines that are read before the engine is asked.

    Yields:
        For each line ``{"id","lang","scores"}``, or ``{"id","error"}`` if it cannot be read.
    """
    rest = (line for line in lines if line.strip())
    while chunk := list(islice(rest, batch)):
        posts = [_read(line) for line in chunk]
        readable = [post for post in posts if isinstance(post, _Line)]
        rows = iter(engine.score([_text(post, engine.marks) for post in readable]))
        for post, line in zip(posts, chunk, strict=True):
            if isinstance(post, _Line):
                answer = _answer(post, next(rows), engine.heads)
            else:
                answer = {"id": _id(line), "error": post}
            yield msgspec.json.encode(answer) + b"\n"


def _read(line: bytes) -> _Line | str:
    if len(line) > MAX_LINE_BYTES:
        return f"more than {MAX_LINE_BYTES} bytes in a line"
    try:
        return _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error)
    try:  # the standard library also reads lone surrogates, which the engine can take
        post = msgspec.convert(json.loads(line), _Line)
    except (ValueError, RecursionError, msgspec.ValidationError):
        return reason
    return "the id holds a lone surrogate" if _surrogate(post.id) else post


def _id(line: bytes) -> Any:
    """Return the id of a line that is no post, if it has one."""
    try:
        post = json.loads(line[:MAX_LINE_BYTES])
    except (ValueError, RecursionError):
        return None
    found = post.get("id") if isinstance(post, dict) else None
    return found if isinstance(found, str | int) and not _surrogate(found) else None


def _surrogate(found: str | int | None) -> bool:
    return isinstance(found, str) and any("\ud800" <= c <= "\udfff" for c in found)


def _text(post: _Line, marks: Marks) -> str:
    names = (post.subject,) if post.subject else ()
    return model_input(post.text, title=post.title, names=names, marks=marks)


def _answer(post: _Line, row: Any, heads: tuple[str, ...]) -> dict[str, Any]:
    if np.isnan(row).any():
        return {"id": post.id, "error": "nothing in the text that could be scored"}
    scores = {head: round(float(p), DIGITS) for head, p in zip(heads, row, strict=True)}
    return {"id": post.id, "lang": post.lang, "scores": scores}

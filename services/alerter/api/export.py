"""Export: lists of incidents as CSV for spreadsheets and as NDJSON for programs, whole."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from enum import StrEnum
from typing import Any, Final

from fastapi import Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

COLUMNS: Final = (
    "id", "status", "level", "severity", "peak_severity", "subject", "subject_name", "title",
    "posts", "authors", "opened_at", "happened_at", "created_at", "updated_at", "acknowledged_at",
    "acknowledged_by", "resolved_at", "resolved_by", "episode", "assignee", "verdict",
    "verdict_reason", "merged_into",
)  # fmt: skip
Pages = AsyncIterator[Sequence[BaseModel]]
"""One at least, of none where the list is empty."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class Format(StrEnum):
    """How a list is answered."""

    JSON = "json"
    CSV = "csv"
    NDJSON = "ndjson"


_TYPES: Final = {Format.CSV: "text/csv", Format.NDJSON: "application/x-ndjson"}


def wanted(request: Request, asked: Format | None) -> Format:
    """Return the format that is asked for by `format=`, or else by the Accept header."""
    if asked is not None:
        return asked
    accepted = {
        one.partition(";")[0].strip().lower()
        for one in request.headers.get("Accept", "").split(",")
    }
    return next((form for form, media in _TYPES.items() if media in accepted), Format.JSON)


async def answer(form: Format, pages: Pages) -> StreamingResponse:
    """
    Stream pages of incidents, one after the other: nothing is kept in memory.

    The first is waited for: what goes wrong before it is told by the status.
    """
    write = _csv if form is Format.CSV else _ndjson
    return StreamingResponse(
        write(_begun(await anext(pages), pages)),
        media_type=f"{_TYPES[form]}; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="incidents.{form.value}"',
            "Cache-Control": "private, no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )


def harmless(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula."""
    if isinstance(value, str) and value.lstrip(" \ufeff").startswith(_FORMULA):
        return f"'{value}"
    return value


async def _begun(first: Sequence[BaseModel], rest: Pages) -> Pages:
    yield first
    async for page in rest:
        yield page


async def _csv(pages: Pages) -> AsyncIterator[str]:
    yield _row(COLUMNS)
    async for page in pages:
        for item in page:
            said = item.model_dump(mode="json")
            yield _row([harmless(said[name]) for name in COLUMNS])


async def _ndjson(pages: Pages) -> AsyncIterator[str]:
    async for page in pages:
        for item in page:
            yield item.model_dump_json() + "\n"


def _row(cells: Sequence[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue()

"""What a push may say and be told, as the OpenAPI shows it. It checks nothing: ``uproar.inbox`` does."""

from typing import Any, Final

import msgspec

from uproar.inbox import InputPost

EXAMPLE: Final = {
    "id": "1",
    "text": "@mybrand broke my guitar and will not pay",
    "created_at": "2026-01-31T09:00:00Z",
    "author": "someone",
}

_COUNTS: Final = ("accepted", "duplicate", "unmatched", "rejected", "cut", "late")


def _post() -> dict[str, Any]:
    """Return the JSON Schema of a post, in one piece."""
    (found,), parts = msgspec.json.schema_components([InputPost])
    name = found["$ref"].rpartition("/")[2]
    whole = _whole(parts[name], parts)
    return {**whole, "example": EXAMPLE, "title": "Post"}


def _whole(schema: Any, parts: dict[str, Any]) -> Any:
    """Put the parts that a schema refers to in their places."""
    if isinstance(schema, list):
        return [_whole(item, parts) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _whole(parts[schema["$ref"].rpartition("/")[2]], parts)
    return {key: _whole(value, parts) for key, value in schema.items()}


POST: Final = _post()

BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {"schema": {"oneOf": [POST, {"type": "array", "items": POST}]}},
        "application/x-ndjson": {"schema": {"type": "string"}},
    },
}

PARAMETERS: Final[list[dict[str, Any]]] = [
    {"name": name, "in": "query", "description": text, "schema": schema}
    for name, schema, text in (
        (
            "source",
            {"type": "string", "default": "push", "pattern": "^[a-z0-9._-]{1,100}$"},
            "Stream whose watermark counts; a post's own source is its network",
        ),
        (
            "up_to",
            {"type": "string", "format": "date-time"},
            "How far the stream's event time has come (RFC 3339)",
        ),
        ("end", {"type": "boolean", "default": False}, "Whether the stream ends here"),
        (
            "backfill",
            {"type": "boolean", "default": False},
            "Whether it brings history: it never pages",
        ),
    )
]

_VERDICT: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["id", "verdict"],
    "properties": {
        "id": {"type": ["string", "null"]},
        "verdict": {"enum": ["accepted", "duplicate", "unmatched", "rejected"]},
        "reason": {"type": "string"},
    },
}

_OUTCOME: Final[dict[str, Any]] = {
    "type": "object",
    "required": [*_COUNTS, "verdicts"],
    "properties": {
        **{name: {"type": "integer", "minimum": 0} for name in _COUNTS},
        "verdicts": {"type": "array", "items": _VERDICT},
        "up_to_reached": {"type": "string", "format": "date-time"},
    },
}

_PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["title", "status", "detail"],
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}


def _problem(text: str) -> dict[str, Any]:
    return {"description": text, "content": {"application/problem+json": {"schema": _PROBLEM}}}


RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    202: {
        "description": "Taken: a verdict for each post, in order",
        "content": {"application/json": {"schema": _OUTCOME}},
    },
    400: _problem("The body cannot be read, and where"),
    401: _problem("No token, or a wrong one"),
    403: _problem("Without UPROAR_INGEST_TOKEN only programs of this machine may push"),
    408: _problem("The body did not come in time"),
    409: _problem("It contradicts what its stream, or another one, is; where to go on"),
    413: _problem("The body is too large, packed or unpacked, or holds over 20,000 posts"),
    415: _problem("A content-encoding that is neither gzip nor none"),
    422: _problem("A parameter is wrong, and which"),
    503: _problem("The broker or the watch list is away: send it again, see Retry-After"),
}

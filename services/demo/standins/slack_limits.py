"""Slack's limits on a message: documented ones, and the one on all blocks that is only known."""

from collections.abc import Mapping
from typing import Any, Final

_TEXT_LIMIT: Final = 40_000
_BLOCKS_LIMIT: Final = 11_000  # undocumented; failures were seen from 11,341 on


class SlackRefusal(Exception):
    """What Slack answers ``ok: false`` with."""


def content(given: Mapping[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """Return text and blocks of a message; raises SlackRefusal where Slack would not take them."""
    text, blocks = given.get("text") or "", given.get("blocks") or []
    if not isinstance(text, str) or not isinstance(blocks, list):
        raise SlackRefusal("invalid_blocks_format")
    if not text and not blocks:
        raise SlackRefusal("no_text")
    if len(text) > _TEXT_LIMIT:
        raise SlackRefusal("msg_too_long")
    if len(blocks) > 50 or not all(_is_block(block) for block in blocks):
        raise SlackRefusal("invalid_blocks")
    if sum(_length(block) for block in blocks) > _BLOCKS_LIMIT:
        raise SlackRefusal("msg_blocks_too_long")
    return text, blocks


def _is_block(block: Any) -> bool:
    if not isinstance(block, dict):
        return False
    match block.get("type"):
        case "header":
            return _is_text(block.get("text"), 150, only="plain_text")
        case "section":
            fields = block.get("fields", [])
            told = _is_text(block.get("text"), 3000) if "text" in block else bool(fields)
            return told and len(fields) <= 10 and all(_is_text(f, 2000) for f in fields)
        case "context":
            elements = block.get("elements", [])
            return 1 <= len(elements) <= 10 and all(_is_text(e, 2000) for e in elements)
        case "divider":
            return True
        case _:
            return False  # uproar sends nothing else yet


def _is_text(text: Any, limit: int, *, only: str | None = None) -> bool:
    if not isinstance(text, dict) or not isinstance(text.get("text"), str):
        return False
    known = (
        {"type", "text", "verbatim"} if text.get("type") == "mrkdwn" else {"type", "text", "emoji"}
    )
    return (
        text.get("type") in ({only} if only else {"plain_text", "mrkdwn"})
        and set(text) <= known
        and 1 <= len(text["text"]) <= limit
    )


def _length(block: Any) -> int:
    if isinstance(block, dict):
        return sum(_length(value) for name, value in block.items() if name != "type")
    if isinstance(block, list):
        return sum(map(_length, block))
    return len(block) if isinstance(block, str) else 0


def metadata_of(given: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the metadata of a message; raises SlackRefusal as :func:`content`."""
    metadata = given.get("metadata")
    if metadata is None:
        return None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("event_type"), str):
        raise SlackRefusal("invalid_metadata_format")
    payload = metadata.get("event_payload")
    if not isinstance(payload, dict) or any(isinstance(v, dict) for v in payload.values()):
        raise SlackRefusal("invalid_metadata_schema")
    return metadata

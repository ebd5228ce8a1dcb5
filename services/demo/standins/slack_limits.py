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
    elements = block.get("elements", [])
    match block.get("type"):
        case "header":
            fits = _is_text(block.get("text"), 150, only="plain_text")
        case "section":
            fields = block.get("fields", [])
            told = _is_text(block.get("text"), 3000) if "text" in block else bool(fields)
            fits = told and len(fields) <= 10 and all(_is_text(f, 2000) for f in fields)
        case "context":
            fits = 1 <= len(elements) <= 10 and all(_is_text(e, 2000) for e in elements)
        case "actions":
            fits = 1 <= len(elements) <= 25 and all(map(_is_element, elements))
        case kind:
            fits = kind == "divider"  # uproar sends nothing else yet
    return fits


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


def _is_element(element: Any) -> bool:
    """Take a button or a menu, each with its limits."""
    if not isinstance(element, dict) or not 1 <= len(str(element.get("action_id", ""))) <= 255:
        return False
    if "confirm" in element and not _is_confirm(element["confirm"]):
        return False
    if element.get("type") == "static_select":
        options = element.get("options", [])
        return (
            _is_text(element.get("placeholder"), 150, only="plain_text")
            and 1 <= len(options) <= 100
            and all(_is_option(option) for option in options)
        )
    return (
        element.get("type") == "button"
        and element.get("style") in {None, "primary", "danger"}
        and _is_text(element.get("text"), 75, only="plain_text")
        and len(element.get("value", "")) <= 2000
        and len(element.get("url", "")) <= 3000
    )


def _is_option(option: Any) -> bool:
    return (
        isinstance(option, dict)
        and _is_text(option.get("text"), 75)
        and 1 <= len(str(option.get("value", ""))) <= 150
    )


def _is_confirm(confirm: Any) -> bool:
    limits = {"title": 100, "text": 300, "confirm": 30, "deny": 30}
    return isinstance(confirm, dict) and all(
        _is_text(confirm.get(name), limit) for name, limit in limits.items()
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

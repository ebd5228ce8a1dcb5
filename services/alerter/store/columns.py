"""Column types that say the same on SQLite and on PostgreSQL: times in UTC, safe texts, JSON."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, Text, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC; SQLite gives naive ones back otherwise."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class SafeText(TypeDecorator[str]):
    """A text without null bytes and lone surrogates, which PostgreSQL would refuse."""

    impl = Text
    cache_ok = True

    def process_bind_param(
        self,
        value: str | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> str | None:
        return None if value is None else safe(value)


class SafeJson(TypeDecorator[Any]):
    """A JSON value whose texts are as safe; JSONB on PostgreSQL."""

    impl = JSON().with_variant(JSONB(), "postgresql")
    cache_ok = True

    def process_bind_param(
        self,
        value: Any,
        dialect: Dialect,  # noqa: ARG002
    ) -> Any:
        return _safe_json(value)


def safe(text: str) -> str:
    """Take out what no database keeps: null bytes; lone surrogates become question marks."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def _safe_json(value: Any) -> Any:
    match value:
        case str():
            return safe(value)
        case dict():
            return {safe(str(key)): _safe_json(item) for key, item in value.items()}
        case list() | tuple():
            return [_safe_json(item) for item in value]
        case _:
            return value

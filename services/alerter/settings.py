"""Settings of the alerter: ``UPROAR_ALERTER_*``, the database, and what uproar.toml says to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr

from services.broker import KafkaSettings
from services.process import read_document
from uproar.errors import Malformed, Misconfigured
from uproar.subject import Subject, watch_list


class AlerterSettings(KafkaSettings):
    """What the alerter reads from the environment."""

    host: str = Field(default="127.0.0.1", validation_alias="UPROAR_ALERTER_HOST")
    port: int = Field(default=8080, ge=0, le=65535, validation_alias="UPROAR_ALERTER_PORT")
    public_url: str | None = Field(
        default=None, pattern=r"^https?://", validation_alias="UPROAR_ALERTER_PUBLIC_URL"
    )
    classifier_url: str = Field(
        default="http://127.0.0.1:8082",
        pattern=r"^https?://",
        validation_alias="UPROAR_ALERTER_CLASSIFIER_URL",
    )
    operator_webhook: SecretStr | None = Field(
        default=None, validation_alias="UPROAR_ALERTER_OPERATOR_WEBHOOK"
    )
    operator_secret: SecretStr | None = Field(
        default=None, validation_alias="UPROAR_ALERTER_OPERATOR_SECRET"
    )
    heartbeat_url: SecretStr | None = Field(
        default=None, validation_alias="UPROAR_ALERTER_HEARTBEAT_URL"
    )
    database: SecretStr | None = Field(default=None, validation_alias="UPROAR_DATABASE_URL")
    keep_text_days: int = Field(
        default=90, ge=1, le=3650, validation_alias="UPROAR_ALERTER_KEEP_TEXT_DAYS"
    )
    keep_readings_days: int = Field(
        default=90, ge=1, le=3650, validation_alias="UPROAR_ALERTER_KEEP_READINGS_DAYS"
    )

    @property
    def console_url(self) -> str:
        """Where people find the console: what pages link to."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def links_lead_nowhere(self) -> bool:
        """Whether pages link to an address that only says where the process listens: everywhere."""
        return self.public_url is None and self.host in {"0.0.0.0", "::"}  # noqa: S104

    @property
    def database_url(self) -> str:
        """The database: the one named, or a file in the data folder."""
        if self.database is not None:
            return self.database.get_secret_value()
        path = (self.data_dir / "alerter" / "uproar.db").absolute()
        return f"sqlite+aiosqlite:///{path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverTable:
    """One ``[[receiver]]``: its notifier's type, and the settings that only this type knows."""

    name: str
    type: str
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What uproar.toml (``UPROAR_CONFIG``) and the watch list (``UPROAR_WATCH``) say together."""

    subjects: tuple[Subject, ...] = ()
    receivers: tuple[ReceiverTable, ...] = ()
    routes: tuple[Mapping[str, Any], ...] = ()
    schedules: tuple[Mapping[str, Any], ...] = ()


def read(config: Path | None, watch: Path | None) -> Document:
    """
    Read both files; a subject that stands in both is the one of the watch list.

    Raises:
        Misconfigured: A file cannot be read, or which table of it is wrong, and why.
    """
    try:
        document = read_document(config) if config else {}
        listed = read_document(watch) if watch else {}
        subjects = {subject.id: subject for subject in watch_list(document)}
        subjects |= {subject.id: subject for subject in watch_list(listed)}
        return Document(
            subjects=tuple(subjects.values()),
            receivers=_receivers(_tables(document, "receiver")),
            routes=_tables(document, "route"),
            schedules=_tables(document, "schedule"),
        )
    except Malformed as error:
        raise Misconfigured(str(error)) from error


def _tables(document: Mapping[str, Any], name: str) -> tuple[Mapping[str, Any], ...]:
    tables = document.get(name, [])
    if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
        raise Malformed(f"'{name}' must be a list of tables: write [[{name}]] before each")
    return tuple(tables)


def _receivers(tables: tuple[Mapping[str, Any], ...]) -> tuple[ReceiverTable, ...]:
    receivers: dict[str, ReceiverTable] = {}
    for number, table in enumerate(tables, start=1):
        name, kind = table.get("name"), table.get("type")
        if not isinstance(name, str) or not name.strip():
            raise Malformed(f"receiver number {number} has no name")
        if not isinstance(kind, str):
            raise Malformed(f"receiver {name!r} has no type")
        if name in receivers:
            raise Malformed(f"receiver {name!r} stands twice")
        options = {key: value for key, value in table.items() if key not in {"name", "type"}}
        receivers[name] = ReceiverTable(name=name, type=kind, options=options)
    return tuple(receivers.values())

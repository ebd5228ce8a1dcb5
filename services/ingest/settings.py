"""Settings of ingest: ``UPROAR_INGEST_*``, and the ``[[source]]`` tables of uproar.toml."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr

from services.broker import KafkaSettings
from services.process import read_document
from services.pseudonyms import PseudonymSettings
from uproar.errors import Malformed, Misconfigured
from uproar.inbox import stream_name


class IngestSettings(KafkaSettings, PseudonymSettings):
    """``UPROAR_INGEST_*`` and the key of the pseudonyms."""

    host: str = Field(default="127.0.0.1", validation_alias="UPROAR_INGEST_HOST")
    port: int = Field(default=8081, ge=0, le=65_535, validation_alias="UPROAR_INGEST_PORT")
    token: SecretStr | None = Field(default=None, validation_alias="UPROAR_INGEST_TOKEN")

    def bearer(self) -> bytes | None:
        """
        Return the token that every push must carry; None lets everybody on this machine push.

        Raises:
            Misconfigured: There is none, and others than this machine could push.
        """
        if token := (self.token.get_secret_value().strip() if self.token else ""):
            return token.encode()
        if not _is_loopback(self.host):
            raise Misconfigured(
                f"UPROAR_INGEST_HOST={self.host} lets other machines push: set UPROAR_INGEST_TOKEN"
            )
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTable:
    """One ``[[source]]``: a network to read, and the settings that only its connector knows."""

    name: str
    type: str
    options: Mapping[str, Any]


def read_sources(config: Path | None) -> tuple[SourceTable, ...]:
    """
    Read which networks uproar.toml names; a source without a ``name`` is called as its ``type``.

    Raises:
        Misconfigured: The file cannot be read, or which table of it is wrong, and why.
    """
    if config is None:
        return ()
    try:
        tables = read_document(config).get("source", [])
        if not isinstance(tables, list) or not all(isinstance(t, Mapping) for t in tables):
            raise Malformed("'source' must be a list of tables: write [[source]] before each")
        sources = tuple(_source(table, number) for number, table in enumerate(tables, start=1))
    except Malformed as error:
        raise Misconfigured(str(error)) from error
    names = [source.name for source in sources]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Misconfigured(f"source {twice[0]!r} stands twice: give each a name of its own")
    return sources


def _source(table: Mapping[str, Any], number: int) -> SourceTable:
    kind = table.get("type")
    name = table.get("name", kind)
    if not isinstance(kind, str) or not isinstance(name, str):
        raise Malformed(f"source number {number} has no type")
    options = {key: value for key, value in table.items() if key not in {"name", "type"}}
    return SourceTable(name=stream_name(name), type=kind, options=options)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

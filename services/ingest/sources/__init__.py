"""The connectors, by type: to add one, write its file and its line here (see ``source.py``)."""

from collections.abc import Mapping, Sequence
from typing import Final

from services.ingest.settings import SourceTable
from services.ingest.source import Source
from services.ingest.sources.bluesky import Bluesky
from uproar.errors import Misconfigured

SOURCES: Final[Mapping[str, type[Bluesky]]] = {s.type: s for s in (Bluesky,)}
"""Every network that can be read, by the ``type`` that uproar.toml gives it."""


def build(tables: Sequence[SourceTable]) -> list[Source]:
    """
    Make the connector of each ``[[source]]``.

    Raises:
        Misconfigured: One line for each table that is wrong.
    """
    made: list[Source] = []
    wrong: list[str] = []
    for table in tables:
        try:
            if table.type not in SOURCES:
                known = ", ".join(SOURCES)
                raise Misconfigured(
                    f"source {table.name!r}: type {table.type!r} is none of {known}"
                )
            made.append(SOURCES[table.type](table.name, table.options))
        except Misconfigured as error:
            wrong.append(str(error))
    if wrong:
        raise Misconfigured("\n".join(wrong))
    return made

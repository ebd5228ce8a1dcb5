"""The connectors, by name: to add one, write its file and its line here (see ``source.py``)."""

from collections.abc import Callable, Mapping
from typing import Final

from services.ingest.source import Source

SOURCES: Final[Mapping[str, Callable[[], Source]]] = {}

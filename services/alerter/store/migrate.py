"""
Migrate: bring a database to the schema of this version, or say that it is of a newer one.

A change of ``tables.py`` needs a file in ``migrations/versions``; ``draft`` writes its beginning.
"""

import logging
from enum import StrEnum
from importlib import resources
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, text

from services.alerter.store import search
from services.alerter.store.columns import SafeJson, SafeText, UtcDateTime
from services.alerter.store.database import SQLITE, Database
from services.alerter.store.tables import METADATA
from uproar.errors import Misconfigured

_LOCK = 7_089_234_771  # one process at a time migrates a PostgreSQL database


class Schema(StrEnum):
    """How a database stands to the schema of this version."""

    NONE = "none"
    OLDER = "older"
    CURRENT = "current"


async def migrate(database: Database, revision: str = "head") -> None:
    """
    Bring the database to a revision: ``head`` or an older one, which is a downgrade.

    Raises:
        Misconfigured: The database is of a newer uproar than this one.
        Unavailable: It does not answer.
    """
    async with database.altering() as connection:
        if connection.dialect.name != SQLITE:
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        await connection.run_sync(_to, revision)


async def schema(database: Database) -> Schema:
    """Tell how the database stands, and change nothing; raises as :func:`migrate`."""
    async with database.reading() as connection:
        return await connection.run_sync(_stands)


async def drift(database: Database) -> list[Any]:
    """Return what ``tables.py`` says and the database does not, or the other way round."""
    async with database.reading() as connection:
        return await connection.run_sync(_drift)


async def draft(database: Database, message: str) -> None:
    """Write the beginning of a migration from what has drifted; for developers."""
    async with database.altering() as connection:
        await connection.run_sync(
            lambda sync: command.revision(_config(sync), message, autogenerate=True)
        )


def _to(connection: Connection, revision: str) -> None:
    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = _config(connection)
    script = ScriptDirectory.from_config(config)
    try:
        current = _current(connection, script)
        older = revision == "base" or (
            current is not None
            and revision != "head"
            and revision in {step.revision for step in script.iterate_revisions(current, "base")}
        )
        (command.downgrade if older else command.upgrade)(config, revision)
    except CommandError as error:
        raise Misconfigured(f"the database cannot be migrated: {error}") from error


def _current(connection: Connection, script: ScriptDirectory) -> str | None:
    """Return the revision of a database, None for one without tables; a newer one is Misconfigured."""
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in {step.revision for step in script.walk_revisions()}:
        raise Misconfigured(
            f"the database is of a newer uproar (revision {current}): upgrade uproar"
        )
    return current


def _stands(connection: Connection) -> Schema:
    script = ScriptDirectory.from_config(_config(connection))
    current = _current(connection, script)
    if current is None:
        return Schema.NONE
    return Schema.CURRENT if current == script.get_current_head() else Schema.OLDER


def _drift(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts=OPTIONS)
    return list(compare_metadata(context, METADATA))


def _config(connection: Connection) -> Config:
    config = Config()
    location = resources.files("services.alerter.store").joinpath("migrations")
    config.set_main_option("script_location", str(location))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _render(kind: str, item: Any, _: Any) -> str | bool:
    """Write our column types into a migration by the name under which its template has them."""
    if kind == "type" and isinstance(item, SafeJson | SafeText | UtcDateTime):
        return f"columns.{type(item).__name__}()"
    return False


def _is_ours(name: str | None, kind: str, _: Any) -> bool:
    """Leave out what no metadata can say: each engine has its own tables for search."""
    return kind != "table" or (name or "").partition("_")[0] != search.TABLE


OPTIONS: dict[str, Any] = {
    "render_as_batch": True,  # SQLite alters a table by copying it
    "compare_type": True,
    "render_item": _render,
    "target_metadata": METADATA,
    "include_name": _is_ours,
}

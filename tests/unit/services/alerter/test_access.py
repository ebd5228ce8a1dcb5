from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from services.alerter import access
from services.alerter.access import Access, Role, form_token, form_token_fits
from services.alerter.store.database import Database
from services.alerter.store.tables import METADATA
from tests.build import NOON
from tests.databases import sqlite_url
from uproar.errors import Malformed


@pytest.fixture
def granted(database: Database, clock) -> Access:
    return Access(database, clock)


async def test_a_key_opens_until_it_is_revoked(granted: Access):
    row, secret = await granted.create_key("Ada's phone", Role.RESPONDER)

    who = await granted.by_key(secret)
    assert (who.name, who.role) == ("Ada's phone", Role.RESPONDER)
    assert await granted.revoke_key(row.id)
    assert not await granted.revoke_key(row.id)
    assert await granted.by_key(secret) is None
    assert [key.revoked_at for key in await granted.keys()] == [NOON]


@pytest.mark.parametrize("wrong", ["", "uproar_key_", "Bearer x", "\ud800", "\x00", "é" * 500])
async def test_anything_else_opens_nothing(granted: Access, wrong: str):
    await granted.create_key("Ada", Role.ADMIN)

    assert await granted.by_key(wrong) is None
    assert await granted.by_session(wrong) is None
    assert await granted.log_in_by_link(wrong) is None


async def test_no_secret_is_in_the_database(granted: Access, database: Database):
    secrets = [(await granted.create_key("Ada", Role.ADMIN))[1]]
    secrets.append(await granted.log_in_by_key(secrets[0]))
    secrets.append(await granted.link())

    stored = await everything(database)
    assert "Ada" in stored
    for secret in secrets:
        assert secret not in stored
        assert len(secret) >= 43  # 256 bits in base64


async def everything(database: Database) -> str:
    """Return what the database holds: of SQLite its very file, of PostgreSQL every row."""
    if database.is_sqlite:
        path = Path(str(database.url.database))
        files = path.parent.glob(path.name + "*")
        return b"".join(file.read_bytes() for file in files).decode("latin-1")
    async with database.reading() as transaction:
        rows = [await transaction.execute(table.select()) for table in METADATA.sorted_tables]
        return "\n".join(repr(row) for found in rows for row in found)


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\nb", "a\x00b"])
async def test_a_key_needs_a_name_that_can_stand_in_a_timeline(granted: Access, name: str):
    with pytest.raises(Malformed, match="printable"):
        await granted.create_key(name, Role.VIEWER)


async def test_the_use_of_a_key_is_noted_at_most_once_a_minute(granted: Access, clock):
    _, secret = await granted.create_key("Ada", Role.VIEWER)
    used = []
    for _ in range(4):
        await granted.by_key(secret)
        used.append((await granted.keys())[0].last_used_at)
        clock.forward(seconds=40)

    assert used == [NOON, NOON, NOON + timedelta(seconds=80), NOON + timedelta(seconds=80)]


def test_a_role_covers_those_below_it():
    may = {role: [asked for asked in Role if role.may(asked)] for role in Role}

    assert may == {
        Role.VIEWER: [Role.VIEWER],
        Role.RESPONDER: [Role.VIEWER, Role.RESPONDER],
        Role.ADMIN: [Role.VIEWER, Role.RESPONDER, Role.ADMIN],
    }


async def test_a_link_opens_one_session_as_admin_and_only_once(granted: Access):
    token = await granted.link()

    session = await granted.log_in_by_link(token)

    assert (await granted.by_session(session)).role is Role.ADMIN
    assert await granted.log_in_by_link(token) is None


async def test_a_link_is_worth_nothing_after_a_quarter_of_an_hour(granted: Access, clock):
    token = await granted.link()
    clock.forward(minutes=15)

    assert await granted.log_in_by_link(token) is None


async def test_a_link_is_no_session_and_a_session_is_no_link(granted: Access):
    token = await granted.link()
    assert await granted.by_session(token) is None
    session = await granted.log_in_by_link(token)
    assert await granted.log_in_by_link(session) is None


async def test_a_session_ends_by_itself_by_logging_out_and_with_its_key(granted: Access, clock):
    row, secret = await granted.create_key("Ada", Role.RESPONDER)
    sessions = [await granted.log_in_by_key(secret) for _ in range(2)]
    await granted.log_out(sessions[0])
    assert await granted.by_session(sessions[0]) is None
    assert (await granted.by_session(sessions[1])).name == "Ada"

    await granted.revoke_key(row.id)
    assert await granted.by_session(sessions[1]) is None

    last = await granted.log_in_by_link(await granted.link())
    clock.forward(hours=12)
    assert await granted.by_session(last) is None


def test_a_form_token_fits_its_own_session_alone():
    assert form_token_fits("one", form_token("one"))
    assert not form_token_fits("other", form_token("one"))
    assert not form_token_fits("one", "é\ud800")


def test_the_command_line_makes_lists_and_revokes_keys_of_a_database_that_is_not_there_yet(
    tmp_path: Path,
):
    url = sqlite_url(tmp_path / "new" / "folder")

    secret = access.create(url, "admin", "ops")
    (key,) = access.listing(url)

    assert (key.name, key.role, key.revoked_at) == ("ops", "admin", None)
    assert secret.startswith("uproar_key_")
    assert access.revoke(url, key.id)
    assert not access.revoke(url, key.id)
    assert access.one_time_link(url, "http://here:8080/").startswith("http://here:8080/login?once=")


def test_the_command_line_names_the_roles_there_are(tmp_path: Path):
    with pytest.raises(Malformed, match="viewer, responder, admin"):
        access.create(sqlite_url(tmp_path), "root", "ops")


async def test_a_digest_is_a_digest(granted: Access, database: Database):
    await granted.create_key("Ada", Role.VIEWER)
    async with database.reading() as transaction:
        digest = await transaction.scalar(text("SELECT digest FROM keys"))

    assert len(digest) == 64

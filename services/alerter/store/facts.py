"""Facts: what is true of this installation: its name, and how far its upkeep has come."""

from sqlalchemy import select

from services.alerter.store.database import Transaction, insert_into
from services.alerter.store.tables import FACTS

_INSTALLATION = "installation"


async def installation(transaction: Transaction, suggested: str) -> str:
    """Return the name of this installation; the first suggestion becomes it for good."""
    row = {"name": _INSTALLATION, "value": suggested}
    await transaction.execute(
        insert_into(transaction, FACTS).values(**row).on_conflict_do_nothing()
    )
    found = await transaction.execute(select(FACTS.c.value).where(FACTS.c.name == _INSTALLATION))
    name: str = found.scalar_one()
    return name


async def recall(transaction: Transaction, name: str) -> str | None:
    """Return what was remembered."""
    found: str | None = await transaction.scalar(select(FACTS.c.value).where(FACTS.c.name == name))
    return found


async def remember(transaction: Transaction, name: str, value: str) -> None:
    """Remember a value in place of the one before."""
    row = {"name": name, "value": value}
    statement = insert_into(transaction, FACTS).values(**row)
    await transaction.execute(statement.on_conflict_do_update(index_elements=["name"], set_=row))

"""Facts: what is true of this installation, and stays so."""

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

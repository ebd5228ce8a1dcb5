"""Networks: where posts were ever heard to come from; a pseudonym holds on one of them alone."""

from collections.abc import Iterable

from sqlalchemy import select

from services.alerter.store.database import Transaction, insert_into
from services.alerter.store.tables import NETWORKS, SOURCES
from uproar.post import PostId


async def remember(transaction: Transaction, posts: Iterable[PostId]) -> None:
    """Keep the networks of posts, the first half of their ids; they outlive the posts."""
    names = sorted({post.partition(":")[0] for post in posts})
    if names:
        rows = [{"name": name} for name in names]
        new = insert_into(transaction, NETWORKS).values(rows)
        await transaction.execute(new.on_conflict_do_nothing())


async def known(transaction: Transaction) -> set[str]:
    """Return all that were ever cited, and every stream: the network of a post that names none."""
    cited = await transaction.scalars(select(NETWORKS.c.name))
    return {*cited, *await transaction.scalars(select(SOURCES.c.name))}

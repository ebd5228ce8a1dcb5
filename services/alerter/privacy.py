"""Privacy: what is stored of an author, and its erasure everywhere; `uproar privacy`."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from services.alerter.store import audit, erasure, migrate, search
from services.alerter.store.database import Database
from services.alerter.store.erasure import Stored
from uproar.errors import Malformed
from uproar.post import pseudonym

T = TypeVar("T")
PUSHED: Final = "push"  # the network of a post that names none
_PSEUDONYM: Final = "a_"
_DIGITS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """
    Whom it is about.

    Attributes:
        given: An account as its network names it, or a pseudonym (``a_`` and 16 digits).
        network: Where the account lives; None: wherever posts are kept of.
        keys: Every key under which something may be stored.
    """

    given: str
    network: str | None
    keys: Sequence[bytes]

    @property
    def account(self) -> str | None:
        """The bare name of the account; None where a pseudonym was given."""
        return None if is_pseudonym(self.given) else self.given.strip().lstrip("@")

    def pseudonyms(self, networks: Collection[str]) -> list[str]:
        """Return every name under which the author may be stored."""
        if self.account is None:
            return [self.given]
        places = [self.network] if self.network else sorted({PUSHED, *networks})
        return [pseudonym(self.given, place, key) for place in places for key in self.keys]


def is_pseudonym(text: str) -> bool:
    """Tell whether a text is a pseudonym of ours."""
    digits = text.removeprefix(_PSEUDONYM)
    return digits != text and len(digits) == _DIGITS and set(digits) <= set("0123456789abcdef")


class Privacy:
    """Finds and erases in one database; the topics hear of it from the alerter."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database, self._clock = database, clock

    async def find(self, author: Author) -> Sequence[Stored]:
        """Return what is stored of an author; raises Malformed, Unavailable."""
        async with self._database.reading() as transaction:
            names = _names(author, await erasure.networks(transaction))
            return await erasure.find(transaction, names, author.account)

    async def erase(self, author: Author, *, by: str) -> Sequence[Stored]:
        """
        Erase an author: here at once, elsewhere when the alerter has told the topic.

        Whatever of the author comes later is blanked as it comes. Done again, it changes nothing.

        Returns:
            What was stored until now.
        """
        now = self._clock()
        async with self._database.writing() as transaction:
            names = _names(author, await erasure.networks(transaction))
            found = await erasure.find(transaction, names, author.account)
            touched = await erasure.erase(transaction, names, author.account, now=now)
            for incident in sorted(touched):
                await search.index(transaction, incident)
            await audit.note(
                transaction,
                now=now,
                who=by,
                via="command line",
                what="privacy.erase",
                target="an author",  # the audit must not remember whom
                subject=None,
                detail={"stored": str(len(found))},
            )
        return found


def _names(author: Author, networks: Collection[str]) -> list[str]:
    if not author.given.strip():
        raise Malformed("--author is empty")
    return author.pseudonyms(networks)


# ------------------------------------------------------- for the command line, which has no loop


def found(database_url: str, author: Author, clock: Callable[[], datetime]) -> Sequence[Stored]:
    """Return what is stored; raises Misconfigured, Malformed, Unavailable."""
    return _with(database_url, clock, lambda privacy: privacy.find(author))


def erased(
    database_url: str, author: Author, clock: Callable[[], datetime], *, by: str
) -> Sequence[Stored]:
    """Erase, and return what was stored; raises as :func:`found`."""
    return _with(database_url, clock, lambda privacy: privacy.erase(author, by=by))


def _with(
    database_url: str,
    clock: Callable[[], datetime],
    use: Callable[[Privacy], Coroutine[Any, Any, T]],
) -> T:
    async def work() -> T:
        database = Database(database_url)
        try:
            await migrate.migrate(database)
            return await use(Privacy(database, clock))
        finally:
            await database.close()

    return asyncio.run(work())

"""Privacy: what is stored of an author, and its erasure everywhere; `uproar privacy`."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from services.alerter.store import audit, erasure, migrate, networks, search
from services.alerter.store.database import Database
from services.alerter.store.erasure import Stored
from uproar.errors import Malformed
from uproar.post import pseudonym

T = TypeVar("T")
BLUESKY: Final = "bluesky"
ALWAYS: Final = frozenset({"push", BLUESKY})
"""Networks of which a post may come at any time: of a push that names none, of the connectors."""
_PSEUDONYM: Final = "a_"
_DIGITS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """
    Whom it is about.

    Attributes:
        given: An account as its network names it, or a pseudonym (``a_`` and 16 digits).
        network: Where the account lives; None: wherever posts ever came from.
        keys: Every key under which something may be stored.
    """

    given: str
    network: str | None
    keys: Sequence[bytes]

    @property
    def account(self) -> str | None:
        """The bare name of the account; None where a pseudonym was given."""
        return None if is_pseudonym(self.given) else self.given.strip().lstrip("@")

    @property
    def unknown_to_bluesky(self) -> bool:
        """Whether it is a name that Bluesky's posts do not come under: there it is the DID."""
        asked = self.network in {None, BLUESKY} and self.account is not None
        return asked and not self.given.strip().lower().startswith("did:")

    def networks(self, known: Collection[str]) -> list[str]:
        """Return where it is looked for; nowhere in particular for a pseudonym."""
        if self.account is None:
            return []
        return [self.network] if self.network else sorted(ALWAYS.union(known))

    def pseudonyms(self, networks: Collection[str]) -> list[str]:
        """Return every name under which the author may be stored on these networks."""
        if self.account is None:
            return [self.given]
        return [pseudonym(self.given, place, key) for place in networks for key in self.keys]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What is stored of an author, and the networks on which it was looked for."""

    stored: Sequence[Stored]
    networks: Sequence[str]


def is_pseudonym(text: str) -> bool:
    """Tell whether a text is a pseudonym of ours."""
    digits = text.removeprefix(_PSEUDONYM)
    return digits != text and len(digits) == _DIGITS and set(digits) <= set("0123456789abcdef")


class Privacy:
    """Finds and erases in one database; the topics hear of it from the alerter."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database, self._clock = database, clock

    async def find(self, author: Author) -> Findings:
        """Return what is stored of an author; raises Malformed, Unavailable."""
        if not author.given.strip():
            raise Malformed("--author is empty")
        async with self._database.reading() as transaction:
            places = author.networks(await networks.known(transaction))
            names = author.pseudonyms(places)
            stored = await erasure.find(transaction, names, author.account)
        return Findings(stored=stored, networks=places)

    async def erase(self, author: Author, *, by: str) -> Findings:
        """
        Erase an author: here at once, elsewhere when the alerter has told the topic.

        Whatever of the author comes later from these networks, under these keys, is blanked as it
        comes. Done again, it changes nothing.

        Returns:
            What was stored until now.
        """
        found = await self.find(author)
        await self._erase(author, found, by)
        left = await self.find(author)
        if left.stored:  # it was written while others were erased
            await self._erase(author, left, by)
        return found

    async def _erase(self, author: Author, found: Findings, by: str) -> None:
        now = self._clock()
        names = author.pseudonyms(found.networks)
        async with self._database.writing() as transaction:
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
                detail={"stored": str(len(found.stored))},
            )


# ------------------------------------------------------- for the command line, which has no loop


def found(database_url: str, author: Author, clock: Callable[[], datetime]) -> Findings:
    """Return what is stored; raises Misconfigured, Malformed, Unavailable."""
    return _with(database_url, clock, lambda privacy: privacy.find(author))


def erased(
    database_url: str, author: Author, clock: Callable[[], datetime], *, by: str
) -> Findings:
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

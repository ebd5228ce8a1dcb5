"""Together: what several tasks want to write while one transaction is under way goes into the next."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.alerter.store.database import Database, Transaction
from uproar.errors import Unavailable

Change = Callable[[Transaction], Awaitable[Any]]

_MOST: Final = 100
"""Changes in one transaction: nobody else who writes must wait long."""


@dataclass(slots=True, eq=False)
class _Wish:
    change: Change
    done: bool = False
    result: Any = None
    error: BaseException | None = None


class Together:
    """
    Writes for many tasks: each waits until what it wants is durable, none for a commit of its own.

    A commit costs the disk as much as a hundred changes do. Whoever comes while nobody writes is
    written at once; whoever comes meanwhile, with all the others who came meanwhile.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = asyncio.Lock()
        self._wishes: list[_Wish] = []

    async def write(self, change: Change) -> Any:
        """
        Return what a change returns, once it is committed.

        Raises:
            Unavailable: The database does not answer: it may or may not be committed.
        """
        wish = _Wish(change)
        self._wishes.append(wish)
        async with self._turn:
            while not wish.done:
                batch, self._wishes = self._wishes[:_MOST], self._wishes[_MOST:]
                await self._commit(batch)
        if wish.error is not None:
            raise wish.error
        return wish.result

    async def _commit(self, batch: Sequence[_Wish]) -> None:
        try:
            async with self._database.writing() as transaction:
                results = [await wish.change(transaction) for wish in batch]
        except Unavailable as error:
            _end(batch, error)
        except Exception as error:
            if len(batch) == 1:
                _end(batch, error)
                return
            for wish in batch:  # the fault of one must not be that of the others
                await self._commit([wish])
        except BaseException:
            _end(batch, Unavailable("whoever wrote for all was cancelled"))
            raise
        else:
            for wish, result in zip(batch, results, strict=True):
                wish.done, wish.result = True, result


def _end(batch: Sequence[_Wish], error: Exception) -> None:
    for wish in batch:
        wish.done, wish.error = True, error

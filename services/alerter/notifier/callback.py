"""Callback: what people did to an incident on another surface, and how such news is trusted."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol, runtime_checkable

from services.alerter.notifier import Delivery
from uproar.incident import Act, IncidentId
from uproar.routing import ReceiverName

STORM: Final = "storm:"
"""So begins what stands for an incident where one message named many; its delivery follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A request as it came in; ``headers`` know no case (Starlette's, httpx's)."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """
    What a person did to an incident elsewhere.

    Attributes:
        key: Names the news: a repeat of it bears the same.
        episode: The wave that the person saw; an act on an earlier one is too late.
        act: What they did; ``by`` says where too.
        echo: It may be the answer to our own message: where the incident stands so already, it is.
        reply_to: Where the person can be told why nothing came of it.
    """

    key: str
    incident: IncidentId
    episode: int
    act: Act
    echo: bool = False
    reply_to: str | None = None


class Nothing(StrEnum):
    """Why nothing came of an act."""

    LATE = "late"  # it was about an earlier wave of the incident
    REFUSED = "refused"  # the incident does not allow it any more


Take = Callable[[Told], Awaitable[None]]
"""Does what was told; returns once it is durable, raises Unavailable."""


@runtime_checkable
class Listener(Protocol):
    """A notifier whose far side tells us what people do there."""

    @property
    def name(self) -> ReceiverName: ...

    @property
    def type(self) -> str: ...

    def verifies(self, signed: Signed, *, now: datetime) -> bool:
        """Tell whether the far side has signed this; whatever is wrong with it is a no."""
        ...

    def read(self, body: bytes) -> Sequence[Told]:
        """Read what people did; nothing where it is news of another kind. Raises Malformed."""
        ...

    async def reply(self, told: Told, why: Nothing) -> None:
        """Tell the person that nothing came of it, where there is a way."""
        ...


@runtime_checkable
class Dialling(Protocol):
    """A notifier that opens a connection of its own to hear of acts: nobody needs to reach us."""

    @property
    def problem(self) -> str | None: ...

    async def listen(self, take: Take) -> None:
        """Hear until cancelled, whatever becomes of the connection; returns if it need not."""
        ...


@runtime_checkable
class Tending(Protocol):
    """A notifier that has to do while an incident is open."""

    async def tend(self, standing: Sequence[Delivery], take: Take) -> None:
        """
        Do it for the incidents that are open, or have just ended; called about once a minute.

        It may be cut off: what people were found to have done is taken as soon as it is known.

        Args:
            standing: Of each incident the newest delivery that this receiver took, with the message
                in which it stands (``parent_ref``) and that of its storm (``bundle_ref``).
            take: Takes what a person did; raises Unavailable.
        """
        ...


def digests(signed: bytes, secrets: Iterable[str]) -> list[str]:
    """Sign a body with each secret: HMAC-SHA256 in hexadecimal digits."""
    return [hmac.new(s.encode(), signed, hashlib.sha256).hexdigest() for s in secrets]


def any_fits(given: Iterable[str], expected: Iterable[str]) -> bool:
    """Compare each given signature with each expected one, in constant time."""
    raw = [one.encode("utf-8", "replace") for one in given]
    return any([hmac.compare_digest(g, e.encode()) for g in raw for e in expected])  # noqa: C419


def inside(value: Any, *names: str) -> Any:
    """Walk into an answer that may hold anything; None where the way ends."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value

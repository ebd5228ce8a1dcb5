"""Storm: one message that names many incidents, for a receiver that takes no more messages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from uproar.notice import Language, Notice

_NAMED: Final = 3


class _Words(NamedTuple):
    title: str
    more: str
    why: str


_WORDS: Final = {
    Language.EN: _Words(
        title="{count} backlashes at once: {names}",
        more="{names} and {rest} more",
        why="They are told together: this receiver takes only so many messages. Each is an incident "
        "of its own.",
    ),
    Language.FR: _Words(
        title="{count} bad buzz à la fois\u00a0: {names}",
        more="{names} et {rest} autres",
        why="Ils sont annoncés ensemble\u00a0: ce destinataire n’accepte pas plus de messages. "
        "Chacun est un incident à part.",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """
    What is said of many incidents at once.

    Attributes:
        title: How many, and the names of the worst.
        why: Why they come together.
        worst: The notices, the worst first.
    """

    title: str
    why: str
    worst: tuple[Notice, ...]


def storm(notices: Sequence[Notice]) -> Storm:
    """Say what has happened in many incidents, in the language of the first."""
    worst = tuple(sorted(notices, key=lambda one: (-one.level.rank, -one.severity)))
    words = _WORDS[notices[0].language]
    names = ", ".join(one.subject_name for one in worst[:_NAMED])
    if rest := len(worst) - _NAMED if len(worst) > _NAMED else 0:
        names = words.more.format(names=names, rest=rest)
    return Storm(
        title=words.title.format(count=len(worst), names=names), why=words.why, worst=worst
    )

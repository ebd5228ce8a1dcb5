"""Coordination: whether a wave is a few voices repeating themselves. Not whether it is a wave."""

from dataclasses import dataclass
from typing import Final

from uproar.detect.policy import Policy
from uproar.detect.voices import Voices

STAGED: Final = "mostly repeats and copies: it looks staged, and too few people joined"
_HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Coordination:
    """
    What the last hour shows.

    Attributes:
        repeated: Share of posts that repeat their author or copy a text, 0..1. None of them counts
            as a complaint; their share says how the wave is made.
        people: Distinct authors of negative posts.
    """

    repeated: float
    people: int

    def allows(self, level: int, policy: Policy) -> int:
        """
        Return the level, or the highest for which enough real people are in it.

        Of a wave that is mostly repeats twice as many people are asked: accounts are cheap, and
        whoever stages a wave varies a few texts. Real people who join it soon are as many.
        """
        if self.repeated < policy.staged:
            return level
        enough = [rank for rank, need in enumerate(policy.authors) if self.people >= 2 * need]
        return min(level, max(enough, default=-1))


def coordination(voices: Voices, slot: int, minute: int) -> Coordination:
    """Look at what is remembered of the hour before a minute."""
    since = minute * 60.0 - _HOUR
    return Coordination(voices.repeated(slot, since), len(voices.authors(slot, since)))


def repeats(posts: int, counted: float, policy: Policy) -> bool:
    """Whether five minutes are a flood of repeats: many posts, few of which count."""
    return posts >= policy.flood and counted <= (1 - policy.staged) * posts

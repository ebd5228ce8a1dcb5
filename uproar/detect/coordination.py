"""Coordination: whether a wave is a few voices repeating themselves. Not whether it is a wave."""

from dataclasses import dataclass
from typing import Any, Final

from uproar.detect.policy import Policy

STAGED: Final = "mostly repeats and copies: it looks staged, and too few people joined"


@dataclass(frozen=True, slots=True)
class Coordination:
    """
    What the last hour shows.

    Attributes:
        repeated: Share of posts that repeat their author or copy a text, 0..1. None of them counts
            as a complaint; their share says how the wave is made.
        people: Expected number of those who wrote negative posts in words of their own.
    """

    repeated: float
    people: float

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


def coordination(row: Any) -> Coordination:
    """Look at the last hour of a row."""
    said, counted = float(row["bins_said"].sum()), float(row["bins_all"].sum())
    repeated = max(1 - counted / said, 0.0) if said > 0 else 0.0
    return Coordination(repeated, float(row["bins_negative"].sum()))


def repeats(posts: int, counted: float, policy: Policy) -> bool:
    """Whether five minutes are a flood of repeats: many posts, few of which count."""
    return posts >= policy.flood and counted <= (1 - policy.staged) * posts

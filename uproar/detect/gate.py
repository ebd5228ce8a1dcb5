"""Gate: what a wave must be, beside large. A giveaway, a praise wave, a few loud voices are not it."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from uproar.detect.policy import CONTEXT, SHORT, WINDOWS, Policy
from uproar.detect.scan import Scan
from uproar.watch import Array


class Gate(StrEnum):
    """What a wave must pass, and what is said when it does not."""

    SHARE = "share"
    EXCESS = "excess"
    AUTHORS = "authors"


REASONS = {
    Gate.SHARE: "negative share below the usual",
    Gate.EXCESS: "what came on top is mostly not negative",
    Gate.AUTHORS: "too few authors",
}
OPEN = "open"


@dataclass(frozen=True, slots=True)
class Verdicts:
    """
    Whether each window may count; shape (rows, windows).

    Attributes:
        share: The share of negative posts is not below the usual one.
        excess: Enough of the posts beyond the usual number are negative.
        authors: Distinct authors of negative posts, at most ``AUTHORS``.
        highest: Highest level for which there are enough of them (-1: none).
    """

    share: Array
    excess: Array
    authors: Array
    highest: Array

    @property
    def passed(self) -> Array:
        """Whether the kind of posts is that of a backlash, whoever wrote them."""
        return np.asarray(self.share & self.excess)


def judge(seen: Scan, authors: Array, policy: Policy) -> Verdicts:
    """
    Say which windows hold what a backlash is made of.

    Args:
        seen: What the windows saw.
        authors: Distinct authors of negative posts in each, at most ``AUTHORS``; (rows, windows).
        policy: What a backlash is made of.
    """
    posts, negative = seen.posts, seen.negative
    expected = posts * seen.usual_share
    # Posts of a day hang together: a share varies by a tenth or so beside its binomial noise.
    noise = np.sqrt(expected * (1 - seen.usual_share) + (0.1 * posts) ** 2 + 1e-9)
    share = negative >= expected - policy.below * noise
    beyond = np.maximum(posts - seen.usual_posts, 1e-9)
    excess, deviation = negative - seen.usual_negative, 0.5 * np.sqrt(beyond)  # at most
    # A share that chance brings now and then is none.
    enough = excess - policy.excess_doubt * deviation >= policy.excess_share * beyond
    # A few minutes of happy talk may be angry by chance: six hours of it are not.
    mostly = excess - deviation >= policy.mostly * beyond
    excess_passes = (enough & enough[:, CONTEXT]) | mostly
    # Two of them may be people of whom the model is unsure: together they are as good as certain.
    # (In an hour only: in longer windows one person counts more than once.)
    unsure = np.where(np.arange(WINDOWS) < SHORT, policy.unsure_authors, 0)
    people = np.maximum(authors, np.minimum(negative, authors + unsure))
    highest = (people[:, :, None] >= np.array(policy.authors)).sum(axis=2) - 1
    return Verdicts(share=share, excess=excess_passes, authors=authors, highest=highest)


def verdicts_in_words(verdicts: Verdicts, row: int, window: int, level: int) -> dict[str, str]:
    """Return each gate's verdict on one window, as a level needs it."""
    passed = {
        Gate.SHARE: verdicts.share[row, window],
        Gate.EXCESS: verdicts.excess[row, window],
        Gate.AUTHORS: verdicts.highest[row, window] >= level,
    }
    return {gate.value: OPEN if ok else REASONS[gate] for gate, ok in passed.items()}

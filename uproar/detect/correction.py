"""Correction: what comes too late to be judged still teaches what is usual, and nothing else."""

from uproar.detect.baseline import BINS_AN_HOUR
from uproar.detect.policy import Policy
from uproar.watch import HOURS, Row


def correct(row: Row, hour: int, negative: float, policy: Policy) -> None:
    """
    Teach a row one post of the past, in place; no window counts it.

    A post from before the subject was watched (a backfill) tells that history reaches back so far:
    the hours since are known from now on.

    Args:
        row: Its rings stand at the running hour.
        hour: Hour in which the post was written, since 1970.
        negative: Probability that it is negative.
        policy: How fast the past fades.
    """
    running, since = int(row["bin"]) // BINS_AN_HOUR, int(row["since"])
    age = max(running - hour, 0)
    if hour < since:
        _reach_back(row, newest=running - since + 1, oldest=age, policy=policy)
        row["since"] = hour
    weight = policy.fade ** max(age - HOURS, 0)
    row["negative"] += weight * negative
    row["all"] += weight
    row["rated"] = 0


def _reach_back(row: Row, *, newest: int, oldest: int, policy: Policy) -> None:
    """Count the hours of these ages as listened to; no bit: their places in the rings are empty."""
    ages = range(max(newest, 0), oldest + 1)
    row["exposure"] += sum(policy.fade ** max(age - HOURS, 0) for age in ages)

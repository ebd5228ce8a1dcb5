"""Kills: real processes, a real broker and real sockets, and SIGKILL in the middle of it."""

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Real:
    pages_lost: int = 0
    pagerduty_duplicates: int = 0
    slack_duplicates: int = 0
    unlabelled: int = 0
    posts_lost: int = 0


def campaign(number: int, *, seed: int, kafka: bool) -> Real:
    return Real()

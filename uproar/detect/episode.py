"""Episode: whether a backlash opened, grew, subsided or ended. Not how strange a count is (scan)."""

from dataclasses import dataclass, replace
from typing import Any, Final

from uproar.backlash import Event, Level
from uproar.detect.policy import LEVELS, Policy

MINUTE: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """
    The open wave of a subject, as it stands in its row (:data:`uproar.watch.WATCH`).

    Attributes:
        opened: Minute of event time at which it opened.
        level: The highest it has reached.
        size: Negative posts so far, those of the deciding window included.
    """

    opened: int
    level: Level
    subsided: bool = False
    sequence: int = 0
    posts: int = 0
    size: float = 0.0
    announced: float = 0.0
    peak: float = 0.0
    quiet: int = 0
    calm: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """
    What a minute shows of a subject, for its episode.

    Attributes:
        minute: First minute behind what was seen.
        level: Level reached, gates passed; None below ``watch``.
        lively: Whether a window of an hour or less reaches it.
        loud: Whether anything that is not muted is above ``watch``, whatever the gates say.
        excess: Negative posts of the last hour beyond the usual.
        negative, posts: Those of the deciding window.
    """

    minute: int
    level: Level | None
    lively: bool
    loud: bool
    excess: float
    negative: float
    posts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An event to be told: its place in the episode, and whether it must page."""

    event: Event
    sequence: int
    level: Level
    page: bool = False


def step(
    episode: Episode | None, seen: Seen, policy: Policy
) -> tuple[Episode | None, Change | None]:
    """
    Move an episode on by what was seen; at most one change at a time.

    It grows when its level rises, when its size has doubled while it is above ``watch``, or when
    it flares up again after it had subsided: never more often.

    Returns:
        The episode after it, also when it ended with the change; and what to tell.
    """
    if episode is None:
        return _open(seen) if seen.level is not None else (None, None)
    episode = _timed(episode, seen, policy)
    if change := _growth(episode, seen):
        grown = replace(
            episode,
            level=change.level,
            subsided=False,
            announced=episode.size,
            quiet=0,
            sequence=episode.sequence + 1,
        )
        return grown, change
    if _lasts(episode.calm, seen.minute, policy.calm.total_seconds()):
        return episode, _told(episode, Event.ENDED)
    if not episode.subsided and _lasts(
        episode.quiet, seen.minute, policy.subsiding.total_seconds()
    ):
        told = _told(episode, Event.SUBSIDED)
        return replace(episode, subsided=True, sequence=episode.sequence + 1), told
    return episode, None


def _open(seen: Seen) -> tuple[Episode, Change]:
    level = seen.level or Level.WATCH
    episode = Episode(
        opened=seen.minute,
        level=level,
        sequence=1,
        posts=seen.posts,
        size=seen.negative,
        announced=seen.negative,
        peak=max(seen.excess, 0.0),
    )
    change = Change(event=Event.OPENED, sequence=0, level=level, page=level is not Level.WATCH)
    return episode, change


def _timed(episode: Episode, seen: Seen, policy: Policy) -> Episode:
    quiet = not seen.lively and seen.excess < policy.quiet * episode.peak
    return replace(
        episode,
        peak=max(episode.peak, seen.excess),
        quiet=(episode.quiet or seen.minute) if quiet else 0,
        calm=0 if seen.loud else (episode.calm or seen.minute),
    )


def _growth(episode: Episode, seen: Seen) -> Change | None:
    if seen.level is None:
        return None
    rises = seen.level.rank > episode.level.rank
    doubled = episode.size >= 2 * max(episode.announced, 1.0)
    flares = episode.subsided and seen.lively
    if not (rises or doubled or flares):
        return None
    level = seen.level if rises else episode.level
    page = rises and level is not Level.WATCH
    return Change(event=Event.GREW, sequence=episode.sequence, level=level, page=page)


def _told(episode: Episode, event: Event) -> Change:
    return Change(event=event, sequence=episode.sequence, level=episode.level)


def _lasts(since: int, minute: int, seconds: float) -> bool:
    return since > 0 and (minute - since) * MINUTE >= seconds


def read(row: Any) -> Episode | None:
    """Read the open episode of a row; None without one."""
    if row["level"] == 0:
        return None
    return Episode(
        opened=int(row["opened"]),
        level=LEVELS[row["level"] - 1],
        subsided=bool(row["subsided"]),
        sequence=int(row["sequence"]),
        posts=int(row["posts"]),
        size=float(row["size"]),
        announced=float(row["announced"]),
        peak=float(row["peak"]),
        quiet=int(row["quiet"]),
        calm=int(row["calm"]),
    )


def write(row: Any, episode: Episode | None) -> None:
    """Write the episode into its row, in place; None when there is none (any more)."""
    row["level"] = 0 if episode is None else episode.level.rank + 1
    row["subsided"] = episode is not None and episode.subsided
    for name in ("opened", "sequence", "posts", "size", "announced", "peak", "quiet", "calm"):
        row[name] = 0 if episode is None else getattr(episode, name)
    if episode is None:
        row["sketch"] = 0

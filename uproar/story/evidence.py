"""Evidence: the few posts that show what happened, and why each was chosen."""

from collections.abc import Callable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

from uproar.assessment import MAX_EVIDENCE_TEXT, Assessment
from uproar.backlash import MAX_EVIDENCE, Evidence
from uproar.story.reservoir import Candidate

_By = Callable[[Candidate], Any]


def _reach(candidate: Candidate) -> tuple[int, int]:
    post = candidate.post
    return post.shares or 0, max(post.author_followers or 0, post.views or 0)


def _blame(candidate: Candidate) -> float:
    scores = candidate.post.scores
    if scores is None:
        return 0.0
    return scores.negative + (scores.complaint or 0.0) + (scores.offensive or 0.0) / 2


def _age(candidate: Candidate) -> datetime:
    return candidate.post.created_at


_CHOICES: Final[Sequence[tuple[str, _By, Callable[[Candidate], bool]]]] = (
    ("the first post of the wave", lambda c: -_age(c).timestamp(), lambda _: True),
    ("the most shared or followed", _reach, lambda c: _reach(c) > (0, 0)),
    ("the strongest complaint", _blame, lambda _: True),
    ("said by most people", attrgetter("copies"), lambda c: c.copies > 1),
    ("the newest", _age, lambda _: True),
)
_FURTHER: Final = "a strong complaint"


def choose(candidates: Sequence[Candidate], *, most: int = MAX_EVIDENCE) -> tuple[Evidence, ...]:
    """
    Choose posts of distinct authors: the first, the widest seen, the strongest, the most copied,
    the newest, then the next strongest. In order of time.

    Args:
        candidates: Oldest first.
        most: At most so many.
    """
    left = list(candidates)
    chosen: list[tuple[Assessment, str]] = []
    choices = [*_CHOICES, *[(_FURTHER, _blame, lambda _: True)] * most]
    for why, by, fits in choices:
        fitting = [candidate for candidate in left if fits(candidate)]
        if not fitting or len(chosen) == most:
            continue
        best = max(fitting, key=by).post
        chosen.append((best, why))
        left = [c for c in left if c.post is not best and not _same_author(c.post, best)]
    chosen.sort(key=lambda pair: (pair[0].created_at, pair[0].post))
    return tuple(_evidence(post, why) for post, why in chosen)


def _same_author(one: Assessment, other: Assessment) -> bool:
    return one.author is not None and one.author == other.author


def _evidence(post: Assessment, why: str) -> Evidence:
    return Evidence(
        id=post.post,
        text=post.text[:MAX_EVIDENCE_TEXT],
        url=post.url,
        author=post.author,
        created_at=post.created_at,
        why=why,
    )

"""Reservoir: posts that may become evidence, a few per subject, in memory only. Not which is shown."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from uproar.assessment import Assessment
from uproar.post import PostId
from uproar.prior import blame

KEPT: Final = timedelta(hours=24)
SUBJECTS: Final = 4096
"""Subjects for which candidates wait at once; the one that was not heard of for longest gives way."""


@dataclass(slots=True)
class Candidate:
    """A post that may be shown, and how often its text was written."""

    post: Assessment
    copies: int = 1


@dataclass(slots=True)
class Reservoir:
    """
    Candidates for evidence of the subjects of a partition.

    Which stay is decided by a hash of the post id, so that a replay keeps the same; beside these
    the first post, the most followed, the most copied and the most negative stay. After a restart
    it is as empty as what is read again leaves it: no id and no decision depends on it.

    Attributes:
        most: Candidates per subject; up to twice as many wait until they are sifted.
        negative: Blame (:func:`uproar.prior.blame`) from which a post may become evidence.
    """

    most: int
    negative: float
    _subjects: OrderedDict[str, dict[str, Candidate]] = field(default_factory=OrderedDict)

    def offer(self, post: Assessment) -> None:
        """Consider a post about a subject; posts come in order of time."""
        if post.scores is None or blame(post.scores.negative) < self.negative:
            return
        kept = self._subjects.get(post.subject)
        if kept is None:
            kept = self._subjects[post.subject] = {}
            if len(self._subjects) > SUBJECTS:
                self._subjects.popitem(last=False)
        self._subjects.move_to_end(post.subject)
        key = post.fingerprint or post.post
        if known := kept.get(key):
            known.copies += 1
            return
        kept[key] = Candidate(post)
        if len(kept) > 2 * self.most:
            self._subjects[post.subject] = self._sifted(kept, post.created_at)

    def _sifted(self, kept: dict[str, Candidate], now: datetime) -> dict[str, Candidate]:
        young = {k: c for k, c in kept.items() if now - c.post.created_at <= KEPT}
        spared = {
            min(young, key=lambda k: young[k].post.created_at),
            max(young, key=lambda k: _reach(young[k].post)),
            max(young, key=lambda k: _blame(young[k].post)),
            max(young, key=lambda k: young[k].copies),
        }
        drawn = sorted(young.keys() - spared, key=lambda k: _rank(young[k].post.post))
        stay = spared.union(drawn[: self.most - len(spared)])
        return {k: c for k, c in young.items() if k in stay}

    def candidates(self, subject: str, *, since: datetime, until: datetime) -> list[Candidate]:
        """Return the candidates of a time, oldest first."""
        kept = self._subjects.get(subject, {}).values()
        return sorted(
            (c for c in kept if since <= c.post.created_at < until),
            key=lambda c: (c.post.created_at, c.post.post),
        )

    def forget(self, post: PostId | None, author: str | None) -> None:
        """Drop a post, or all posts of an author."""
        for kept in self._subjects.values():
            gone = [
                key
                for key, c in kept.items()
                if (post is not None and c.post.post == post)
                or (post is None and author is not None and c.post.author == author)
            ]
            for key in gone:
                del kept[key]

    def release(self, subject: str) -> None:
        """Drop all candidates of a subject."""
        self._subjects.pop(subject, None)


def _rank(post: PostId) -> int:
    return int.from_bytes(hashlib.blake2b(post.encode(), digest_size=8).digest())


def _reach(post: Assessment) -> int:
    return max(post.views or 0, post.author_followers or 0) + 10 * (post.shares or 0)


def _blame(post: Assessment) -> float:
    scores = post.scores
    return 0.0 if scores is None else scores.negative + (scores.complaint or 0.0)

"""
Oracle: the detector in plain scalar Python, one subject, one post and one hour at a time.

It keeps every post and every hour for ever, walks through every idle hour, and has no rings, no
arrays and no packed rows. Slow, and as close to the words of the documentation as it can be.
"""

import math
import struct
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from uproar.backlash import Level
from uproar.detect.episode import Change, Episode, Seen, step
from uproar.detect.policy import Policy

LEVELS = list(Level)
MINUTES = [10, 15, 60, 360, 1440]
BEFORE = [2, 2, 2, 6, 24]


class Said(NamedTuple):
    """A post: second of event time since 1970, id, author, copy, probability that it is negative."""

    at: float
    post: str
    author: str
    copy: str | None
    negative: float


class Told(NamedTuple):
    """An event: first minute behind it, and what it is."""

    minute: int
    change: Change
    posts: int
    statistic: float


@dataclass
class Oracle:
    """The memory of one subject: everything."""

    alarms_per_day: float
    policy: Policy = field(default_factory=Policy)
    minutes: list[int] = field(default_factory=list)  # of every post that counted, rising
    counted: list[tuple[float, float]] = field(default_factory=list)  # negative, posts
    authors: list[tuple[int, str]] = field(default_factory=list)
    voices: dict[str, tuple[float, float]] = field(default_factory=dict)  # last heard, worst said
    unusual: set[int] = field(default_factory=set)  # hours that teach nothing
    episode: Episode | None = None
    told: list[Told] = field(default_factory=list)
    active: bool = False
    # the baseline: sums that fade by the hour
    n: float = 0.0
    all: float = 0.0
    exposure: float = 0.0
    spread: float = 0.0
    spread_weight: float = 0.0
    season: dict[int, float] = field(default_factory=dict)
    since: int = 0
    hour: int = 0

    def run(self, said: Sequence[Said], begin: int, end: int) -> list[Told]:
        """Watch from a minute to before another."""
        self.hour = begin // 60
        self.since = self.hour + 1
        waiting = defaultdict(list)
        for post in sorted(said):
            waiting[int(post.at // 60)].append(post)
        for minute in range(begin, end):
            if minute // 60 != self.hour:
                self._next_hour()
            for post in waiting[minute]:
                self._count(post, minute)
            ends_bin = minute % 5 == 4
            if waiting[minute] or (ends_bin and (self.active or self.episode)):
                self._judge(minute + 1, waiting[minute])
            self.active = (self.active or bool(waiting[minute])) and not ends_bin
        return self.told

    # -------------------------------------------------------------------------------- counting

    def _count(self, post: Said, minute: int) -> None:
        names = [post.author] + ([f"={post.copy}"] if post.copy else [])
        voices = [self.voices.get(name, (-math.inf, 0.0)) for name in names]
        voices = [v if post.at - v[0] < 3600 else (-math.inf, 0.0) for v in voices]
        worst = max(worst for _, worst in voices)
        heard = any(last > -math.inf for last, _ in voices)
        self.minutes.append(minute)
        self.counted.append((max(0.0, post.negative - worst), float(not heard)))
        if worst < 0.5 <= post.negative:
            self.authors.append((minute, post.author))
        for name, (_, said) in zip(names, voices, strict=True):
            self.voices[name] = (post.at, max(said, post.negative))
        if self.episode:
            grown = max(0.0, post.negative - worst)
            self.episode = _plus(self.episode, size=grown, posts=1)

    def _sum(self, begin: int, end: int) -> tuple[float, float]:
        """Negative posts and posts from a minute to before another."""
        part = self.counted[bisect_left(self.minutes, begin) : bisect_left(self.minutes, end)]
        return sum(negative for negative, _ in part), sum(posts for _, posts in part)

    def _hour_sum(self, hour: int) -> tuple[float, float]:
        return self._sum(hour * 60, hour * 60 + 60)

    # -------------------------------------------------------------------------------- baseline

    def _knows(self, hour: int) -> bool:
        return hour >= self.since and hour not in self.unusual

    def _next_hour(self) -> None:
        leaving = self.hour - 23
        if self._knows(leaving):
            self._learn(leaving)
        self.hour += 1
        open_ = self.episode
        if open_ and self.hour * 60 - open_.opened < self.policy.freeze.total_seconds() / 60:
            self.unusual.add(self.hour)

    def _silent_day(self) -> bool:
        return self._sum((self.hour - 23) * 60, (self.hour + 1) * 60) == (0, 0)

    def _learn(self, hour: int) -> None:
        fade = 0.5 ** (3600 / self.policy.half_life.total_seconds())
        if self._silent_day():
            self.n, self.all = self.n * fade, self.all * fade
            self.exposure = self.exposure * fade + 1
            return
        season = self.season.get(hour % 24, 1.0)
        level = (self.n + 0.5) / max(self.exposure, 1)
        level_all = (self.all + 0.5) / max(self.exposure, 1)
        negative, posts = self._hour_sum(hour)
        mean = level * season
        if self.exposure >= 24:
            negative = min(negative, self._most(mean))
            posts = min(posts, self._most(level_all * season))
            spread = (negative - mean) ** 2 - mean
        ratio = self._ratio(posts)
        if self.exposure >= 24:
            self.spread = self.spread * fade + spread
            self.spread_weight = self.spread_weight * fade + mean**2
        before = self.season.get(hour % 24)
        rate = self.policy.season_rate
        moved = (1 + ratio) / 2 if before is None else before + rate * (ratio - before)
        self.season[hour % 24] = struct.unpack("e", struct.pack("e", moved))[0]  # as it is stored
        self.n = self.n * fade + negative
        self.all = self.all * fade + posts
        self.exposure = self.exposure * fade + season

    def _ratio(self, posts: float) -> float:
        day = range(self.hour - 23, self.hour + 1)
        known = [hour for hour in day if self._knows(hour)]
        hours = sum(self.season.get(hour % 24, 1.0) for hour in known) + self.exposure
        heard = self.all + sum(self._hour_sum(hour)[1] for hour in known)
        prior = self.policy.season_prior
        ratio = (posts + prior) / (heard / max(hours, 1) + prior)
        return min(max(ratio, 0.2), 5.0)

    def _overdispersion(self) -> float:
        prior = self.policy.spread_prior
        learnt = (prior * self.policy.spread + self.spread) / (prior + self.spread_weight)
        return min(max(learnt, 0.02), 5.0)

    def _most(self, mean: float) -> float:
        spread = self._overdispersion() + self.policy.drift
        return mean + 4 * math.sqrt(mean + spread * mean**2) + 1

    def _before(self, hours_ago: int) -> tuple[float, float, float]:
        """Negative posts, posts and hours of the time that lies so many hours back."""
        n, all_, hours = self.n, self.all, self.exposure
        for hour in range(self.hour - 23, self.hour - hours_ago + 1):
            if not self._knows(hour):
                continue
            season = self.season.get(hour % 24, 1.0)
            negative, posts = self._hour_sum(hour)
            if self.exposure >= 24:
                negative = min(negative, self._most((self.n + 0.5) / self.exposure * season))
                posts = min(posts, self._most((self.all + 0.5) / self.exposure * season))
            n, all_, hours = n + negative, all_ + posts, hours + season
        return n, all_, hours

    # -------------------------------------------------------------------------------- judging

    def _judge(self, minute: int, posts: Sequence[Said]) -> None:
        looks = [self._look(minute, number) for number in range(5)]
        levels = [
            min(look.reached, look.highest)
            if look.share and (look.mostly or (look.enough and looks[max(3, number)].enough))
            else -1
            for number, look in enumerate(looks)
        ]
        level = max(levels)
        order = [
            (own, look.statistic - look.alert) for own, look in zip(levels, looks, strict=True)
        ]
        best = looks[order.index(max(order))]
        seen = Seen(
            minute=minute,
            level=LEVELS[level] if level >= 0 else None,
            lively=max(levels[:3]) >= 0,
            loud=max(look.reached for look in looks) >= 0,
            excess=looks[2].negative - looks[2].mean,
            negative=best.negative,
            posts=round(best.posts),
        )
        before = self.episode
        self.episode, change = step(before, seen, self.policy)
        if before is None and self.episode is not None:
            begin = minute - best.covered
            self.unusual |= set(
                range(self.hour - min((best.covered + 59) // 60, 23), self.hour + 1)
            )
            assert begin < minute
        if change is not None:
            assert self.episode is not None
            self.told.append(Told(minute, change, self.episode.posts, best.statistic))
            if change.event == "ended":
                self.episode = None

    def _look(self, minute: int, number: int) -> "Look":
        policy = self.policy
        begin = _begin(minute, number)
        negative, posts = self._sum(begin, minute)
        posts = max(posts, negative)
        n, all_, hours = self._before(BEFORE[number])
        worth = 0.0
        for hour in range(begin // 60, (minute - 1) // 60 + 1):
            inside = min(minute, hour * 60 + 60) - max(begin, hour * 60)
            worth += self.season.get(hour % 24, 1.0) * inside / 60
        level, level_all = (n + 0.5) / max(hours, 1), (all_ + 0.5) / max(hours, 1)
        short = self._before(BEFORE[0])
        usual_now = (short[1] + 0.5) / max(short[2], 1)
        learnt = (minute - 1) // 60 % 24 in self.season
        doubt = 1 / (policy.season_prior + (3 * usual_now if learnt else 0))
        variance = (
            1 / (n + 0.5)
            + doubt * [1, 1, 1, 0.5, 0][number]
            + policy.first_day * min(max(1 - hours / 24, 0), 1)
            + self._overdispersion() * math.sqrt(60 / MINUTES[number])
            + policy.drift
        )
        mean = level * worth
        needed = policy.learning if all_ > 0 else policy.silence
        known = hours >= max(needed, MINUTES[number] / 60)
        statistic = surprise(negative, mean, 1 / variance) if known else 0.0
        share = (policy.share * policy.share_prior + n) / (policy.share_prior + all_)
        expected = posts * share
        noise = math.sqrt(expected * (1 - share) + (0.1 * posts) ** 2 + 1e-9)
        beyond = max(posts - level_all * worth, 1e-9)
        enough = negative - mean >= policy.excess_share * beyond
        mostly = negative - mean - math.sqrt(beyond) / 2 >= policy.mostly * beyond
        thresholds = self.thresholds(number)
        reached = sum(statistic >= threshold for threshold in thresholds) - 1
        newest = dict(sorted((name, at) for at, name in sorted(self.authors)))
        authors = min(6, sum(at >= begin for at in newest.values()))
        highest = sum(authors >= floor for floor in policy.authors) - 1
        return Look(
            highest=highest,
            share=negative >= expected - policy.below * noise,
            enough=enough,
            mostly=mostly,
            reached=reached,
            statistic=statistic,
            alert=thresholds[1],
            negative=negative,
            posts=posts,
            mean=mean,
            covered=minute - begin,
        )

    def thresholds(self, number: int) -> list[float]:
        """Watch, alert and crisis in a window."""
        looks = 3 * 1440 / MINUTES[number] * 5
        rates = [self.policy.watch, 1, self.policy.crisis]
        return [
            max(math.log10(looks / (rate * self.alarms_per_day)), -math.log10(0.05))
            for rate in rates
        ]


class Look(NamedTuple):
    """What one window shows."""

    highest: int
    share: bool
    enough: bool
    mostly: bool
    reached: int
    statistic: float
    alert: float
    negative: float
    posts: float
    mean: float
    covered: int


def _begin(minute: int, number: int) -> int:
    """First minute of a window: so many five minutes or hours, the running one included."""
    if number < 3:
        return ((minute - 1) // 5 - (2, 3, 12)[number] + 1) * 5
    return ((minute - 1) // 60 - (6, 24)[number - 3] + 1) * 60


def _plus(episode: Episode, *, size: float, posts: int) -> Episode:
    return replace(episode, size=episode.size + size, posts=episode.posts + posts)


def surprise(count: float, mean: float, size: float) -> float:
    """-log10 P(N >= count) of a negative binomial, by the same approximation, one number at a time."""
    whole = max(count, 1.0)
    x = whole - 0.5
    if x <= mean or count <= mean:
        return 0.0
    tilt = math.log(x * (mean + size) / (mean * (x + size)))
    deviance = x * math.log(x / mean) - (x + size) * math.log((x + size) / (mean + size))
    root = math.sqrt(2 * max(deviance, 1e-12))
    if root <= 0.01:
        return 0.0
    z = root + math.log(2 * math.sinh(tilt / 2) * math.sqrt(x * (x + size) / size) / root) / root
    z = max(z, 0.0)
    bound = 4 / (3 * z + math.sqrt(z * z + 8))
    tail = (z * z / 2 + math.log(2 * math.pi) / 2 - math.log(bound)) / math.log(10)
    return min(tail * (count - mean) / (whole - mean), 300.0)

"""
Oracle: the detector in plain scalar Python, one subject, one post and one hour at a time.

It keeps every post and every hour for ever, walks through every idle hour, and has no rings, no
arrays and no packed rows. Slow, and as close to the words of the documentation as it can be.
"""

import math
import struct
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from uproar.backlash import Level
from uproar.detect.episode import Change, Episode, Seen, step
from uproar.detect.policy import Policy

LEVELS = list(Level)
MINUTES = [10, 30, 60, 180, 360, 1440]
BINS = [2, 6, 12]
HOURS = [3, 6, 24]
BEFORE = [2, 2, 2, 4, 7, 24]
ALONE = [1, 1, 1, 0.75, 0.5, 0]
SLOW = 6


class Said(NamedTuple):
    """A post: second of event time since 1970, id, author, texts it copies, how likely it is negative."""

    at: float
    post: str
    author: str
    copies: tuple[str, ...]
    negative: float


class Told(NamedTuple):
    """An event: first minute behind it, and what it is."""

    minute: int
    change: Change
    posts: int
    statistic: float


class Usual(NamedTuple):
    """What is usual in the running hour, before so many hours ago."""

    level: float
    level_all: float
    unsure: float
    share: float
    hours: float


@dataclass
class Oracle:
    """The memory of one subject: everything."""

    alarms_per_day: float
    policy: Policy = field(default_factory=Policy)
    bins: dict[int, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0, 0.0]))
    hours: dict[int, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0, 0.0]))
    authors: list[tuple[int, str]] = field(default_factory=list)
    voices: dict[str, tuple[float, float]] = field(default_factory=dict)  # last heard, worst said
    said: dict[int, int] = field(default_factory=lambda: defaultdict(int))  # repeats included
    unusual: set[int] = field(default_factory=set)  # hours that teach nothing
    episode: Episode | None = None
    told: list[Told] = field(default_factory=list)
    active: bool = False
    muted: bool = False
    # the baseline: sums that fade by the hour
    n: float = 0.0
    all: float = 0.0
    exposure: float = 0.0
    spread: float = 0.0
    spread_weight: float = 0.0
    season: dict[int, float] = field(default_factory=dict)
    week: dict[int, float] = field(default_factory=dict)
    slow: float = 0.0
    since: int = 0
    hour: int = 0
    # the budget
    days: int = 0
    busy: float = 1.0
    top: list[float] = field(default_factory=lambda: [0.0] * 7)
    mean: list[float] = field(default_factory=lambda: [0.0] * 7)
    deviation: list[float] = field(default_factory=lambda: [0.0] * 7)
    reached: set[int] = field(default_factory=set)
    correction: list[float] = field(default_factory=list)

    def run(self, said: Sequence[Said], begin: int, end: int) -> list[Told]:
        """Watch from a minute to before another."""
        self.correction = [self.policy.windows_apart] * 2
        self.mean = list(map(half, self.policy.pool_mean))
        self.deviation = list(map(half, self.policy.pool_deviation))
        self.hour = begin // 60
        self.since = self.hour + 1
        waiting = defaultdict(list)
        for post in sorted(said):
            waiting[int(post.at // 60)].append(post)
        for minute in range(begin, end):
            if minute % 5 == 0 and minute > begin:
                self._settle(minute // 5 - 1)
            if minute // 60 != self.hour:
                self._next_hour()
            for post in waiting[minute]:
                self._count(post, minute)
            ends_bin = minute % 5 == 4
            if waiting[minute] or (ends_bin and (self.active or self.episode)):
                self._judge(minute + 1)
            self.active = (self.active or bool(waiting[minute])) and not ends_bin
        return self.told

    # -------------------------------------------------------------------------------- counting

    def _count(self, post: Said, minute: int) -> None:
        names = [post.author] + [f"={copy}" for copy in post.copies]
        voices = [self.voices.get(name, (-math.inf, 0.0)) for name in names]
        voices = [v if post.at - v[0] < 3600 else (-math.inf, 0.0) for v in voices]
        worst = max(worst for _, worst in voices)
        heard = any(last > -math.inf for last, _ in voices)
        grown = max(0.0, post.negative - worst)
        self.bins[minute // 5][0] += grown
        self.bins[minute // 5][1] += float(not heard)
        self.said[minute // 5] += 1
        if voices[0][1] < 0.5 <= post.negative and worst < 0.5:
            self.authors.append((minute, post.author))
        for name, (_, said) in zip(names, voices, strict=True):
            self.voices[name] = (post.at, max(said, post.negative))
        if self.episode:
            self.episode = replace(
                self.episode, size=self.episode.size + grown, posts=self.episode.posts + 1
            )

    def _settle(self, bin_: int) -> None:
        negative, posts = self.bins[bin_]
        share = self._cut(negative, self.hour)
        self.hours[self.hour][0] += negative * share
        self.hours[self.hour][1] += posts * share

    def _cut(self, negative: float, hour: int) -> float:
        """The share of five minutes' posts that count where one burst must not make a wave."""
        if self.exposure < 24 or negative <= 0:
            return 1.0
        usual = self._usual(2).level * self._factor(hour) / 12
        spread = self._overdispersion() * math.sqrt(12) + self.policy.drift
        most = usual + self.policy.spike * math.sqrt(usual + spread * usual**2) + 2
        return min(1.0, most / negative)

    # -------------------------------------------------------------------------------- baseline

    def _knows(self, hour: int) -> bool:
        return hour >= self.since and hour not in self.unusual

    def _factor(self, hour: int) -> float:
        return self.season.get(hour % 24, 1.0) * self.week.get((hour // 24 + 3) % 7, 1.0)

    def _next_hour(self) -> None:
        self._slowly()
        self.hours[self.hour] = [half(x / 16) * 16 for x in self.hours[self.hour]]
        silent = self._silent_day()
        if (self.hour + 1) % 24 == 0:
            if not silent:
                self._learn_day()
            self._close_day()
        leaving = self.hour - 23
        if self._knows(leaving):
            self._learn(leaving, silent=silent)
        self.hour += 1
        open_ = self.episode
        if open_ and self.hour * 60 - open_.opened < self.policy.freeze.total_seconds() / 60:
            self.unusual.add(self.hour)

    def _silent_day(self) -> bool:
        return all(self.hours[h] == [0, 0] for h in range(self.hour - 23, self.hour + 1))

    def _slowly(self) -> None:
        usual, negative = self._usual(24), self.hours[self.hour][0]
        statistic = 0.0
        if negative > 0 and usual.hours >= 24:
            variance = usual.unsure + self._overdispersion() + self._doubt()
            mean = usual.level * self._factor(self.hour)
            statistic = surprise(negative, mean, 1 / variance)
        step = min(statistic, self.policy.slow_cap) - self.policy.slow_drain
        self.slow = max(self.slow + step, 0.0)

    def _learn_day(self) -> None:
        day = range(self.hour - 23, self.hour + 1)
        posts = sum(self.hours[h][1] for h in day)
        if sum(map(self._knows, day)) < 20 or not posts or self.exposure < 24:
            return
        level = (self.all + 0.5) / max(self.exposure, 1)
        usual = level * sum(self.season.get(h, 1.0) for h in range(24))
        ratio = (posts + self.policy.week_prior) / (usual + self.policy.week_prior)
        ratio = min(max(ratio, 0.3), 3.0)
        weekday = (self.hour // 24 + 3) % 7
        before = self.week.get(weekday, 1.0)
        self.week[weekday] = half(before + self.policy.week_rate * (ratio - before))

    def _learn(self, hour: int, *, silent: bool) -> None:
        fade = 0.5 ** (3600 / self.policy.half_life.total_seconds())
        if silent:
            self.n, self.all = self.n * fade, self.all * fade
            self.exposure = self.exposure * fade + 1
            return
        factor = self._factor(hour)
        level = (self.n + 0.5) / max(self.exposure, 1)
        level_all = (self.all + 0.5) / max(self.exposure, 1)
        negative, posts = self.hours[hour]
        mean = level * factor
        seen = 0.0
        if self.exposure >= 24:
            negative = min(negative, self._most(mean))
            posts = min(posts, self._most(level_all * factor))
            seen = (negative - mean) ** 2 - mean
        ratio = self._ratio(hour, posts)
        if self.exposure >= 24:
            slowly = fade ** (1 / 7)
            self.spread = self.spread * slowly + seen
            self.spread_weight = self.spread_weight * slowly + mean**2
        before = self.season.get(hour % 24)
        rate = self.policy.season_rate
        moved = (1 + ratio) / 2 if before is None else before + rate * (ratio - before)
        self.season[hour % 24] = half(moved)
        self.n = self.n * fade + negative
        self.all = self.all * fade + posts
        self.exposure = self.exposure * fade + factor

    def _ratio(self, hour: int, posts: float) -> float:
        day = range(self.hour - 23, self.hour + 1)
        known = [h for h in day if self._knows(h)]
        hours = sum(map(self._factor, known)) + self.exposure
        heard = self.all + sum(self.hours[h][1] for h in known)
        mean = heard / max(hours, 1) * self.week.get((hour // 24 + 3) % 7, 1.0)
        prior = self.policy.season_prior
        return min(max((posts + prior) / (mean + prior), 0.2), 5.0)

    def _overdispersion(self) -> float:
        prior = self.policy.spread_prior
        learnt = (prior * self.policy.spread + self.spread) / (prior + self.spread_weight)
        return min(max(learnt, 0.01), 5.0)

    def _most(self, mean: float) -> float:
        spread = self._overdispersion() + self.policy.drift
        return mean + 3 * math.sqrt(mean + spread * mean**2) + 1

    def _before(self, hours_ago: int) -> tuple[float, float, float]:
        """Negative posts, posts and usual hours of the time that lies so many hours back."""
        n, all_, hours = self.n, self.all, self.exposure
        for hour in range(self.hour - 23, self.hour - hours_ago + 1):
            if not self._knows(hour):
                continue
            factor = self._factor(hour)
            negative, posts = self.hours[hour]
            if self.exposure >= 24:
                negative = min(negative, self._most((self.n + 0.5) / self.exposure * factor))
                posts = min(posts, self._most((self.all + 0.5) / self.exposure * factor))
            n, all_, hours = n + negative, all_ + posts, hours + factor
        return n, all_, hours

    def _usual(self, hours_ago: int) -> Usual:
        policy = self.policy
        n, all_, hours = self._before(hours_ago)
        young = policy.first_day * min(max(1 - hours / 24, 0), 1)
        return Usual(
            level=(n + 0.5) / max(hours, 1),
            level_all=(all_ + 0.5) / max(hours, 1),
            unsure=1 / (n + 0.5) + young + policy.drift,
            share=(policy.share * policy.share_prior + n) / (policy.share_prior + all_),
            hours=hours if all_ > 0 or hours >= policy.silence else 0.0,
        )

    def _doubt(self) -> float:
        learnt = self.hour % 24 in self.season
        return 1 / (self.policy.season_prior + (3 * self._usual(2).level_all if learnt else 0))

    # -------------------------------------------------------------------------------- budget

    def _moments(self, number: int) -> tuple[float, float]:
        own = self.days / (self.days + self.policy.pool_days)
        mean = own * self.mean[number] + (1 - own) * self.policy.pool_mean[number]
        pool = self.policy.pool_deviation[number]
        return mean, math.sqrt(own * self.deviation[number] ** 2 + (1 - own) * pool**2)

    def _chances(self) -> list[float]:
        times = [self.policy.watch, 1, self.policy.crisis]
        return [min(self.alarms_per_day * t, 0.9) for t in times]

    def thresholds(self, number: int) -> list[float]:
        """From which statistic on watch, alert and crisis are reached."""
        mean, deviation = self._moments(number)
        beta = math.sqrt(6) / math.pi * deviation
        found = []
        for level, chance in enumerate(self._chances()):
            chance = min(chance / max(self.busy, self.policy.least_busy), 0.9)  # noqa: PLW2901
            rare = -math.log(-math.log(1 - chance))
            steered = min(beta, self.policy.most_width) * self.correction[min(level, 1)]
            reached = math.expm1(min(mean - 0.5772 * beta + beta * rare + steered, 6.0))
            found.append(max(reached, self.policy.floor[level], *found))
        return found

    def _close_day(self) -> None:
        policy, lived = self.policy, any(self.top)
        before = [self.thresholds(number) for number in range(7)]
        old = [*self.mean, *self.deviation, self.busy]
        days, new = self.days, self._after_today()
        self.days = min(days + lived, policy.memory_days)
        for part in (1, 0.5, 0.25, 0.125, 0.0625, 0):  # how far the day is believed
            moved = [o + part * (n - o) for o, n in zip(old, new, strict=True)]
            self.mean, self.deviation = list(map(half, moved[:7])), list(map(half, moved[7:14]))
            self.busy = moved[14]
            pairs = [
                pair
                for number in range(7)
                for pair in zip(self.thresholds(number), before[number], strict=True)
            ]
            if all(abs(math.log(after / was)) <= math.log(1.2) for after, was in pairs):
                break
        else:
            self.days = days
        self.top, self.reached = [0.0] * 7, set()

    def _after_today(self) -> list[float]:
        policy = self.policy
        known = self.days / (self.days + policy.pool_days)
        mean, deviation, correction = list(self.mean), list(self.deviation), []
        busy = self.busy + (any(self.top) - self.busy) / policy.busy_days
        share = 1 / min(self.days + 1, policy.memory_days) if any(self.top) else 0.0
        for number in range(7):
            middle, width = self._moments(number)
            cut = (policy.outlier + known) * width
            today = min(max(self.top[number], middle - cut), middle + cut)
            apart = today - self.mean[number]
            mean[number] += share * apart
            deviation[number] = math.sqrt(
                (1 - share) * (self.deviation[number] ** 2 + share * apart**2)
            )
        for level, chance in enumerate(self._chances()[:2]):
            moved = self.correction[level]
            open_ = self.episode is not None and self.episode.level.rank >= level
            fall = 0.0 if open_ else chance
            moved += policy.steer * known * ((level in self.reached) - fall)
            correction.append(min(max(moved, policy.least_steer), policy.most_steer))
        self.correction = correction
        return [*mean, *deviation, busy]

    # -------------------------------------------------------------------------------- judging

    def _judge(self, minute: int) -> None:
        looks = [self._look(minute, number) for number in range(6)]
        looks.append(self._slow_look(looks[-1]))
        self.top = [
            max(top, half(math.log1p(look.statistic)))
            for top, look in zip(self.top, looks, strict=True)
        ]
        hour = looks[2]
        if self._flooded(minute, hour.mean):
            looks[2] = hour._replace(reached=max(hour.reached, 1))
        levels = [
            min(look.reached, look.highest)
            if look.share and (look.mostly or (look.enough and looks[max(4, number)].enough))
            else -1
            for number, look in enumerate(looks)
        ]
        brisk = max(look.reached for look in looks[:5]) >= 0
        lasting = max(look.reached for look in looks[5:]) >= 0
        # a wave that shorter windows have seen: the day and the slow sum only remember it
        self.muted = (brisk and self.episode is not None) or (self.muted and lasting)
        if self.muted and self.episode is None:
            levels[5:] = [-1, -1]
        level = self._joined(minute, max(levels))
        order = [
            (own, look.statistic / look.alert) for own, look in zip(levels, looks, strict=True)
        ]
        best = looks[order.index(max(order))]
        seen = Seen(
            minute=minute,
            level=LEVELS[level] if level >= 0 else None,
            lively=max(levels[:3]) >= 0,
            loud=brisk or (lasting and not self.muted),
            excess=hour.negative - hour.mean,
            negative=best.negative,
            posts=round(best.posts),
        )
        before = self.episode
        self.episode, change = step(before, seen, self.policy)
        if self.episode is not None:
            first = -1 if before is None else before.level.rank
            self.reached |= set(range(first + 1, self.episode.level.rank + 1))
        if before is None and self.episode is not None:
            self.unusual |= set(
                range(self.hour - min((best.covered + 59) // 60, 23), self.hour + 1)
            )
        if change is not None:
            assert self.episode is not None
            self.told.append(Told(minute, change, self.episode.posts, best.statistic))
            if change.event == "ended":
                self.episode = None

    def _joined(self, minute: int, level: int) -> int:
        """A staged wave needs twice as many people."""
        if level <= (-1 if self.episode is None else self.episode.level.rank):
            return level
        hour = range((minute - 1) // 5 - 11, (minute - 1) // 5 + 1)
        said = sum(self.said[b] for b in hour)
        counted, people = (sum(self.bins[b][at] for b in hour) for at in (1, 0))
        if not said or 1 - counted / said < self.policy.staged:
            return level
        enough = [rank for rank, need in enumerate(self.policy.authors) if people >= 2 * need]
        return min(level, max(enough, default=-1))

    def _heard(self, minute: int, number: int, begin: int) -> tuple[float, float]:
        bin_, hour = (minute - 1) // 5, (minute - 1) // 60
        negative = posts = 0.0
        if number < 3:
            for b in range(begin // 5, bin_ + 1):
                share = self._cut(self.bins[b][0], b // 12) if number else 1.0
                negative += self.bins[b][0] * share
                posts += self.bins[b][1] * share
            return negative, posts
        share = self._cut(self.bins[bin_][0], hour)
        negative, posts = (x * share for x in self.bins[bin_])
        for h in range(begin // 60, hour + 1):
            negative, posts = negative + self.hours[h][0], posts + self.hours[h][1]
        return negative, posts

    def _flooded(self, minute: int, mean: float) -> bool:
        """Whether the last hour is beyond every budget."""
        bin_, hour = (minute - 1) // 5, (minute - 1) // 60
        last = sum(self.bins[b][0] for b in range(bin_ - 11, bin_ + 1))
        if self._usual(2).hours < self.policy.learning:
            if sum(self.hours[h][1] for h in range(hour - 23, hour - 1)) < self.policy.listened:
                return False
            whole = sum(self.hours[h][0] for h in range(hour - 23, hour + 1)) + self.bins[bin_][0]
            mean = max(whole - last, 0) + 0.5
        return last >= self.policy.ceiling_times * mean + self.policy.ceiling_people

    def _look(self, minute: int, number: int) -> "Look":
        policy = self.policy
        begin = _begin(minute, number)
        negative, posts = self._heard(minute, number, begin)
        posts = max(posts, negative)
        usual = self._usual(BEFORE[number])
        worth = 0.0
        for hour in range(begin // 60, (minute - 1) // 60 + 1):
            inside = min(minute, hour * 60 + 60) - max(begin, hour * 60)
            worth += self._factor(hour) * inside / 60
        variance = (
            usual.unsure
            + self._doubt() * ALONE[number]
            + self._overdispersion() * math.sqrt(60 / MINUTES[number])
        )
        mean = usual.level * worth
        known = usual.hours >= max(policy.learning, MINUTES[number] / 60)
        known = known or (number == 2 and self._flooded(minute, mean))
        statistic = surprise(negative, mean, 1 / variance) if known else 0.0
        expected = posts * usual.share
        noise = math.sqrt(expected * (1 - usual.share) + (0.1 * posts) ** 2 + 1e-9)
        beyond = max(posts - usual.level_all * worth, 1e-9)
        thresholds = self.thresholds(number)
        newest = dict(sorted((name, at) for at, name in sorted(self.authors)))
        authors = min(6, sum(at >= begin for at in newest.values()))
        unsure = policy.unsure_authors if number < 3 else 0
        people = max(authors, min(negative, authors + unsure))
        return Look(
            highest=sum(people >= floor for floor in policy.authors) - 1,
            share=negative >= expected - policy.below * noise,
            enough=negative - mean - math.sqrt(beyond) / 4 >= policy.excess_share * beyond,
            mostly=negative - mean - math.sqrt(beyond) / 2 >= policy.mostly * beyond,
            reached=sum(statistic >= threshold for threshold in thresholds) - 1,
            statistic=statistic,
            alert=thresholds[1],
            negative=negative,
            posts=posts,
            mean=mean,
            covered=minute - begin,
        )

    def _slow_look(self, day: "Look") -> "Look":
        statistic = self.slow if self._usual(24).hours >= 24 else 0.0
        thresholds = self.thresholds(SLOW)
        reached = sum(statistic >= threshold for threshold in thresholds) - 1
        return day._replace(statistic=statistic, alert=thresholds[1], reached=reached)


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
        return ((minute - 1) // 5 - BINS[number] + 1) * 5
    return ((minute - 1) // 60 - HOURS[number - 3] + 1) * 60


def half(number: float) -> float:
    """Round as half precision stores it."""
    return float(struct.unpack("e", struct.pack("e", number))[0])


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

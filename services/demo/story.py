"""
Story: an airline breaks a guitar. A week of posts, always the same for a seed; no clock, no network.

Six calm days of grumbles, thanks and questions, a giveaway in the middle, then a musician without
followers puts a song online. The words stand in ``crises/``; everybody in it is invented.
"""

import math
import re
import tomllib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from random import Random
from typing import Any, Final

CRISES: Final = Path(str(resources.files("services.demo"))) / "crises"
WATCH: Final = CRISES / "air_quillon" / "watch.toml"
"""Whom the story is about: a watch list."""
WORDS: Final = CRISES / "air_quillon" / "words.toml"

SUBJECT: Final = "air-quillon"
START: Final = datetime(2025, 6, 2, tzinfo=UTC)  # a Monday: event time is the story's own
DAYS: Final = 6
GIVEAWAY_DAY: Final = 3
GIVEAWAY_POSTS: Final = 220
FRENCH: Final = 0.35

# Posts an hour of a day, on average, and which share of them is of which kind.
CALM: Final = {
    "calm": (3.2, {"grumble": 0.36, "thanks": 0.27, "talk": 0.37}),
    "rival": (1.5, {"grumble": 0.33, "thanks": 0.34, "talk": 0.33}),
    "player": (0.5, {"talk": 0.65, "thanks": 0.35}),
    "noise": (0.5, {"talk": 1.0}),
}
ANGER: Final = {"share": 0.36, "mine": 0.22, "call": 0.16, "fury": 0.16, "talk": 0.10}

# The backlash, in minutes after the musician's post and posts a minute.
FIRST_RATE, DOUBLES_IN, TOP_RATE, HALVES_IN, LASTS = 0.2, 14.0, 2.4, 120.0, 210


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """
    What happened.

    Attributes:
        posts: Input posts (see ``POST /v1/posts``), in the order they were written in.
        giveaway: When the giveaway began and ended.
        onset: When the musician's post was written.
    """

    posts: list[dict[str, Any]]
    giveaway: tuple[datetime, datetime]
    onset: datetime

    @property
    def end(self) -> datetime:
        """When the last post was written."""
        return datetime.fromisoformat(self.posts[-1]["created_at"])


def minute_of(moment: datetime) -> datetime:
    """Return the begin of a moment's minute."""
    return moment.replace(second=0, microsecond=0)


def story(seed: int) -> Story:
    """Tell the story; another seed draws other words, people and minutes."""
    teller = _Teller(Random(seed))
    giveaway = teller.giveaway()
    onset = teller.backlash()
    teller.calm(until=onset + timedelta(minutes=LASTS))
    posts = sorted(teller.posts, key=lambda post: (post["created_at"], post["text"]))
    for number, post in enumerate(posts, start=1):
        post["id"] = f"q{number:05d}"
        post["url"] = f"https://posts.example/q{number:05d}"
        post["created_at"] = post["created_at"].isoformat()
    return Story(posts=posts, giveaway=giveaway, onset=onset)


@dataclass(slots=True)
class _Teller:
    rng: Random
    words: dict[str, Any] = field(default_factory=lambda: tomllib.loads(WORDS.read_text("utf-8")))
    posts: list[dict[str, Any]] = field(default_factory=list)

    # ------------------------------------------------------------------------------ what happens

    def calm(self, *, until: datetime) -> None:
        """Let everybody talk as they do every day, the airline too."""
        hour = START
        while hour < until:
            for room, (rate, kinds) in CALM.items():
                for _ in range(self._poisson(rate * _busy(hour))):
                    kind = self.rng.choices(list(kinds), list(kinds.values()))[0]
                    self.say(room, kind, hour + timedelta(minutes=self.rng.uniform(0, 60)))
            if hour.hour in {8, 16}:
                self.airline(self.rng.choice(self.words["airline"]["daily"]), hour)
            hour += timedelta(hours=1)

    def giveaway(self) -> tuple[datetime, datetime]:
        """Hold a giveaway: far more posts than ever, and all of them glad."""
        begin = START + timedelta(days=GIVEAWAY_DAY, hours=self.rng.uniform(12, 15))
        end = begin + timedelta(hours=4)
        self.airline(self.words["airline"]["giveaway"], begin)
        for _ in range(GIVEAWAY_POSTS):
            minutes = min(self.rng.expovariate(1 / 60), 239)
            self.say("giveaway", "entry", begin + timedelta(minutes=minutes))
        return begin, end

    def backlash(self) -> datetime:
        """Let the musician post her song, and the storm come; returns when she did."""
        onset = START + timedelta(days=DAYS, hours=self.rng.uniform(14, 18))
        musician = self.words["musician"]
        self.post(
            self.expand(musician["post"]),
            onset,
            author=musician["author"],
            author_followers=musician["followers"],
            media=["video"],
        )
        for minute in range(2, LASTS):
            for _ in range(self._poisson(_rate(minute))):
                moment = onset + timedelta(minutes=minute + self.rng.random())
                if self.rng.random() < 0.08:
                    self.post(self.expand(musician["repost"]), moment)
                else:
                    kind = self.rng.choices(list(ANGER), list(ANGER.values()))[0]
                    self.say("backlash", kind, moment)
        self.airline(self.words["airline"]["statement"], onset + timedelta(hours=3))
        return onset

    # ------------------------------------------------------------------------------ who says what

    def say(self, room: str, kind: str, moment: datetime) -> None:
        """Have somebody say one of the things that are said in a room."""
        lines = self.words[room][kind]
        lang = "fr" if self.rng.random() < FRENCH else "en"
        text = self.expand(self.rng.choice(lines[lang]))
        media = ["video"] if lines.get("video") and "https://" in text else []
        self.post(text, moment, lang=lang, **({"media": media} if media else {}))

    def airline(self, line: str, moment: datetime) -> None:
        """Have the airline speak for itself; nobody counts that."""
        self.post(self.expand(line), moment, author=self.words["airline"]["author"])

    def post(self, text: str, moment: datetime, **given: Any) -> None:
        """Add a post; most people have few followers, or none that anybody knows."""
        post = {"text": text, "created_at": moment, "source": "chirp", "author": self._somebody()}
        if self.rng.random() < 0.4:
            post["author_followers"] = int(self.rng.lognormvariate(4.5, 1.2))
        self.posts.append(post | given)

    def expand(self, line: str) -> str:
        """Fill the holes of a line; now and then somebody does not care for capitals."""
        text = re.sub(r"\{(\w+)\}", self._fill, line)
        text = re.sub(r"\s+", " ", text).strip()
        return text.lower() if self.rng.random() < 0.1 else text

    def _fill(self, hole: re.Match[str]) -> str:
        match hole[1]:
            case "n":
                return str(self.rng.randint(3, 95))
            case "flight":
                return f"QN{self.rng.randint(100, 989)}"
            case "hour":
                return f"{self.rng.randint(6, 23):02d}:{self.rng.choice((0, 15, 20, 30, 45)):02d}"
            case slot:
                return str(self.rng.choice(self.words["slots"][slot]))

    def _somebody(self) -> str:
        parts = range(self.rng.randint(2, 4))
        name = "".join(self.rng.choice("bklmnprstvz") + self.rng.choice("aeiou") for _ in parts)
        return f"@{name}{self.rng.randint(1, 999)}"

    def _poisson(self, mean: float) -> int:
        limit, product, count = math.exp(-mean), self.rng.random(), 0
        while product > limit:
            product *= self.rng.random()
            count += 1
        return count


def _busy(hour: datetime) -> float:
    """Return how much is said in an hour of day, on average once as much as usual: people sleep."""
    return 1.0 - 0.85 * math.cos(2 * math.pi * (hour.hour - 3.5) / 24)


def _rate(minute: int) -> float:
    """Return how many angry posts a minute brings."""
    rising = FIRST_RATE * 2 ** (minute / DOUBLES_IN)
    top = DOUBLES_IN * math.log2(TOP_RATE / FIRST_RATE)
    return rising if minute < top else TOP_RATE * 0.5 ** ((minute - top) / HALVES_IN)

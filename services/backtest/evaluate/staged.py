"""Staged: hard negatives that need posts - floods of bots, sources that fail, talk in words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from services.backtest.evaluate.hearing import SHIPPED
from services.backtest.evaluate.metrics import Measure, proportion
from services.backtest.evaluate.sayings import BACKLASH, NOT_A_BACKLASH
from services.classifier.judge import Model, model_input
from uproar.assessment import Assessment, Scores
from uproar.backlash import Backlash
from uproar.detector import Detector
from uproar.post import PostId, fingerprint
from uproar.prior import ordinary
from uproar.subject import Subject, SubjectId

BEGIN: Final = datetime(2024, 3, 4, tzinfo=UTC)  # a Monday
WARM, AFTER = timedelta(days=6), timedelta(hours=30)
JUDGED: Final = timedelta(hours=6)
RATES: Final = (0.5, 3.0, 12.0)
SHARE: Final = 0.3
BRAND: Final = "Acme"
_TICK: Final = timedelta(minutes=5)
TICKS: Final = (WARM + AFTER) // _TICK


@dataclass(slots=True)
class Stage:
    """
    One brand, its calm week and what comes then.

    Attributes:
        real: Whether it is a backlash after all: then it must page.
        posts: What was written, and when it arrives.
    """

    kind: str
    subject: Subject
    rate: float
    at: datetime
    real: bool = False
    posts: list[tuple[datetime, Assessment]] = field(default_factory=list)

    def add(
        self,
        at: datetime,
        negative: float | Scores,
        *,
        author: str | None = None,
        text: str = "",
        arrives: datetime | None = None,
        backfill: bool = False,
        stream: str = "first",
    ) -> None:
        """Add a post; a number says how negative detection takes it to be (:mod:`uproar.prior`)."""
        number = len(self.posts)
        scores = negative
        if not isinstance(scores, Scores):
            said = ordinary(scores)
            scores = Scores(negative=said, neutral=0.7 * (1 - said), positive=0.3 * (1 - said))
        post = Assessment(
            post=PostId(f"{stream}:{self.subject.id}-{number}"),
            subject=self.subject.id,
            stream=stream,
            network=stream,
            created_at=at,
            scores=scores,
            model="staged",
            author=author or f"{self.subject.id}-{number}",
            fingerprint=fingerprint(text),
            text=text,
            backfill=backfill,
        )
        self.posts.append((arrives or at, post))


Direct = Callable[[Stage, np.random.Generator], None]


def calm(stage: Stage, since: datetime, until: datetime, rng: np.random.Generator) -> list[int]:
    """Add everyday posts, by day more than by night; return their places."""
    first, hours = len(stage.posts), (until - since) / timedelta(hours=1)
    for _ in range(int(rng.poisson(2 * stage.rate * hours))):
        at = since + timedelta(hours=float(rng.uniform(0, hours)))
        if rng.random() < 0.5 - 0.3 * np.cos(2 * np.pi * (at.hour - 4) / 24):
            stage.add(at, probability(rng, negative=bool(rng.random() < SHARE)))
    return list(range(first, len(stage.posts)))


def probability(rng: np.random.Generator, *, negative: bool) -> float:
    """Draw what the shipped model would say of a post that is, or is not, negative."""
    called = rng.random() < (SHIPPED.hit if negative else SHIPPED.slip)
    above, below = (
        (SHIPPED.found, SHIPPED.missed) if negative else (SHIPPED.mistaken, SHIPPED.passed)
    )
    mean, variance = above if called else below
    floor = 0.5 if called else 0.0
    return float(np.clip(rng.normal(mean, variance**0.5), floor, floor + 0.5))


_FLOOD = (
    "{b} is a scam, they stole from my family, share before they delete it",
    "URGENT everyone must know what {b} did, retweet now, they hide the truth",
    "{b} kills animals, here is the proof, boycott now and tell your friends",
)
_TAILS = ("", " now", " !!!", " pls", " RT", " please share", " omg", " wake up", " today", " all")


def few_authors(stage: Stage, rng: np.random.Generator) -> None:
    """Let two or three accounts write a hundred different complaints."""
    accounts = [f"{stage.subject.id}-loud{n}" for n in range(int(rng.integers(2, 4)))]
    for number in range(100):
        at = stage.at + timedelta(minutes=float(rng.uniform(0, 90)))
        text = f"complaint number {number} about what happened at counter {rng.integers(99)}"
        stage.add(at, 0.9, author=str(rng.choice(accounts)), text=text)


def near_copies(stage: Stage, rng: np.random.Generator) -> None:
    """Let many accounts send the same sentence, a word added here and there."""
    sentence = str(rng.choice(_FLOOD)).format(b=BRAND)
    for _ in range(int(rng.integers(40, 120))):
        at = stage.at + timedelta(minutes=float(rng.uniform(0, 40)))
        words = sentence + str(rng.choice(_TAILS)) + f" https://x.example/{rng.integers(1_000_000)}"
        stage.add(at, 0.9, text=words)


def synchronous(stage: Stage, rng: np.random.Generator) -> None:
    """Let fresh accounts post by the clock, each its variation of a script."""
    sentences = [s.format(b=BRAND) for s in _FLOOD]
    for number in range(int(rng.integers(30, 80))):
        at = stage.at + timedelta(seconds=20 * number + float(rng.uniform(0, 2)))
        words = str(rng.choice(sentences)).split()
        gone = int(rng.integers(len(words)))
        stage.add(at, 0.88, text=" ".join(words[:gone] + words[gone + 1 :]))


def joined(stage: Stage, rng: np.random.Generator) -> None:
    """Let bots begin and real people join: these count."""
    near_copies(stage, rng)
    _people(stage, rng, stage.at + timedelta(minutes=20), 25 + round(10 * stage.rate))


def backlash(stage: Stage, rng: np.random.Generator) -> None:
    """Let real people be angry."""
    _people(stage, rng, stage.at, 25 + round(10 * stage.rate))


def _people(stage: Stage, rng: np.random.Generator, since: datetime, count: int) -> None:
    for number in range(count):
        at = since + timedelta(minutes=float(rng.gamma(2, 20)))
        words = f"{BACKLASH.write(BRAND, rng)} {rng.integers(1_000_000)} witness {number}"
        stage.add(at, probability(rng, negative=bool(rng.random() < 0.85)), text=words)


def gap(stage: Stage, rng: np.random.Generator) -> None:
    """Let the source be silent for a day or three before, then go on as usual."""
    _silence(stage, timedelta(days=float(rng.uniform(1, 3))))


def flush(stage: Stage, rng: np.random.Generator) -> None:
    """Let the source be blind for hours, and then deliver everything at once, late."""
    blind = timedelta(hours=float(rng.uniform(3, 24)))
    for place, (_, post) in enumerate(stage.posts):
        if stage.at - blind <= post.created_at < stage.at:
            stage.posts[place] = (stage.at, post)


def backfill(stage: Stage, rng: np.random.Generator) -> None:
    """Let a backfill bring two weeks of history, marked as such."""
    since = BEGIN - timedelta(days=14)
    hours = (BEGIN - since) / timedelta(hours=1)
    for _ in range(int(rng.poisson(3 * stage.rate * hours))):
        at = since + timedelta(hours=float(rng.uniform(0, hours)))
        negative = probability(rng, negative=bool(rng.random() < SHARE))
        stage.add(at, negative, arrives=stage.at, backfill=True)


def second_source(stage: Stage, rng: np.random.Generator) -> None:
    """Let another network be connected, on which five times as much is written of the brand."""
    hours = AFTER / timedelta(hours=1)
    for _ in range(int(rng.poisson(5 * stage.rate * hours))):
        at = stage.at + timedelta(hours=float(rng.uniform(0, hours)))
        stage.add(at, probability(rng, negative=bool(rng.random() < SHARE)), stream="second")


def _silence(stage: Stage, length: timedelta) -> None:
    stage.posts = [
        (arrives, post)
        for arrives, post in stage.posts
        if not stage.at - length <= post.created_at < stage.at
    ]


DIRECTED: Final[dict[str, tuple[Direct, bool]]] = {
    "bots: few authors": (few_authors, False),
    "bots: near copies": (near_copies, False),
    "bots: fresh and synchronous": (synchronous, False),
    "collector: gap": (gap, False),
    "collector: late flush": (flush, False),
    "collector: backfill": (backfill, False),
    "collector: second source": (second_source, False),
    "bots that people join": (joined, True),
    "backlash of people": (backlash, True),
}


def stages(each: int, model: Model, rng: np.random.Generator) -> list[Stage]:
    """Stage so many of each kind, over sizes of brands in turn; ``model`` judges the sayings."""
    found: list[Stage] = []
    kinds: list[tuple[str, Direct | None, bool]] = [
        (kind, direct, real) for kind, (direct, real) in DIRECTED.items()
    ]
    kinds += [(kind, None, False) for kind in NOT_A_BACKLASH]
    for kind, direct, real in kinds:
        for number in range(each):
            name = SubjectId(f"s{len(found)}")
            at = BEGIN + WARM + timedelta(hours=float(rng.uniform(0, 20)))
            rate = RATES[number % len(RATES)]
            stage = Stage(kind, Subject(id=name, name=name), rate, at, real)
            calm(stage, BEGIN, BEGIN + WARM + AFTER, rng)
            if direct is None:
                _in_words(stage, model, rng)
            else:
                direct(stage, rng)
            found.append(stage)
    return found


def _in_words(stage: Stage, model: Model, rng: np.random.Generator) -> None:
    """Let a crowd write what the kind says, and the model judge it."""
    saying = NOT_A_BACKLASH[stage.kind]
    count = round((40 + 10 * stage.rate) * float(rng.uniform(0.7, 3)))
    texts = [saying.write(BRAND, rng) for _ in range(count)]
    inputs = [model_input(text, title=None, names=(BRAND,), marks=model.marks) for text in texts]
    for text, scores in zip(texts, model.score(inputs), strict=True):
        at = stage.at + timedelta(minutes=float(rng.gamma(2, 40)))
        if scores is not None:
            stage.add(at, scores, text=f"{text} {rng.integers(1_000_000)}")  # no two are copies


def run(
    staged: Sequence[Stage], progress: Callable[[], None] = lambda: None
) -> dict[SubjectId, list[Backlash]]:
    """Run one detector over all stages, the posts in the order of their arrival."""
    detector = Detector()
    for stage in staged:
        detector.watch(stage.subject)
    arrivals = sorted(
        ((arrives, post.created_at, post.post, post) for s in staged for arrives, post in s.posts),
        key=lambda entry: entry[:3],
    )
    told: dict[SubjectId, list[Backlash]] = {stage.subject.id: [] for stage in staged}
    offset, clock, end = 0, BEGIN, BEGIN + WARM + AFTER
    while clock < end:
        for event in detector.close_buckets(clock).backlash:
            told[event.subject].append(event)
        clock += _TICK
        progress()
        batch: list[Assessment] = []
        while offset + len(batch) < len(arrivals) and arrivals[offset + len(batch)][0] < clock:
            batch.append(arrivals[offset + len(batch)][3])
        detector.observe_many(batch, range(offset, offset + len(batch)))
        offset += len(batch)
    return told


def measures(staged: Sequence[Stage], told: dict[SubjectId, list[Backlash]]) -> list[Measure]:
    """Say what was rejected of each kind, what was found of the real ones."""
    found: list[Measure] = []
    wrong: list[bool] = []
    for kind in dict.fromkeys(stage.kind for stage in staged):
        own = [stage for stage in staged if stage.kind == kind]
        paged = [_paged(stage, told[stage.subject.id]) for stage in own]
        if own[0].real:
            name = f"staged, found within 6 h, {kind}"
            found.append(proportion(sum(paged), len(own), name))
        else:
            wrong += paged
            name = f"hard negatives rejected, {kind}"
            found.append(proportion(len(own) - sum(paged), len(own), name))
    name = "hard negatives rejected, all as posts"
    return [*found, proportion(len(wrong) - sum(wrong), len(wrong), name)]


def _paged(stage: Stage, events: Sequence[Backlash]) -> bool:
    return any(e.page and stage.at < e.at <= stage.at + JUDGED for e in events)

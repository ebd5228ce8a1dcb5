"""
Crisis: what is posted about 600 invented brands while two crises begin every minute.

Always the same for a seed, minute by minute of event time. A quarter of the posts are copies of
others, as measured in recorded crises (6 to 25 % there, in samples that miss most of the reposts).
"""

import csv
import json
from collections import deque
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from random import Random
from typing import Any, Final

from services.bench.names import invented
from services.bench.texts import made

BRANDS: Final = 600
START: Final = datetime(2026, 1, 5, tzinfo=UTC)
CALM_A_MINUTE: Final = 240
CRISES_A_MINUTE: Final = 2
ANGRY: Final = (6, 12, 22, 22, 14, 10)
"""Posts a minute of one crisis, from its first minute on."""
LEARNING: Final = 260
"""Minutes without a crisis at the beginning: detection decides nothing about a stranger."""
USUAL: Final = 1_000
"""Texts that are said in those minutes, again and again: the model has soon read them all."""
REPOSTS: Final = 0.25
_TALK: Final = "train/data/brand_talk.tsv"
_SEED: Final = 11


class Crises:
    """
    Tells minute after minute what is posted.

    Args:
        texts: What people say on calm minutes; None for posts made of our own sentences.
        copies: Share of the posts that are copies.
    """

    def __init__(
        self, texts: list[str] | None = None, *, copies: float = REPOSTS, seed: int = _SEED
    ) -> None:
        self._rng, self._copies = Random(seed), copies
        self._angry = _negative()
        self._calm = texts or _calm(self._angry)
        self._known = self._calm[:USUAL]
        self.brands = invented(self._rng, BRANDS, single=True)
        self._recent: dict[str, deque[str]] = {brand: deque(maxlen=8) for brand in self.brands}
        self._minute = self._number = 0

    @property
    def now(self) -> datetime:
        """Event time at which the next minute begins."""
        return START + timedelta(minutes=self._minute)

    def watch_list(self) -> str:
        """Return the watch list as TOML."""
        return "\n".join(
            f'[[subject]]\nid = "{brand.lower()}"\nname = "{brand}"\nkind = "brand"\n'
            f'handles = ["@{brand.lower()}"]\n'
            for brand in self.brands
        )

    def minute(self) -> list[bytes]:
        """Return the posts of the next minute, in their order, as JSON."""
        said = [(self._rng.choice(self.brands), False) for _ in range(CALM_A_MINUTE)]
        for age, posts in enumerate(ANGRY):
            begun = self._minute - age
            if begun >= LEARNING:
                for number in range(CRISES_A_MINUTE):
                    place = (begun * CRISES_A_MINUTE + number) % BRANDS
                    said += [(self.brands[place], True)] * posts
        self._rng.shuffle(said)
        begin, self._minute = self.now, self._minute + 1
        return [
            self._post(brand, begin + timedelta(seconds=60 * place / len(said)), angry=angry)
            for place, (brand, angry) in enumerate(said)
        ]

    def _post(self, brand: str, moment: datetime, *, angry: bool) -> bytes:
        self._number += 1
        post: dict[str, Any] = {
            "id": str(self._number),
            "text": self._text(brand, angry=angry),
            "created_at": moment.isoformat(),
            "author": f"@p{self._rng.randrange(10**6)}",
            "author_followers": int(self._rng.lognormvariate(4.5, 1.2)),
            "source": "bench",
            "url": f"https://posts.example/{self._number}",
        }
        return json.dumps(post, ensure_ascii=False).encode()

    def _text(self, brand: str, *, angry: bool) -> str:
        if self._minute <= LEARNING:
            return f"@{brand.lower()} {self._rng.choice(self._known)}"
        recent = self._recent[brand]
        if recent and self._rng.random() < self._copies:
            return self._rng.choice(recent)
        name = self._rng.choice((brand, f"@{brand.lower()}", f"#{brand}"))
        said = " ".join(self._rng.sample(self._angry, 2)) if angry else self._rng.choice(self._calm)
        text = f"{said} {name}" if self._rng.random() < 0.5 else f"{name} {said}"
        recent.append(text)
        return text


def _calm(angry: list[str]) -> list[str]:
    """Make posts of which one in seven grumbles."""
    posts = made(20_000)
    grumbles = [any(sentence in post for sentence in angry) for post in posts]
    return [post for at, post in enumerate(posts) if at % 7 == 0 or not grumbles[at]]


def _negative() -> list[str]:
    with (files("services.classifier") / _TALK).open(encoding="utf-8") as lines:
        rows = csv.DictReader(lines, delimiter="\t")
        return [row["text"] for row in rows if row["sentiment"] == "negative"]

"""Over twenty seeds of the demo's story the backlash pages, and nothing else does."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.backtest.detecting import detect
from services.backtest.recorded import Reader
from services.classifier import engine
from services.classifier.score import Scorer
from services.demo.story import SUBJECT, WATCH, story
from services.process import read_document
from uproar.assessment import Scores
from uproar.subject import watch_list

SEEDS = range(1, 21)


class Remembering:
    """Every text is scored once, whichever seeds tell it."""

    def __init__(self) -> None:
        self._scorer = Scorer(engine.load(threads=2))
        self._verdicts: dict[str, Scores | None] = {}
        self.name, self.marks = self._scorer.name, self._scorer.marks

    def score(self, texts: Sequence[str]) -> list[Scores | None]:
        new = [text for text in dict.fromkeys(texts) if text not in self._verdicts]
        self._verdicts.update(zip(new, self._scorer.score(new), strict=True))
        return [self._verdicts[text] for text in texts]


@pytest.fixture(scope="module")
def model() -> Remembering:
    return Remembering()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_backlash_pages_and_the_giveaway_never_does(
    seed: int,
    tmp_path: Path,
    model: Remembering,
) -> None:
    told, subjects = story(seed), watch_list(read_document(WATCH))
    file = tmp_path / "story.jsonl"
    file.write_text("".join(json.dumps(post) + "\n" for post in told.posts), "utf-8")

    reader = Reader(subjects=subjects, key=b"k" * 32, now=datetime.now(UTC))
    events = detect(reader.posts(file, model).chunks(subjects), subjects).backlash
    pages = [event for event in events if event.page]

    assert pages, "the backlash did not page"
    assert {page.subject for page in pages} == {SUBJECT}
    assert all(page.at >= told.onset for page in pages), "paged before the song"
    minutes = (pages[0].at - told.onset) / timedelta(minutes=1)
    print(f"seed {seed}: paged {minutes:.0f} minutes after the song")
    assert minutes < 120

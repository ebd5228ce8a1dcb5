"""Over twenty seeds of the demo's story the backlash pages, the giveaway does not, calm days hardly ever."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from services.backtest.detecting import detect
from services.backtest.recorded import Reader
from services.classifier import engine
from services.classifier.score import Scorer
from services.demo.story import SUBJECT, WATCH, Story, story
from services.process import read_document
from uproar.assessment import Scores
from uproar.backlash import Backlash
from uproar.subject import watch_list

SEEDS = range(1, 21)
AFTERWARDS = timedelta(hours=6)
BUDGETED = len(SEEDS) * 6.65 / 30.4
"""Pages that one a month allows in the calm days of all the seeds."""


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
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Story, list[Backlash]]]:
    """Give of every seed its story and all that was paged."""
    model, subjects = Remembering(), watch_list(read_document(WATCH))
    folder = tmp_path_factory.mktemp("seeds")

    def paged(told: Story) -> list[Backlash]:
        file = folder / "story.jsonl"
        file.write_text("".join(json.dumps(post) + "\n" for post in told.posts), "utf-8")
        reader = Reader(subjects=subjects, key=b"k" * 32, now=datetime.now(UTC))
        events = detect(reader.posts(file, model).chunks(subjects), subjects).backlash
        return [event for event in events if event.page]

    return {seed: (told, paged(told)) for seed in SEEDS for told in [story(seed)]}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_backlash_pages_and_the_giveaway_never_does(
    seed: int, pages: dict[int, tuple[Story, list[Backlash]]]
) -> None:
    told, found = pages[seed]
    after = [page for page in found if page.at >= told.onset]

    assert after, "the backlash did not page"
    assert {page.subject for page in found} == {SUBJECT}
    begun, ended = told.giveaway
    assert not any(begun <= page.at <= ended + AFTERWARDS for page in found)
    assert all(page.authors >= round(page.why.negative) for page in found), "two numbers of people"
    minutes = (after[0].at - told.onset) / timedelta(minutes=1)
    print(f"seed {seed}: paged {minutes:.0f} minutes after the song")
    assert minutes < 120


def test_six_calm_days_each_stay_far_within_a_budget_of_one_page_a_month(
    pages: dict[int, tuple[Story, list[Backlash]]],
) -> None:
    """133 days together: 4.4 pages would be on budget; measured: two."""
    early = [page for told, found in pages.values() for page in found if page.at < told.onset]
    paged = sum(any(page.at >= told.onset for page in found) for told, found in pages.values())
    given = sum(
        any(told.giveaway[0] <= page.at <= told.giveaway[1] + AFTERWARDS for page in found)
        for told, found in pages.values()
    )
    print(
        f"{len(pages)} seeds: backlash paged {paged}, giveaway paged {given}, "
        f"pages on calm days {[f'{page.at:%a %H:%M}: {page.why.summary}' for page in early]}"
    )
    assert len(early) <= BUDGETED / 2

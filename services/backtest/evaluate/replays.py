"""Replays: dated real streams through the whole production path, and why what was missed was."""

import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from services.backtest.detecting import Outcome, detect
from services.backtest.evaluate.in_time import Entry, Verdict, judge
from services.backtest.evaluate.metrics import Measure, proportion
from services.backtest.evaluate.recordings import posts, read_json
from services.backtest.recorded import Reader
from services.classifier.judge import Marks, Model
from uproar.assessment import Scores
from uproar.backlash import Backlash
from uproar.errors import Misconfigured
from uproar.reading import Reading
from uproar.subject import DEFAULT_BUDGET, Subject, SubjectId

KEY: Final = hashlib.blake2b(b"evaluate").digest()
_ROUNDING: Final = 1e-3  # of another processor, or of the file
KEPT: Final = ("id", "text", "lang", "created_at", "author", "title", "url", "shares", "likes")
TUNED: Final = frozenset(
    {
        "spotify-outage-2017-11-28",
        "us-airways-storm-2015-02-21",
        "manyavar-2021-09-22",
        "snapdeal-2015-11-23",
        "free-fibre-sabotage-2024-07-29",
        "airline-southwest-2015",
        "coachella-lineup-2015-01-06",
    }
)
"""The entries one may look at while tuning; the rest is only reported."""


class ScoreBook:
    """
    Verdicts of a model, kept between runs under the digest of the text: no text is kept.

    It stands for the model: another one, by its name, has another book; one that has changed under
    its name (calibrated anew, say) is noticed by the first text that is asked for again.
    """

    def __init__(self, folder: Path, model: Model) -> None:
        """
        Raises:
            Misconfigured: The folder cannot be read or written.
        """
        self._model = model
        safe = re.sub(r"[^\w.-]+", "_", model.name)
        self._file = folder / f"scores-{safe}.jsonl"
        self._known: dict[str, Scores | None] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if self._file.is_file():
                self._read()
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            raise Misconfigured(f"{self._file}: {error}; remove it to score again") from error
        self._tried = not self._known

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._model.name

    @property
    def marks(self) -> Marks:
        """What the model wants around a mention."""
        return self._model.marks

    def _read(self) -> None:
        whole = self._file.read_bytes().rpartition(b"\n")[0]  # an interrupted run may leave half
        for line in whole.splitlines():
            digest, scores = msgspec.json.decode(line)
            self._known[digest] = None if scores is None else msgspec.convert(scores, Scores)

    def score(self, texts: Sequence[str]) -> list[Scores | None]:
        """Score texts, those that are new by the model."""
        digests = [hashlib.blake2b(text.encode(), digest_size=16).hexdigest() for text in texts]
        self._try(digests, texts)
        new = {
            digest: text
            for digest, text in zip(digests, texts, strict=True)
            if digest not in self._known
        }
        if new:
            verdicts = self._model.score(list(new.values()))
            with self._file.open("ab") as file:
                for digest, scores in zip(new, verdicts, strict=True):
                    self._known[digest] = scores
                    file.write(msgspec.json.encode([digest, scores]) + b"\n")
        return [self._known[digest] for digest in digests]

    def _try(self, digests: Sequence[str], texts: Sequence[str]) -> None:
        """Forget all once the model says something else of a text than is written."""
        known = next((at for at, digest in enumerate(digests) if digest in self._known), None)
        if self._tried or known is None:
            return
        self._tried = True
        (verdict,) = self._model.score([texts[known]])
        if not _alike(verdict, self._known[digests[known]]):
            self._known.clear()
            self._file.unlink(missing_ok=True)


def _alike(one: Scores | None, other: Scores | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one.negative - other.negative) < _ROUNDING


@dataclass(frozen=True, slots=True)
class Replayed:
    """What one file brought."""

    subjects: Mapping[str, Subject]
    outcome: Outcome

    def events(self, brand: str) -> list[Backlash]:
        """Return what was told of a brand."""
        return [e for e in self.outcome.backlash if e.subject == self.subjects[brand].id]

    def readings(self, brand: str) -> list[Reading]:
        """Return the readings of a brand."""
        return [r for r in self.outcome.readings if r.subject == self.subjects[brand].id]


def entries(data: Path) -> list[Entry]:
    """Read the index of the replays."""
    return msgspec.convert(read_json(data / "replays" / "replays.json"), list[Entry], strict=False)


def replay(
    data: Path,
    wanted: Sequence[Entry],
    book: ScoreBook,
    *,
    budget: str,
    now: datetime,
    progress: Callable[[str], None] = lambda _: None,
) -> list[tuple[Verdict, Replayed]]:
    """Run each file once, all its brands watched, and judge every entry."""
    found = []
    for file in dict.fromkeys(entry.file for entry in wanted):
        own = [entry for entry in wanted if entry.file == file]
        progress(Path(file).name)
        replayed = _run(data / file, own, book, budget, now)
        for entry in own:
            siblings = [e for e in own if e.brand == entry.brand and e is not entry and e.onset_utc]
            verdict = judge(entry, replayed.events(entry.brand), siblings)
            found.append((verdict, replayed))
    return found


def _run(file: Path, own: Sequence[Entry], book: ScoreBook, budget: str, now: datetime) -> Replayed:
    subjects = {entry.brand: watched(entry, budget) for entry in own}
    reader = Reader(subjects=list(subjects.values()), key=KEY, now=now)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "posts.jsonl"
        with path.open("w", encoding="utf-8") as out:
            for row in posts(file):
                out.write(json.dumps(input_post(row, subjects)) + "\n")
        read = reader.posts(path, book)
    everybody = list(subjects.values())
    return Replayed(subjects, detect(read.chunks(everybody), everybody))


def watched(entry: Entry, budget: str = DEFAULT_BUDGET) -> Subject:
    """Return the subject that a user would watch, with the names and handles of the index."""
    return Subject(
        id=slug(entry.brand),
        name=entry.brand,
        aliases=entry.aliases,
        handles=entry.handles,
        budget=budget,
    )


def slug(brand: str) -> SubjectId:
    """Return the id of a brand."""
    return SubjectId(re.sub(r"[^a-z0-9]+", "-", brand.lower()).strip("-"))


def input_post(row: Mapping[str, Any], subjects: Mapping[str, Subject]) -> dict[str, Any]:
    """Make an input post of a row, as the data's README says: no labels, ``subjects`` of ``brand``."""
    post = {key: row[key] for key in KEPT if row.get(key) is not None}
    if row.get("followers") is not None:
        post["author_followers"] = row["followers"]
    subject = subjects.get(row.get("brand") or "")
    post["subjects"] = [subject.id] if subject else []
    if row.get("author_is_brand"):
        post["own"] = True
    return post


def measures(judged: Sequence[tuple[Verdict, Replayed]]) -> list[Measure]:
    """Say how many events were told in time, and how many pages were false."""
    found, hits, held_out = [], [], []
    false_hard = hard = 0
    false_else: set[tuple[str, datetime]] = set()  # two entries of a brand see the same pages
    for verdict, _ in judged:
        entry = verdict.entry
        if entry.expect == "page":
            first = verdict.hit or verdict.late
            minutes = None if first is None else (first - _onset(entry)) / timedelta(minutes=1)
            how = "in time" if verdict.hit else "late" if verdict.late else "missed"
            name = f"replay {entry.id}, minutes to page ({how})"
            found.append(Measure(name=name, value=minutes, n=1))
            hits.append(verdict.hit is not None)
            held_out += [verdict.hit is not None] * (entry.id not in TUNED)
            false_else |= {(entry.brand, page) for page in verdict.false}
        else:
            name = f"replay {entry.id}, pages ({entry.expect})"
            found.append(Measure(name=name, value=len(verdict.false), n=1))
            if entry.expect == "no_page":
                false_hard, hard = false_hard + len(verdict.false), hard + 1
    found += [
        proportion(sum(hits), len(hits), "replays, share in time"),
        proportion(sum(held_out), len(held_out), "replays not tuned on, share in time"),
        Measure(name="replays, pages on real hard negatives", value=false_hard, n=hard),
        Measure(
            name="replays, false pages beside dated events", value=len(false_else), n=len(hits)
        ),
    ]
    return found


def _onset(entry: Entry) -> datetime:
    if entry.onset_utc is None:
        raise ValueError(f"{entry.id} has no onset")
    return entry.onset_utc


def explain(verdict: Verdict, replayed: Replayed) -> list[str]:
    """Say of a miss, and of each false page, what the readings say."""
    entry, told = verdict.entry, []
    if entry.expect == "page" and verdict.hit is None:
        seen = [
            r
            for r in replayed.readings(entry.brand)
            if entry.begin <= r.at <= entry.until + timedelta(minutes=5)
        ]
        posts_heard = sum(r.posts for r in seen if not r.decision)
        late = "" if verdict.late is None else f", paged at {verdict.late:%m-%d %H:%M}"
        told.append(
            f"MISSED {entry.id}: onset {entry.begin:%Y-%m-%d %H:%M}, until"
            f" {entry.until:%m-%d %H:%M}{late}; {posts_heard} posts heard in that time"
        )
        told += [f"    {_words(r)}" for r in sorted(seen, key=_ratio)[-3:]]
        before = [e for e in replayed.events(entry.brand) if e.at < entry.begin][-1:]
        told += [f"    last event before: {e.at:%m-%d %H:%M} {e.event} {e.level}" for e in before]
    for page in verdict.false if entry.expect != "unscored" else ():
        at = [r for r in replayed.readings(entry.brand) if r.at == page and r.decision]
        told.append(f"FALSE {entry.id}: page at {page:%Y-%m-%d %H:%M}")
        told += [f"    {_words(r)}" for r in at]
    return told


def _ratio(reading: Reading) -> float:
    return reading.statistic / reading.threshold


def _words(r: Reading) -> str:
    share = "-" if r.negative_share is None else f"{r.negative_share:.2f}"
    return (
        f"{r.at:%m-%d %H:%M} in {r.window_seconds // 60} min: statistic {r.statistic:.2f} against"
        f" {r.threshold:.2f}, {r.baseline:.2f} usual; {r.posts} posts, {r.negative:.1f} negative,"
        f" {r.authors} authors in these {r.seconds // 60} min; share {share}; gate: {r.gate}"
    )

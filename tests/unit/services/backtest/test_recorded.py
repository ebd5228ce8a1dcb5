"""services/backtest/recorded.py: what the back-test lets a model read is what the score agent does."""

import asyncio
import json
from datetime import timedelta

import numpy as np

from services.backtest.recorded import Reader
from services.classifier.score import Score, Scorer
from services.ingest.intake import Intake, Push
from services.ingest.recording import read_recording
from services.ingest.seen import Seen
from tests.build import NOON, a_moment, a_subject
from tests.unit.services.classifier.fakes import a_watch_list
from tests.unit.services.ingest.fakes import FakeBroker
from uproar.match import Matcher
from uproar.topics import ASSESSMENTS, POSTS
from uproar.wire import Record

SUBJECTS = (
    a_subject("air-quillon", handles=("@aq_help",), aliases=("Quillon Airways",)),
    a_subject("aquila"),
)
LINES = (
    {"text": "Air Quillon is worse than Aquila, ask @aq_help"},
    {"text": "never again", "title": "Quillon Airways fails"},
    {"text": "so they say #boycottaquila"},
    {"text": "me too", "subjects": ["aquila", "air-quillon"]},
    {"text": "nobody we know"},
    {"text": "Air Quillon is worse than Aquila, ask @aq_help"},
)


class Engine:
    """Says of each text something of its own."""

    name, heads = "own", ("negative", "neutral", "positive")

    def __init__(self, marks):
        self.marks, self.asked = marks, []

    def score(self, texts):
        self.asked += texts
        rows = [[sum(text.encode()) % 997 / 997, 0.0, 0.0] for text in texts]
        return np.array(rows, np.float32).reshape(-1, 3)


def recording(folder):
    file = folder / "posts.jsonl"
    with file.open("w") as out:
        for number, line in enumerate(LINES):
            at = a_moment(minutes=number).isoformat()
            out.write(json.dumps({"id": str(number), "created_at": at} | line) + "\n")
    return file


async def test_an_id_that_comes_twice_counts_once_and_as_ingest_takes_it(tmp_path):
    bad, fine = {"text": "Air Quillon fails"}, {"text": "nobody we know"}
    lines = [
        (2, {"id": "1"} | bad), (0, {"id": "1"} | bad), (1, {"id": "1", "source": "forum"} | bad),
        (0, {"id": "2"} | fine), (3, {"id": "2"} | bad), (4, {"id": "2"} | fine), (5, {"id": "2"} | bad),
    ]  # fmt: skip
    file = tmp_path / "storm.jsonl"
    posts = [line | {"created_at": a_moment(minutes=60 * hour).isoformat()} for hour, line in lines]
    file.write_text("".join(json.dumps(post) + "\n" for post in posts))
    now = NOON + timedelta(days=1)
    read = Reader(subjects=SUBJECTS, key=b"k" * 32, now=now).posts(file, Scorer(Engine(None)))
    assert (read.counts.read, read.counts.repeats, read.counts.unmatched) == (7, 2, 2)

    recording = read_recording(file, now=now)
    assert recording.repeats == 4
    broker = FakeBroker()
    intake = Intake(
        seen=Seen(tmp_path), authors=Seen(tmp_path / "a"), key=b"k" * 32, send=broker.send
    )
    intake.watch({subject.id: subject for subject in SUBJECTS}, Matcher(SUBJECTS))
    raws = [post.raw for post in recording.posts]
    await intake.take(Push(items=raws, source="storm", received_at=now, traceparent=""))
    taken = [(post.id, post.created_at) for post in broker.posts]
    assert [(a.post, a.created_at) for about in read.posts for a in about] == taken
    assert len(taken) == 3


def told(assessments):
    return {(a.post, a.subject): a.scores for a in assessments}


def both_roads(folder, marks):
    """The texts that were read, and the scores, of the back-test and of the score agent."""
    file = recording(folder)
    reader = Reader(subjects=SUBJECTS, key=b"k" * 32, now=NOON + timedelta(days=1))
    there = Engine(marks)
    read = reader.posts(file, Scorer(there), batch=2)
    here = Engine(marks)
    agent = Score(
        Scorer(here),
        watch_list=a_watch_list(*SUBJECTS),
        posts_partitions=1,
        partitions=1,
        now=lambda: NOON + timedelta(days=1),
    )
    posts = [reader.post(line, stream="posts") for line in file.read_bytes().splitlines()]
    records = [
        Record(topic=POSTS.name, value=POSTS.record(post, key="k").value, partition=0, offset=at)
        for at, post in enumerate(posts)
    ]
    sent = asyncio.run(agent.handle(0, records)).stages[0]
    backtested = told(a for about in read.posts for a in about)
    return there.asked, here.asked, backtested, told(map(ASSESSMENTS.decode, sent))


def test_the_backtest_reads_what_the_score_agent_reads_and_says_the_same(tmp_path):
    there, here, backtested, scored = both_roads(tmp_path, ("<", ">"))
    assert sorted(there) == sorted(here)
    assert backtested == scored
    assert len(scored) == 8
    assert "<Air Quillon> is worse than Aquila, ask <@aq_help>" in here
    assert "Air Quillon is worse than <Aquila>, ask @aq_help" in here
    assert "<Quillon Airways> fails. never again" in here
    first = scored["posts:0", "air-quillon"], scored["posts:0", "aquila"]
    assert first[0] != first[1]


def test_a_model_without_marks_reads_each_text_once_on_both_roads(tmp_path):
    there, here, backtested, scored = both_roads(tmp_path, None)
    assert sorted(there) == sorted(here)
    assert len(here) == len(set(here)) == 4
    assert backtested == scored

"""Each field of each record of each topic, replaced by what it must not be: taken, or buried with a reason."""

import asyncio
import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from services.alerter.advance import Advancer
from services.alerter.consume import Taker
from services.alerter.store.database import Database
from services.classifier.detect import Detect
from services.classifier.score import Score, Scorer
from services.ingest.app import WatchList
from tests.build import NOON, a_watermark
from tests.databases import migrated, sqlite_url
from tests.hostile import RECORDS
from tests.shared import ROOT
from tests.unit.services.backtest.test_classify import Lengths
from tests.unit.services.classifier.fakes import a_watch_list
from uproar.errors import Malformed
from uproar.match import Matcher
from uproar.topics import (
    ASSESSMENTS,
    BACKLASH,
    DEAD_LETTER,
    DELETIONS,
    POSTS,
    READINGS,
    SOURCES,
    SUBJECTS,
    Topic,
)
from uproar.wire import MAX_VALUE_BYTES, Record

ODD: list[Any] = [
    None, True, -1, 0, 2**70, 1e308, -0.5, "", " ", "\x00", "\u202e💥", "x" * 3_000, [], {}, [[]], [None], {"a": 1},
    "9999-12-31T23:59:59.999999-23:59", "0001-01-01T00:00:00+23:59", "2026-03-02T12:00:00", "../..", "NaN",
]  # fmt: skip
SOME = {  # typical values of a topic, whose fields are replaced one by one
    POSTS: ["post/typical", "watermark/on_the_posts_topic"],
    ASSESSMENTS: ["assessment/typical", "watermark/passed_on"],
    BACKLASH: ["backlash/opened", "backlash/ended"],
    READINGS: ["reading/decision", "reading/five_minutes"],
    SUBJECTS: ["subject/brand", "subject/person"],
    SOURCES: ["source/live"],
    DELETIONS: ["deletion/post", "deletion/account"],
}


def example(name: str) -> Any:
    return json.loads((ROOT / "schemas" / "examples" / f"{name}.json").read_text("utf-8"))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every field, the fields of its fields, and the first item of each list."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*path, 0))


def spoilt(name: str) -> Iterator[bytes]:
    """The example with one field replaced by each odd value, or left out."""
    whole = example(name)
    for *way, last in places(whole):
        for odd in [*ODD, ...]:
            changed = copy.deepcopy(whole)
            inner = changed
            for step in way:
                inner = inner[step]
            if odd is not ...:
                inner[last] = odd
            elif isinstance(inner, dict):
                del inner[last]
            yield json.dumps(changed).encode()


def records(topic: Topic) -> list[Record]:
    values: list[bytes | None] = [None, *RECORDS.values()]
    values += [raw for name in SOME[topic] for raw in spoilt(name)]
    keys = (None, b"", b"\xff\xfe", b"air-quillon")
    return [
        Record(
            topic=topic.name,
            value=value,
            key=keys[number % 4],
            headers=(("traceparent", b"\xff"), ("accepted-at", b"yesterday")),
            partition=0,
            offset=number,
        )
        for number, value in enumerate(values)
        if value is None or len(value) <= MAX_VALUE_BYTES
    ]


@pytest.mark.parametrize("topic", SOME, ids=lambda topic: topic.name)
def test_there_is_enough_to_try(topic):
    assert len(records(topic)) > 50


@pytest.mark.parametrize("marks", [None, ("►", "◄")])
async def test_score_takes_a_post_or_says_why_not(monkeypatch, marks):
    monkeypatch.setattr("services.classifier.follow.LIST_PATIENCE", 0.0)
    engine, watched = Lengths(), SUBJECTS.decode(_typical(SUBJECTS))
    engine.marks = marks
    score = Score(
        Scorer(engine), watch_list=a_watch_list(watched), posts_partitions=4, partitions=4
    )
    said = [await _outcome(score.handle(0, [record])) for record in records(POSTS)]
    assert {"taken"} < set(said)
    assert "" not in said


async def test_detect_takes_an_assessment_or_says_why_not():
    watch_list = a_watch_list(SUBJECTS.decode(_typical(SUBJECTS)))
    detect = Detect(
        watch_list=watch_list, partitions=1, rng=Random(1), now=lambda: NOON + timedelta(days=1)
    )
    detect.heard.set()
    detect.assigned(0, {}, offsets_valid=True)
    said = [await _outcome(detect.handle(0, [record])) for record in records(ASSESSMENTS)]
    assert {"taken"} < set(said)
    assert "" not in said
    at = datetime.fromisoformat(example("assessment/typical")["created_at"]) + timedelta(hours=1)
    mark = ASSESSMENTS.record(a_watermark(at, partition=0, partitions=1), key="k")
    closed = await detect.handle(0, [replace(mark, partition=0, offset=len(said))])
    assert closed.rows, "what was taken was counted"


async def _outcome(work: Any) -> str:
    try:
        await asyncio.wait_for(work, 20)
    except Malformed as error:
        return str(error)
    return "taken"


def _typical(topic: Topic) -> Record:
    return Record(topic=topic.name, value=json.dumps(example(SOME[topic][0])).encode())


async def test_followers_of_a_topic_go_on_whatever_they_read():
    watch_list = a_watch_list()
    detect = Detect(
        watch_list=watch_list, partitions=1, rng=Random(1), now=lambda: NOON + timedelta(days=1)
    )
    detect.assigned(0, {}, offsets_valid=True)
    for topic, follow in (
        (SUBJECTS, watch_list.follow),
        (SOURCES, detect.follow_sources),
        (DELETIONS, detect.follow_deletions),
    ):
        for record in records(topic):
            follow([record])
    detect.heard.set()
    await detect.tick(0)


async def test_ingest_builds_a_matcher_of_whatever_the_watch_list_holds():
    built: list[Matcher] = []
    watch_list = WatchList(lambda _, matcher: built.append(matcher))
    for number, record in enumerate(records(SUBJECTS)):
        watch_list.handle([Record(topic=record.topic, value=record.value, key=b"%d" % number)])
    whole = asyncio.Event()
    whole.set()
    building = asyncio.create_task(watch_list.build(whole))
    async with asyncio.timeout(60):
        while not built and not building.done():  # noqa: ASYNC110 - it is told by a call
            await asyncio.sleep(0.01)
    building.cancel()
    assert built, building
    assert built[0].match("Air Quillon broke it and 💥 nobody cares", lang="en")


@pytest.mark.parametrize("topic", [BACKLASH, READINGS, SOURCES, DELETIONS], ids=lambda t: t.name)
async def test_the_alerter_keeps_a_record_or_buries_it_with_a_reason(topic, tmp_path: Path):
    url, buried = sqlite_url(tmp_path), list[Record]()

    async def bury(record: Record) -> None:
        buried.append(record)

    async with migrated(url):
        pass
    database = Database(url)
    advancer = Advancer(
        database, routes=[], console_url="", clock=lambda: NOON, written=asyncio.Event()
    )
    try:
        taker = Taker(database, advancer, lambda: NOON)
        given = records(topic)
        for place in range(0, len(given), 25):
            batch = given[place : place + 25]
            assert await taker.take(batch, bury) == len(batch)
    finally:
        await database.close()
    assert len(RECORDS) - 1 <= len(buried) < len(given)
    assert all(DEAD_LETTER.decode(record.value).reason for record in buried)

"""The bench on the running product, in small: it counts what really went the whole way."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.bench import crisis, ingest, pipeline, run
from services.bench.found import Asked
from services.bench.rivals import naive_consumer
from services.broker import ensure_topics
from services.ingest.producer import Producer
from tests.broker import broker
from tests.shared import SHARED
from uproar.topics import POSTS
from uproar.wire import Record

BASE = (SHARED or Path("nowhere")) / "models" / "multilingual-e5-small"


def asked(**given) -> Asked:
    return Asked(posts=None, base=Path("nowhere"), plots=None, rounds=1, **given)


def test_the_whole_is_measured_from_its_push_to_its_end(monkeypatch):
    for room in (crisis, pipeline):
        monkeypatch.setattr(room, "LEARNING", 4)
    monkeypatch.setattr(pipeline, "ROUND_MINUTES", 4)
    monkeypatch.setattr(pipeline, "LOADS", (pipeline.HALF,))
    monkeypatch.setattr(pipeline, "HALF_SECONDS", 2.0)
    monkeypatch.setattr(pipeline, "MARGIN_SECONDS", 0.5)
    found = run.measure(asked(only=("pipeline", "latency"), soak=0.3))
    assert found.figures["pipeline_posts_per_s"] > 0
    assert 0.0 < found.figures["pipeline_repeats"] < 0.5
    assert "pipeline_ratio" not in found.figures
    assert any("no checkpoint in nowhere" in reason for reason in found.missing)
    assert any(
        "nothing was paged" in reason for reason in found.missing
    )  # it has learnt too little
    assert set(found.memory) == {"ingest", "classifier", "alerter", "embedded broker"}
    assert all(each.held[-1] > 10_000_000 for each in found.memory.values())


def test_ingest_is_measured_with_every_post_acknowledged(monkeypatch):
    monkeypatch.setattr(ingest, "NAMES", 200)
    monkeypatch.setattr(ingest, "POSTS", 2000)
    monkeypatch.setattr(ingest, "BATCH", 100)
    monkeypatch.setattr(ingest, "ROUNDS", 2)
    found = run.measure(asked(only=("ingest",)))
    assert found.figures["ingest_posts_per_s"] > 0


@pytest.mark.skipif(not (BASE / "config.json").is_file(), reason="no checkpoint in ../shared")
async def test_the_naive_consumer_scores_every_post_it_reads_and_goes_on():
    with broker() as address:
        settings = address.settings()
        await asyncio.to_thread(ensure_topics, settings)
        producer = Producer(settings)
        producer.start()
        old, new = (
            b'{"schema":"post","text":"they lost my bag","created_at":"2026-01-0%dT00:00:00Z"}'
            % day
            for day in (1, 3)
        )
        values = [old, b'{"schema":"watermark"}', new] * 4
        await producer.send([Record(topic=POSTS.name, value=value) for value in values])
        await producer.close()
        work = naive_consumer(BASE, settings, 2, since=datetime(2026, 1, 2, tzinfo=UTC))
        assert (work(), work()) == (2, 2)

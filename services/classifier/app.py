"""The wiring of the classifier and nothing else: the agents score and detect, both or one of them."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import SystemRandom

import structlog
from fastapi import FastAPI

from services import traces
from services.broker import Follower, ensure_topics, partition_count
from services.classifier import engine, metrics
from services.classifier.detect import Detect, event_times
from services.classifier.engine.mending import Mending
from services.classifier.follow import WatchList
from services.classifier.handler import Handler
from services.classifier.score import Score, Scorer
from services.classifier.settings import Agent, ClassifierSettings
from services.classifier.snapshot import Keeper
from services.classifier.worker import Worker
from services.metadata import create_no_topics
from services.process import Health, add_probes, logs, run, serve
from uproar.topics import ASSESSMENTS, DELETIONS, POSTS, SOURCES, SUBJECTS
from uproar.wire import Record

log = structlog.get_logger(room="classifier/app")

SNAPSHOT = Path("classifier", "snapshot")
"""Where the snapshot of detection lies in the data directory."""
OFFSETS_EVERY = timedelta(seconds=5)


def main() -> int:
    """Run the classifier until a signal; returns the exit code."""
    return run(classify)


async def classify(stop: asyncio.Event) -> None:
    """Be the classifier until ``stop`` is set; raises what :func:`services.process.run` explains."""
    settings = ClassifierSettings.load()
    logs("classifier", settings)
    traces.begin("classifier")
    create_no_topics()
    for handler in logging.getLogger().handlers:
        handler.addFilter(Seldom())
    health, over = Health(), asyncio.Event()
    api = FastAPI(title="uproar classifier", openapi_url=None)
    add_probes(api, health, metrics.REGISTRY)
    async with asyncio.TaskGroup() as group:
        group.create_task(serve(api, host=settings.host, port=settings.port, stop=over))
        try:
            await _work(settings, health, stop)
        finally:
            over.set()


async def _work(settings: ClassifierSettings, health: Health, stop: asyncio.Event) -> None:
    phase = _Phase("looking for the broker and its topics")
    health.watch("start", phase.problem)
    settings.directory.mkdir(parents=True, exist_ok=True)
    await asyncio.to_thread(ensure_topics, settings)
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        beside, watch_list = _Beside(settings, health, stack), WatchList()
        watch_list.listed = beside.follow("watch list", SUBJECTS.name, watch_list.follow)
        if Agent.DETECT in settings.agents:
            detect = _detect(watch_list, settings, beside)
            group.create_task(_worker(Agent.DETECT, settings, health, detect).run(stop))
        if Agent.SCORE in settings.agents:
            phase.now = "loading the model"
            score = await _score(settings, health, watch_list)
            group.create_task(_worker(Agent.SCORE, settings, health, score).run(stop))
        phase.now = None
        log.info(
            "classifier started",
            agents=[str(agent) for agent in settings.agents],
            port=settings.port,
        )


async def _score(settings: ClassifierSettings, health: Health, watch_list: WatchList) -> Score:
    model = Mending(
        partial(engine.load, settings.model, device=settings.device, threads=settings.threads)
    )
    scorer = Scorer(model)
    health.watch("model", lambda: scorer.problem)
    await asyncio.to_thread(scorer.score, ["warm up"])
    return Score(
        scorer,
        watch_list=watch_list,
        posts_partitions=partition_count(settings, POSTS.name),
        partitions=partition_count(settings, ASSESSMENTS.name),
    )


class _Beside:
    """What is read beside the streams until ``stack`` ends."""

    def __init__(self, settings: ClassifierSettings, health: Health, stack: AsyncExitStack) -> None:
        self._settings, self._health, self._stack = settings, health, stack

    def follow(
        self, name: str, topic: str, handle: Callable[[list[Record]], None]
    ) -> asyncio.Event:
        """Follow a topic; returns what is set when it has been read whole."""
        follower = Follower(self._settings, topic, handle)
        self._health.watch(name, partial(getattr, follower, "problem"))
        follower.start()
        self._stack.push_async_callback(follower.stop)
        return follower.whole


def _detect(watch_list: WatchList, settings: ClassifierSettings, beside: _Beside) -> Detect:
    partitions = partition_count(settings, ASSESSMENTS.name)
    detect = Detect(
        watch_list=watch_list,
        partitions=partitions,
        rng=SystemRandom(),
        remembers=settings.snapshot,
    )
    detect.heard = beside.follow("sources", SOURCES.name, detect.follow_sources)
    beside.follow("deletions", DELETIONS.name, detect.follow_deletions)
    return detect


def _worker(agent: Agent, settings: ClassifierSettings, health: Health, handler: Handler) -> Worker:
    """Put an agent on its topic: `uproar-score` or `uproar-detect`."""
    detecting = agent is Agent.DETECT
    source = ASSESSMENTS if detecting else POSTS
    partitions, keeper = partition_count(settings, source.name), None
    if settings.snapshot:
        keeper = Keeper(
            settings.directory / (SNAPSHOT.name if detecting else "offsets"),
            epoch=settings.epoch,
            partitions=partitions,
            event_times=event_times if detecting else lambda _: {},
        )
        keeper.load()
    worker = Worker(
        name=f"uproar-{agent}",
        source=source.name,
        dead_letters=source.dead_letters,
        handler=handler,
        settings=settings,
        partitions=partitions,
        directory=settings.directory,
        table="watch" if detecting and keeper is None else None,
        keeper=keeper,
        keep_every=timedelta(seconds=settings.snapshot_seconds) if detecting else OFFSETS_EVERY,
        batch=settings.batch,
        session=settings.session,
        patience=settings.stall,
    )
    health.watch(str(agent), worker.problem)
    return worker


class _Phase:
    def __init__(self, now: str | None) -> None:
        self.now = now

    def problem(self) -> str | None:
        return self.now


class Seldom(logging.Filter):
    """Lets each line of the Kafka clients' code speak once in 10 s: an outage makes 40 lines a second."""

    def __init__(self) -> None:
        super().__init__()
        self._spoke: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] not in {"aiokafka", "kafka", "faust", "mode"}:
            return True
        where, now = (record.name, record.lineno), time.monotonic()
        if now - self._spoke.get(where, -10.0) < 10.0:
            return False
        self._spoke[where] = now
        return True

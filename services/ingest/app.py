"""The wiring of ingest, and nothing else."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from random import SystemRandom
from typing import Any

import structlog

from services import traces
from services.broker import Follower, ensure_topics, partition_count
from services.ingest import metrics
from services.ingest.api.posts import make_app
from services.ingest.cursors import Cursors
from services.ingest.intake import Intake
from services.ingest.listen import Listener
from services.ingest.producer import Producer
from services.ingest.pump import Pump
from services.ingest.seen import Seen
from services.ingest.settings import IngestSettings, read_sources
from services.ingest.sources import build
from services.process import Health, add_probes, logs, serve
from uproar.errors import Malformed
from uproar.match import Matcher
from uproar.subject import Subject, SubjectId
from uproar.topics import POSTS, SUBJECTS
from uproar.wire import Record

log = structlog.get_logger(room="ingest/app")

REBUILD_SECONDS = 1.0

Work = Coroutine[Any, Any, None]


class WatchList:
    """The subjects as their topic says, and the matcher built of them, at most once a second."""

    def __init__(self, changed: Callable[[dict[SubjectId, Subject], Matcher], None]) -> None:
        """Make an empty list; ``changed`` is told each time a matcher has been built."""
        self._changed = changed
        self._subjects: dict[SubjectId, Subject] = {}
        self._dirty = asyncio.Event()

    def handle(self, records: list[Record]) -> None:
        """Take what the topic brought: a subject, or none where it was deleted."""
        for record in records:
            subject_id = SubjectId((record.key or b"").decode("utf-8", "replace"))
            try:
                if record.value is None:
                    self._subjects.pop(subject_id, None)
                else:
                    self._subjects[subject_id] = SUBJECTS.decode(record)
            except Malformed as error:  # it is the alerter's to mend; the others go on
                log.error("a subject cannot be read", subject=subject_id, reason=str(error))
        self._dirty.set()

    async def build(self, whole: asyncio.Event) -> None:
        """Build a matcher once the topic has been read whole, and after each change, for ever."""
        await whole.wait()
        while True:
            self._dirty.clear()
            subjects = dict(self._subjects)
            matcher = await asyncio.to_thread(Matcher, list(subjects.values()))
            self._changed(subjects, matcher)
            log.info("watch list", subjects=len(subjects))
            await asyncio.sleep(REBUILD_SECONDS)
            await self._dirty.wait()


async def main(stop: asyncio.Event) -> None:
    """
    Run ingest until ``stop`` is set.

    Raises:
        Misconfigured: Settings, topics or the data folder must be mended by a person.
        Unavailable: No broker answers.
    """
    settings = IngestSettings.load()
    logs("ingest", settings)
    traces.begin("ingest")
    token, key = settings.bearer(), settings.secret_of_pseudonyms()
    sources = build(read_sources(settings.config))
    await asyncio.to_thread(ensure_topics, settings)
    folder, rng = settings.data_dir / "ingest", SystemRandom()
    producer, seen, authors = Producer(settings), Seen(folder), Seen(folder / "authors")
    intake = Intake(seen=seen, authors=authors, key=key, send=producer.send)
    cursors = Cursors(folder)
    pump = Pump(
        intake=intake,
        cursors=cursors,
        send=producer.send,
        partitions=partition_count(settings, POSTS.name),
        rng=rng,
        networks=[source.name for source in sources],
    )
    listeners = [
        Listener(source, take=pump.take, stream=cursors.get, send=producer.send, rng=rng)
        for source in sources
    ]
    watch_list = WatchList(intake.watch)
    follower = Follower(settings, SUBJECTS.name, watch_list.handle)
    health = Health()
    health.watch("broker", producer.problem)
    health.watch("watch list", lambda: intake.problem() or follower.problem)
    for listener in listeners:
        health.watch(listener.name, listener.problem, vital=False)
    app = make_app(pump.take, token=token, rng=rng)
    add_probes(app, health, metrics.REGISTRY)
    producer.start()
    follower.start()
    at_work = [pump.run(), watch_list.build(follower.whole), *(one.run() for one in listeners)]
    serving = serve(app, host=settings.host, port=settings.port, stop=stop)
    try:
        await _work(at_work, serving, stop)
        await pump.part()
    finally:
        await follower.stop()
        await producer.close()
        seen.close()
        authors.close()


async def _work(at_work: list[Work], serving: Work, stop: asyncio.Event) -> None:
    """Do what is done for ever until ``stop`` is set, or until a part of ours crashes."""
    tasks, server = [asyncio.create_task(work) for work in at_work], asyncio.create_task(serving)
    try:
        await asyncio.wait([server, *tasks], return_when=asyncio.FIRST_COMPLETED)
        stop.set()  # by request; or a part has crashed and the process must end
        await server
        await _ended(tasks)
    finally:
        await _ended([server, *tasks], quietly=True)


async def _ended(tasks: list[asyncio.Task[None]], *, quietly: bool = False) -> None:
    """Cancel tasks that run for ever; one that has crashed says so here."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, *([Exception] if quietly else [])):
            await task

"""
Ingest: posts a second over HTTP into a real broker, each one matched against 100,000 names.

Every post names somebody, so that all of them go the whole way: read, seen before?, matched, sent,
acknowledged, answered. Nobody reads the topic.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from random import Random
from statistics import median
from typing import Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

from services.bench.broker import broker, publish
from services.bench.found import Found
from services.bench.names import invented
from services.bench.pipeline import Advance
from services.bench.texts import made
from services.broker import ensure_topics
from services.ingest.replay.client import Client
from services.standalone.apart import keep_logs, own_settings
from services.standalone.child import Child, Say
from services.standalone.plan import Plan, where_to_push
from services.standalone.up import quieten
from uproar.errors import Unavailable
from uproar.subject import Kind, Subject, SubjectId

NAMES: Final = 100_000
POSTS: Final = 20_000
"""In a round."""
BATCH: Final = 500
CLIENTS: Final = 4
ROUNDS: Final = 5
START_SECONDS = 60.0
_NAMES_EACH: Final = 10


def watched(rng: Random) -> list[Subject]:
    """Make 10,000 subjects with ten names each."""
    listed = invented(rng, NAMES)
    return [
        Subject(
            id=SubjectId(f"s{at}"),
            name=listed[at],
            kind=Kind.BRAND,
            aliases=tuple(listed[at + 1 : at + _NAMES_EACH]),
            handles=(f"@s{at}",),
        )
        for at in range(0, NAMES, _NAMES_EACH)
    ]


class Posts:
    """Posts that each name one of the watched, without end."""

    def __init__(self, subjects: list[Subject], rng: Random) -> None:
        self._rng, self._texts, self._number = rng, made(5_000), 0
        self._names = [name for subject in subjects for name in (subject.name, *subject.aliases)]

    def batches(self, posts: int) -> Iterator[list[bytes]]:
        """Make the bodies of a round."""
        now = datetime.now(UTC).isoformat()
        for _ in range(posts // BATCH):
            yield [self._post(now) for _ in range(BATCH)]

    def _post(self, now: str) -> bytes:
        self._number += 1
        post = {
            "id": str(self._number),
            "text": f"{self._rng.choice(self._texts)} {self._rng.choice(self._names)}",
            "created_at": now,
            "author": f"@p{self._rng.randrange(10**6)}",
            "author_followers": self._rng.randrange(5000),
            "lang": "en",
            "likes": self._rng.randrange(20),
            "url": f"https://posts.example/{self._number}",
        }
        return json.dumps(post).encode()


async def measure(*, kafka: str | None, say: Say, advance: Advance) -> list[float]:
    """
    Measure rounds of ingest alone.

    Args:
        kafka: Bootstrap servers of a Kafka; None for the embedded broker.
        say: Told in one line what happens.
        advance: Told of each round.

    Returns:
        Accepted posts a second of each round.

    Raises:
        Misconfigured, Unavailable: It does not start, or does not take every post.
    """
    rng = Random(5)
    subjects = watched(rng)
    posts, rates = Posts(subjects, rng), []
    async with _ingest(subjects, kafka=kafka, say=say) as (address, token):
        clients = [
            Client(address, token, f"bench{n}", 60.0, backfill=False) for n in range(CLIENTS)
        ]
        try:
            await _round(clients, list(posts.batches(POSTS // 4)))  # warm
            for _ in range(ROUNDS):
                batches = list(posts.batches(POSTS))
                began = time.perf_counter()
                await _round(clients, batches)
                rates.append(POSTS / (time.perf_counter() - began))
                advance(1)
        finally:
            for client in clients:
                await client.__aexit__(None, None, None)
    return rates


async def _round(clients: list[Client], batches: list[list[bytes]]) -> None:
    waiting = iter(batches)

    async def work(client: Client) -> None:
        for batch in waiting:
            answer = await client.send(batch)
            if answer["accepted"] != len(batch):
                raise Unavailable(f"{answer['accepted']} of {len(batch)} posts were accepted")

    await asyncio.gather(*(work(client) for client in clients))


@asynccontextmanager
async def _ingest(
    subjects: list[Subject], *, kafka: str | None, say: Say
) -> AsyncIterator[tuple[str, str | None]]:
    """Run ingest, and nothing else, on a broker that knows the subjects; gives where to push."""
    with own_settings("bench") as folder:
        del os.environ["UPROAR_CONFIG"]
        async with broker(kafka, folder=folder) as servers:
            plan = Plan.load()
            quieten("bench", plan)
            settings = plan.ingest.model_copy(update={"bootstrap_servers": servers})
            await asyncio.to_thread(ensure_topics, settings)
            await publish(settings, subjects)
            environment = plan.environment(servers=servers, epoch=None)
            child = Child("ingest", env=environment, logs=plan.logs, say=say)
            await child.start()
            try:
                await _ready(plan.addresses()["ingest"], len(subjects))
                yield where_to_push(None, None)
            except Exception:
                say(f"the logs are kept in {keep_logs(folder)}")
                raise
            finally:
                await child.stop(10)


async def _ready(address: str, subjects: int) -> None:
    """Wait until ingest watches for all of them."""
    loop = asyncio.get_running_loop()
    until = loop.time() + START_SECONDS
    async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
        while loop.time() < until:
            try:
                text = (await http.get(f"{address}/metrics")).text
            except httpx.TransportError:
                text = ""
            for family in text_string_to_metric_families(text):
                if family.name == "uproar_ingest_subjects" and family.samples[0].value == subjects:
                    return
            await asyncio.sleep(0.1)
    raise Unavailable("ingest does not get to know all subjects: see its log")


def tell(found: Found, rates: list[float]) -> None:
    """Put the median of the rounds among the figures."""
    found.figures["ingest_posts_per_s"] = round(median(rates), 1)

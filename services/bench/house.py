"""House: the whole product on this machine, with a stand-in to page, as a measurement drives it."""

import asyncio
import math
import os
import re
from collections.abc import AsyncIterator, Container, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import httpx
from prometheus_client.parser import text_string_to_metric_families

from services.alerter import access
from services.bench.crisis import Crises
from services.demo.standins import StandIns
from services.demo.standins.__main__ import toml
from services.ingest.replay.client import Client
from services.standalone.apart import keep_logs, own_settings, running
from services.standalone.child import Say
from services.standalone.plan import Plan, where_to_push
from services.standalone.up import quieten
from uproar.errors import Unavailable

STREAM = "bench"
LOOK_SECONDS = 0.05
_TOO_FAST = 429
PATIENCE_SECONDS = 180.0
_EVENT_TIME = "uproar_classifier_event_time_timestamp_seconds"
_HEARD = 'uproar_alerter_records_total{topic="uproar.backlash.v1"}'
_RECEIVER = "webhook"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page: when the batch that closed its minute was accepted, when it was received, if ever."""

    accepted_at: datetime
    received_at: datetime | None

    @property
    def seconds(self) -> float:
        """Post to page; of one that never came there is no end."""
        if self.received_at is None:
            return math.inf
        return (self.received_at - self.accepted_at).total_seconds()


def pages_of(
    sent: Iterable[Mapping[str, Any]], paged: Container[int], received: Mapping[str, datetime]
) -> list[Page]:
    """
    Return the pages among the deliveries of an incident.

    Args:
        sent: The deliveries, as the API shows them.
        paged: Sequence numbers of the lines that paged.
        received: When each message came, by its id: in a storm that of another delivery.
    """
    return [
        Page(
            accepted_at=datetime.fromisoformat(row["accepted_at"]),
            received_at=received.get(row["bundle"] or row["id"]),
        )
        for row in sent
        if row["sequence"] in paged and row["accepted_at"] and row["state"] != "superseded"
    ]


class House:
    """
    The product while it runs.

    Attributes:
        crises: What is posted.
        kafka: How to reach its broker.
        pushed: Posts so far.
    """

    def __init__(
        self,
        plan: Plan,
        crises: Crises,
        standins: StandIns,
        http: httpx.AsyncClient,
        *,
        servers: str,
    ) -> None:
        self.crises, self.pushed = crises, 0
        self.kafka = plan.ingest.model_copy(update={"bootstrap_servers": servers})
        self._addresses, self._standins, self._http = plan.addresses(), standins, http
        address, token = where_to_push(None, None)
        self._client = Client(address, token, STREAM, PATIENCE_SECONDS, backfill=False)
        self._database, self._key = plan.alerter.database_url, ""

    async def __aenter__(self) -> Self:
        self._key = await asyncio.to_thread(access.create, self._database, "viewer", "bench")
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.__aexit__(None, None, None)

    async def push(self, posts: list[bytes], *, up_to: datetime | None = None) -> None:
        """
        Push a minute of posts.

        Args:
            posts: As the crises told them.
            up_to: The end of their minute; None where they are the newest.

        Raises:
            Unavailable: Some of them were not taken.
        """
        answer = await self._client.send(posts, up_to=up_to or self.crises.now)
        if answer["accepted"] != len(posts):
            counts = {name: answer[name] for name in ("duplicate", "unmatched", "rejected")}
            raise Unavailable(f"{len(posts) - answer['accepted']} posts were not taken: {counts}")
        self.pushed += len(posts)

    async def decided(self) -> None:
        """
        Wait until all that was pushed is decided, and whoever had to hear of it has heard.

        Raises:
            Unavailable: It takes too long.
        """
        end, loop = self.crises.now, asyncio.get_running_loop()
        until = loop.time() + PATIENCE_SECONDS
        while not await self._is_decided(end):
            if loop.time() > until:
                raise Unavailable("detection does not come to an end: see the logs")
            await asyncio.sleep(LOOK_SECONDS)

    async def _is_decided(self, end: datetime) -> bool:
        classifier = await self.metrics("classifier")
        if classifier.get(_EVENT_TIME, 0.0) < end.timestamp():
            return False
        heard = (await self.metrics("alerter")).get(_HEARD, 0.0)
        if heard < classifier.get("uproar_classifier_backlash_total", 0.0):
            return False
        return not (await self._ask("/v1/status"))["outbox"]["pending"]

    async def metrics(self, service: str) -> dict[str, float]:
        """Return the sums of a service's metrics; of those with a topic also by topic."""
        text = (await self._http.get(f"{self._addresses[service]}/metrics")).text
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                topic = sample.labels.get("topic")
                for name in (sample.name, f'{sample.name}{{topic="{topic}"}}'):
                    found[name] = found.get(name, 0.0) + sample.value
        return found

    async def pages(self, since: datetime) -> list[Page]:
        """Return the pages for incidents' lines since a moment of event time, lost ones too."""
        received = {m.key: m.at for m in self._standins.messages if m.service == _RECEIVER}
        found: list[Page] = []
        async for incident in self._incidents():
            lines = (await self._ask(f"/v1/incidents/{incident}/timeline?limit=200"))["items"]
            paged = {
                line["sequence"]
                for line in lines
                if line["page"] and datetime.fromisoformat(line["happened_at"]) > since
            }
            sent = (await self._ask(f"/v1/incidents/{incident}/deliveries?limit=200"))["items"]
            found += pages_of(sent, paged, received)
        return found

    async def _incidents(self) -> AsyncIterator[str]:
        cursor = ""
        while True:
            listed = await self._ask(f"/v1/incidents?limit=200{cursor}")
            for row in listed["items"]:
                yield row["id"]
            if listed["next"] is None:
                return
            cursor = f"&cursor={listed['next']}"

    async def _ask(self, path: str) -> Any:
        """Ask the API; where a bench of many incidents asks too fast, as slowly as it says."""
        bearer = {"Authorization": f"Bearer {self._key}"}
        url = f"{self._addresses['alerter']}{path}"
        answer = await self._http.get(url, headers=bearer)
        if answer.status_code == _TOO_FAST:
            await asyncio.sleep(float(answer.headers["Retry-After"]))
            return await self._ask(path)
        return answer.raise_for_status().json()


@asynccontextmanager
async def house(crises: Crises, *, kafka: str | None, say: Say) -> AsyncIterator[House]:
    """
    Run the product apart, with the brands of the crises on its watch list.

    Args:
        crises: What will be posted.
        kafka: Bootstrap servers of a Kafka to use; None for the embedded broker.
        say: Told in one line what happens.

    Raises:
        Misconfigured, Unavailable: It does not come up; its logs stay, and ``say`` is told where.
    """
    with own_settings("bench") as folder:
        if kafka:
            os.environ["UPROAR_KAFKA_BOOTSTRAP_SERVERS"] = kafka
        async with StandIns() as standins:
            document = f"{crises.watch_list()}\n{toml(standins, _RECEIVER)}"
            (folder / "uproar.toml").write_text(document, "utf-8")
            plan = Plan.load()
            quieten("bench", plan)
            try:
                async with (
                    running(plan, say=say, stop=asyncio.Event()) as whole,
                    httpx.AsyncClient(timeout=60, trust_env=False) as http,
                    House(plan, crises, standins, http, servers=whole.servers) as built,
                ):
                    yield built
            except Exception:
                say(f"the logs of all parts are kept in {keep_logs(folder)}")
                raise


def processor_seconds() -> dict[str, float]:
    """Return what each of our child processes has used of the processors so far."""
    tick = os.sysconf("SC_CLK_TCK")
    used: dict[str, float] = {}
    for name, pid in processes():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        used[name] = (int(fields[11]) + int(fields[12])) / tick  # utime, stime
    return used


def processes() -> Iterator[tuple[str, int]]:
    """Name our child processes: the services, and the embedded broker; with their ids."""
    own = os.getpid()
    for task in Path(f"/proc/{own}/task").iterdir():
        for child in (task / "children").read_text().split():
            command = Path(f"/proc/{child}/cmdline").read_bytes()
            if match := re.search(rb"services\.(\w+)", command):
                yield match[1].decode(), int(child)
            elif b"tansu" in command:
                yield "embedded broker", int(child)

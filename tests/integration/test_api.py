"""The API over real HTTP, from a real process: what ASGI in memory does not show."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from services.alerter import access
from services.alerter.advance import Advancer
from services.alerter.app import wall_clock
from services.alerter.store.database import Database
from services.alerter.store.incidents import Arrival
from tests.broker import free_port
from tests.build import a_backlash
from tests.databases import new_url
from uproar.backlash import EpisodeId


class Server:
    """An alerter without a broker, and the key of a responder."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.database_url = new_url(directory)
        self.log = directory / "log"
        environment = os.environ | {
            "UPROAR_DATABASE_URL": self.database_url,
            "UPROAR_ALERTER_PORT": str(self.port),
            "UPROAR_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        }
        key = access.create(self.database_url, "responder", "Ada")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.alerter"], env=environment, stdout=log, stderr=log
            )
        self.http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {key}"},
            timeout=60,
        )

    async def ready(self) -> None:
        async with asyncio.timeout(120):
            while True:
                try:
                    if (await self.http.get("/ready")).is_success:
                        return
                except httpx.TransportError:
                    await asyncio.sleep(0.1)

    async def raw(self, *parts: bytes) -> bytes:
        """Write bytes to the port and return what comes back until it closes or says nothing."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for part in parts:
            writer.write(part)
            await writer.drain()
        try:
            return await asyncio.wait_for(reader.read(4096), 20)
        finally:
            writer.close()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api")


@pytest.fixture(scope="module")
def process(directory: Path):
    server = Server(directory)
    yield server
    server.process.terminate()
    try:
        assert server.process.wait(timeout=60) == 0
    finally:
        server.process.kill()


@pytest.fixture
async def server(process: Server) -> AsyncIterator[Server]:
    process.http = httpx.AsyncClient(
        base_url=process.http.base_url, headers=process.http.headers, timeout=60
    )
    await process.ready()
    yield process
    await process.http.aclose()
    assert process.process.poll() is None, process.log.read_text()


async def opened(server: Server, *episodes: str) -> None:
    """Write incidents into the database beside the running process."""
    database = Database(server.database_url)
    advancer = Advancer(
        database, routes=[], console_url="", clock=wall_clock, written=asyncio.Event()
    )
    for episode in episodes:
        event = a_backlash(incident=EpisodeId(episode), subject=episode)
        await advancer.hear(event, Arrival())
    await database.close()


async def test_many_people_who_act_at_once_are_all_written_down(server: Server):
    await opened(server, "e_many")

    answers = await asyncio.gather(
        *(
            server.http.post("/v1/incidents/e_many/acknowledge", json={"note": f"{n}"})
            for n in range(30)
        )
    )

    assert [answer.status_code for answer in answers] == [200] * 30
    timeline = (await server.http.get("/v1/incidents/e_many/timeline")).json()["items"]
    assert sorted(line["summary"] for line in timeline[1:]) == sorted(str(n) for n in range(30))
    assert [line["sequence"] for line in timeline] == list(range(1, 32))


async def test_one_request_sent_many_times_at_once_under_one_key_is_done_once(server: Server):
    await opened(server, "e_once")

    answers = await asyncio.gather(
        *(
            server.http.post(
                "/v1/incidents/e_once/acknowledge", headers={"Idempotency-Key": "only"}
            )
            for _ in range(10)
        )
    )

    assert {answer.status_code for answer in answers} <= {200, 409}
    timeline = (await server.http.get("/v1/incidents/e_once/timeline")).json()["items"]
    assert len(timeline) == 2


@pytest.mark.parametrize(
    "parts",
    [
        (b"GARBAGE\r\n\r\n",),
        (b"GET /v1/incidents HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",),
        (b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",),
        (b"GET /v1/incidents/%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",),
        (b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n", b"k" * 65536),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",),
    ],
)
async def test_broken_requests_get_a_4xx_and_harm_nobody(server: Server, parts):
    answer = await server.raw(*parts)

    assert answer[:10] in {b"HTTP/1.1 4", b"HTTP/1.1 3"}
    assert (await server.http.get("/v1/incidents")).status_code == 200


async def test_a_client_that_hangs_up_in_the_middle_harms_nobody(server: Server):
    for _ in range(5):
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST /v1/keys HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        await writer.drain()
        writer.transport.abort()

    assert (await server.http.get("/v1/incidents")).status_code == 200


SIGNED = {"/v1/slack/interactions", "/v1/pagerduty/webhooks"}  # they answer nothing
OTHER_MEDIA = {
    "/v1/events": "text/event-stream",
    "/v1/incidents/{incident_id}/report": "text/html",
}


async def test_the_docs_describe_every_answer_with_its_shape(server: Server):
    described = (await server.http.get("/openapi.json")).json()

    assert described["openapi"].startswith("3.")
    for path, verbs in described["paths"].items():
        for verb, operation in verbs.items():
            if path.startswith("/v1/") and verb != "delete" and path not in SIGNED:
                good = operation["responses"].get("200") or operation["responses"]["201"]
                media = OTHER_MEDIA.get(path, "application/json")
                assert good["content"][media]["schema"], (verb, path)
    assert (await server.http.get("/docs")).status_code == 200


async def test_the_key_of_a_responder_may_not_change_the_watch_list(server: Server):
    answer = await server.http.post("/v1/subjects", json={"id": "x", "name": "X"})

    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_one_time_link_made_beside_the_process_opens_its_console(server: Server):
    link = await asyncio.to_thread(
        access.one_time_link, server.database_url, str(server.http.base_url)
    )

    async with httpx.AsyncClient() as browser:
        assert (await browser.get(link)).status_code == 200
        assert "Incidents" in (await browser.get(str(server.http.base_url))).text

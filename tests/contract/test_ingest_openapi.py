"""Whatever ingest's OpenAPI allows, and what it does not: no 5xx, and nothing is taken without a token."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import httpx
import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core import NOT_SET

from services.ingest.api.openapi import EXAMPLE, POST
from services.ingest.api.posts import make_app
from services.ingest.cursors import Cursors
from services.ingest.intake import Intake
from services.ingest.metrics import REGISTRY
from services.ingest.pump import Pump
from services.ingest.seen import Seen
from services.process import Health, add_probes
from tests.unit.services.ingest.fakes import FakeBroker, PlainNames
from uproar.inbox import read_post

TOKEN = "s3cret"
CALLERS = {
    "nobody": {},
    "a stranger": {"authorization": "Bearer wrong"},
    "a page": {"origin": "https://evil.example"},
    "a client": {"authorization": f"Bearer {TOKEN}"},
}
PROBES = {"/live", "/ready", "/metrics"}
MAY = {True: {"a client"}, False: {"nobody", "a stranger", "a client"}}
"""Who may push, with a token set and without: then only a page in a browser may not."""


class House:
    """The application over a broker that is not there."""

    def __init__(self, folder: Path, *, token: bytes | None) -> None:
        self.loop, self.broker = asyncio.new_event_loop(), FakeBroker()
        intake = Intake(
            seen=Seen(folder), authors=Seen(folder / "authors"), key=b"", send=self.broker.send
        )
        names = PlainNames("acme")
        intake.watch(dict.fromkeys(names.subjects), names)
        pump = Pump(
            intake=intake,
            cursors=Cursors(folder),
            send=self.broker.send,
            partitions=2,
            rng=Random(1),
            networks=["bluesky"],
        )
        self.statuses: set[int] = set()
        self.app = make_app(pump.take, token=token, rng=Random(2))
        add_probes(self.app, Health(), REGISTRY)

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        async def asking() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
                return await http.request(method, path, **given)

        return self.loop.run_until_complete(asking())


@pytest.fixture(scope="module", params=[True, False], ids=["with a token", "without a token"])
def house(request, tmp_path_factory):
    made = House(tmp_path_factory.mktemp("ingest"), token=TOKEN.encode() if request.param else None)
    yield made, request.param
    made.loop.close()


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_breaks_it_and_nobody_pushes_who_may_not(house, mode):
    made, guarded = house
    schema = schemathesis.openapi.from_asgi("/openapi.json", made.app)
    asked = sum(every(made, guarded, found.ok(), mode) for found in schema.get_all_operations())
    assert asked > 100
    assert {202, 422} & made.statuses  # it was not all turned away at the door


def every(house: House, guarded: bool, operation: Any, mode: GenerationMode) -> int:
    asked = 0

    @seed(1)
    @settings(
        max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        nonlocal asked
        for caller in CALLERS:
            asked += 1
            send(house, guarded, operation, case, caller)

    try:
        ask()
    except Unsatisfiable:  # nothing about it can be wrong: it takes no input
        assert mode is GenerationMode.NEGATIVE
    return asked


def send(house: House, guarded: bool, operation: Any, case: Any, caller: str) -> None:
    ours = {"authorization", "origin"}
    headers = {str(k): str(v) for k, v in (case.headers or {}).items() if k.lower() not in ours}
    headers = {k: v for k, v in headers.items() if "\n" not in v} | CALLERS[caller]
    given_: dict[str, Any] = {"params": dict(case.query or {})}
    given_["headers"] = {k: v.encode("utf-8", "replace") for k, v in headers.items()}
    if case.body is not NOT_SET:
        text = case.body if isinstance(case.body, str) else json.dumps(case.body, default=str)
        given_["content"] = case.body if isinstance(case.body, bytes) else _bytes(text)
        given_["headers"]["Content-Type"] = (case.media_type or "application/json").encode()
    before = len(house.broker.records)
    answer = house.ask(operation.method.upper(), operation.path, **given_)
    house.statuses.add(answer.status_code)
    judge(answer, guarded, operation, caller, len(house.broker.records) - before)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def judge(answer: httpx.Response, guarded: bool, operation: Any, caller: str, taken: int) -> None:
    where = (caller, operation.method, operation.path, answer.status_code, answer.text[:300])
    assert answer.status_code < 500, where
    if operation.path in PROBES:
        assert answer.status_code == 200, where
        return
    documented = operation.definition.raw["responses"]
    assert str(answer.status_code) in documented, where
    [kind] = documented[str(answer.status_code)]["content"]
    assert answer.headers["content-type"] == kind, where
    shape = documented[str(answer.status_code)]["content"][kind]["schema"]
    jsonschema.validate(answer.json(), shape)
    if caller not in MAY[guarded]:
        assert answer.status_code in {401, 403}, where
        assert taken == 0, where


def test_what_the_document_shows_of_a_post_can_be_taken_in():
    jsonschema.validate(EXAMPLE, POST)
    post = read_post(EXAMPLE, stream="push", now=datetime(2026, 2, 1, tzinfo=UTC), key=b"")
    assert post.id == "push:1"


def test_every_answer_of_a_push_is_documented(house):
    made, _ = house
    document = made.ask("GET", "/openapi.json").json()
    told = document["paths"]["/v1/posts"]["post"]["responses"]
    assert {"202", "400", "401", "403", "408", "409", "413", "415", "422", "503"} <= set(told)

"""Whatever the OpenAPI allows, and what it does not: no 5xx, no act beyond the role, no other subject."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core import NOT_SET

from services.alerter.access import Access, Role
from services.alerter.advance import Advancer
from services.alerter.api.classifier import Classifier
from services.alerter.api.limits import Limits
from services.alerter.api.parts import Parts
from services.alerter.app import application
from services.alerter.callbacks import Callbacks
from services.alerter.store import readings, subjects
from services.alerter.store.database import Database
from services.alerter.store.incidents import Arrival
from services.process import Health
from tests.build import NOON, a_backlash, a_reading, a_subject, a_why, some_evidence
from tests.databases import migrated, new_url
from uproar.backlash import EpisodeId
from uproar.subject import SubjectId

SEEN, HIDDEN, SECRET = "seen-brand", "hidden-brand", "xyzzyplugh"
NEEDS = {"viewer": 0, "responder": 1, "admin": 2}
PUBLIC = {"/v1/status", "/live", "/ready", "/metrics"}
SIGNED = {"/v1/slack/interactions", "/v1/pagerduty/webhooks"}
FILLED = {
    "incident_id": "e_seen",
    "subject_id": SEEN,
    "silence_id": "s",
    "key_id": "k",
    "name": "war-room",
}
OUT_OF_SIGHT = FILLED | {"incident_id": "e_hidden", "subject_id": HIDDEN}
CALLERS = ["nobody", "viewer", "responder", "admin", "limited-viewer", "limited-responder"]


class House:
    """The application over a database with one subject that limited keys see, and one that not."""

    def __init__(self, directory: Path) -> None:
        self.url = new_url(directory)
        self.loop = asyncio.new_event_loop()
        self.keys: dict[str, str] = {}
        self.loop.run_until_complete(self._begin())

    async def _begin(self) -> None:
        async with migrated(self.url):
            pass
        self.database = Database(self.url)
        clock = lambda: NOON
        access = Access(self.database, clock)
        advancer = Advancer(
            self.database, routes=[], console_url="", clock=clock, written=asyncio.Event()
        )
        self.app = application(
            Parts(
                database=self.database,
                access=access,
                advancer=advancer,
                clock=clock,
                problems=dict,
                classifier=lambda: Classifier(model="small", ready=True),
                callbacks=Callbacks(self.database, advancer, {}, clock),
                receivers={},
                console_url="http://console.test",
                limits=Limits(key_per_minute=10**9, address_per_minute=10**9),
            ),
            Health(),
        )
        for subject, name in ((SEEN, "plain"), (HIDDEN, SECRET)):
            async with self.database.writing() as transaction:
                await subjects.put(transaction, a_subject(subject, name=name), now=NOON)
                await readings.add(transaction, [a_reading(subject=SubjectId(subject))], now=NOON)
            event = a_backlash(
                subject=subject,
                incident=EpisodeId(f"e_{subject.removesuffix('-brand')}"),
                why=a_why(summary=f"{name} title"),
                evidence=(some_evidence(f"push:{subject}", text=f"{name} post"),),
            )
            await advancer.hear(event, Arrival())
        for role in Role:
            self.keys[role.value] = (await access.create_key(role.value, role))[1]
            if role is not Role.ADMIN:
                limited = await access.create_key(f"limited {role}", role, [SEEN])
                self.keys[f"limited-{role.value}"] = limited[1]

    def ask(self, method: str, path: str, caller: str, **given: Any) -> httpx.Response:
        async def asking() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://t") as http:
                return await http.request(method, path, **given)

        headers = {str(k): str(v) for k, v in dict(given.pop("headers", None) or {}).items()}
        headers = {k: v for k, v in headers.items() if k.lower() != "authorization"}
        if caller in self.keys:
            headers["Authorization"] = f"Bearer {self.keys[caller]}"
        given["headers"] = {
            k: v.encode("utf-8", "replace") for k, v in headers.items() if "\n" not in v
        }
        return self.loop.run_until_complete(asking())


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory):
    directory = tmp_path_factory.mktemp("openapi")
    built = House(directory)
    yield built
    built.loop.run_until_complete(built.database.close())
    built.loop.close()
    shutil.rmtree(directory, ignore_errors=True)


CHECKS = list(HealthCheck)


def needed(method: str, path: str) -> int:
    """The role that a route asks for, as the interface says it."""
    if path.startswith(("/v1/keys", "/v1/audit")):
        return NEEDS["admin"]
    if path.startswith("/v1/subjects") and method != "GET":
        return NEEDS["admin"]
    return NEEDS["viewer" if method == "GET" else "responder"]


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_breaks_it_and_none_reaches_beyond_its_key(house, mode):
    """Each operation is asked for by each caller, with what the OpenAPI allows and what not."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", house.app)
    asked = sum(every(house, found.ok(), mode) for found in schema.get_all_operations())
    assert asked > 100


def every(house: House, operation: Any, mode: GenerationMode) -> int:
    """Send what can be made up for one operation; returns how many requests, of each caller."""
    asked = 0

    @seed(1)
    @settings(max_examples=6, deadline=None, database=None, suppress_health_check=CHECKS)
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        nonlocal asked
        asked += 1
        send(house, case, operation.path, operation.method.upper())

    try:
        ask()
    except Unsatisfiable:  # nothing about it can be wrong: it takes no input
        assert mode is GenerationMode.NEGATIVE
    return asked


def send(house: House, case: Any, path: str, method: str) -> None:
    params = {**(case.query or {}), **({"follow": "false"} if "events" in path else {})}
    given_: dict[str, Any] = {"params": params, "headers": dict(case.headers or {})}
    if case.body is not NOT_SET:
        given_["content"] = json.dumps(case.body, default=str).encode("utf-8", "replace")
        given_["headers"]["Content-Type"] = "application/json"
    for address in (case.formatted_path, path.format(**OUT_OF_SIGHT)):
        for caller in CALLERS:  # those who may least first
            judge(house.ask(method, address, caller, **given_), method, path, caller)


def judge(answer: httpx.Response, method: str, path: str, caller: str) -> None:
    where = (caller, method, path, answer.text)
    assert answer.status_code < 500, where
    known = caller in NEEDS or caller.startswith("limited")
    if path in PUBLIC or caller == "nobody" or caller.startswith("limited"):
        assert SECRET not in answer.text.lower(), where
    if path in PUBLIC:
        return
    if path in SIGNED or not known or NEEDS[caller.removeprefix("limited-")] < needed(method, path):
        assert not answer.is_success, where


@pytest.mark.parametrize("caller", CALLERS)
def test_every_route_answers_each_caller_as_its_role_says(house: House, caller: str):
    routes = house.ask("GET", "/openapi.json", "nobody").json()["paths"]
    for path, verbs in routes.items():
        for verb in verbs:
            method, address = verb.upper(), path.format(**FILLED)
            answer = house.ask(
                method, address, caller, params={"follow": "false"} if "events" in path else None
            )
            if path in PUBLIC:
                assert answer.status_code == 200
            elif path in SIGNED or caller == "nobody":
                assert answer.status_code == 401, (caller, method, path)
            elif NEEDS[caller.removeprefix("limited-")] < needed(method, path):
                assert answer.status_code == 403, (caller, method, path)
            else:
                assert answer.status_code in {200, 201, 204, 404, 409, 422}, (method, path)


def test_every_body_comes_with_an_example(house: House):
    document = house.ask("GET", "/openapi.json", "nobody").json()
    without = []
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            schema = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if schema is None:
                continue
            text = json.dumps(schema["schema"])
            named = [
                document["components"]["schemas"][name]
                for name in document["components"]["schemas"]
                if f'schemas/{name}"' in text
            ]
            if not any("example" in json.dumps(one) for one in named):
                without.append((verb, path))
    assert without == []

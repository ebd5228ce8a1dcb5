import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook as Oracle

from services.alerter.notifiers.webhook import signing_key
from services.alerter.operator import AGAIN, GRACE, Operator

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Desk:
    """Where the operator sits; it may be closed."""

    def __init__(self) -> None:
        self.open, self.requests = True, []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if not self.open:
            return httpx.Response(503, stream=httpx.ByteStream(b""))
        self.requests.append(request)
        return httpx.Response(200, stream=httpx.ByteStream(b"ok"))

    @property
    def said(self) -> list[tuple[str, str]]:
        events = [json.loads(request.content) for request in self.requests]
        return [(event["type"], event["text"]) for event in events]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def problems(clock) -> dict[str, str]:
    return {}


@pytest.fixture
async def operator(desk: Desk, problems, clock):
    async with httpx.AsyncClient(transport=httpx.MockTransport(desk)) as client:
        yield Operator(
            client,
            url="https://desk.example/hook",
            keys=(signing_key(SecretStr(SECRET)),),
            problems=lambda: problems,
            clock=clock,
        )


async def test_what_lasts_is_told_once_marked_as_such_and_its_end_as_well(
    operator, desk, problems, clock
):
    problems["database"] = "the database does not answer"
    await operator.look()
    assert desk.said == []
    clock.forward(seconds=GRACE.total_seconds())
    await operator.look()
    await operator.look()
    problems.clear()
    await operator.look()
    assert desk.said == [
        ("operator.alarm", "[uproar, to its operator] database: the database does not answer"),
        ("operator.recovered", "[uproar, to its operator] database: it works again"),
    ]


async def test_a_restart_is_no_news(operator, desk, problems, clock):
    problems["consume"] = "the broker has not answered yet"
    await operator.look()
    clock.forward(seconds=GRACE.total_seconds() - 1)
    problems.clear()
    await operator.look()
    assert desk.said == []


async def test_what_could_not_be_told_is_told_later(operator, desk, problems, clock):
    problems["deliver"] = "slack: down"
    await operator.look()
    clock.forward(seconds=GRACE.total_seconds())
    desk.open = False
    await operator.look()
    desk.open = True
    await operator.look()
    assert [kind for kind, _ in desk.said] == ["operator.alarm"]


async def test_what_goes_on_is_told_again(operator, desk, problems, clock):
    problems["deliver"] = "slack: down"
    for step in (timedelta(), GRACE, AGAIN):
        clock.forward(seconds=step.total_seconds())
        await operator.look()
    assert len(desk.said) == 2


async def test_it_is_signed(operator, desk, problems, clock):
    clock.now = datetime.now(UTC)
    problems["deliver"] = "slack: down"
    await operator.look()
    clock.forward(seconds=GRACE.total_seconds())
    await operator.look()
    (request,) = desk.requests
    assert Oracle(SECRET).verify(request.content, dict(request.headers))

"""Three ways out of a failure: buried, tried again in place, passed through."""

import asyncio
import json
from dataclasses import dataclass

import pytest

from services.classifier.guard import Guard
from services.classifier.handler import Effects
from uproar.errors import Malformed, Unavailable
from uproar.wire import Record


class Gone(Exception):
    pass


@dataclass
class Part:
    number: int = 3
    hold: int | None = None
    ours: bool = True

    def check(self) -> None:
        if not self.ours:
            raise Gone


class Handler:
    def __init__(self, *answers) -> None:
        self.answers = list(answers)

    async def handle(self, partition, records):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class ClientError(Exception):
    pass


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr("services.classifier.guard.FIRST_DELAY", 0.001)


def a_guard(handler=None) -> Guard:
    return Guard("test", handler or Handler(), dead_letters="in.dlq", down=(ClientError,))


def failing(*errors: Exception):
    left = list(errors)

    async def attempt() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return attempt


@pytest.mark.parametrize(
    "error", [Unavailable("no"), ClientError(), TimeoutError(), ConnectionResetError()]
)
async def test_what_the_world_refuses_is_tried_again(error):
    assert await a_guard().insist(failing(error, error), Part()) == "done"


async def test_a_bug_is_not_tried_again():
    with pytest.raises(ZeroDivisionError):
        await a_guard().insist(failing(ZeroDivisionError()), Part())


async def test_trying_ends_when_the_partition_is_no_longer_ours():
    with pytest.raises(Gone):
        await a_guard().insist(failing(*[Unavailable("no")] * 100), Part(ours=False))


async def test_it_says_for_how_long_and_what_is_refused():
    guard, up, tried = a_guard(), asyncio.Event(), asyncio.Event()

    async def attempt() -> None:
        if tried.is_set():
            await up.wait()
            return
        tried.set()
        raise Unavailable("broker away")

    assert guard.problem() is None
    trying = asyncio.create_task(guard.insist(attempt, Part()))
    await tried.wait()
    assert "broker away" in (guard.problem() or "")
    up.set()
    await trying
    assert guard.problem() is None


async def test_a_dead_letter_tells_where_it_was_and_why_and_holds_the_commit_as_before():
    record = Record(
        topic="in",
        value=b"x" * 5000,
        key=b"k",
        headers=(("traceparent", b"t"),),
        partition=3,
        offset=17,
    )
    performed: list[tuple[Effects, int]] = []

    async def perform(effects, records):
        performed.append((effects, len(records)))

    await a_guard(Handler(Malformed("no JSON"))).carry(Part(hold=12), [record], perform)
    ((effects, count),) = performed
    ((letter,),) = effects.stages
    assert (count, effects.hold, letter.topic, letter.partition) == (1, 12, "in.dlq", None)
    assert (letter.key, letter.header("traceparent")) == (b"k", b"t")
    assert (letter.header("error"), letter.header("origin")) == (b"no JSON", b"in/3/17")
    body = json.loads(letter.value or b"")
    assert (body["reason"], body["size"], body["beginning"]) == ("no JSON", 5000, "x" * 200)

import asyncio
from datetime import UTC, timedelta
from email.utils import format_datetime

import httpx
import pytest

from services.alerter.notifier import Retry, Unknown
from services.alerter.notifier.exchange import MAX_ANSWER, Answer, failure, retry_after, send
from tests.build import NOON
from tests.outbox import a_delivery, a_notice
from uproar.notice import NoticeKind


def an_answer(status: int = 429, **headers: str) -> Answer:
    return Answer(status=status, headers=httpx.Headers(headers), body=b"")


async def ask(handler) -> Answer | Retry | Unknown:
    async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as client:
        return await send(client, "https://a.example/secret-path", b"{}", headers={"X": "1"})


def answering(status: int = 200, body: bytes = b"ok", **headers: str):
    return lambda _: httpx.Response(status, stream=httpx.ByteStream(body), headers=headers)


def failing(error: Exception):
    def handler(_: httpx.Request) -> httpx.Response:
        raise error

    return handler


def test_a_page_goes_before_everything_else():
    quiet = a_notice(page=False)
    order = [
        a_delivery(kind=NoticeKind.UPDATE),  # a page: it rose to crisis
        a_delivery(kind=NoticeKind.ACKNOWLEDGE, notice=quiet),
        a_delivery(kind=NoticeKind.RESOLVE, notice=quiet),
        a_delivery(kind=NoticeKind.UPDATE, notice=quiet),
        a_delivery(kind=NoticeKind.CANARY, notice=quiet),
    ]
    priorities = [delivery.priority for delivery in order]
    assert priorities == sorted(set(priorities))
    assert a_delivery().priority == 0


async def test_an_answer_is_read_whatever_its_status():
    answer = await ask(answering(418, b" no \xff", **{"retry-after": "5"}))
    assert isinstance(answer, Answer)
    assert (answer.status, answer.text) == (418, "no \ufffd")
    assert answer.headers["Retry-After"] == "5"


async def test_an_endless_answer_is_read_to_its_limit_only():
    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self):
            while True:
                yield b"x" * 4096
                await asyncio.sleep(0)

    answer = await ask(lambda _: httpx.Response(200, stream=Endless()))
    assert isinstance(answer, Answer)
    assert len(answer.body) == MAX_ANSWER


async def test_a_packed_answer_is_not_unpacked():
    answer = await ask(answering(200, b"\x1f\x8b bomb", **{"content-encoding": "gzip"}))
    assert isinstance(answer, Answer)
    assert answer.body == b"\x1f\x8b bomb"


@pytest.mark.parametrize(
    "error", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError]
)
async def test_what_never_left_us_is_simply_tried_again(error):
    outcome = await ask(failing(error("https://a.example/secret-path")))
    assert outcome == Retry(f"cannot be reached ({error.__name__})")


@pytest.mark.parametrize(
    "error",
    [httpx.ReadTimeout, httpx.WriteTimeout, httpx.ReadError, httpx.WriteError,
     httpx.RemoteProtocolError, httpx.DecodingError],
)  # fmt: skip
async def test_what_may_have_arrived_is_unknown(error):
    outcome = await ask(failing(error("https://a.example/secret-path")))
    assert outcome == Unknown(f"the answer was lost ({error.__name__})")


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("0", 1), ("1", 1), ("17", 17), ("17.5", 17.5), ("86400", 3600), ("-3", 1),
        ("", 30), ("soon", 30), ("nan", 30), ("inf", 30), ("1e400", 30),
        (format_datetime(NOON + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime((NOON - timedelta(days=1)).astimezone(UTC), usegmt=True), 1),
        ("Mon, 02 Mar 2026 12:00:09 -0000", 30),
    ],
)  # fmt: skip
def test_the_wait_that_is_asked_for_is_kept_within_reason(said, seconds):
    wait = retry_after(an_answer(**{"retry-after": said}), now=NOON)
    assert wait == timedelta(seconds=seconds)


def test_what_all_receivers_mean_alike():
    limited = failure(an_answer(429, **{"retry-after": "4"}), now=NOON)
    assert limited == Retry("HTTP 429, too many requests", after=timedelta(seconds=4))
    for status in (301, 302, 307, 408, 425):
        outcome = failure(an_answer(status), now=NOON)
        assert outcome
        assert outcome.after is None
        assert str(status) in outcome.reason
    for status in (200, 202, 204, 400, 401, 404, 500, 503):
        assert failure(an_answer(status), now=NOON) is None

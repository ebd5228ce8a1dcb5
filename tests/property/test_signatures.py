"""Whatever an attacker sends to where Slack and PagerDuty speak to us gets a 401, never a 500."""

import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from hypothesis import example, given, settings
from hypothesis import strategies as st
from slack_sdk.signature import SignatureVerifier

from services.alerter.api import callbacks as routes
from services.alerter.api.problems import BodyLimit, add_problems
from services.alerter.callbacks import Callbacks
from services.alerter.notifier.callback import Signed
from services.alerter.notifier.exchange import Surroundings
from services.alerter.notifiers import build, new_client
from services.alerter.notifiers.slack import interaction
from services.alerter.settings import ReceiverTable
from services.demo.standins import StandIns, pagerduty_webhooks, slack_clicks

one_loop = pytest.mark.asyncio(loop_scope="module")

SECRET = slack_clicks.SIGNING_SECRET
PATHS = ("/v1/slack/interactions", "/v1/pagerduty/webhooks")
HEADERS = ("X-Slack-Request-Timestamp", "X-Slack-Signature", "X-PagerDuty-Signature")


class Refused:
    """Stands where the incidents are: nothing that is not signed may come so far."""

    def __getattr__(self, name: str):
        raise AssertionError(f"an unsigned request reached the database ({name})")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http() -> AsyncIterator[httpx.AsyncClient]:
    tables = [
        ReceiverTable(
            name="war-room",
            type="slack",
            options={"token": StandIns.token, "channel": "C0123456789", "signing_secret": SECRET},
        ),
        ReceiverTable(
            name="duty",
            type="pagerduty",
            options={
                "routing_key": StandIns.routing_key,
                "webhook_secret": StandIns.webhook_secret,
            },
        ),
    ]
    async with new_client() as client:
        clock = lambda: datetime.now(UTC)
        around = Surroundings(client=client, installation="i1", clock=clock)
        callbacks = Callbacks(Refused(), Refused(), build(tables, around), clock)
        app = FastAPI()
        app.state.parts = SimpleNamespace(callbacks=callbacks)
        add_problems(app)
        app.include_router(routes.router)
        app.add_middleware(BodyLimit)
        transport = httpx.ASGITransport(app=app)  # raises what would be a 500
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as caller:
            yield caller


def slack_signed(body: bytes, stamp: str, secret: str = SECRET) -> str:
    base = b"v0:" + stamp.encode("utf-8", "replace") + b":" + body
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()


def pagerduty_signed(body: bytes) -> str:
    return "v1=" + hmac.new(StandIns.webhook_secret.encode(), body, hashlib.sha256).hexdigest()


raw = st.binary(max_size=60).filter(
    lambda b: b"\r" not in b and b"\n" not in b and b"\x00" not in b
)
stamps = st.one_of(
    raw,
    st.integers().map(lambda n: str(n).encode()),
    st.sampled_from([b"", b"NaN", b"1e9", b"-1", b" 1", "١٢٣".encode(), b"9" * 400]),
)
signatures = st.one_of(
    raw,
    st.text("0123456789abcdef", min_size=64, max_size=64).map(lambda h: f"v0={h}".encode()),
    st.sampled_from([b"", b"v0=", b"v1=,v1=,", b"v0=" + b"\xff" * 64, b",", "v0=é".encode()]),
)


@one_loop
@settings(max_examples=300, deadline=None)
@given(body=st.binary(max_size=300), stamp=stamps, signature=signatures)
@example(body=b"", stamp=b"", signature=b"")
@example(body=b"\xff\xfe", stamp=b"1", signature="v0=ÿ".encode("latin-1"))
async def test_whatever_is_not_signed_is_a_401(http, body, stamp, signature):
    for path in PATHS:
        for clock in (stamp, str(int(time.time())).encode()):
            values = (clock, signature, signature)
            headers = list(zip([h.encode() for h in HEADERS], values, strict=True))
            answer = await http.post(path, content=body, headers=headers)
            assert answer.status_code == 401, (path, headers)


bodies = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(
        [
            b"payload=",
            b"payload={}",
            b"payload=" + b"[" * 5000,
            b"payload=%7B%22type%22%3A%20%22block_actions%22%2C%20%22actions%22%3A%203%7D",
            b"&".join(b"payload=1" for _ in range(99)),
            b"\xff",
            b"{" * 5000,
            b'{"event": {"id": 1, "event_type": []}}',
            b'{"event": {"id": "\\ud800", "event_type": "incident.resolved", "data": 7}}',
            b'{"event": null}',
        ]
    ),
)


@one_loop
@settings(max_examples=200, deadline=None)
@given(body=bodies)
async def test_a_signed_body_that_cannot_be_read_is_a_401(http, body):
    stamp = str(int(time.time()))
    signed = (stamp, slack_signed(body, stamp), pagerduty_signed(body))
    headers = dict(zip(HEADERS, signed, strict=True))
    for path in PATHS:
        answer = await http.post(path, content=body, headers=headers)
        assert answer.status_code == 401, path


@one_loop
async def test_news_of_another_kind_are_taken_and_do_nothing(http):
    for payload in ({"type": "view_submission"}, {"type": "block_actions", "user": {"id": "U1"}}):
        body, headers = slack_clicks.signed(payload, now=datetime.now(UTC))
        answer = await http.post(PATHS[0], content=body, headers=headers)
        assert (answer.status_code, answer.content) == (200, b"")
    for kind, key in (("pagey.ping", "uproar:i1:e_1:1"), ("incident.resolved", "of:another:e_1:1")):
        body = pagerduty_webhooks.event(kind, key, by="Anna")
        headers = pagerduty_webhooks.signed(body)
        assert (await http.post(PATHS[1], content=body, headers=headers)).status_code == 202


@one_loop
async def test_a_body_without_end_is_refused_before_it_is_signed(http):
    answer = await http.post(PATHS[0], content=b"x" * (2 * 1024 * 1024))
    assert answer.status_code == 413


@settings(max_examples=200)
@given(
    body=st.text(max_size=200).map(lambda t: t.encode("utf-8", "replace")),
    age=st.integers(-400, 400),
    secret=st.sampled_from([SECRET, "another"]),
)
def test_the_verdict_on_what_is_well_formed_is_that_of_slacks_own_library(body, age, secret):
    now = 1_772_000_000
    stamp = str(now - age)
    headers = {
        "x-slack-request-timestamp": stamp,
        "x-slack-signature": slack_signed(body, stamp, secret),
    }
    oracle = SignatureVerifier(SECRET, clock=SimpleNamespace(now=lambda: now))
    ours = interaction.verifies(
        Signed(headers=headers, body=body), [SECRET], now=datetime.fromtimestamp(now, UTC)
    )
    assert ours == oracle.is_valid_request(body.decode(), headers)


def test_both_secrets_sign_while_they_rotate():
    stamp = "1772000000"
    for secret in ("old", "new"):
        headers = {
            "x-slack-request-timestamp": stamp,
            "x-slack-signature": slack_signed(b"x", stamp, secret),
        }
        now = datetime.fromtimestamp(int(stamp), UTC)
        assert interaction.verifies(Signed(headers=headers, body=b"x"), ["new", "old"], now=now)
        assert not interaction.verifies(Signed(headers=headers, body=b"x"), ["other"], now=now)

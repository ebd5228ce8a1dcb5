import asyncio
import base64
import json
import socket
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import httpx
import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook as Oracle

from services.alerter.notifier import Refused, Retry, Sent
from services.alerter.notifier.exchange import Surroundings
from services.alerter.notifier.options import read_options
from services.alerter.notifiers.webhook import (
    Webhook,
    WebhookOptions,
    is_public,
    render,
    sign,
)
from services.alerter.settings import ReceiverTable
from tests.build import NOON
from tests.outbox import a_delivery
from uproar.errors import Misconfigured
from uproar.notice import NoticeKind
from uproar.routing import ReceiverName

SCHEMAS = Path(__file__).resolve().parents[5] / "schemas"
KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
OLD = "whsec_" + base64.b64encode(bytes(24)).decode()


def options(**given) -> WebhookOptions:
    table = {"url": "https://hooks.example/uproar", "secret": SECRET} | given
    return read_options(WebhookOptions, ReceiverTable(name="hook", type="webhook", options=table))


class Endpoint:
    """Answers every request alike and remembers them."""

    def __init__(self, status: int = 204, **headers: str) -> None:
        self.status, self.headers = status, headers
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(self.status, headers=self.headers, stream=httpx.ByteStream(b""))

    def webhook(self, **given) -> Webhook:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self))
        surroundings = Surroundings(client=client, installation="i1", clock=lambda: NOON)
        return Webhook(ReceiverName("hook"), options(**given), surroundings)


@pytest.fixture
def names(monkeypatch):
    """The names that resolve, and to what."""
    book = {"hooks.example": ["93.184.215.14", "93.184.215.15"]}

    def getaddrinfo(host, port, *, type):  # noqa: A002
        if host not in book:
            raise OSError("no such name")
        return [(2, type, 6, "", (address, port)) for address in book[host]]

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    return book


# ------------------------------------------------------------------------------- signature


@given(st.binary(max_size=300), st.binary(min_size=24, max_size=64))
def test_the_signature_is_that_of_the_reference_library(body, key):
    text = body.decode("utf-8", "replace")
    now = datetime.now(UTC)
    headers = sign("01J0A", text.encode(), keys=[key], now=now)
    Oracle(key).verify(text.encode(), headers, json_parse=False)


def test_the_same_instant_in_another_zone_is_signed_alike():
    east = timezone(timedelta(hours=9))
    assert sign("a", b"{}", keys=[KEY], now=NOON) == sign(
        "a", b"{}", keys=[KEY], now=NOON.astimezone(east)
    )


def test_while_a_secret_rotates_both_sign():
    given = sign("a", b"{}", keys=[KEY, bytes(24)], now=datetime.now(UTC))
    assert len(given["webhook-signature"].split(" ")) == 2
    for secret in (SECRET, OLD):
        Oracle(secret).verify(b"{}", given)


# --------------------------------------------------------------------------------- the event


def test_the_event_tells_all_of_the_notice_and_its_place():
    delivery = a_delivery(sequence=3, kind=NoticeKind.UPDATE)
    event = render(delivery)
    assert event["type"] == "incident.updated"
    assert event["timestamp"] == "2026-03-02T12:00:00Z"
    data, notice = event["data"], delivery.notice
    assert (data["id"], data["status"], data["url"]) == (notice.incident, "open", notice.link)
    assert (data["episode"], data["sequence"], data["summary"]) == (1, 3, notice.why_now)
    assert data["evidence"] == [
        {
            "id": "push:1",
            "text": "Air Quillon lost my bag again",
            "url": "https://example.org/1",
            "created_at": "2026-03-02T12:00:00Z",
            "why": "the most negative",
        }
    ]
    for name in ("title", "headline", "how_big", "standing", "advice", "severity", "what"):
        assert data[name] == getattr(notice, name)


@pytest.mark.parametrize("kind", list(NoticeKind))
def test_the_event_carries_an_incident_as_the_schema_has_it(kind):
    schema = json.loads((SCHEMAS / "incident.v1.schema.json").read_text())
    jsonschema.validate(render(a_delivery(kind=kind))["data"], schema)


@pytest.mark.parametrize("kind", list(NoticeKind))
def test_every_kind_has_an_event_below_20_kilobytes(kind):
    event = render(a_delivery(kind=kind))
    assert event["type"].startswith(("incident.", "canary."))
    assert len(json.dumps(event).encode()) < 20_000


# ------------------------------------------------------------------------ where it may go


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
     "fec0::1", "0.0.0.0", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "::", "::1", "fe80::1",
     "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
     "64:ff9b::7f00:1", "2002:7f00:1::", "2002:0a00:0001::1", "2001:db8::1"],
)  # fmt: skip
def test_an_address_inside_is_no_target(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_an_address_outside_is(address):
    assert is_public(address)


async def test_the_address_that_was_judged_is_the_one_that_is_called(names):
    endpoint = Endpoint()
    assert await endpoint.webhook().notify(a_delivery()) == Sent("01J0A")
    request = endpoint.requests[0]
    assert request.url.host == "93.184.215.14"
    assert request.headers["host"] == "hooks.example"
    assert request.headers["connection"] == "close"
    assert request.extensions["sni_hostname"] == "hooks.example"
    again = sign("01J0A", request.content, keys=[KEY], now=NOON)
    assert request.headers["webhook-signature"] == again["webhook-signature"]


async def test_the_next_attempt_takes_the_next_address(names):
    names["hooks.example"].append("2606:2800:21f:cb07:6820:80da:af6b:8b2c")
    endpoint = Endpoint()
    for attempt in (1, 2, 3, 4):
        await endpoint.webhook().notify(a_delivery(attempt=attempt))
    assert [request.url.host for request in endpoint.requests] == [
        "93.184.215.14",
        "93.184.215.15",
        "2606:2800:21f:cb07:6820:80da:af6b:8b2c",
        "93.184.215.14",
    ]


@pytest.mark.parametrize("inside", ["10.0.0.7", "::1", "169.254.169.254"])
async def test_a_name_that_leads_inside_is_refused_even_among_others(names, inside):
    names["hooks.example"].append(inside)
    endpoint = Endpoint()
    outcome = await endpoint.webhook().notify(a_delivery())
    assert outcome == Refused("the endpoint is a private address: set allow_private if you mean it")
    assert endpoint.requests == []
    assert await endpoint.webhook(allow_private=True).notify(a_delivery()) == Sent("01J0A")


async def test_an_address_written_out_is_judged_too():
    endpoint = Endpoint()
    for url in (
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://[::ffff:10.0.0.1]/",
        "https://2130706433/",
    ):
        outcome = await endpoint.webhook(url=url).notify(a_delivery())
        assert isinstance(outcome, Refused | Retry), url
    assert endpoint.requests == []


async def test_a_name_that_does_not_resolve_may_do_so_later(names):
    names.clear()
    outcome = await Endpoint().webhook().notify(a_delivery())
    assert outcome == Retry("the endpoint's name does not resolve")


async def test_a_name_that_never_resolves_holds_up_nobody_else(monkeypatch):
    over = threading.Event()

    def getaddrinfo(host, port, *given, **named):
        if host == "hangs.example":
            over.wait()
        return [(2, socket.SOCK_STREAM, 6, "", ("93.184.215.14", port))]

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    hanging = Endpoint().webhook(url="https://hangs.example/")
    work = [asyncio.create_task(hanging.notify(a_delivery(id=f"{n}"))) for n in range(40)]
    try:
        async with asyncio.timeout(60):
            assert await Endpoint().webhook().notify(a_delivery()) == Sent("01J0A")
            # Where the other receivers, and their clients, look up names.
            assert await asyncio.get_running_loop().getaddrinfo("events.example", 443)
    finally:
        for task in work:
            task.cancel()
        over.set()


# ---------------------------------------------------------------------------- what came of it


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 413, 500, 501, 502, 503, 504])
async def test_all_but_success_and_gone_is_tried_again(names, status):
    outcome = await Endpoint(status).webhook().notify(a_delivery())
    assert isinstance(outcome, Retry)
    assert str(status) in outcome.reason
    assert outcome.after is None


async def test_gone_is_gone(names):
    assert isinstance(await Endpoint(410).webhook().notify(a_delivery()), Refused)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_an_endpoint_that_asks_for_rest_gets_it(names, status):
    endpoint = Endpoint(status, **{"retry-after": "120"})
    outcome = await endpoint.webhook().notify(a_delivery())
    assert isinstance(outcome, Retry)
    assert outcome.after == timedelta(seconds=120)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(names, status):
    endpoint = Endpoint(status, location="http://169.254.169.254/latest/meta-data")
    outcome = await endpoint.webhook().notify(a_delivery())
    assert isinstance(outcome, Retry)
    assert len(endpoint.requests) == 1


async def test_a_check_is_an_event_that_stands_for_nothing(names):
    endpoint = Endpoint()
    assert isinstance(await endpoint.webhook().check(), Sent)
    assert json.loads(endpoint.requests[0].content)["type"] == "receiver.checked"


# -------------------------------------------------------------------------------- its options


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"secret": "whsec_c2hvcnQ="}, "secret.*24 to 64 bytes"),
        ({"secret": base64.b64encode(KEY).decode()}, "secret.*whsec_"),
        ({"secret": "whsec_!!!"}, "secret.*base64"),
        ({"previous_secret": "whsec_c2hvcnQ="}, "previous_secret.*24 to 64"),
        ({"url": "ftp://hooks.example/"}, "no web address"),
        ({"url": "http://hooks.example/"}, "must be https"),
        ({"url": "https://user:pass@hooks.example/"}, "user name or password"),
        ({"colour": "red"}, "colour.*not permitted"),
    ],
)
def test_wrong_options_are_told_without_their_values(given, reason):
    with pytest.raises(Misconfigured, match=f"receiver 'hook': .*{reason}") as caught:
        options(**given)
    for value in given.values():
        assert value not in str(caught.value) or value == "red"
    assert caught.value.__cause__ is None


def test_plain_http_is_for_private_networks():
    assert options(url="http://receiver.internal/", allow_private=True).allow_private

import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from standardwebhooks.webhooks import Webhook as Oracle

from services.demo.standins import Fault, StandIns
from services.demo.standins.__main__ import toml
from services.demo.standins.page import mrkdwn
from services.demo.standins.pagerduty import AlertState
from tests.build import NOON, a_moment

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def standins():
    return StandIns(port=8090)


@pytest.fixture
async def http(standins):
    """Speaks with them without a socket."""
    transport = httpx.ASGITransport(app=standins.troubles)
    async with httpx.AsyncClient(transport=transport, base_url=standins.url) as client:
        yield client


def section(text: str = "hello") -> dict:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


# ------------------------------------------------------------------------------------ Slack


async def slack(http, method: str = "chat.postMessage", *, token=StandIns.token, **given) -> dict:
    given = {"channel": StandIns.channel, "text": "hello"} | given
    headers = {"Authorization": f"Bearer {token}"}
    answer = await http.post(f"/slack/api/{method}", json=given, headers=headers)
    return {"status": answer.status_code} | answer.json()


async def test_a_message_is_posted_updated_and_answered_in_its_thread(standins, http):
    posted = await slack(http, blocks=[section()])
    ts, channel = posted["ts"], posted["channel"]
    assert posted["ok"]
    assert (await slack(http, thread_ts=ts, text="more"))["ok"]
    assert (await slack(http, "chat.update", ts=ts, text="changed"))["ok"]
    (message,) = standins.slack.top_level()
    assert (message.text, message.blocks, message.edited) == ("changed", [], 1)
    assert [reply.text for reply in standins.slack.thread(ts)] == ["more"]
    assert [(m.what, m.key) for m in standins.messages] == [
        (what, f"{channel}:{ts}") for what in ("post", "reply", "update")
    ]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"channel": ""}, "channel_not_found"),
        ({"text": ""}, "no_text"),
        ({"text": 5}, "invalid_blocks_format"),
        ({"blocks": "x"}, "invalid_blocks_format"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"blocks": [section()] * 51}, "invalid_blocks"),
        ({"blocks": [section("x" * 3001)]}, "invalid_blocks"),
        ({"blocks": [section("")]}, "invalid_blocks"),
        ({"blocks": [section("x" * 2900)] * 4}, "msg_blocks_too_long"),
        ({"blocks": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]},
         "invalid_blocks"),
        ({"blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}]},
         "invalid_blocks"),
        ({"blocks": [{"type": "context", "elements": []}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section"}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x", "emoji": True}}]},
         "invalid_blocks"),
        ({"blocks": [{"type": "canvas"}]}, "invalid_blocks"),
        ({"blocks": ["x"]}, "invalid_blocks"),
        ({"metadata": {"event_type": 5}}, "invalid_metadata_format"),
        ({"metadata": {"event_type": "a", "event_payload": {"b": {}}}}, "invalid_metadata_schema"),
        ({"thread_ts": "1.0"}, "thread_not_found"),
        ({"token": "xoxb-other"}, "invalid_auth"),
        ({"method": "chat.update", "ts": "1.0"}, "message_not_found"),
        ({"method": "chat.delete"}, "unknown_method"),
    ],
)  # fmt: skip
async def test_slack_refuses_what_slack_refuses(standins, http, given, error):
    assert await slack(http, **given) == {"status": 200, "ok": False, "error": error}
    assert standins.messages == []


async def test_a_body_that_is_no_object_is_refused(http):
    headers = {"Authorization": f"Bearer {StandIns.token}"}
    for body in (b"{", b"[]", b"\xff"):
        answer = await http.post("/slack/api/chat.postMessage", content=body, headers=headers)
        assert answer.json() == {"ok": False, "error": "invalid_payload"}


async def test_a_channel_the_bot_is_not_in_is_not_found(standins, http):
    standins.slack.channels = frozenset({"C0OTHER001"})
    assert (await slack(http))["error"] == "channel_not_found"


async def test_a_channel_takes_one_message_a_second_where_asked(standins, http):
    standins.slack.per_second = 1
    standins.ledger.clock = lambda: NOON
    assert (await slack(http))["ok"]
    assert (await slack(http))["status"] == 429
    assert (await slack(http, channel="C0OTHER001"))["ok"]
    standins.ledger.clock = lambda: a_moment(seconds=1)
    assert (await slack(http))["ok"]


async def test_history_shows_the_channel_newest_first_with_metadata(standins, http):
    metadata = {"event_type": "a", "event_payload": {"n": 1}}
    posted = [await slack(http, text=f"{n}", metadata=metadata) for n in range(3)]
    await slack(http, text="quiet", thread_ts=posted[0]["ts"])
    await slack(http, text="loud", thread_ts=posted[0]["ts"], reply_broadcast=True)
    headers = {"Authorization": f"Bearer {StandIns.token}"}
    query = {"channel": StandIns.channel, "limit": "3", "include_all_metadata": "true"}
    answer = await http.post("/slack/api/conversations.history", data=query, headers=headers)
    shown = answer.json()
    assert [m["text"] for m in shown["messages"]] == ["loud", "2", "1"]
    assert shown["messages"][1]["metadata"] == metadata
    query["cursor"] = shown["response_metadata"]["next_cursor"]
    answer = await http.post("/slack/api/conversations.history", data=query, headers=headers)
    assert [m["text"] for m in answer.json()["messages"]] == ["0"]
    query = {"channel": StandIns.channel, "ts": posted[0]["ts"]}
    answer = await http.post("/slack/api/conversations.replies", data=query, headers=headers)
    assert [m["text"] for m in answer.json()["messages"]] == ["0", "quiet", "loud"]
    for given, error in (
        ({"channel": "#name"}, "channel_not_found"),
        ({"channel": StandIns.channel, "ts": "1.0"}, "thread_not_found"),
    ):
        answer = await http.post("/slack/api/conversations.replies", data=given, headers=headers)
        assert answer.json()["error"] == error
    standins.slack.readable = False
    answer = await http.post("/slack/api/conversations.history", data=query, headers=headers)
    assert answer.json()["error"] == "missing_scope"


async def test_an_incoming_webhook_answers_in_plain_words(standins, http):
    path = standins.webhook_url.removeprefix(standins.url)
    for target, body, status, said in (
        (path, {"text": "hello"}, 200, "ok"),
        (path, {"text": ""}, 400, "no_text"),
        (path, {"text": "x", "blocks": [5]}, 400, "invalid_blocks"),
        (path + "x", {"text": "hello"}, 404, "no_service"),
    ):
        answer = await http.post(target, json=body)
        assert (answer.status_code, answer.text) == (status, said)
    standins.slack.per_second = 1
    standins.ledger.clock = lambda: NOON
    assert [(await http.post(path, json={"text": "a"})).status_code for _ in "ab"] == [200, 429]


# -------------------------------------------------------------------------------- PagerDuty


def event(**changes) -> dict:
    payload = {"summary": "s", "source": "x", "severity": "error"}
    given = {
        "routing_key": StandIns.routing_key,
        "event_action": "trigger",
        "dedup_key": "k",
        "payload": payload | changes.pop("payload", {}),
    }
    return {name: value for name, value in (given | changes).items() if value is not None}


async def page(http, **changes) -> httpx.Response:
    return await http.post("/pagerduty/v2/enqueue", json=event(**changes))


async def test_triggers_of_one_key_are_one_alert_until_it_is_resolved(standins, http):
    for action in ("trigger", "trigger", "acknowledge", "resolve", "trigger"):
        answer = await page(http, event_action=action)
        assert answer.status_code == 202
        assert answer.json() == {
            "status": "success",
            "message": "Event processed",
            "dedup_key": "k",
        }
    first, second = standins.pagerduty.alerts
    assert (first.state, first.triggers) == (AlertState.RESOLVED, 2)
    assert (second.state, second.triggers) == (AlertState.TRIGGERED, 1)


async def test_an_act_without_an_open_alert_is_dropped_in_silence(standins, http):
    for action in ("acknowledge", "resolve"):
        assert (await page(http, event_action=action)).status_code == 202
    assert standins.pagerduty.alerts == []
    assert [m.effect for m in standins.messages] == ["dropped", "dropped"]


async def test_a_trigger_without_a_key_is_an_alert_of_its_own(standins, http):
    for _ in range(2):
        await page(http, dedup_key=None)
    assert len(standins.pagerduty.alerts) == 2


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"routing_key": None}, "'routing_key' is missing or blank"),
        ({"routing_key": "abc"}, "Length of 'routing_key' is incorrect (should be 32 characters)"),
        ({"routing_key": "-" * 32}, "'routing_key' cannot contain non-alphanumeric characters."),
        ({"routing_key": "a" * 32}, "Invalid routing key"),
        ({"event_action": "shout"}, "'event_action' is invalid"),
        ({"dedup_key": "k" * 256}, "Length of 'dedup_key' is incorrect"),
        ({"event_action": "resolve", "dedup_key": None}, "'dedup_key' is missing or blank"),
        ({"payload": {"summary": " "}}, "'payload.summary' is missing or blank"),
        ({"payload": {"summary": "s" * 1025}}, "Length of 'payload.summary' is incorrect"),
        ({"payload": {"source": None}}, "'payload.source' is missing or blank"),
        ({"payload": {"severity": "fatal"}}, "'payload.severity' is invalid"),
        ({"payload": {"timestamp": "noon"}}, "'payload.timestamp' is no ISO 8601 time"),
        ({"payload": {"custom_details": "x"}}, "'payload.custom_details' is no object"),
        ({"links": [{"text": "x"}]}, "'links' must have an href"),
    ],
)
async def test_pagerduty_refuses_what_pagerduty_refuses(standins, http, changes, error):
    answer = await page(http, **changes)
    assert answer.status_code == 400
    assert answer.json()["status"] == "invalid event"
    assert any(said.startswith(error) for said in answer.json()["errors"])
    assert standins.messages == []


async def test_an_event_without_payload_or_shape_is_refused(http):
    for body in (b"{", b"[]", json.dumps({**event(), "payload": None}).encode()):
        assert (await http.post("/pagerduty/v2/enqueue", content=body)).status_code == 400
    huge = json.dumps(event(payload={"custom_details": {"x": "y" * 512_000}})).encode()
    assert (await http.post("/pagerduty/v2/enqueue", content=huge)).status_code == 413


async def test_the_routing_key_is_not_kept(standins, http):
    await page(http)
    assert StandIns.routing_key not in json.dumps(standins.ledger.listing())


# ---------------------------------------------------------------------------------- webhook


async def hook(http, body: bytes, **headers: str) -> httpx.Response:
    now = datetime.now(UTC)
    signed = {
        "webhook-id": "m1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Oracle(StandIns.secret).sign("m1", now, body.decode()),
    }
    return await http.post("/webhook", content=body, headers=signed | headers)


EVENT = b'{"type":"incident.opened","timestamp":"2026-03-02T12:00:00Z","data":{"title":"x"}}'


async def test_a_signed_event_is_done_once(standins, http):
    assert [(await hook(http, EVENT)).status_code for _ in range(2)] == [204, 204]
    assert [(m.what, m.text, m.effect) for m in standins.messages] == [
        ("incident.opened", "x", "new"),
        ("incident.opened", "x", "dropped"),
    ]


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"webhook-id": ""}, "headers are missing"),
        ({"webhook-id": "a.b"}, "headers are missing"),
        ({"webhook-timestamp": "noon"}, "headers are missing"),
        ({"webhook-timestamp": "1"}, "too far from now"),
        ({"webhook-signature": "v1,AAAA"}, "no signature fits"),
        ({"webhook-signature": "nonsense"}, "no signature fits"),
        ({"webhook-id": "m2"}, "no signature fits"),
    ],
)
async def test_an_event_that_is_not_signed_well_is_refused(standins, http, headers, said):
    answer = await hook(http, EVENT, **headers)
    assert answer.status_code == 401
    assert said in answer.text
    assert standins.messages == []


async def test_a_signed_event_must_be_one(standins, http):
    for body, status in ((b"{", 400), (b"[]", 400), (b'{"type":"x"}', 400), (b"x" * 20_001, 413)):
        assert (await hook(http, body)).status_code == status
    assert standins.messages == []


# ----------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("fault", "status", "taken"),
    [
        (Fault.RATE_LIMITED, 429, 0),
        (Fault.OK_FALSE, 200, 0),
        (Fault.BAD_REQUEST, 400, 0),
        (Fault.UNAUTHORIZED, 401, 0),
        (Fault.GONE, 410, 0),
        (Fault.REDIRECT, 302, 0),
        (Fault.SERVER_ERROR, 500, 0),
        (Fault.UNAVAILABLE, 503, 0),
        (Fault.GARBLED, 200, 1),
    ],
)
async def test_a_fault_meets_the_next_request_and_no_other(standins, http, fault, status, taken):
    standins.trouble(fault, path="/pagerduty", retry_after=9)
    assert (await slack(http))["ok"]
    answer = await page(http)
    assert answer.status_code == status
    assert answer.headers.get("retry-after") == ("9" if status == 429 else None)
    assert len(standins.messages) == 1 + taken
    assert standins.troubles.met == [fault]
    assert (await page(http)).status_code == 202


async def test_connections_are_really_cut_and_silences_kept():
    async with (
        StandIns() as standins,
        httpx.AsyncClient(base_url=standins.url, trust_env=False) as http,
    ):
        for fault, error, taken in (
            (Fault.CUT, httpx.RemoteProtocolError, 0),
            (Fault.DROPPED, httpx.RemoteProtocolError, 1),
            (Fault.SILENT, httpx.ReadTimeout, 2),
        ):
            standins.trouble(fault)
            with pytest.raises(error):
                timeout = 1 if fault is Fault.SILENT else 60
                await http.post("/pagerduty/v2/enqueue", json=event(), timeout=timeout)
            assert len(standins.messages) == taken
        assert (await page(http)).status_code == 202


async def test_a_rate_limit_may_come_without_a_wait(standins, http):
    standins.trouble(Fault.RATE_LIMITED, retry_after=None, times=2)
    for _ in range(2):
        answer = await page(http)
        assert answer.status_code == 429
        assert "retry-after" not in answer.headers
    assert (await page(http)).status_code == 202


# ----------------------------------------------------------------------------- what is shown


async def test_the_messages_are_listed_for_whoever_asks(http):
    await slack(http)
    await page(http)
    listed = (await http.get("/messages")).json()
    assert [m["service"] for m in listed["items"]] == ["slack", "pagerduty"]
    assert listed["items"][1]["body"]["event_action"] == "trigger"
    later = (await http.get("/messages", params={"since": 1})).json()
    assert [m["number"] for m in later["items"]] == [2]


async def test_the_page_shows_what_a_phone_would(standins, http):
    assert "Nothing received yet" in (await http.get("/")).text
    posted = await slack(http, blocks=[
        {"type": "header", "text": {"type": "plain_text", "text": "Backlash <1>"}},
        section("*Why now*  a &amp; b\n>quoted &lt;b&gt;"),
        {"type": "divider"},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "small"}]},
    ])  # fmt: skip
    await slack(http, thread_ts=posted["ts"], text="a reply")
    await slack(http, "chat.update", ts=posted["ts"], blocks=standins.slack.top_level()[0].blocks)
    await page(http, payload={"summary": "<script>", "custom_details": {
        "why_now": "now & then", "posts": [{"text": "<i>"}]}})  # fmt: skip
    await hook(http, EVENT)
    answer = await http.get("/")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    for shown in ("<h2>Backlash &lt;1&gt;</h2>", "<b>Why now</b>  a &amp; b",
                  "<blockquote>quoted &lt;b&gt;</blockquote>", "<hr>", "a reply", "updated 1x",
                  "<h2>&lt;script&gt;</h2>", "now &amp; then", "<blockquote>&lt;i&gt;</blockquote>",
                  "incident.opened"):  # fmt: skip
        assert shown in answer.text
    assert "<script" not in answer.text


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("<https://a.example/?a=1&amp;b=2|a &lt;b&gt;>",
         '<a href="https://a.example/?a=1&amp;b=2" rel=noreferrer>a &lt;b&gt;</a>'),
        ("<https://a.example/>",
         '<a href="https://a.example/" rel=noreferrer>https://a.example/</a>'),
        ("<!channel>", "<span class=mention>!channel</span>"),
        ("<javascript:alert(1)|click>", "<span class=mention>click</span>"),
        ("&lt;!channel&gt; &amp;amp;", "&lt;!channel&gt; &amp;amp;"),
        ("2*3*4 *b*", "2*3*4 <b>b</b>"),
        ("a\n>b", "a<br><blockquote>b</blockquote>"),
    ],
)  # fmt: skip
def test_markup_is_shown_as_slack_shows_it(text, html):
    assert mrkdwn(text) == html


# -------------------------------------------------------------------------- as a process


def test_the_receivers_can_be_pasted_into_the_configuration():
    import tomllib

    document = tomllib.loads(toml(StandIns(port=8090)))
    assert [(t["name"], t["type"]) for t in document["receiver"]] == [
        ("local-slack", "slack"),
        ("local-pagerduty", "pagerduty"),
        ("local-webhook", "webhook"),
        ("local-alertmanager", "alertmanager"),
        ("local-email", "email"),
    ]
    assert document["receiver"][0]["api_url"] == "http://127.0.0.1:8090/slack/api"


async def test_as_a_process_they_print_their_address_first_and_stop_when_told():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.demo.standins", "--port", "0",
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            url = (await process.stdout.readline()).decode().strip()
            async with httpx.AsyncClient(trust_env=False) as client:
                assert (await client.get(f"{url}/messages")).json() == {"items": [], "next": None}
            process.terminate()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()

import asyncio
import gzip
import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from random import Random

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.ingest.api.body import MAX_BODY_BYTES, MAX_POSTS, tell_apart
from services.ingest.api.posts import MAX_REQUESTS, make_app
from services.ingest.api.refused import Refused
from services.ingest.cursors import Cursors
from services.ingest.intake import Intake, Outcome
from services.ingest.pump import Pump
from services.ingest.seen import Seen
from services.traces import trace_id
from tests.unit.services.ingest.fakes import FakeBroker, PlainNames
from uproar.wire import TRACEPARENT

SECRET = "secret"
HOUR_AGO = (datetime.now(UTC) - timedelta(hours=1)).isoformat()


class House:
    """The application over a broker that is not there."""

    def __init__(self, folder, *, token: bytes | None = b"secret", patience: float = 5.0) -> None:
        self.broker = FakeBroker()
        self.intake = Intake(
            seen=Seen(folder), authors=Seen(folder / "authors"), key=b"", send=self.broker.send
        )
        names = PlainNames("acme")
        self.intake.watch(dict.fromkeys(names.subjects), names)
        pump = Pump(
            intake=self.intake,
            cursors=Cursors(folder),
            send=self.broker.send,
            partitions=2,
            rng=Random(1),
        )
        self.app = make_app(pump.take, token=token, rng=Random(2), answer_seconds=patience)

    async def post(self, body: bytes, /, *, host="127.0.0.1", token=SECRET, **options):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= options.pop("headers", {})
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}:8081") as http:
            return await http.post("/v1/posts", content=body, headers=headers, **options)


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


def a_post(id="1", **fields) -> dict:  # noqa: A002
    return {"id": id, "text": f"acme {id}", "created_at": HOUR_AGO} | fields


def as_bytes(value) -> bytes:
    return json.dumps(value).encode()


NDJSON = {"Content-Type": "application/x-ndjson"}


# ------------------------------------------------------------------------------------ the answer


async def test_who_waits_for_the_broker_when_ingest_stops_is_told_to_come_again(house):
    house.broker.open.clear()
    waiting = asyncio.create_task(house.post(as_bytes(a_post())))
    await house.broker.asked.wait()
    waiting.cancel()  # as uvicorn does to the requests that are open at the end of its grace
    answer = await waiting
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    house.broker.open.set()


async def test_an_object_an_array_and_lines_are_taken_alike(house):
    lines = as_bytes(a_post("4")) + b"\n\n" + as_bytes(a_post("5")) + b"\r\n"
    for body, headers, count in [
        (as_bytes(a_post("1")), {}, 1),
        (as_bytes([a_post("2"), a_post("3")]), {"Content-Type": "application/json"}, 2),
        (lines, NDJSON, 2),
        (lines.replace(b'"4"', b'"6"').replace(b'"5"', b'"7"'), {}, 2),
        (b"\xef\xbb\xbf" + json.dumps(a_post("8"), indent=2).encode(), {}, 1),
    ]:
        answer = await house.post(body, headers=headers)
        assert (answer.status_code, answer.json()["accepted"]) == (202, count)
    assert [post.id for post in house.broker.posts] == [f"push:{n}" for n in range(1, 9)]


async def test_the_answer_has_counts_and_a_verdict_for_each_post(house):
    posts = [
        a_post("1"),
        a_post("1"),
        a_post("2", text="x"),
        {"id": "3"},
        7,
        a_post("4", text="acme" * 9000),
    ]
    answer = (await house.post(as_bytes(posts))).json()
    verdicts = answer.pop("verdicts")
    assert answer == {
        "accepted": 2, "duplicate": 1, "unmatched": 1, "rejected": 2, "cut": 1, "late": 0,
    }  # fmt: skip
    assert [verdict["id"] for verdict in verdicts] == ["1", "1", "2", "3", None, "4"]
    assert verdicts[0] == {"id": "1", "verdict": "accepted"}
    assert verdicts[3] == {"id": "3", "verdict": "rejected", "reason": "created_at: missing"}


async def test_one_broken_line_loses_no_other(house):
    body = b"\n".join([as_bytes(a_post("1")), b'{"id":', b'{"id":"\xff"}', as_bytes(a_post("2"))])
    answer = (await house.post(body, headers=NDJSON)).json()
    assert [verdict["verdict"] for verdict in answer["verdicts"]] == [
        "accepted", "rejected", "rejected", "accepted",
    ]  # fmt: skip
    assert answer["verdicts"][1]["reason"].startswith("line 2: ")


async def test_a_lone_surrogate_or_a_null_byte_loses_no_other(house):
    body = rb'[{"id":"1","text":"acme \ud800 \u0000","created_at":"2026-01-01T00:00:00Z"},'
    answer = await house.post(body + as_bytes(a_post("2")) + b"]")
    assert answer.json()["accepted"] == 2
    assert "\x00" not in house.broker.posts[0].text


async def test_the_query_names_the_stream_and_how_far_it_has_come(house):
    params = {"source": "Storm", "up_to": HOUR_AGO}
    answer = await house.post(as_bytes(a_post()), params=params)
    assert datetime.fromisoformat(answer.json()["up_to_reached"]).isoformat() == HOUR_AGO
    assert {mark.source for mark in house.broker.watermarks} == {"storm"}
    answer = await house.post(b"", params={"source": "storm", "end": "true"})
    assert answer.status_code == 202


async def test_a_plus_that_nobody_escaped_is_understood(house):
    answer = await house.post(b"[]?", params={})
    assert answer.status_code == 400
    query = "/v1/posts?source=storm&up_to=2026-01-01T00:00:00+01:00"
    transport = httpx.ASGITransport(app=house.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        answer = await http.post(query, content=b"[]", headers={"Authorization": "Bearer secret"})
    assert answer.json()["up_to_reached"] == "2025-12-31T23:00:00Z"


async def test_going_back_is_a_problem_that_says_where_to_go_on(house):
    await house.post(b"", params={"source": "storm", "up_to": "2026-01-02T00:00:00Z"})
    answer = await house.post(b"", params={"source": "storm", "up_to": "2026-01-01T00:00:00Z"})
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["up_to_reached"] == "2026-01-02T00:00:00Z"
    assert answer.json()["state"] == "live"


async def test_the_trace_of_the_request_goes_on_in_the_record(house):
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    await house.post(as_bytes(a_post("1")), headers={"traceparent": trace})
    await house.post(as_bytes(a_post("2")), headers={"traceparent": "nonsense"})
    first, second = (r.header(TRACEPARENT) for r in house.broker.records if r.key != b"push")
    assert trace_id(first) == "a" * 32
    assert trace_id(second) not in {"", "a" * 32}


# ------------------------------------------------------------------------------------- who may


@pytest.mark.parametrize("token", [None, "wrong", "", "sécret"])
async def test_without_the_token_nothing_is_taken(house, token):
    headers = {"Authorization": f"Bearer {token}".encode()} if token else {}
    answer = await house.post(as_bytes(a_post()), token=None, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert house.broker.records == []


async def test_without_a_token_set_only_programs_of_this_machine_may_push(tmp_path):
    house = House(tmp_path, token=None)
    assert (await house.post(as_bytes(a_post("1")), token=None)).status_code == 202
    page = {"Origin": "https://evil.example"}
    assert (await house.post(as_bytes(a_post("2")), token=None, headers=page)).status_code == 403
    rebound = await house.post(as_bytes(a_post("3")), token=None, host="evil.example")
    assert rebound.status_code == 403
    assert len(house.broker.posts) == 1


# ---------------------------------------------------------------------------------- what may not


@pytest.mark.parametrize(
    "params",
    [
        {"source": "a b"}, {"source": ""}, {"source": "x" * 101}, {"up_to": "soon"}, {"up_to": ""},
        {"up_to": "2026-01-01T00:00:00"}, {"up_to": "1970-01-01T00:00:00Z"},
        {"up_to": (datetime.now(UTC) + timedelta(days=2)).isoformat()}, {"end": "maybe"},
        {"up_to": "9999-12-31T23:59:59-14:00"}, {"backfill": "2"}, {"upto": "2026-01-01T00:00:00Z"},
    ],
)  # fmt: skip
async def test_a_bad_parameter_is_refused_by_name(house, params):
    answer = await house.post(as_bytes(a_post()), params=params)
    assert answer.status_code == 422
    assert next(iter(params)) in answer.json()["detail"]
    assert house.broker.records == []


@pytest.mark.parametrize(
    "body",
    [
        b"", b" \n", b"{", b"[", b'[{"id":"1"},]', b"null", b"42", b'"x"', b"id=1&text=2", b"\xff\xfe[",
        b'{"id":"1"} {"id":"2"}', b"[NaN]", b"[" * 100_000, b'{"a":' * 100_000,
    ],
)  # fmt: skip
async def test_a_body_that_cannot_be_read_is_a_problem(house, body):
    answer = await house.post(body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) >= {"title", "status", "detail"}


async def test_a_body_of_one_mebibyte_is_the_limit(house):
    post = as_bytes(a_post())
    fits = post + b" " * (MAX_BODY_BYTES - len(post))
    assert (await house.post(fits)).status_code == 202
    assert (await house.post(fits + b" ")).status_code == 413


async def test_a_chunked_body_has_the_same_limit(house):
    async def chunks():
        for _ in range(17):
            yield b" " * 65_536

    assert (await house.post(chunks())).status_code == 413


async def test_a_packed_body_is_unpacked_within_the_limit(house):
    packed = {"Content-Encoding": "gzip"}
    two = gzip.compress(as_bytes(a_post("1")) + b"\n") + gzip.compress(as_bytes(a_post("2")))
    assert (await house.post(two, headers=packed)).json()["accepted"] == 2
    bomb = gzip.compress(b" " * 50_000_000)
    tracemalloc.start()
    try:
        assert (await house.post(bomb, headers=packed)).status_code == 413
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    for broken in (b"x", two[:-5], two + b"x", gzip.compress(b"") * 101):
        assert (await house.post(broken, headers=packed)).status_code == 400
    other = {"Content-Encoding": "br"}
    assert (await house.post(b"x", headers=other)).status_code == 415


@pytest.mark.parametrize(
    ("body", "kind", "most"),
    [
        (b"x\n" * 524_288, NDJSON, 16_000_000),
        (b"[" + b",".join([b"1"] * 524_000) + b"]", {}, 40_000_000),
    ],
)
async def test_a_small_body_of_very_many_posts_is_refused(house, body, kind, most):
    packed = gzip.compress(body)
    assert len(packed) < 2_000
    tracemalloc.start()
    try:
        answer = await house.post(packed, headers={"Content-Encoding": "gzip"} | kind)
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()
    assert (answer.status_code, answer.json()["title"]) == (413, "Too large")
    assert str(MAX_POSTS) in answer.json()["detail"]


def test_as_many_posts_as_a_body_may_hold_are_told_apart():
    lines, array = b"\n1\n" * MAX_POSTS, b"[" + b"1," * (MAX_POSTS - 1) + b"1]"
    assert tell_apart(lines, "application/x-ndjson") == [b"1"] * MAX_POSTS
    assert tell_apart(array, "application/json") == [b"1"] * MAX_POSTS
    for more, kind in ((lines + b"1", "application/x-ndjson"), (b"[1," + array[1:], "")):
        with pytest.raises(Refused) as refused:
            tell_apart(more, kind)
        assert refused.value.status == 413


# ------------------------------------------------------------------------------- the world is down


async def test_without_a_broker_the_client_is_told_to_come_again(house):
    house.broker.down = True
    answer = await house.post(as_bytes(a_post()))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    house.broker.down = False
    assert (await house.post(as_bytes(a_post()))).json()["accepted"] == 1


async def test_a_late_acknowledgement_still_counts(tmp_path):
    house = House(tmp_path, patience=0.05)
    house.broker.open.clear()
    assert (await house.post(as_bytes(a_post()))).status_code == 503
    house.broker.open.set()
    await asyncio.sleep(0.05)
    assert (await house.post(as_bytes(a_post()))).json()["duplicate"] == 1
    assert len(house.broker.posts) == 1


async def test_too_many_requests_at_once_are_told_to_come_again(house, monkeypatch):
    monkeypatch.setattr("services.ingest.api.posts.MAX_REQUESTS", 2)
    house.broker.open.clear()
    waiting = [asyncio.create_task(house.post(as_bytes(a_post(str(n))))) for n in range(2)]
    await asyncio.sleep(0.05)
    answer = await house.post(as_bytes(a_post("3")))
    assert (answer.status_code, answer.json()["title"]) == (503, "Busy")
    house.broker.open.set()
    assert [(await answer).status_code for answer in waiting] == [202, 202]


async def test_clients_that_come_again_through_an_outage_fill_no_memory(house):
    kept, arrived, back = [], asyncio.Event(), asyncio.Event()

    async def take(push):
        kept.append(push)
        arrived.set()
        await back.wait()
        return Outcome()

    house.app = make_app(take, token=b"secret", rng=Random(1))
    for _ in range(MAX_REQUESTS):
        arrived.clear()
        client = asyncio.create_task(house.post(as_bytes(a_post())))
        await arrived.wait()
        client.cancel()  # it waits no longer, and comes again
        assert (await client).status_code == 503
    answer = await house.post(as_bytes(a_post()))
    assert (answer.status_code, answer.json()["title"]) == (503, "Busy")
    assert len(kept) == MAX_REQUESTS
    back.set()
    for _ in range(5):
        await asyncio.sleep(0)  # they are let go
    assert (await house.post(as_bytes(a_post()))).status_code == 202


async def test_another_path_or_method_is_a_problem_too(house):
    transport = httpx.ASGITransport(app=house.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        for answer, status in [
            (await http.get("/v1/posts"), 405),
            (await http.get("/nothing"), 404),
        ]:
            assert (answer.status_code, answer.json()["status"]) == (status, status)


# ------------------------------------------------------------------------------------- whatever


_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["id", "text", "created_at"]), inner),
)  # fmt: skip
_bodies = st.binary() | _json.map(as_bytes) | st.lists(_json.map(as_bytes)).map(b"\n".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    body=_bodies,
    kind=st.sampled_from(["application/json", "application/x-ndjson", "text/plain", ""]),
    packed=st.booleans(),
)
def test_whatever_is_sent_is_answered_and_never_with_our_fault(tmp_path, body, kind, packed):
    async def ask():
        headers = {"Content-Type": kind} | ({"Content-Encoding": "gzip"} if packed else {})
        return await House(tmp_path).post(body, headers=headers)

    answer = asyncio.run(ask())
    assert answer.status_code in {202, 400}
    if answer.status_code == 202:
        told = answer.json()
        assert len(told["verdicts"]) == sum(
            told[verdict] for verdict in ("accepted", "duplicate", "unmatched", "rejected")
        )


@given(posts=st.lists(_json, min_size=1))
def test_an_array_and_its_lines_hold_the_same_posts(posts):
    def read(body, kind):
        try:
            return [json.loads(item) for item in tell_apart(body, kind)]
        except Refused:
            return None  # NaN: no JSON for anybody

    array = read(as_bytes(posts), "application/json")
    lines = read(b"\n".join(map(as_bytes, posts)), "application/x-ndjson") if array else array
    assert array == lines

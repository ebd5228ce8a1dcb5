"""Whatever is sent, the answer is a problem that says why, and never a 5xx."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.alerter.access import Role
from services.alerter.api.problems import MAX_BODY_BYTES
from services.alerter.store.incidents import Arrival
from tests.build import a_backlash, a_subject

NASTY = [
    "",
    "\x00",
    "a\x00b",
    "é\u202e🔥",
    "'; DROP TABLE incidents; --",
    "%",
    "../../etc/passwd",
    "x" * 5000,
    "-1",
    str(2**70),
    "NaN",
    "1e309",
    "null",
    "[]",
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59",
    "2026-03-02T12:00:00",
    "W10",  # a cursor that is an empty list
    "WyJhIiwgMV0",  # a cursor of other types
    "=" * 50,
]
QUERIES = {
    "/v1/incidents": [
        "status",
        "subject",
        "severity_min",
        "since",
        "until",
        "q",
        "limit",
        "cursor",
        "as_of",
        "nonsense",
    ],
    "/v1/subjects": ["limit", "cursor"],
    "/v1/subjects/air-quillon/readings": ["since", "until", "limit", "cursor"],
}


def is_a_problem(answer) -> bool:
    if answer.headers["Content-Type"] != "application/problem+json":
        return False
    body = answer.json()
    return body["status"] == answer.status_code and body["title"] and body["detail"]


@pytest.mark.parametrize("path", QUERIES)
async def test_nasty_queries(call, advancer, path):
    await advancer.hear(a_backlash(), Arrival())
    await call("POST", "/v1/subjects", json={"id": "air-quillon", "name": "Air Quillon"})
    for name in QUERIES[path]:
        for value in NASTY:
            answer = await call("GET", path, params={name: value})
            assert answer.status_code < 500, (name, value)
            assert answer.status_code == 200 or is_a_problem(answer), (name, value)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=" + "9" * 30, "limit"),
        ("severity_min=101", "severity_min"),
        ("status=burning", "status"),
        ("since=yesterday", "since"),
        ("since=2026-03-02T12:00:00", "RFC 3339"),
        ("cursor=zzz", "cursor"),
        ("q=%00", "null bytes"),
        ("statsu=open", "statsu"),
    ],
)
async def test_a_wrong_query_is_refused_by_name(call, query, names):
    answer = await call("GET", f"/v1/incidents?{query}")

    assert answer.status_code == 422
    assert names in answer.json()["detail"]


async def test_nasty_addresses(call):
    for value in NASTY:
        for path in ("/v1/incidents/{}", "/v1/incidents/{}/timeline", "/v1/subjects/{}"):
            quoted = "".join(f"%{byte:02X}" for byte in value.encode())[:6000]
            answer = await call("GET", path.format(quoted))
            assert answer.status_code in {200, 307, 404, 422}, value
    for raw in ("%FF%FE", "%ED%A0%80", "%C0%AF"):
        answer = await call("GET", f"/v1/incidents/{raw}")
        assert is_a_problem(answer)
        assert answer.status_code == 404


BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b"\xff\xfe",
    b'{"note": 5}',
    b'{"note": "\\ud800"}',
    b'{"note": "a\\u0000b"}',
    b'{"note": "' + b"x" * 4001 + b'"}',
    b'{"unknown": 1}',
    b"[" * 100_000,
    b'{"note": NaN}',
]


@pytest.mark.parametrize("body", BODIES)
async def test_nasty_notes_change_nothing(call, advancer, body):
    incident = (await advancer.hear(a_backlash(), Arrival())).id

    answer = await call(
        "POST",
        f"/v1/incidents/{incident}/acknowledge",
        content=body,
        headers={"Content-Type": "application/json"},
    )

    if body in {b"", b"null"}:  # the note is optional
        assert answer.status_code == 200
    else:
        assert answer.status_code in {400, 422}
        assert is_a_problem(answer)
        assert (await call("GET", f"/v1/incidents/{incident}")).json()["status"] == "open"


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/subjects"), ("PUT", "/v1/subjects/x"), ("POST", "/v1/keys")],
)
async def test_nasty_bodies(call, method, path, body):
    answer = await call(method, path, content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code in {400, 422}
    assert is_a_problem(answer)


async def test_a_body_of_more_than_a_mebibyte_is_refused_announced_or_not(call):
    async def unannounced():
        for _ in range(MAX_BODY_BYTES // 1024 + 2):
            yield b" " * 1024

    announced = await call("POST", "/v1/subjects", content=b" " * (MAX_BODY_BYTES + 1))
    streamed = await call("POST", "/v1/subjects", content=unannounced())

    for answer in (announced, streamed):
        assert answer.status_code == 413
        assert is_a_problem(answer)


async def test_what_is_not_there_and_what_is_not_done_are_problems_too(call):
    nowhere = await call("GET", "/v1/nowhere")
    wrong_method = await call("DELETE", "/v1/incidents")

    assert (nowhere.status_code, wrong_method.status_code) == (404, 405)
    assert is_a_problem(nowhere)
    assert is_a_problem(wrong_method)
    assert "GET" in wrong_method.headers["Allow"]


async def test_an_authorization_header_of_garbage_is_401(call):
    for garbage in ("Bearer", "Bearer ", "Bearer \xe9", "bearer a b", "Bearer " + "x" * 10_000):
        answer = await call(
            "GET", "/v1/incidents", None, headers={"Authorization": garbage.encode("latin-1")}
        )
        assert answer.status_code == 401
        assert is_a_problem(answer)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = st.sampled_from(["id", "name", "kind", "aliases", "budget", "purpose", "route", "x"])


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(body=st.dictionaries(FIELDS, JSON, max_size=6))
async def test_any_json_is_a_subject_or_a_problem(call, body):
    raw = json.dumps(body).encode()
    for method, path in (("POST", "/v1/subjects"), ("PUT", "/v1/subjects/air-quillon")):
        answer = await call(method, path, content=raw, headers={"Content-Type": "application/json"})
        assert answer.status_code in {200, 201, 409} or is_a_problem(answer)
        assert answer.status_code < 500


async def test_every_route_refuses_a_caller_without_a_key_except_status_and_probes(call):
    routes = (await call("GET", "/openapi.json", None)).json()["paths"]
    public = {"/v1/status", "/live", "/ready", "/metrics"}
    for path, verbs in routes.items():
        for verb in verbs:
            address = path.format(
                incident_id="e_1", subject_id="s", key_id="k", name="r", silence_id="x"
            )
            answer = await call(verb.upper(), address, None, json={})
            expected = 200 if path in public else 401
            assert answer.status_code == expected, (verb, path)


async def test_every_route_that_changes_something_asks_for_more_than_a_viewer(call):
    routes = (await call("GET", "/openapi.json", None)).json()["paths"]
    body = {"id": "s", "name": "S", "role": "admin"}
    signed = {"/v1/slack/interactions", "/v1/pagerduty/webhooks"}  # no key opens these
    for path, verbs in routes.items():
        for verb in set(verbs) - {"get"} if path not in signed else ():
            address = path.format(
                incident_id="e_1", subject_id="s", key_id="k", name="r", silence_id="x"
            )
            answer = await call(verb.upper(), address, Role.VIEWER, json=body)
            assert answer.status_code == 403, (verb, path)
    assert a_subject().id not in (await call("GET", "/v1/subjects")).text

from datetime import timedelta

import pytest
from sqlalchemy import event

from services.alerter.access import Role
from services.alerter.advance import Advancer
from services.alerter.store.incidents import Arrival
from tests.build import NOON, a_backlash, some_evidence
from uproar.backlash import Event, Level, episode_id
from uproar.incident import State
from uproar.subject import SubjectId


async def opened(advancer: Advancer, number: int = 0, **given) -> str:
    """Open an incident of its own: too long after the one before to be an episode of it."""
    at = NOON + number * timedelta(days=8)
    episode = episode_id(SubjectId("air-quillon"), at)
    incident = await advancer.hear(a_backlash(incident=episode, at=at, **given), Arrival())
    return incident.id


async def test_the_list_shows_what_an_on_call_needs(call, advancer):
    incident = await opened(advancer, severity=77)

    answer = await call("GET", "/v1/incidents", Role.VIEWER)

    assert answer.status_code == 200
    body = answer.json()
    assert body["next"] is None
    (item,) = body["items"]
    assert item["id"] == incident
    assert (item["status"], item["level"], item["severity"]) == ("open", "alert", 77)
    assert (item["subject"], item["posts"], item["authors"]) == ("air-quillon", 60, 40)
    assert item["opened_at"] == "2026-03-02T12:00:00Z"
    assert item["why"]["baseline"] == 3.0


async def test_pages_follow_each_other_by_cursor(call, advancer):
    expected = [await opened(advancer, n) for n in range(5)][::-1]
    seen, cursor = [], None
    for _ in range(3):
        asked = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        body = (await call("GET", "/v1/incidents", params=asked)).json()
        seen += [item["id"] for item in body["items"]]
        cursor = body["next"]

    assert seen == expected
    assert cursor is None


async def test_filters_are_honoured(call, advancer):
    low, high = await opened(advancer, 0, severity=10), await opened(advancer, 1, severity=90)
    await call("POST", f"/v1/incidents/{low}/resolve")

    async def found(**params) -> list[str]:
        body = (await call("GET", "/v1/incidents", params=params)).json()
        return [item["id"] for item in body["items"]]

    assert await found(status="open") == [high]
    assert await found(status=["open", "resolved"]) == [high, low]
    assert await found(severity_min=50) == [high]
    assert await found(subject="air-quillon", until="2026-03-02T12:01:00Z") == [low]
    assert await found(since="2026-03-02T13:00:30+01:00") == [high]
    assert await found(q="LOST my bag") == [high, low]
    assert await found(q="lost", since="0001-01-01T00:00:00Z") == [high, low]
    assert await found(q="lost", until="9000-01-01T00:00:00Z") == [high, low]
    assert await found(q="lost", until="0001-01-02T00:00:00Z") == []
    assert await found(q="ope") == await found(q="=open") == []  # how it stands is in no text
    assert await found(q="guitar") == []


@pytest.mark.parametrize(
    "asked", [{}, {"as_of": NOON.isoformat()}, {"subject": "air-quillon"}, {"q": "lost"}]
)
async def test_a_state_that_is_asked_for_twice_brings_nothing_twice(call, advancer, asked):
    incident = await opened(advancer)
    twice = asked | {"status": ["open", "open"]}

    found = (await call("GET", "/v1/incidents", params=twice)).json()["items"]
    exported = await call("GET", "/v1/incidents", params=twice | {"format": "ndjson"})

    assert [item["id"] for item in found] == [incident]
    assert len(exported.text.splitlines()) == 1


async def test_one_incident_its_timeline_evidence_and_deliveries(call, advancer):
    incident = await opened(advancer, evidence=(some_evidence("push:7"),))
    await advancer.hear(
        a_backlash(Event.GREW, sequence=1, level=Level.CRISIS, page=True), Arrival()
    )

    one = (await call("GET", f"/v1/incidents/{incident}", Role.VIEWER)).json()
    timeline = (await call("GET", f"/v1/incidents/{incident}/timeline")).json()["items"]
    evidence = (await call("GET", f"/v1/incidents/{incident}/evidence")).json()["items"]
    sent = (await call("GET", f"/v1/incidents/{incident}/deliveries")).json()["items"]

    assert one["level"] == "crisis"
    assert [(line["happened"], line["page"]) for line in timeline] == [
        ("opened", True),
        ("rose", True),
    ]
    assert [post["id"] for post in evidence] == ["push:1", "push:7"]
    assert {(row["receiver"], row["kind"], row["state"]) for row in sent} == {
        (receiver, kind, "pending")
        for receiver in ("war-room", "duty")
        for kind in ("trigger", "update")
    }


async def test_somebody_acknowledges_with_a_note_and_resolves(call, advancer, clock):
    incident = await opened(advancer)
    clock.forward(minutes=2)

    acknowledged = await call(
        "POST", f"/v1/incidents/{incident}/acknowledge", Role.RESPONDER, json={"note": "on it"}
    )
    resolved = await call("POST", f"/v1/incidents/{incident}/resolve", Role.RESPONDER)

    assert acknowledged.status_code == resolved.status_code == 200
    assert acknowledged.json()["status"] == "acknowledged"
    assert acknowledged.json()["acknowledged_by"] == "a responder"
    assert acknowledged.json()["acknowledged_at"] == "2026-03-02T12:02:00Z"
    assert resolved.json()["status"] == State.RESOLVED
    timeline = (await call("GET", f"/v1/incidents/{incident}/timeline")).json()["items"]
    assert timeline[1]["summary"] == "on it"


async def test_what_the_state_does_not_allow_is_a_conflict(call, advancer):
    incident = await opened(advancer)
    await call("POST", f"/v1/incidents/{incident}/resolve")

    answer = await call("POST", f"/v1/incidents/{incident}/acknowledge")

    assert answer.status_code == 409
    assert answer.json()["detail"] == "an incident that is resolved cannot acknowledge"


@pytest.mark.parametrize("act", ["acknowledge", "resolve"])
async def test_a_viewer_may_not_act(call, advancer, act):
    incident = await opened(advancer)

    answer = await call("POST", f"/v1/incidents/{incident}/{act}", Role.VIEWER)

    assert answer.status_code == 403
    assert "responder" in answer.json()["detail"]
    assert (await call("GET", f"/v1/incidents/{incident}")).json()["status"] == "open"


@pytest.mark.parametrize(
    "path",
    ["", "/e_1", "/e_1/timeline", "/e_1/evidence", "/e_1/deliveries"],
)
async def test_without_a_key_nothing_is_told(call, path):
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic eDp5"}):
        answer = await call("GET", f"/v1/incidents{path}", None, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["", "/timeline", "/evidence", "/deliveries"])
async def test_an_unknown_incident_is_not_found(call, path):
    answer = await call("GET", f"/v1/incidents/e_none{path}")

    assert (answer.status_code, answer.json()["title"]) == (404, "Not Found")


async def test_a_post_sent_again_under_its_idempotency_key_is_done_once(call, advancer, clock):
    incident = await opened(advancer)
    path, headers = f"/v1/incidents/{incident}/acknowledge", {"Idempotency-Key": "k-1"}

    first = await call("POST", path, json={"note": "on it"}, headers=headers)
    clock.forward(minutes=5)
    again = await call("POST", path, json={"note": "on it"}, headers=headers)
    other_body = await call("POST", path, json={"note": "else"}, headers=headers)
    other_key = await call("POST", path, json={"note": "x"}, headers={"Idempotency-Key": "k-2"})

    assert first.json() == again.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert other_body.status_code == 422
    assert other_key.status_code == 200
    timeline = (await call("GET", f"/v1/incidents/{incident}/timeline")).json()["items"]
    assert [line["summary"] for line in timeline[1:]] == ["on it", "x"]


async def test_what_failed_may_be_tried_again_under_the_same_idempotency_key(call, advancer):
    headers = {"Idempotency-Key": "k-1"}
    path = f"/v1/incidents/{a_backlash().incident}/acknowledge"

    assert (await call("POST", path, headers=headers)).status_code == 404
    await opened(advancer)

    assert (await call("POST", path, headers=headers)).status_code == 200


async def test_another_persons_idempotency_key_is_another_key(call, advancer):
    incident = await opened(advancer)
    path, headers = f"/v1/incidents/{incident}/acknowledge", {"Idempotency-Key": "k-1"}

    await call("POST", path, Role.ADMIN, headers=headers)
    answer = await call("POST", path, Role.RESPONDER, headers=headers)

    assert "Idempotent-Replayed" not in answer.headers


async def test_a_revoked_key_gets_no_answer_again(call, advancer, parts):
    incident = await opened(advancer)
    row, secret = await parts.access.create_key("Ada", Role.RESPONDER)
    headers = {"Idempotency-Key": "k-1", "Authorization": f"Bearer {secret}"}
    path = f"/v1/incidents/{incident}/acknowledge"

    first = await call("POST", path, None, headers=headers)
    await parts.access.revoke_key(row.id)
    again = await call("POST", path, None, headers=headers)

    assert (first.status_code, again.status_code) == (200, 401)
    assert incident not in again.text


@pytest.mark.parametrize("bearer", [{}, {"Authorization": "Bearer nonsense"}])
async def test_a_stranger_writes_nothing_under_an_idempotency_key(call, advancer, database, bearer):
    incident = await opened(advancer)
    asked: list[str] = []
    event.listen(
        database.engine.sync_engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, *_: asked.append(statement),
    )

    answer = await call(
        "POST",
        f"/v1/incidents/{incident}/acknowledge",
        None,
        headers=bearer | {"Idempotency-Key": "k-1"},
    )

    assert answer.status_code == 401
    assert not [statement for statement in asked if "answers" in statement]


async def test_a_request_under_an_idempotency_key_counts_once(call, advancer, parts):
    incident = await opened(advancer)
    parts.limits._key = 2
    path = f"/v1/incidents/{incident}/acknowledge"

    answers = [await call("POST", path, headers={"Idempotency-Key": f"{n}"}) for n in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
async def test_an_idempotency_key_must_be_sane(call, advancer, key):
    incident = await opened(advancer)
    path = f"/v1/incidents/{incident}/acknowledge"

    answer = await call("POST", path, headers={"Idempotency-Key": key})

    assert answer.status_code == 400


async def test_times_are_rfc_3339_in_utc(call, advancer):
    incident = await opened(advancer)
    for path in ("", "/timeline", "/evidence", "/deliveries"):
        text = (await call("GET", f"/v1/incidents/{incident}{path}")).text
        assert NOON.strftime("%Y-%m-%dT%H:%M:%SZ") in text
        assert "+00:00" not in text

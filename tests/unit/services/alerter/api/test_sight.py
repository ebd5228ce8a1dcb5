"""A key that is limited to subjects: nothing of any other subject reaches it, by any way."""

from dataclasses import dataclass
from datetime import timedelta

import httpx
import pytest

from services.alerter.access import Access, Role
from services.alerter.store import readings, silences, subjects
from services.alerter.store.incidents import Arrival
from services.alerter.store.silences import Silence
from tests.build import NOON, a_backlash, a_reading, a_subject, a_why, some_evidence
from uproar.errors import Malformed
from uproar.incident import Act, IncidentId, Verb

SEEN, HIDDEN = "seen-brand", "hidden-brand"
SECRET = "xyzzy"  # stands in everything about the hidden subject


@dataclass
class Room:
    http: httpx.AsyncClient
    key: str
    seen: str
    hidden: str

    async def ask(self, method: str, path: str, **given) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.key}"} | given.pop("headers", {})
        return await self.http.request(method, path, headers=headers, **given)


def about(subject: str):
    word = SECRET if subject == HIDDEN else "plain"
    return a_backlash(
        subject=subject,
        why=a_why(summary=f"{word} title"),
        evidence=(some_evidence(f"push:{subject}", text=f"{word} post"),),
    )


@pytest.fixture(params=[Role.VIEWER, Role.RESPONDER])
async def room(request, call, parts, advancer) -> Room:
    _, key = await parts.access.create_key("limited", request.param, [SEEN])
    async with parts.database.writing() as transaction:
        for number, (subject, name) in enumerate([(SEEN, "Seen"), (HIDDEN, SECRET.title())]):
            await subjects.put(transaction, a_subject(subject, name=name), now=NOON)
            await readings.add(transaction, [a_reading(subject=subject)], now=NOON)
            await silences.create(
                transaction,
                Silence(
                    id=f"silence-{subject}",
                    subject=subject,
                    starts_at=NOON + timedelta(hours=number + 1),
                    ends_at=NOON + timedelta(hours=9),
                    severity=None,
                    reason=f"for {SECRET if subject == HIDDEN else 'plain'}",
                    created_by="Ada",
                    created_at=NOON,
                ),
            )
    ids = [(await advancer.hear(about(subject), Arrival())).id for subject in (SEEN, HIDDEN)]
    note = Act(verb=Verb.NOTE, by="Ada", note=f"{SECRET} note")
    await advancer.act(IncidentId(ids[1]), note)
    return Room(call.http, key, *ids)


async def test_no_list_search_stream_or_export_tells_of_another_subject(room: Room):
    for path in (
        "/v1/incidents",
        f"/v1/incidents?subject={HIDDEN}",
        "/v1/incidents?q=xyzzy",
        f"/v1/incidents?as_of={NOON.isoformat().replace('+', '%2B')}",
        f"/v1/incidents?q=xyzzy&as_of={NOON.isoformat().replace('+', '%2B')}",
        "/v1/incidents?format=csv",
        "/v1/incidents?format=ndjson",
        "/v1/incidents?status=open&severity_min=1",
        "/v1/subjects",
        "/v1/silences",
        "/v1/routes",
        "/v1/receivers",
        "/v1/events?follow=false",
    ):
        answer = await room.ask("GET", path, headers={"Last-Event-ID": "0"})
        assert answer.status_code == 200, path
        for hidden in (SECRET, HIDDEN, room.hidden):
            assert hidden not in answer.text.lower(), path
    for path in ("/v1/incidents", "/v1/subjects", "/v1/silences"):
        assert len((await room.ask("GET", path)).json()["items"]) == 1


async def test_nothing_of_another_subject_is_found_by_name(room: Room):
    things = ["", "/timeline", "/evidence", "/deliveries", "/explain", "/report"]
    paths = [f"/v1/incidents/{room.hidden}{thing}" for thing in things]
    paths += [f"/v1/subjects/{HIDDEN}", f"/v1/subjects/{HIDDEN}/readings"]
    paths += [f"/v1/silences/silence-{HIDDEN}", "/v1/incidents/e_nowhere"]
    for path in paths:
        answer = await room.ask("GET", path)
        assert answer.status_code == 404, path
        assert SECRET not in answer.text.lower(), path
        seen = path.replace(room.hidden, room.seen).replace(HIDDEN, SEEN)
        if "nowhere" not in path:
            assert (await room.ask("GET", seen)).status_code == 200, seen


async def test_no_act_reaches_another_subject(room: Room, advancer):
    bodies = {
        "acknowledge": None,
        "resolve": None,
        "reopen": None,
        "snooze": {"minutes": 5},
        "assign": {"assignee": "Bo"},
        "notes": {"note": "x"},
        "severity": {"severity": 1},
        "false-alarm": {"reason": "x"},
        "merge": {"into": room.seen},
        "split": None,
    }
    for verb, body in bodies.items():
        answer = await room.ask("POST", f"/v1/incidents/{room.hidden}/{verb}", json=body)
        assert answer.status_code in {403, 404}, verb
    for path, body in (
        (f"/v1/incidents/{room.seen}/merge", {"into": room.hidden}),
        (f"/v1/incidents/{room.seen}/split", {"incident": room.hidden}),
        ("/v1/silences", {"subject": HIDDEN, "ends_at": "2026-03-03T12:00:00Z", "reason": "x"}),
        ("/v1/silences", {"ends_at": "2026-03-03T12:00:00Z", "reason": "x"}),
    ):
        assert (await room.ask("POST", path, json=body)).status_code in {403, 404}, path
    gone = await room.ask("DELETE", f"/v1/silences/silence-{HIDDEN}")
    assert gone.status_code in {403, 404}
    for path in ("/v1/audit", "/v1/keys"):
        assert (await room.ask("GET", path)).status_code == 403


async def test_what_was_merged_from_another_subject_stays_hidden(room: Room, advancer):
    act = Act(verb=Verb.NOTE, by="Ada")
    await advancer.merge(IncidentId(room.hidden), IncidentId(room.seen), act)

    whole = await room.ask("GET", f"/v1/incidents/{room.seen}")
    for thing in ("", "/timeline", "/evidence", "/explain", "/report"):
        answer = await room.ask("GET", f"/v1/incidents/{room.seen}{thing}")
        assert SECRET not in answer.text.lower(), thing
    assert whole.json()["merged"] == []


async def test_the_console_shows_no_more_than_the_key(room: Room):
    await room.http.post("/login", data={"key": room.key})

    page = await room.http.get("/")
    hidden = await room.http.get(f"/incidents/{room.hidden}")

    assert "plain title" in page.text
    assert SECRET not in page.text.lower()
    assert hidden.status_code == 404
    assert SECRET not in hidden.text.lower()


async def test_status_and_metrics_name_no_subject_without_a_key(room: Room):
    for path in ("/v1/status", "/metrics", "/live", "/ready", "/login"):
        answer = await room.http.get(path)
        for name in (SECRET, HIDDEN, SEEN, room.seen, room.hidden):
            assert name not in answer.text.lower(), path


async def test_a_key_is_limited_to_something_and_an_admin_to_nothing(parts):
    access: Access = parts.access
    with pytest.raises(Malformed, match="admin sees everything"):
        await access.create_key("x", Role.ADMIN, [SEEN])
    with pytest.raises(Malformed, match="at least one"):
        await access.create_key("x", Role.VIEWER, [])


async def test_a_limited_key_is_made_and_shown_over_http(call):
    made = await call(
        "POST", "/v1/keys", json={"name": "k", "role": "viewer", "subjects": ["b", "a"]}
    )
    listed = (await call("GET", "/v1/keys")).json()["items"]
    wrong = await call("POST", "/v1/keys", json={"name": "k", "role": "admin", "subjects": ["a"]})

    assert made.json()["subjects"] == ["a", "b"]
    assert made.json()["id"] in {row["id"] for row in listed if row["subjects"] == ["a", "b"]}
    assert wrong.status_code == 422

from datetime import timedelta

import pytest

from services.alerter.access import Role
from services.alerter.advance import Advancer
from services.alerter.store.incidents import Arrival
from tests.build import NOON, a_backlash
from uproar.backlash import EpisodeId, Event, episode_id
from uproar.subject import SubjectId


async def opened(advancer: Advancer, subject: str = "air-quillon", days: int = 0, **given) -> str:
    at = NOON + timedelta(days=days)
    event = a_backlash(subject=subject, incident=episode_id(SubjectId(subject), at), at=at, **given)
    return (await advancer.hear(event, Arrival())).id


async def test_each_act_does_what_it_says_and_names_who_did_it(call, advancer, clock):
    incident = await opened(advancer)

    async def act(verb: str, **body) -> dict:
        answer = await call("POST", f"/v1/incidents/{incident}/{verb}", Role.RESPONDER, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    assert (await act("assign", assignee="Bo"))["assignee"] == "Bo"
    assert (await act("severity", severity=80))["severity"] == 80
    assert (await act("notes", note="calling legal"))["status"] == "open"
    asleep = await act("snooze", minutes=30)
    assert (asleep["status"], asleep["snoozed_until"]) == ("snoozed", "2026-03-02T12:30:00Z")
    assert (await act("acknowledge"))["acknowledged_by"] == "a responder"
    judged = await act("false-alarm", reason="a football match")
    assert (judged["status"], judged["verdict"], judged["verdict_reason"]) == (
        "resolved",
        "false_alarm",
        "a football match",
    )
    assert (await act("reopen"))["verdict"] is None

    timeline = (await call("GET", f"/v1/incidents/{incident}/timeline")).json()["items"]
    assert [line["happened"] for line in timeline[1:]] == [
        "assign", "rate", "note", "snooze", "acknowledge", "false-alarm", "reopen",
    ]  # fmt: skip
    assert {line["by"] for line in timeline[1:]} == {"a responder"}
    assert {line["via"] for line in timeline[1:]} == {"api 127.0.0.1"}
    entries = (await call("GET", "/v1/audit", params={"target": incident})).json()["items"]
    assert [entry["what"] for entry in entries][::-1] == [
        f"incident.{line['happened']}" for line in timeline[1:]
    ]


async def test_a_merge_and_its_undo(call, advancer):
    lead, member = await opened(advancer), await opened(advancer, "quillon-one")

    merged = await call("POST", f"/v1/incidents/{member}/merge", json={"into": lead})
    whole = (await call("GET", f"/v1/incidents/{lead}")).json()
    undone = await call("POST", f"/v1/incidents/{lead}/split", json={"incident": member})
    twice = await call("POST", f"/v1/incidents/{lead}/split", json={"incident": member})

    assert (merged.json()["status"], merged.json()["merged_into"]) == ("resolved", lead)
    assert whole["merged"] == [member]
    assert (undone.json()["id"], undone.json()["status"]) == (member, "open")
    assert twice.status_code == 409


async def test_a_split_of_the_last_wave(call, advancer):
    first = a_backlash()
    incident = (await advancer.hear(first, Arrival())).id
    await advancer.hear(a_backlash(Event.ENDED, sequence=1), Arrival())
    await opened(advancer, days=2)

    whole = (await call("GET", f"/v1/incidents/{incident}")).json()
    left = await call("POST", f"/v1/incidents/{incident}/split")

    assert [wave["number"] for wave in whole["episodes"]] == [1, 2]
    assert left.json()["id"] == whole["episodes"][1]["id"]
    again = await call("POST", f"/v1/incidents/{incident}/split")
    assert again.status_code == 409


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("snooze", {}),
        ("snooze", {"minutes": 0}),
        ("snooze", {"minutes": 5, "until": "2026-03-02T13:00:00Z"}),
        ("snooze", {"until": "2026-03-02T13:00:00"}),
        ("assign", {}),
        ("assign", {"assignee": " "}),
        ("notes", {"note": " "}),
        ("false-alarm", {}),
        ("severity", {"severity": 101}),
        ("merge", {}),
        ("acknowledge", {"unknown": 1}),
    ],
)
async def test_an_act_that_says_too_little_is_refused(call, advancer, verb, body):
    incident = await opened(advancer)

    answer = await call("POST", f"/v1/incidents/{incident}/{verb}", json=body)

    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_what_cannot_be_is_a_conflict(call, advancer):
    incident = await opened(advancer)

    for verb, body in (
        ("merge", {"into": incident}),
        ("snooze", {"until": "2026-03-01T12:00:00Z"}),
        ("split", None),
    ):
        answer = await call("POST", f"/v1/incidents/{incident}/{verb}", json=body)
        assert answer.status_code == 409, verb
    gone = await call("POST", f"/v1/incidents/{incident}/merge", json={"into": "e_none"})
    assert gone.status_code == 404


async def test_a_note_sent_twice_under_one_key_is_written_once(call, advancer):
    incident = await opened(advancer)

    for _ in range(2):
        answer = await call(
            "POST",
            f"/v1/incidents/{incident}/notes",
            json={"note": "once"},
            headers={"Idempotency-Key": "k"},
        )
        assert answer.status_code == 201

    timeline = (await call("GET", f"/v1/incidents/{incident}/timeline")).json()["items"]
    assert [line["summary"] for line in timeline[1:]] == ["once"]


async def test_an_act_on_an_episode_is_one_on_its_incident(call, advancer):
    incident = await opened(advancer)
    await advancer.hear(a_backlash(Event.ENDED, sequence=1), Arrival())
    at = NOON + timedelta(days=1)
    wave = episode_id(SubjectId("air-quillon"), at)
    await advancer.hear(a_backlash(incident=EpisodeId(wave), at=at), Arrival())

    answer = await call("POST", f"/v1/incidents/{wave}/acknowledge")

    assert (answer.json()["id"], answer.json()["episode"]) == (incident, 2)

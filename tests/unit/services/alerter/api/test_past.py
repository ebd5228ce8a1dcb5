"""`as_of`: what was known at a past moment, and lists, exports and streams of it."""

import csv
import io
import json
from dataclasses import replace

import pytest

from services.alerter.access import Role
from services.alerter.api.export import harmless
from services.alerter.api.limits import Limits
from services.alerter.api.problems import Problem
from services.alerter.store.database import Database
from services.alerter.store.incidents import Arrival
from tests.build import NOON, a_backlash, a_moment, a_reading, a_why, some_evidence
from tests.unit.services.alerter.api.test_acts import opened
from tests.unit.services.alerter.conftest import Caller
from uproar.backlash import Event, Level


async def a_life(advancer, clock) -> str:
    """Open at noon, crisis at 12:10, acknowledged at 12:20, over at 12:30; a minute late each."""
    incident = await opened(advancer, severity=60)
    for minutes, event, level in (
        (10, Event.GREW, Level.CRISIS),
        (30, Event.ENDED, Level.CRISIS),
    ):
        if event is Event.ENDED:
            clock.now = a_moment(minutes=20)
            from uproar.incident import Act, IncidentId, Verb

            await advancer.act(IncidentId(incident), Act(verb=Verb.ACKNOWLEDGE, by="Ada"))
        clock.now = a_moment(minutes=minutes)
        await advancer.hear(
            a_backlash(
                event,
                sequence=minutes,
                level=level,
                severity=60 + minutes,
                at=a_moment(minutes=minutes),
                why=a_why(summary=f"at {minutes}"),
                evidence=(some_evidence(f"push:{minutes}"),),
                page=event is Event.GREW,
            ),
            Arrival(),
        )
    clock.now = a_moment(minutes=60)
    return incident


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        (0, ("open", 60, a_why().summary, 1)),
        (9, ("open", 60, a_why().summary, 1)),
        (10, ("open", 70, "at 10", 2)),
        (20, ("acknowledged", 70, "at 10", 2)),
        (30, ("resolved", 90, "at 10", 3)),
    ],
)
async def test_an_incident_is_shown_as_it_was_known(call, advancer, clock, minutes, expected):
    status, severity, title, posts = expected
    incident = await a_life(advancer, clock)
    asked = {"as_of": a_moment(minutes=minutes).isoformat()}

    one = (await call("GET", f"/v1/incidents/{incident}", params=asked)).json()
    (listed,) = (await call("GET", "/v1/incidents", params=asked)).json()["items"]
    lines = (await call("GET", f"/v1/incidents/{incident}/timeline", params=asked)).json()["items"]
    cited = (await call("GET", f"/v1/incidents/{incident}/evidence", params=asked)).json()["items"]

    assert (one["status"], one["severity"], one["title"]) == (status, severity, title)
    assert {key: one[key] for key in listed} == listed
    assert lines[-1]["after"] == status
    assert len(cited) == posts
    assert (one["acknowledged_by"] == "Ada") is (minutes >= 20)
    for other in ("open", "acknowledged", "resolved", "snoozed"):
        found = await call("GET", "/v1/incidents", params=asked | {"status": other})
        assert [row["id"] for row in found.json()["items"]] == [incident] * (other == status)


async def test_before_it_was_known_there_was_none(call, advancer, clock):
    incident = await a_life(advancer, clock)
    asked = {"as_of": a_moment(minutes=-1).isoformat()}

    assert (await call("GET", "/v1/incidents", params=asked)).json()["items"] == []
    gone = await call("GET", f"/v1/incidents/{incident}", params=asked)
    assert gone.status_code == 404
    assert "as of" in gone.json()["detail"]


async def test_past_lists_page_and_filter_as_lists_of_now(call, advancer, clock):
    expected = [await opened(advancer, f"s{n}", severity=10 * n) for n in range(5)]
    asked = {"as_of": NOON.isoformat(), "limit": 2}
    seen, cursor = [], None
    for _ in range(3):
        more = asked | ({"cursor": cursor} if cursor else {})
        body = (await call("GET", "/v1/incidents", params=more)).json()
        seen += [item["id"] for item in body["items"]]
        cursor = body["next"]

    async def found(**more) -> int:
        answer = await call("GET", "/v1/incidents", params={"as_of": NOON.isoformat()} | more)
        return len(answer.json()["items"])

    assert sorted(seen) == sorted(expected)
    assert cursor is None
    assert await found(severity_min=30) == 2
    assert await found(subject="s1", status="open") == 1
    assert await found(q="lost my bag") == 5
    assert await found(q="guitar") == 0


# ------------------------------------------------------------------------------------- export


async def test_an_export_is_the_whole_list_and_no_formula(call, advancer):
    for number in range(3):
        await opened(advancer, f"s{number}", why=a_why(summary='=HYPERLINK("http://x";"y")'))

    as_csv = await call("GET", "/v1/incidents", params={"format": "csv", "limit": 1})
    as_lines = await call("GET", "/v1/incidents", headers={"Accept": "application/x-ndjson"})

    rows = list(csv.DictReader(io.StringIO(as_csv.text)))
    assert as_csv.headers["Content-Type"].startswith("text/csv")
    assert [row["subject"] for row in rows] == [
        json.loads(line)["subject"] for line in as_lines.text.splitlines()
    ]
    assert {row["title"] for row in rows} == {'\'=HYPERLINK("http://x";"y")'}
    assert len(rows) == 3


async def test_an_export_that_cannot_begin_says_so_by_its_status(call, parts):
    end = {"format": "csv", "as_of": "9999-12-31T23:59:59Z"}
    too_late = await call("GET", "/v1/incidents", params=end)
    nowhere = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    away = Caller(replace(parts, database=nowhere))
    answers = [
        await away("GET", "/v1/incidents", params={"format": form}) for form in ("csv", "ndjson")
    ]
    await nowhere.close()

    assert too_late.status_code == 422
    assert [answer.status_code for answer in answers] == [503, 503]


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@x", "\t=1", " =1", "\r=", "＝1", "\ufeff=1"])
def test_a_cell_that_looks_like_a_formula_is_a_text(cell):
    assert harmless(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", [1, -1, None, "a=1", "", "2026-03-02"])
def test_other_cells_stay(cell):
    assert harmless(cell) == cell


# ------------------------------------------------------------------------------------- the feed


def read(stream: str) -> list[tuple[int, str]]:
    events = []
    for block in stream.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "data" in fields:
            happened = json.loads(fields["data"])
            events.append((int(fields["id"]), happened["line"]["happened"]))
    return events


async def test_the_stream_goes_on_behind_the_last_event_that_was_seen(call, advancer, clock):
    await a_life(advancer, clock)

    async def stream(**headers) -> list[tuple[int, str]]:
        answer = await call("GET", "/v1/events", params={"follow": False}, headers=headers)
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        return read(answer.text)

    everything = await stream(**{"Last-Event-ID": "0"})
    assert everything == [(1, "opened"), (2, "rose"), (3, "acknowledge"), (4, "ended")]
    assert await stream(**{"Last-Event-ID": "2"}) == everything[2:]
    assert await stream() == []
    for wrong in ("x", "-1", "9" * 30):
        answer = await call("GET", "/v1/events", headers={"Last-Event-ID": wrong})
        assert answer.status_code == 422


# ----------------------------------------------------------------------------- report, explain


async def test_the_report_tells_the_story_and_escapes_what_people_wrote(call, advancer, clock):
    incident = await opened(advancer, evidence=(some_evidence(text="<script>alert(1)</script>"),))
    from services.alerter.store import readings
    from uproar.incident import Act, IncidentId, Verb

    async with advancer._database.writing() as transaction:
        await readings.add(
            transaction,
            [a_reading(a_moment(minutes=5 * n), negative=float(n)) for n in range(12)],
            now=NOON,
        )
    await advancer.act(
        IncidentId(incident), Act(verb=Verb.NOTE, by="<b>Ada</b>", note="we said sorry")
    )

    page = await call("GET", f"/v1/incidents/{incident}/report", Role.VIEWER)

    assert page.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "<script>" not in page.text
    assert "<b>Ada" not in page.text
    for said in ("&lt;script&gt;", "we said sorry", "<svg", "polyline", "What to learn", "paged"):
        assert said in page.text, said


async def test_it_explains_why_it_paged_and_why_it_did_not(call, advancer):
    incident = await opened(advancer, level=Level.WATCH, page=False)
    await advancer.hear(a_backlash(Event.GREW, sequence=1, page=True), Arrival())
    await advancer.hear(a_backlash(Event.GREW, sequence=2, page=False), Arrival())

    items = (await call("GET", f"/v1/incidents/{incident}/explain")).json()["items"]

    assert [(item["page"], item["told"]) for item in items] == [
        (False, []),
        (True, ["duty", "war-room"]),
        (False, ["war-room"]),
    ]
    assert "40 people complained within 15 min, 3 were expected" in items[0]["reasons"][0]
    assert items[0]["reasons"][1] == "It did not page: level watch is below the paging level."
    assert items[1]["reasons"][1] == "It paged: it first reached alert."
    assert items[2]["reasons"][1] == "It did not page: it had reached alert before."


# ------------------------------------------------------------------------------- etags, limits


async def test_who_has_the_answer_already_gets_304_until_it_changes(call, advancer):
    incident = await opened(advancer)
    path = f"/v1/incidents/{incident}"
    tag = (await call("GET", path)).headers["ETag"]

    same = await call("GET", path, headers={"If-None-Match": f'"x", W/{tag}'})
    await call("POST", f"{path}/acknowledge")
    changed = await call("GET", path, headers={"If-None-Match": tag})

    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", tag)
    assert changed.status_code == 200
    assert changed.headers["ETag"] != tag


def test_a_bucket_of_requests_fills_again():
    limits = Limits(key_per_minute=3, address_per_minute=1)
    for _ in range(3):
        limits.count_key("k", now=NOON)
    with pytest.raises(Problem, match="at most 3 requests a minute; try again in 20 s") as refused:
        limits.count_key("k", now=NOON)
    assert refused.value.headers == {"Retry_After": "20"}
    limits.count_key("other", now=NOON)
    limits.count_key("k", now=a_moment(seconds=20))
    with pytest.raises(Problem):
        limits.count_key("k", now=a_moment(seconds=20))
    limits.count_address("a", now=a_moment(minutes=-5))  # a clock that was set back costs nothing


async def test_too_many_requests_are_told_when_to_come_again(call, parts):
    parts.limits._key = parts.limits._address = 2
    answers = [await call("GET", "/v1/subjects") for _ in range(3)]
    strangers = [await call("GET", "/v1/subjects", None) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.status_code for answer in strangers] == [401, 401, 429]
    assert answers[-1].headers["Retry-After"] == "30"


async def test_a_key_may_listen_to_so_many_streams_at_once_and_to_others_when_they_end(call, parts):
    parts.limits._streams = 1
    await call.headers(Role.VIEWER)
    (viewer,) = await parts.access.keys()

    async def listens(role: Role = Role.VIEWER) -> int:
        answer = await call("GET", "/v1/events", role, params={"follow": "false"})
        return answer.status_code

    one_after_the_other = [await listens(), await listens()]
    with parts.limits.stream(viewer.id):
        beside = [await listens(), await listens(Role.ADMIN)]

    assert one_after_the_other == [200, 200]
    assert beside == [429, 200]
    assert await listens() == 200

from dataclasses import fields

import pytest

from services.alerter.access import Role
from services.alerter.api.subjects import NewSubject
from services.alerter.api.subjects import Reading as ReadingShape
from services.alerter.store import readings
from tests.build import a_moment, a_reading
from uproar.reading import Reading
from uproar.subject import Subject

ADA = {
    "id": "ada",
    "name": "Ada L.",
    "kind": "person",
    "aliases": ["Ada Lovelace"],
    "handles": ["@ada"],
    "own_accounts": [],
    "keywords": ["countess"],
    "exclude": ["ADA compliance"],
    "languages": ["en"],
    "sector": None,
    "country": "GB",
    "budget": "2/week",
    "route": "people",
    "purpose": "she asked for it",
    "language": "fr",
}


async def test_a_subject_is_made_shown_listed_changed_and_deleted(call, clock):
    made = await call("POST", "/v1/subjects", json=ADA)
    assert (made.status_code, made.json()) == (
        201,
        ADA | {"version": 1, "updated_at": "2026-03-02T12:00:00Z"},
    )
    assert (await call("GET", "/v1/subjects/ada", Role.VIEWER)).json() == made.json()

    clock.forward(minutes=1)
    changed = await call("PUT", "/v1/subjects/ada", json=ADA | {"name": "Ada"})
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    assert changed.json()["updated_at"] == "2026-03-02T12:01:00Z"
    listed = (await call("GET", "/v1/subjects", Role.VIEWER)).json()
    assert listed == {"items": [changed.json()], "next": None}

    assert (await call("DELETE", "/v1/subjects/ada")).status_code == 204
    assert (await call("DELETE", "/v1/subjects/ada")).status_code == 404
    assert (await call("GET", "/v1/subjects/ada")).status_code == 404
    assert (await call("GET", "/v1/subjects")).json()["items"] == []


async def test_the_audit_says_what_of_a_subject_was_changed(call):
    brand = ADA | {"kind": "brand"}
    await call("PUT", "/v1/subjects/ada", json=brand)
    changes = {"name": "Ada", "aliases": ["Countess", "Ada Lovelace"], "country": None}
    await call("PUT", "/v1/subjects/ada", json=brand | changes)
    await call("PUT", "/v1/subjects/ada", json=brand | changes)

    entries = (await call("GET", "/v1/audit", params={"target": "ada"})).json()["items"]

    assert [(entry["what"], entry["detail"]) for entry in reversed(entries)] == [
        ("subject.create", {}),
        (
            "subject.replace",
            {
                "name": {"was": "Ada L.", "now": "Ada"},
                "aliases": {"added": ["Countess"], "removed": []},
                "country": {"was": "GB", "now": None},
            },
        ),
        ("subject.replace", {}),
    ]


async def test_the_audit_says_of_a_person_which_fields_were_changed_and_nothing_else(call):
    await call("PUT", "/v1/subjects/ada", json=ADA)
    await call("PUT", "/v1/subjects/ada", json=ADA | {"name": "Ada", "handles": ["@countess"]})

    entries = (await call("GET", "/v1/audit", params={"target": "ada"})).json()["items"]

    assert entries[0]["detail"] == {"name": {}, "handles": {}}


async def test_put_makes_what_is_not_there_yet(call):
    answer = await call("PUT", "/v1/subjects/brand", json={"name": "Brand"})

    assert answer.status_code == 201
    assert (answer.json()["id"], answer.json()["kind"]) == ("brand", "brand")


async def test_an_id_that_is_taken_is_a_conflict(call):
    await call("POST", "/v1/subjects", json=ADA)

    answer = await call("POST", "/v1/subjects", json=ADA)

    assert answer.status_code == 409


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"purpose": None}, "purpose"),
        ({"budget": "often"}, "budget"),
        ({"id": "a/b"}, "letters, digits"),
        ({"name": "   "}, "no name"),
        ({"name": "a\x00b"}, "null bytes"),
        ({"kind": "planet"}, "kind"),
        ({"aliases": "Ada"}, "aliases"),
        ({"aliases": ["x" * 201]}, "aliases"),
        ({"handels": []}, "handels"),
    ],
)
async def test_what_is_wrong_is_named(call, change, reason):
    answer = await call("POST", "/v1/subjects", json=ADA | change)

    assert answer.status_code == 422
    assert reason in answer.json()["detail"]


async def test_the_body_and_the_address_must_agree(call):
    answer = await call("PUT", "/v1/subjects/other", json=ADA)

    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", ""), ("PUT", "/ada"), ("DELETE", "/ada")],
)
async def test_only_an_admin_changes_the_watch_list(call, method, path):
    given = {} if method == "DELETE" else {"json": ADA}
    answer = await call(method, f"/v1/subjects{path}", Role.RESPONDER, **given)

    assert answer.status_code == 403


async def test_the_list_is_paged(call):
    for name in ("c", "a", "b"):
        await call("POST", "/v1/subjects", json={"id": name, "name": name})

    first = (await call("GET", "/v1/subjects", params={"limit": 2})).json()
    second = (
        await call("GET", "/v1/subjects", params={"limit": 2, "cursor": first["next"]})
    ).json()

    assert [s["id"] for s in first["items"] + second["items"]] == ["a", "b", "c"]
    assert second["next"] is None


async def test_readings_are_shown_in_pages(call, database):
    await call("POST", "/v1/subjects", json={"id": "air-quillon", "name": "Air Quillon"})
    moments = [a_moment(minutes=5 * n) for n in range(3)]
    async with database.writing() as transaction:
        await readings.add(transaction, [a_reading(at) for at in moments], now=moments[-1])
    path = "/v1/subjects/air-quillon/readings"

    first = (await call("GET", path, Role.VIEWER, params={"limit": 2})).json()
    rest = (await call("GET", path, params={"cursor": first["next"]})).json()
    inside = (await call("GET", path, params={"since": "2026-03-02T12:10:00Z"})).json()

    seen = [reading["at"] for reading in first["items"] + rest["items"]]
    assert seen == ["2026-03-02T12:10:00Z", "2026-03-02T12:05:00Z", "2026-03-02T12:00:00Z"]
    assert rest["next"] is None
    assert [reading["positive"] for reading in inside["items"]] == [2.0]
    assert (await call("GET", "/v1/subjects/other/readings")).status_code == 404


def test_the_api_speaks_of_every_field_of_a_subject_and_of_a_reading():
    assert set(NewSubject.model_fields) == {field.name for field in fields(Subject)}
    assert set(ReadingShape.model_fields) == {f.name for f in fields(Reading)} - {"subject"}

import pytest

from services.alerter.access import Role


async def test_a_key_is_made_shown_once_used_and_revoked(call):
    made = await call("POST", "/v1/keys", json={"name": "Bo", "role": "viewer"})
    assert made.status_code == 201
    secret, key_id = made.json()["key"], made.json()["id"]
    bearer = {"Authorization": f"Bearer {secret}"}

    assert (await call("GET", "/v1/incidents", None, headers=bearer)).status_code == 200
    listed = await call("GET", "/v1/keys")
    assert secret not in listed.text
    shown = {key["name"]: key for key in listed.json()["items"]}["Bo"]
    assert (shown["role"], shown["revoked_at"], shown["last_used_at"]) == (
        "viewer",
        None,
        "2026-03-02T12:00:00Z",
    )

    assert (await call("DELETE", f"/v1/keys/{key_id}")).status_code == 204
    assert (await call("GET", "/v1/incidents", None, headers=bearer)).status_code == 401
    assert (await call("DELETE", f"/v1/keys/{key_id}")).status_code == 404


@pytest.mark.parametrize("role", [Role.VIEWER, Role.RESPONDER])
async def test_only_an_admin_sees_or_makes_keys(call, role):
    assert (await call("GET", "/v1/keys", role)).status_code == 403
    body = {"name": "Bo", "role": "admin"}
    assert (await call("POST", "/v1/keys", role, json=body)).status_code == 403


async def test_a_repeat_makes_no_second_key_and_does_not_show_the_first_again(call, database):
    headers = {"Idempotency-Key": "k"}
    body = {"name": "Bo", "role": "viewer"}
    made = await call("POST", "/v1/keys", json=body, headers=headers)

    again = await call("POST", "/v1/keys", json=body, headers=headers)

    assert again.status_code == 409
    assert made.json()["key"] not in again.text
    names = [key["name"] for key in (await call("GET", "/v1/keys")).json()["items"]]
    assert names.count("Bo") == 1


@pytest.mark.parametrize(
    "body", [{}, {"name": "Bo"}, {"name": "", "role": "viewer"}, {"name": "Bo", "role": "root"}]
)
async def test_a_wrong_key_is_refused(call, body):
    assert (await call("POST", "/v1/keys", json=body)).status_code == 422

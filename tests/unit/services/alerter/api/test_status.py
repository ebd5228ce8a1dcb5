from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from services.alerter.access import Access, Role
from services.alerter.api.classifier import Classifier, ClassifierWatch
from services.alerter.store import readings
from services.alerter.store.database import Database
from services.alerter.store.incidents import Arrival
from tests.build import NOON, a_backlash, a_source_state
from tests.unit.services.alerter.conftest import Caller
from uproar.watermark import State


async def told(call, role: Role | None = None) -> dict:
    answer = await call("GET", "/v1/status", role)
    assert answer.status_code == 200
    return answer.json()


async def reported(database: Database, *states) -> None:
    async with database.writing() as transaction:
        await readings.report(transaction, states)


async def test_a_calm_product_has_exactly_the_shape_of_the_contract(call):
    assert await told(call) == {
        "status": "ok",
        "incidents": {"open": 0, "acknowledged": 0, "worst_severity": None},
        "pipeline": {"lag_seconds": None, "canary_age_seconds": None},
        "sources": [],
        "model": {"name": "small", "ready": True, "degraded": False},
        "outbox": {"pending": 0, "oldest_seconds": 0.0, "dead": 0, "receivers": None},
    }


async def test_incidents_sources_and_the_outbox_are_counted_without_a_name(
    call, advancer, database, clock
):
    incident = (await advancer.hear(a_backlash(severity=71), Arrival())).id
    await reported(database, a_source_state("push"))
    clock.forward(seconds=5)
    status = await told(call)

    assert status["status"] == "ok"
    assert status["incidents"] == {"open": 1, "acknowledged": 0, "worst_severity": 71}
    assert status["sources"] == [
        {"name": "push", "state": "live", "last_post_at": "2026-03-02T12:00:00Z"}
    ]
    waiting = {"pending": 1, "oldest_seconds": 5.0, "dead": 0}
    outbox = {"pending": 2, "oldest_seconds": 5.0, "dead": 0, "receivers": None}
    assert status["outbox"] == outbox
    assert "quillon" not in str(status).casefold()
    named = {"receivers": {"war-room": waiting, "duty": waiting}}
    assert (await told(call, Role.VIEWER))["outbox"] == outbox | named

    await call("POST", f"/v1/incidents/{incident}/acknowledge")
    assert (await told(call))["incidents"]["acknowledged"] == 1


async def test_a_worthless_key_opens_no_status_and_too_many_looks_are_told(call, parts):
    worthless = await call("GET", "/v1/status", None, headers={"Authorization": "Bearer x"})
    parts.limits._key = 2
    looks = [await call("GET", "/v1/status", None) for _ in range(3)]
    with_a_key = await call("GET", "/v1/status", Role.VIEWER)

    assert worthless.status_code == 401
    assert [look.status_code for look in looks] == [200, 200, 429]
    assert with_a_key.status_code == 200


async def test_a_delivery_that_waits_for_more_than_a_minute_degrades(call, advancer, clock):
    await advancer.hear(a_backlash(), Arrival())
    clock.forward(seconds=60)
    assert (await told(call))["status"] == "ok"
    clock.forward(seconds=1)
    assert (await told(call))["status"] == "degraded"


async def test_a_source_that_is_not_heard_of_degrades(call, database, clock):
    await reported(database, a_source_state("push"))
    clock.forward(seconds=61)

    status = await told(call)

    assert (status["status"], status["sources"][0]["state"]) == ("degraded", "blind")


async def test_a_stream_that_nobody_tells_of_any_more_does_not_degrade_for_ever(
    call, database, clock
):
    await reported(database, a_source_state("test", state=State.BLIND))
    assert (await told(call))["status"] == "degraded"
    clock.forward(days=8)

    status = await told(call)

    assert (status["status"], status["sources"]) == ("ok", [])


@pytest.mark.parametrize(
    "change",
    [
        {"problems": lambda: {"consume": "no Kafka"}},
        {"classifier": Classifier},
        {"classifier": lambda: Classifier(model="small", ready=True, degraded=True)},
    ],
)
async def test_a_part_that_is_missing_degrades(parts, change):
    assert (await told(Caller(replace(parts, **change))))["status"] == "degraded"


async def test_the_lag_is_what_the_slowest_live_source_has_and_detection_has_not(parts, database):
    await reported(
        database,
        a_source_state("slow", event_time=NOON),
        a_source_state("quick", event_time=NOON + timedelta(minutes=1)),
        a_source_state("old", event_time=NOON - timedelta(days=1), state=State.ENDED),
    )
    behind = Classifier(model="small", ready=True, event_time=NOON - timedelta(seconds=40))
    ahead = replace(behind, event_time=NOON + timedelta(seconds=1))

    async def lag(classifier: Classifier) -> float:
        call = Caller(replace(parts, classifier=lambda: classifier))
        return (await told(call))["pipeline"]["lag_seconds"]

    assert await lag(behind) == 40.0
    assert await lag(ahead) == 0.0


async def test_with_the_database_away_the_product_is_down_and_says_so(parts, clock):
    nowhere = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    call = Caller(replace(parts, database=nowhere))

    status = await told(call)
    listed = await call("GET", "/v1/incidents")
    with_a_key = await Caller(replace(parts, database=nowhere, access=Access(nowhere, clock)))(
        "GET", "/v1/status", None, headers={"Authorization": "Bearer x"}
    )

    assert status["status"] == with_a_key.json()["status"] == "down"
    assert status["incidents"]["open"] is None
    assert status["model"]["name"] == "small"
    assert listed.status_code == 503
    assert listed.headers["Content-Type"] == "application/problem+json"
    assert listed.headers["Retry-After"] == "2"
    await nowhere.close()


# ------------------------------------------------------------------- what the classifier tells

METRICS = """
# HELP uproar_classifier_event_time_timestamp_seconds Event time
# TYPE uproar_classifier_event_time_timestamp_seconds gauge
uproar_classifier_event_time_timestamp_seconds 1772452800.0
# TYPE uproar_classifier_model info
uproar_classifier_model_info{name="multilingual-6"} 1.0
"""


async def seen(ready: httpx.Response, metrics: httpx.Response) -> Classifier:
    answers = {"/ready": ready, "/metrics": metrics}
    transport = httpx.MockTransport(lambda request: answers[request.url.path])
    async with httpx.AsyncClient(transport=transport) as client:
        return await ClassifierWatch("http://classifier/", client).look()


async def test_the_classifier_is_known_by_its_probes():
    told = await seen(httpx.Response(200, json={"ready": True}), httpx.Response(200, text=METRICS))

    assert told == Classifier(model="multilingual-6", ready=True, event_time=NOON)


@pytest.mark.parametrize(
    ("problems", "degraded"), [({"score": "gone"}, False), ({"model": "posts unscored"}, True)]
)
async def test_a_classifier_that_is_not_ready_still_tells_of_its_model(problems, degraded):
    ready = httpx.Response(503, json={"ready": False, "problems": problems})

    told = await seen(ready, httpx.Response(200, text=METRICS))

    assert (told.model, told.ready, told.degraded) == ("multilingual-6", True, degraded)


async def test_a_classifier_that_still_loads_its_model_is_not_ready():
    ready = httpx.Response(503, json={"problems": {"start": "loading the model"}})

    told = await seen(
        ready, httpx.Response(200, text=METRICS.partition("# TYPE uproar_classifier_model")[0])
    )

    assert (told.model, told.ready) == (None, False)


@pytest.mark.parametrize(
    ("ready", "metrics"),
    [
        (httpx.Response(200, text="<html>"), httpx.Response(200, text=METRICS)),
        (httpx.Response(200, json=[]), httpx.Response(200, text=METRICS)),
        (httpx.Response(200, json={"ready": True}), httpx.Response(200, text="a b c d {")),
    ],
)
async def test_something_else_on_that_port_is_no_classifier(ready, metrics):
    assert await seen(ready, metrics) == Classifier()


async def test_a_classifier_that_does_not_answer_is_not_ready():
    async with httpx.AsyncClient() as client:
        assert await ClassifierWatch("http://127.0.0.1:1", client).look() == Classifier()


async def test_metrics_name_no_subject(call, advancer):
    await advancer.hear(a_backlash(), Arrival())

    text = (await call("GET", "/metrics", None)).text

    assert "uproar_alerter_post_to_page_seconds" in text
    assert "quillon" not in text.casefold()

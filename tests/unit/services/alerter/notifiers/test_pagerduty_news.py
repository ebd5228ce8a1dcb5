import json

import pytest

from services.alerter.notifiers.pagerduty import news
from services.demo.standins.pagerduty_webhooks import OURS, agent, event
from uproar.errors import Malformed
from uproar.incident import Verb

KEY = "uproar:i1:e_1:2"


def test_an_act_in_pagerduty_names_incident_episode_and_person():
    (told,) = news.read(event("incident.acknowledged", KEY, by="Ben Ôk"), installation="i1")
    assert (told.incident, told.episode, told.act.verb) == ("e_1", 2, Verb.ACKNOWLEDGE)
    assert told.act.by == "Ben Ôk (PagerDuty)"
    assert told.echo


def test_an_act_on_an_alert_that_woke_somebody_again_is_about_the_same_episode():
    (told,) = news.read(event("incident.resolved", KEY + ".17", by="Ben"), installation="i1")
    assert (told.incident, told.episode) == ("e_1", 2)


@pytest.mark.parametrize(
    "key",
    [None, "", "uproar:i2:e_1:2", "other:i1:e_1:2", "uproar:i1::2", "uproar:i1:e_1:", KEY + "x",
     "uproar:i1:e_1:٣", "uproar:i1:e_1:9999999", KEY + ".", KEY + ".x", KEY + ".1.1",
     "uproar:i1:e_1:.7"],
)  # fmt: skip
def test_what_is_not_ours_is_left_alone(key):
    assert news.read(event("incident.resolved", key, by="Ben"), installation="i1") == []


@pytest.mark.parametrize("kind", ["incident.triggered", "incident.annotated", "service.updated"])
def test_other_events_are_left_alone(kind):
    assert news.read(event(kind, KEY, by="Ben"), installation="i1") == []


def test_a_name_is_one_short_line():
    (told,) = news.read(
        event("incident.resolved", KEY, by="a\nb\x00" + "c" * 500), installation="i1"
    )
    assert told.act.by == "a b " + "c" * 76 + " (PagerDuty)"


def listing(*statuses: str) -> bytes:
    incidents = [{"id": f"P{n}", "status": s, "incident_key": KEY} for n, s in enumerate(statuses)]
    return json.dumps({"incidents": incidents}).encode()


def test_only_the_newest_incident_of_a_key_says_how_it_stands():
    assert news.read_listing(listing("triggered", "resolved"), installation="i1") == []
    (told,) = news.read_listing(listing("resolved", "triggered"), installation="i1")
    assert told.act.verb is Verb.RESOLVE


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b'{"incidents": 3}', b"[" * 9999])
def test_what_is_no_listing_is_malformed(body):
    with pytest.raises(Malformed):
        news.read_listing(body, installation="i1")


def test_our_own_events_that_come_back_are_nobodys_act():
    assert news.read(event("incident.resolved", KEY, by=OURS), installation="i1") == []
    body = json.loads(listing("resolved"))
    body["incidents"][0]["last_status_change_by"] = agent(OURS)
    assert news.read_listing(json.dumps(body).encode(), installation="i1") == []

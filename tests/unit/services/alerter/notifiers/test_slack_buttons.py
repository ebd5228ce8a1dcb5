from datetime import timedelta

import pytest

from services.alerter.notifiers.slack.buttons import actions, meant
from services.demo.standins.slack_limits import content
from tests.build import NOON
from tests.outbox import a_notice
from uproar.incident import State, Verb
from uproar.notice import Language


def ids(state: State) -> list[str]:
    row = actions(a_notice(state=state), 1)
    return [element["action_id"] for block in row for element in block["elements"]]


@pytest.mark.parametrize(
    ("state", "offered"),
    [
        (State.OPEN, ["acknowledge", "snooze", "resolve", "false-alarm"]),
        (State.ACKNOWLEDGED, ["snooze", "resolve", "false-alarm"]),
        (State.SNOOZED, ["acknowledge", "resolve", "false-alarm"]),
        (State.RESOLVED, []),
    ],
)
def test_what_can_be_done_is_offered(state, offered):
    assert ids(state) == [f"uproar_{name}" for name in offered]


@pytest.mark.parametrize("language", list(Language))
def test_slack_takes_the_row_with_the_longest_of_names(language):
    said = a_notice(language=language, incident="e_" + "x" * 100)
    content({"text": "t", "blocks": actions(said, 999_999)})


def every_press(language: Language):
    for block in actions(a_notice(language=language), 3):
        for element in block["elements"]:
            for option in element.get("options", [element]):
                yield element["action_id"], option["value"]


@pytest.mark.parametrize("language", list(Language))
def test_every_button_means_something(language):
    acts = []
    for action_id, value in every_press(language):
        incident, episode, act = meant(action_id, value, by="Anna", language=language, now=NOON)
        assert (incident, episode) == (a_notice().incident, 3)
        acts.append(act)
    assert {act.verb for act in acts} == {
        Verb.ACKNOWLEDGE,
        Verb.SNOOZE,
        Verb.RESOLVE,
        Verb.FALSE_ALARM,
    }
    spans = [act.until - NOON for act in acts if act.verb is Verb.SNOOZE]
    assert spans == [timedelta(hours=1), timedelta(hours=4), timedelta(days=1)]
    assert all(act.note for act in acts if act.verb is Verb.FALSE_ALARM)
    assert {act.via for act in acts} == {"slack"}


@pytest.mark.parametrize(
    ("action_id", "value"),
    [
        ("uproar_acknowledge", ""),
        ("uproar_acknowledge", "x:e_1"),
        ("uproar_acknowledge", "1:"),
        ("uproar_acknowledge", "٣:e_1"),
        ("uproar_acknowledge", "9999999:e_1"),
        ("uproar_snooze", "9y|1:e_1"),
        ("uproar_snooze", "1:e_1"),
        ("uproar_false-alarm", "|1:e_1"),
        ("uproar_merge", "1:e_1"),
        ("uproar_wake", "1:e_1"),
    ],
)
def test_what_we_did_not_write_means_nothing(action_id, value):
    assert meant(action_id, value, by="Eve", language=Language.EN, now=NOON) is None

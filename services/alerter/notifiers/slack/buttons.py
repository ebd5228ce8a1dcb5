"""Buttons: what people can do from a message in Slack, and what a press of each means."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from services.alerter.notifier.callback import Nothing
from uproar.incident import Act, State, Verb
from uproar.notice import Language, Notice

PREFIX: Final = "uproar_"
VIA: Final = "slack"
_SNOOZES: Final = {"1h": timedelta(hours=1), "4h": timedelta(hours=4), "1d": timedelta(days=1)}


class _Words(NamedTuple):
    acknowledge: str
    resolve: str
    snooze: str
    false_alarm: str
    sure: str
    mutes: str
    yes: str
    no: str
    spans: Mapping[str, str]
    reasons: Mapping[str, str]


_WORDS: Final = {
    Language.EN: _Words(
        acknowledge="I'm on it",
        resolve="Close it",
        snooze="Snooze",
        false_alarm="False alarm",
        sure="A false alarm?",
        mutes="It is closed, and the rest of this wave stays silent.",
        yes="False alarm",
        no="Keep it",
        spans={"1h": "1 hour", "4h": "4 hours", "1d": "1 day"},
        reasons={
            "other": "Not about us",
            "joke": "A joke or a meme",
            "ours": "Our own campaign",
            "bots": "Spam or bots",
            "usual": "Nothing out of the ordinary",
        },
    ),
    Language.FR: _Words(
        acknowledge="Je m’en charge",
        resolve="Clore",
        snooze="Mettre en veille",
        false_alarm="Fausse alerte",
        sure="Une fausse alerte\u00a0?",
        mutes="L’incident est clos, et la suite de cette vague reste muette.",
        yes="Fausse alerte",
        no="La garder",
        spans={"1h": "1 heure", "4h": "4 heures", "1d": "1 jour"},
        reasons={
            "other": "Il ne s’agit pas de nous",
            "joke": "Une blague ou un mème",
            "ours": "Notre propre campagne",
            "bots": "Du spam ou des robots",
            "usual": "Rien d’inhabituel",
        },
    ),
}
REPLIES: Final = {
    Language.EN: {
        Nothing.LATE: "Nothing was changed: this message is about an earlier wave. Open the incident.",
        Nothing.REFUSED: "Nothing was changed: the incident no longer allows it. Open the incident.",
    },
    Language.FR: {
        Nothing.LATE: "Rien n’a changé\u00a0: ce message date d’une vague passée. Ouvrez l’incident.",
        Nothing.REFUSED: "Rien n’a changé\u00a0: l’incident ne le permet plus. Ouvrez l’incident.",
    },
}
"""What a person hears where nothing came of a press."""


def actions(notice: Notice, episode: int) -> list[dict[str, Any]]:
    """
    Write the row of buttons that fit where the incident stands; none once it is over.

    Each carries the incident and the episode: a press on an old message must not touch a new wave.
    """
    if notice.state is State.RESOLVED:
        return []
    words, value = _WORDS[notice.language], f"{episode}:{notice.incident}"
    row = []
    if notice.state in {State.OPEN, State.SNOOZED}:
        button = _button(Verb.ACKNOWLEDGE.value, words.acknowledge, value)
        row.append(button | {"style": "primary"})
    if notice.state is not State.SNOOZED:
        row.append(_menu(Verb.SNOOZE.value, words.snooze, words.spans, value))
    row.append(_button(Verb.RESOLVE.value, words.resolve, value))
    false_alarm = _menu(Verb.FALSE_ALARM.value, words.false_alarm, words.reasons, value)
    row.append(false_alarm | {"confirm": _confirm(words)})
    return [{"type": "actions", "block_id": f"{PREFIX}acts", "elements": row}]


def meant(
    action_id: str, value: str, *, by: str, language: Language, now: datetime
) -> tuple[str, int, Act] | None:
    """
    Return incident, episode and act of a press; None where the button is none of ours.

    Args:
        action_id: Which button or menu.
        value: Of the button or of the chosen option.
        by: Who pressed.
        language: Of the receiver: the reason of a false alarm is written down in it.
        now: Wall clock: a snooze begins at it.
    """
    choice, _, place = value.rpartition("|")
    episode, _, incident = place.partition(":")
    if not incident or not episode.isascii() or not episode.isdecimal() or len(episode) > 6:
        return None
    match action_id.removeprefix(PREFIX):
        case Verb.ACKNOWLEDGE.value | Verb.RESOLVE.value as verb:
            act = Act(verb=Verb(verb), by=by, via=VIA)
        case Verb.SNOOZE.value if choice in _SNOOZES:
            act = Act(verb=Verb.SNOOZE, by=by, via=VIA, until=now + _SNOOZES[choice])
        case Verb.FALSE_ALARM.value if reason := _WORDS[language].reasons.get(choice):
            act = Act(verb=Verb.FALSE_ALARM, by=by, via=VIA, note=reason)
        case _:
            return None
    return incident, int(episode), act


def _button(name: str, label: str, value: str) -> dict[str, Any]:
    return {
        "type": "button",
        "action_id": f"{PREFIX}{name}",
        "text": _plain(label),
        "value": value,
    }


def _menu(name: str, label: str, choices: Mapping[str, str], value: str) -> dict[str, Any]:
    return {
        "type": "static_select",
        "action_id": f"{PREFIX}{name}",
        "placeholder": _plain(label),
        "options": [
            {"text": _plain(said), "value": f"{choice}|{value}"} for choice, said in choices.items()
        ],
    }


def _confirm(words: _Words) -> dict[str, Any]:
    return {
        "title": _plain(words.sure),
        "text": _plain(words.mutes),
        "confirm": _plain(words.yes),
        "deny": _plain(words.no),
    }


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}

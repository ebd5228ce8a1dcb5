"""Buttons: what people can do from a message in Slack, and what a press of each means."""

from datetime import datetime
from typing import Any, Final, NamedTuple

from services.alerter.notifier.callback import Nothing
from uproar.incident import Act, State, Verb
from uproar.notice import Language, Notice

PREFIX: Final = "uproar_"


class _Words(NamedTuple):
    acknowledge: str
    resolve: str


_WORDS: Final = {
    Language.EN: _Words(acknowledge="I'm on it", resolve="Close it"),
    Language.FR: _Words(acknowledge="Je m’en charge", resolve="Clore"),
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
    if notice.state is State.OPEN:
        row.append(_button(Verb.ACKNOWLEDGE.value, words.acknowledge, value) | {"style": "primary"})
    row.append(_button(Verb.RESOLVE.value, words.resolve, value))
    return [{"type": "actions", "block_id": f"{PREFIX}acts", "elements": row}]


def meant(action_id: str, value: str, *, by: str, now: datetime) -> tuple[str, int, Act] | None:  # noqa: ARG001
    """Return incident, episode and act of a press; None where the button is none of ours."""
    episode, _, incident = value.partition(":")
    if not incident or not episode.isascii() or not episode.isdecimal() or len(episode) > 6:
        return None
    match action_id.removeprefix(PREFIX):
        case Verb.ACKNOWLEDGE.value | Verb.RESOLVE.value as verb:
            return incident, int(episode), Act(verb=Verb(verb), by=by)
        case _:
            return None


def _button(name: str, label: str, value: str) -> dict[str, Any]:
    return {
        "type": "button",
        "action_id": f"{PREFIX}{name}",
        "text": {"type": "plain_text", "text": label, "emoji": False},
        "value": value,
    }

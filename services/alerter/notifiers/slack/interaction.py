"""Interaction: a click on one of our buttons, as Slack tells it: is it Slack's, and what is meant."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from services.alerter.notifier.callback import Signed, Told, any_fits, digests
from services.alerter.notifiers.slack.buttons import PREFIX, meant
from uproar.errors import Malformed
from uproar.incident import IncidentId
from uproar.notice import Language

TOLERANCE_SECONDS: Final = 300
MAX_NAME: Final = 80
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """
    How presses are read.

    Attributes:
        users: Ids of those whose presses count; empty for everybody in the workspace.
        language: In which the reason of a false alarm is written down.
        now: Wall clock: a snooze begins at it.
    """

    users: frozenset[str]
    language: Language
    now: datetime


class _User(msgspec.Struct):
    id: str
    username: str = ""
    name: str = ""


class _Place(msgspec.Struct):
    id: str = ""


class _Option(msgspec.Struct):
    value: str = ""


class _Action(msgspec.Struct):
    action_id: str = ""
    action_ts: str = ""
    value: str = ""
    selected_option: _Option | None = None


class _Container(msgspec.Struct):
    message_ts: str = ""


class _Payload(msgspec.Struct):
    type: str
    user: _User | None = None
    team: _Place | None = None
    channel: _Place | None = None
    container: _Container | None = None
    actions: list[_Action] = []
    response_url: str | None = None


def verifies(signed: Signed, secrets: Sequence[str], *, now: datetime) -> bool:
    """Tell whether Slack signed this within the last five minutes, with one of our secrets."""
    stamp = signed.headers.get("x-slack-request-timestamp", "")
    if not _TIMESTAMP.fullmatch(stamp):
        return False
    if abs(now.timestamp() - int(stamp)) > TOLERANCE_SECONDS:
        return False
    base = b"v0:" + stamp.encode("ascii") + b":" + signed.body
    expected = [f"v0={digest}" for digest in digests(base, secrets)]
    return any_fits([signed.headers.get("x-slack-signature", "")], expected)


def read_form(body: bytes, reader: Reader) -> list[Told]:
    """
    Read the body of a POST to /v1/slack/interactions.

    Args:
        body: A form with one field, ``payload``.
        reader: Who reads.

    Raises:
        Malformed: It is none.
    """
    try:
        form = parse_qs(body.decode("utf-8"), max_num_fields=20)
        return read(msgspec.json.decode(form["payload"][0]), reader)
    except (KeyError, ValueError, RecursionError) as error:
        raise Malformed("no interaction of Slack's") from error


def read(payload: Any, reader: Reader) -> list[Told]:
    """Read a payload, of a form or of Socket Mode; nothing where no button of ours was pressed."""
    try:
        said = msgspec.convert(payload, _Payload)
    except (msgspec.ValidationError, RecursionError) as error:
        raise Malformed("no interaction of Slack's") from error
    if said.type != "block_actions" or said.user is None:
        return []
    if reader.users and said.user.id not in reader.users:
        return []
    ours = [action for action in said.actions if action.action_id.startswith(PREFIX)]
    told = [_told(said, said.user, action, reader) for action in ours]
    return [one for one in told if one is not None]


def _told(said: _Payload, user: _User, action: _Action, reader: Reader) -> Told | None:
    value = action.selected_option.value if action.selected_option else action.value
    by = f"{_name(user)} (Slack)"
    understood = meant(action.action_id, value, by=by, language=reader.language, now=reader.now)
    if understood is None:
        return None
    incident, episode, act = understood
    place = (
        said.team.id if said.team else "",
        said.channel.id if said.channel else "",
        said.container.message_ts if said.container else "",
        action.action_id,
        action.action_ts,
        user.id,
    )
    return Told(
        key=":".join(place),
        incident=IncidentId(incident),
        episode=episode,
        act=act,
        reply_to=said.response_url,
    )


def _name(user: _User) -> str:
    name = " ".join(
        "".join(c if c.isprintable() else " " for c in user.name or user.username).split()
    )
    return name[:MAX_NAME] or user.id[:MAX_NAME]

"""Slack's Web API and incoming webhooks: one call, and what its answer means. It decides nothing."""

import json
import re
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from services.alerter.notifier import Refused, Retry, Unknown
from services.alerter.notifier.exchange import (
    MAX_ANSWER,
    Answer,
    Surroundings,
    failure,
    retry_after,
    send,
)

MAX_LIST: Final = 4 * 1024 * 1024
"""Bytes of an answer that lists messages: one of ours, with its blocks, is 3 to 15 KB."""
_ERROR: Final = re.compile(r"[a-z_]{1,80}")
_LIMITED: Final = {"ratelimited", "rate_limited", "message_limit_exceeded"}
_LATER: Final = {"service_unavailable", "request_timeout", "team_added_to_org"}
_MAYBE: Final = {"internal_error", "fatal_error"}  # "some aspect may have succeeded"
NO_SENSE: Final = Unknown("Slack: an answer that is none of its own")


class SlackError(NamedTuple):
    """Slack's own name for what it did not do."""

    error: str

    @property
    def outcome(self) -> Retry | Refused | Unknown:
        """What it means to the outbox."""
        reason = f"Slack: {self.error}"
        if self.error in _MAYBE:
            return Unknown(reason)
        return Retry(reason) if self.error in _LATER else Refused(reason)


Said = dict[str, Any] | SlackError | Retry | Refused | Unknown


class SlackApi:
    """
    Calls Slack with one token.

    Args:
        url: ``https://slack.com/api`` or a stand-in's.
        token: Goes into a header and nowhere else.
    """

    def __init__(self, url: str, token: str, surroundings: Surroundings) -> None:
        self._url, self._token, self._surroundings = url, token, surroundings

    async def call(self, method: str, arguments: dict[str, Any], *, form: bool = False) -> Said:
        """
        Call one method; ``form`` for those that read, which take no JSON.

        Returns:
            What it says where it says ok, Slack's error where it does not; otherwise an outcome.
        """
        kind = "application/x-www-form-urlencoded" if form else "application/json"
        body = urlencode(_flat(arguments)) if form else json.dumps(arguments)
        answer = await send(
            self._surroundings.client,
            f"{self._url}/{method}",
            body.encode(),
            headers={
                "Content-Type": f"{kind}; charset=utf-8",
                "Authorization": f"Bearer {self._token}",
            },
            most=MAX_LIST if form else MAX_ANSWER,
        )
        if not isinstance(answer, Answer):
            return answer
        return _failed(answer, self._surroundings) or _said(answer) or NO_SENSE


async def post_to_webhook(
    url: str, body: dict[str, Any], surroundings: Surroundings
) -> dict[str, Any] | SlackError | Retry | Refused | Unknown:
    """Post through an incoming webhook; an empty dict for its ``ok``."""
    answer = await send(
        surroundings.client,
        url,
        json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    if not isinstance(answer, Answer):
        return answer
    if failed := _failed(answer, surroundings):
        return failed
    if answer.text == "ok":
        return {}
    said = _said(answer)
    return said if isinstance(said, SlackError) else NO_SENSE


def _failed(answer: Answer, surroundings: Surroundings) -> Said | None:
    """Judge by the status what no method has answered."""
    now = surroundings.clock()
    if outcome := failure(answer, now=now):
        return outcome
    if answer.status == 503:
        return Retry("Slack: HTTP 503")
    if answer.status >= 500:
        return Unknown(f"Slack: HTTP {answer.status}")
    said = _said(answer)
    if isinstance(said, SlackError) and said.error in _LIMITED:
        return Retry(f"Slack: {said.error}", after=retry_after(answer, now=now))
    if answer.status >= 400:
        error = answer.text if _ERROR.fullmatch(answer.text) else ""
        return Refused(f"Slack: HTTP {answer.status} {error}".strip())
    return None


def _said(answer: Answer) -> dict[str, Any] | SlackError | None:
    """Read what a method says; None where it is not Slack's JSON."""
    try:
        said = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict) or not isinstance(said.get("ok"), bool):
        return None
    if said["ok"]:
        return said
    error = str(said.get("error"))
    return SlackError(error if _ERROR.fullmatch(error) else "an unnamed error")


def _flat(arguments: dict[str, Any]) -> dict[str, str]:
    return {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in arguments.items()}

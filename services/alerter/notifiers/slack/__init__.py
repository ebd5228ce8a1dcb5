"""Slack: one message an incident, updated and threaded; or an incoming webhook, which cannot."""

import json
import re
from datetime import timedelta
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urlencode

from pydantic import Field, SecretStr, field_validator, model_validator

from services.alerter.notifier import Delivery, Outcome, Refused, Retry, Sent, Unknown
from services.alerter.notifier.exchange import Answer, Surroundings, failure, retry_after, send
from services.alerter.notifier.options import ReceiverOptions, web_address
from services.alerter.notifiers.slack.blocks import Message, render, reply
from uproar.notice import NoticeKind
from uproar.routing import ReceiverName

_CHANNEL_ID: Final = re.compile(r"[CDG][A-Z0-9]{7,}")
_ERROR: Final = re.compile(r"[a-z0-9_.-]{1,80}")
_LIMITED: Final = {"ratelimited", "rate_limited", "message_limit_exceeded"}
_LATER: Final = {"service_unavailable", "request_timeout", "team_added_to_org"}
_MAYBE: Final = {"internal_error", "fatal_error"}  # "some aspect may have succeeded"
_TOO_MUCH: Final = {
    "invalid_blocks",
    "invalid_blocks_format",
    "invalid_metadata_format",
    "invalid_metadata_schema",
    "msg_blocks_too_long",
    "msg_too_long",
}
_NO_PARENT: Final = {  # the message to update is gone, or nobody may write to it any more
    "message_not_found",
    "cant_update_message",
    "edit_window_closed",
    "thread_not_found",
    "invalid_thread_ts",
    "cannot_reply_to_message",
    "restricted_action_thread_locked",
    "restricted_action_non_threadable_channel",
}
_LOOK_BACK: Final = timedelta(minutes=5)  # our clock and Slack's may differ
_PAGES: Final = 5  # of 200 messages each, looked through for a lost one
# An incoming webhook that exists says this to a message without text, and shows nobody anything.
_NO_TEXT: Final = {"no_text", "missing_text_or_fallback_or_attachments"}


class SlackOptions(ReceiverOptions):
    """
    ``token`` (a bot token with chat:write) and ``channel``, or ``webhook_url``.

    With the channel's id in place of its name, and the scope channels:history, a message whose
    receipt was lost is looked for before it is sent again.
    """

    token: SecretStr | None = None
    channel: str | None = Field(default=None, min_length=1, max_length=100)
    webhook_url: SecretStr | None = None
    api_url: str = "https://slack.com/api"

    @field_validator("token")
    @classmethod
    def _token(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not re.fullmatch(r"xox[a-z]-[\x21-\x7e]+", value.get_secret_value()):
            raise ValueError("must be a bot token, which begins with xoxb-")
        return value

    @field_validator("api_url")
    @classmethod
    def _api(cls, value: str) -> str:
        return web_address(value)

    @model_validator(mode="after")
    def _either(self) -> Self:
        bot = self.token is not None and self.channel is not None
        if (self.webhook_url is not None) == bot or (self.webhook_url and self.token):
            raise ValueError("give token and channel, or webhook_url")
        if self.webhook_url:
            web_address(self.webhook_url.get_secret_value())
        return self


class Ref(NamedTuple):
    """Where the message of an incident stands; written into ``Sent.ref`` as ``CHANNEL:TS``."""

    channel: str
    ts: str

    def __str__(self) -> str:
        return f"{self.channel}:{self.ts}"

    @classmethod
    def read(cls, text: str | None) -> "Ref | None":
        """Read a reference; None where there is none."""
        channel, colon, ts = (text or "").partition(":")
        return cls(channel, ts) if colon else None


class SlackError(NamedTuple):
    """Slack's own name for what it did not do."""

    error: str


class Slack:
    """
    Keeps one message an incident in a channel: posted, then updated, its steps in the thread.

    Slack knows no idempotency: each message carries its delivery's id as metadata, and after a lost
    answer the channel is searched for it. Where that is not allowed, the repeat says it may be one.
    """

    type: Final = "slack"
    options: Final = SlackOptions
    pages_only: Final = False

    def __init__(
        self, name: ReceiverName, options: SlackOptions, surroundings: Surroundings
    ) -> None:
        self.name = name
        self._options, self._surroundings = options, surroundings

    async def notify(self, delivery: Delivery) -> Outcome:
        """See :class:`services.alerter.notifier.Notifier`."""
        if self._options.webhook_url:
            said = render(delivery.notice, delivery.kind, repeated=delivery.doubtful, anew=True)
            return await self._post_to_webhook({"text": said.text, "blocks": list(said.blocks)})
        parent = Ref.read(delivery.parent_ref)
        if parent is None or delivery.kind in {NoticeKind.TRIGGER, NoticeKind.CANARY}:
            return await self._post(delivery)
        return await self._update(delivery, parent)

    async def check(self) -> Outcome:
        """Ask who we are; an incoming webhook is sent a message without text, which it refuses."""
        if self._options.webhook_url:
            outcome = await self._post_to_webhook({"text": ""})
            refused = isinstance(outcome, Refused) and outcome.reason.split()[-1] in _NO_TEXT
            return Sent() if refused else outcome
        answer = await self._call("auth.test", {})
        return Sent() if isinstance(answer, dict) else _as_outcome(answer)

    # -------------------------------------------------------------------------- with a bot token

    async def _post(self, delivery: Delivery) -> Outcome:
        """Post the message of an incident."""
        channel = str(self._options.channel)
        if delivery.doubtful and (found := await self._find(delivery, Ref(channel, ""))):
            return found
        said = render(delivery.notice, delivery.kind, repeated=delivery.doubtful)
        posted = await self._say("chat.postMessage", delivery, said, channel=channel)
        if isinstance(posted, Ref):
            return Sent(str(posted))
        return _as_outcome(posted)

    async def _update(self, delivery: Delivery, parent: Ref) -> Outcome:
        """Bring the message up to date, then say in its thread what happened."""
        said = render(delivery.notice, delivery.kind)
        updated = await self._say("chat.update", None, said, channel=parent.channel, ts=parent.ts)
        if isinstance(updated, SlackError) and updated.error in _NO_PARENT:
            return await self._post(delivery)
        if isinstance(updated, Unknown):
            return Retry(updated.reason)  # updating twice does no harm
        if not isinstance(updated, Ref):
            return _as_outcome(updated)
        if delivery.doubtful and (found := await self._find(delivery, parent)):
            return found
        replied = await self._say(
            "chat.postMessage",
            delivery,
            reply(delivery.notice, repeated=delivery.doubtful),
            channel=parent.channel,
            thread_ts=parent.ts,
            reply_broadcast=delivery.notice.page,  # who is paged must see it in the channel
        )
        if isinstance(replied, SlackError) and replied.error in _NO_PARENT:
            return await self._post(delivery)
        return Sent(str(parent)) if isinstance(replied, Ref) else _as_outcome(replied)

    async def _say(
        self, method: str, delivery: Delivery | None, said: Message, **where: Any
    ) -> Ref | SlackError | Outcome:
        """Post or update; without blocks where Slack takes none: a plain page is a page."""
        shape: dict[str, Any] = {"unfurl_links": False, "unfurl_media": False}
        metadata = {"metadata": _metadata(delivery)} if delivery else {}
        rich = {"text": said.text, "blocks": list(said.blocks), **metadata}
        answer = await self._call(method, where | shape | rich)
        if isinstance(answer, SlackError) and answer.error in _TOO_MUCH:
            answer = await self._call(method, where | shape | {"text": said.plain, "blocks": []})
        if not isinstance(answer, dict):
            return answer
        return Ref(str(answer.get("channel", where["channel"])), str(answer.get("ts", "")))

    async def _find(self, delivery: Delivery, place: Ref) -> Sent | Retry | None:
        """
        Look for a message that may have arrived, in a thread or a channel.

        Returns:
            Sent where it is there; Retry where Slack does not say now; None where it is not there or
            we may not look.
        """
        if not _CHANNEL_ID.fullmatch(place.channel):
            return None
        method = "conversations.replies" if place.ts else "conversations.history"
        query: dict[str, Any] = {"channel": place.channel, "include_all_metadata": True}
        query |= {"ts": place.ts} if place.ts else {}
        query |= {"oldest": f"{(delivery.created_at - _LOOK_BACK).timestamp():.6f}", "limit": 200}
        for _ in range(_PAGES):
            answer = await self._call(method, query, form=True)
            if isinstance(answer, SlackError | Refused):
                return None
            if not isinstance(answer, dict):
                return Retry(answer.reason, after=getattr(answer, "after", None))
            for found in answer.get("messages", []):
                if _delivery_id(found) == delivery.id:
                    return Sent(str(place if place.ts else Ref(place.channel, found["ts"])))
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return None
            query["cursor"] = cursor
        return None

    async def _call(
        self, method: str, arguments: dict[str, Any], *, form: bool = False
    ) -> dict[str, Any] | SlackError | Retry | Refused | Unknown:
        """Call one method of the Web API; the ones that read take forms, not JSON."""
        token = self._options.token.get_secret_value() if self._options.token else ""
        kind = "application/x-www-form-urlencoded" if form else "application/json"
        body = urlencode(_flat(arguments)) if form else json.dumps(arguments)
        answer = await send(
            self._surroundings.client,
            f"{self._options.api_url}/{method}",
            body.encode(),
            headers={"Content-Type": f"{kind}; charset=utf-8", "Authorization": f"Bearer {token}"},
        )
        if not isinstance(answer, Answer):
            return answer
        if outcome := self._failed(answer):
            return outcome
        return _said(answer) or Unknown("Slack: an answer that is none of its own")

    # --------------------------------------------------------------- with an incoming webhook

    async def _post_to_webhook(self, body: dict[str, Any]) -> Outcome:
        url = self._options.webhook_url
        answer = await send(
            self._surroundings.client,
            url.get_secret_value() if url else "",
            json.dumps(body | {"unfurl_links": False, "unfurl_media": False}).encode(),
            headers={"Content-Type": "application/json"},
        )
        if not isinstance(answer, Answer):
            return answer
        if outcome := self._failed(answer):
            return outcome
        if answer.text == "ok":
            return Sent()
        said = _said(answer)
        if isinstance(said, SlackError):
            return _as_outcome(said)
        return Unknown("Slack: an answer that is none of its own")

    def _failed(self, answer: Answer) -> Retry | Refused | Unknown | None:
        """Judge by the status what is no answer of the method itself."""
        now = self._surroundings.clock()
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
    except ValueError:
        return None
    if not isinstance(said, dict) or not isinstance(said.get("ok"), bool):
        return None
    if said["ok"]:
        return said
    error = str(said.get("error"))
    return SlackError(error if _ERROR.fullmatch(error) else "an unnamed error")


def _as_outcome(answer: SlackError | Ref | Outcome) -> Outcome:
    """Say what an error is to the outbox; the one who posts cannot be told apart from success."""
    if isinstance(answer, Ref):
        return Sent(str(answer))
    if not isinstance(answer, SlackError):
        return answer
    reason = f"Slack: {answer.error}"
    if answer.error in _MAYBE:
        return Unknown(reason)
    return Retry(reason) if answer.error in _LATER else Refused(reason)


def _metadata(delivery: Delivery) -> dict[str, Any]:
    payload = {"delivery_id": delivery.id, "incident": delivery.incident}
    return {"event_type": "uproar_delivery", "event_payload": payload}


def _delivery_id(found: Any) -> str | None:
    payload = ((found or {}).get("metadata") or {}).get("event_payload") or {}
    said = payload.get("delivery_id")
    return str(said) if said is not None else None


def _flat(arguments: dict[str, Any]) -> dict[str, str]:
    return {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in arguments.items()}

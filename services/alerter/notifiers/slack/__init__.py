"""Slack: one message an incident, updated and threaded; or an incoming webhook, which cannot."""

import json
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from services.alerter.notifier import Delivery, Outcome, Pace, Refused, Retry, Sent, Unknown
from services.alerter.notifier.callback import Nothing, Signed, Take, Told, inside
from services.alerter.notifier.exchange import Surroundings, send
from services.alerter.notifier.options import ReceiverOptions, web_address
from services.alerter.notifiers.slack import interaction
from services.alerter.notifiers.slack.api import NO_SENSE, SlackApi, SlackError, post_to_webhook
from services.alerter.notifiers.slack.blocks import BUNDLE, Message, bundle, render, reply
from services.alerter.notifiers.slack.buttons import REPLIES, actions
from services.alerter.notifiers.slack.socket_mode import SocketMode
from uproar.errors import Malformed
from uproar.notice import Language, NoticeKind
from uproar.routing import ReceiverName

_CHANNEL_ID: Final = re.compile(r"[CDG][A-Z0-9]{7,}")
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
_PAGES: Final = 10  # looked through for a lost message, with so many in each:
_IN_A_PAGE: Final = 50
# An incoming webhook that exists says this to a message without text, and shows nobody anything.
_NO_TEXT: Final = {"no_text", "missing_text_or_fallback_or_attachments"}
_QUIET: Final = {"unfurl_links": False, "unfurl_media": False}  # no hostile post in the war room


class SlackOptions(ReceiverOptions):
    """
    ``token`` (a bot token with chat:write) and ``channel``, or ``webhook_url``.

    With the channel's id in place of its name, and the scope channels:history, a message whose
    receipt was lost is looked for before it is sent again.

    Messages have buttons where a press can reach us: with ``signing_secret`` Slack POSTs it to
    /v1/slack/interactions; with ``app_token`` (xapp-..., scope connections:write) we fetch it
    through Socket Mode, behind any firewall. ``users`` limits whose presses count.
    """

    token: SecretStr | None = None
    channel: str | None = Field(default=None, min_length=1, max_length=100)
    webhook_url: SecretStr | None = None
    signing_secret: SecretStr | None = None
    previous_signing_secret: SecretStr | None = None
    app_token: SecretStr | None = None
    users: tuple[str, ...] = ()
    api_url: str = "https://slack.com/api"

    @field_validator("token")
    @classmethod
    def _token(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not re.fullmatch(r"xox[a-z]-[\x21-\x7e]+", value.get_secret_value()):
            raise ValueError("must be a bot token, which begins with xoxb-")
        return value

    @field_validator("app_token")
    @classmethod
    def _app_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not re.fullmatch(r"xapp-[\x21-\x7e]+", value.get_secret_value()):
            raise ValueError("must be an app-level token, which begins with xapp-")
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
        if self.webhook_url and (self.signing_secret or self.app_token):
            raise ValueError("an incoming webhook has no buttons: give token and channel for them")
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


class Slack:
    """
    Keeps one message an incident in a channel: posted, then updated, its steps in the thread.

    Slack knows no idempotency: each message carries its delivery's id as metadata, and after a lost
    answer the channel is searched for it. Where that is not allowed, the repeat says it may be one.
    What people press on a message comes back signed (``read``) or through a socket (``listen``).
    """

    type: Final = "slack"
    options: Final = SlackOptions
    pages_only: Final = False
    # One message a second and channel; chat.update, before each reply, 50 a minute.
    pace: Final = Pace(every=timedelta(seconds=1.2), bundle=BUNDLE)

    def __init__(
        self, name: ReceiverName, options: SlackOptions, surroundings: Surroundings
    ) -> None:
        self.name = name
        self._surroundings = surroundings
        self._hook = options.webhook_url and options.webhook_url.get_secret_value()
        self._channel = options.channel or ""
        token = options.token.get_secret_value() if options.token else ""
        self._api = SlackApi(options.api_url, token, surroundings)
        self._language = options.language or Language.EN
        self._users = frozenset(options.users)
        secrets = (options.signing_secret, options.previous_signing_secret)
        self._signing = [secret.get_secret_value() for secret in secrets if secret]
        self._socket = None
        if options.app_token:
            app = options.app_token.get_secret_value()
            self._socket = SocketMode(SlackApi(options.api_url, app, surroundings))
        self._answers_at = {"hooks.slack.com", urlsplit(options.api_url).netloc}

    @property
    def problem(self) -> str | None:
        """Why no press of a button reaches us through the socket; None where all is well."""
        return self._socket.problem if self._socket else None

    async def notify(self, delivery: Delivery) -> Outcome:
        """See :class:`services.alerter.notifier.Notifier`."""
        if self._hook:
            return await self._post_to_webhook(self._hook, delivery)
        parent = Ref.read(delivery.parent_ref)
        if parent is None or delivery.kind in {NoticeKind.TRIGGER, NoticeKind.CANARY}:
            return await self._post(delivery)
        return await self._update(delivery, parent)

    async def check(self) -> Outcome:
        """Ask who we are; an incoming webhook is sent a message without text, which it refuses."""
        if self._hook:
            answer = await post_to_webhook(self._hook, {"text": ""}, self._surroundings)
            if isinstance(answer, Refused) and answer.reason.split()[-1] in _NO_TEXT:
                return Sent()
        else:
            answer = await self._api.call("auth.test", {})
        return Sent() if isinstance(answer, dict) else _outcome(answer)

    # ------------------------------------------------------------------ what people press

    def verifies(self, signed: Signed, *, now: datetime) -> bool:
        """See :class:`services.alerter.notifier.callback.Listener`."""
        return interaction.verifies(signed, self._signing, now=now)

    def read(self, body: bytes) -> Sequence[Told]:
        """See :class:`services.alerter.notifier.callback.Listener`."""
        return interaction.read_form(body, self._reader())

    async def listen(self, take: Take) -> None:
        """See :class:`services.alerter.notifier.callback.Dialling`."""
        if self._socket is None:
            return

        async def hear(payload: Any) -> None:
            try:
                told = interaction.read(payload, self._reader())
            except Malformed:
                return
            for one in told:
                await take(one)

        await self._socket.run(hear)

    def _reader(self) -> interaction.Reader:
        return interaction.Reader(
            users=self._users, language=self._language, now=self._surroundings.clock()
        )

    async def reply(self, told: Told, why: Nothing) -> None:
        """Say it to the person alone; the address is Slack's own, or nothing is sent."""
        address = urlsplit(told.reply_to or "")
        if address.netloc in self._answers_at and address.scheme in {"https", "http"}:
            said: dict[str, Any] = {"response_type": "ephemeral", "replace_original": False}
            said |= {"text": REPLIES[self._language][why]}
            await send(
                self._surroundings.client,
                address.geturl(),
                json.dumps(said).encode(),
                headers={"Content-Type": "application/json"},
            )

    # --------------------------------------------------------------------- what we send

    async def _post_to_webhook(self, hook: str, delivery: Delivery) -> Outcome:
        if delivery.bundle:
            said = bundle([delivery.notice, *delivery.bundle], repeated=delivery.doubtful)
        else:
            said = render(delivery.notice, delivery.kind, repeated=delivery.doubtful, anew=True)
        body = _QUIET | {"text": said.text, "blocks": list(said.blocks)}
        answer = await post_to_webhook(hook, body, self._surroundings)
        return Sent() if isinstance(answer, dict) else _outcome(answer)

    async def _post(self, delivery: Delivery) -> Outcome:
        """Post the message of an incident."""
        if delivery.doubtful and (found := await self._find(delivery, Ref(self._channel, ""))):
            return found
        said = self._render(delivery, repeated=delivery.doubtful)
        posted = await self._say("chat.postMessage", delivery, said, channel=self._channel)
        return Sent(str(posted)) if isinstance(posted, Ref) else _outcome(posted)

    async def _update(self, delivery: Delivery, parent: Ref) -> Outcome:
        """Bring the message up to date, then say in its thread what happened."""
        said = self._render(delivery)
        updated = await self._say("chat.update", None, said, channel=parent.channel, ts=parent.ts)
        if isinstance(updated, SlackError) and updated.error in _NO_PARENT:
            return await self._post(delivery)
        if isinstance(updated, Unknown):
            return Retry(updated.reason)  # updating twice does no harm
        if not isinstance(updated, Ref):
            return _outcome(updated)
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
        return Sent(str(parent)) if isinstance(replied, Ref) else _outcome(replied)

    def _render(self, delivery: Delivery, *, repeated: bool = False) -> Message:
        if delivery.bundle:
            return bundle([delivery.notice, *delivery.bundle], repeated=repeated)
        buttons: list[dict[str, Any]] = []
        if (self._signing or self._socket) and delivery.kind is not NoticeKind.CANARY:
            buttons = actions(delivery.notice, delivery.episode)
        return render(delivery.notice, delivery.kind, repeated=repeated, buttons=buttons)

    async def _say(
        self, method: str, delivery: Delivery | None, said: Message, **where: Any
    ) -> Ref | SlackError | Retry | Refused | Unknown:
        """Post or update; without blocks where Slack takes none: a plain page is a page."""
        rich: dict[str, Any] = {"text": said.text, "blocks": list(said.blocks)}
        if delivery:
            rich["metadata"] = _metadata(delivery)
        answer = await self._api.call(method, where | _QUIET | rich)
        if isinstance(answer, SlackError) and answer.error in _TOO_MUCH:
            plain = {"text": said.plain, "blocks": []}
            answer = await self._api.call(method, where | _QUIET | plain)
        if not isinstance(answer, dict):
            return answer
        return Ref(str(answer.get("channel", where["channel"])), str(answer.get("ts", "")))

    async def _find(self, delivery: Delivery, place: Ref) -> Sent | Retry | None:
        """
        Look for a message that may have arrived, in a thread or a channel.

        Returns:
            Sent where it is there; Retry where Slack does not say now; None where it is not there,
            where we may not look, and where nobody can read what Slack says: a page that may come
            twice is better than none.
        """
        if not _CHANNEL_ID.fullmatch(place.channel):
            return None
        method = "conversations.replies" if place.ts else "conversations.history"
        query: dict[str, Any] = {"channel": place.channel, "include_all_metadata": True}
        query |= {"ts": place.ts} if place.ts else {}
        query |= {"oldest": f"{(delivery.created_at - _LOOK_BACK).timestamp():.6f}"}
        query |= {"limit": _IN_A_PAGE}
        for _ in range(_PAGES):
            answer = await self._api.call(method, query, form=True)
            if not isinstance(answer, dict):
                outcome = _outcome(answer)
                if outcome is NO_SENSE or isinstance(outcome, Refused):
                    return None
                return Retry(outcome.reason, after=getattr(outcome, "after", None))
            found = answer.get("messages")
            for message in found if isinstance(found, list) else ():
                if inside(message, "metadata", "event_payload", "delivery_id") == delivery.id:
                    return Sent(str(place if place.ts else Ref(place.channel, message["ts"])))
            query["cursor"] = inside(answer, "response_metadata", "next_cursor")
            if not query["cursor"]:
                return None
        return None


def _outcome(answer: SlackError | Retry | Refused | Unknown) -> Retry | Refused | Unknown:
    return answer.outcome if isinstance(answer, SlackError) else answer


def _metadata(delivery: Delivery) -> dict[str, Any]:
    payload = {"delivery_id": delivery.id, "incident": delivery.incident}
    return {"event_type": "uproar_delivery", "event_payload": payload}

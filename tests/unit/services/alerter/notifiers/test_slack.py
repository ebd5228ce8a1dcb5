from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI

from services.alerter.notifier import Refused, Retry, Sent, Unknown
from services.alerter.notifier.callback import Nothing, Signed
from services.alerter.notifier.exchange import Surroundings
from services.alerter.notifier.options import read_options
from services.alerter.notifiers.slack import Slack, SlackOptions
from services.alerter.settings import ReceiverTable
from services.demo.standins import slack as standin
from services.demo.standins.ledger import Ledger
from services.demo.standins.slack import CHANNEL, HOOK, TOKEN, SlackStandIn
from services.demo.standins.slack_clicks import SIGNING_SECRET, signed
from tests.build import NOON
from tests.outbox import a_delivery, a_notice
from uproar.errors import Misconfigured
from uproar.incident import State
from uproar.notice import NoticeKind
from uproar.routing import ReceiverName

BOT = {"token": TOKEN, "channel": CHANNEL, "api_url": "http://localhost/slack/api"}
HOOK_URL = {"webhook_url": f"http://localhost/slack/services/{HOOK}"}


def options(**given) -> SlackOptions:
    return read_options(SlackOptions, ReceiverTable(name="pr", type="slack", options=given))


class Workspace:
    """Slack's stand-in without a socket; ``script`` answers in its place, method by method."""

    def __init__(self) -> None:
        self.slack = SlackStandIn(ledger=Ledger(clock=lambda: NOON))
        self.script: dict[str, list[httpx.Response | Exception]] = {}
        self.calls: list[str] = []
        app = FastAPI()
        app.include_router(standin.router(self.slack))
        self._transport = httpx.ASGITransport(app)

    def notifier(self, **given) -> Slack:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))
        surroundings = Surroundings(client=client, installation="i1", clock=lambda: NOON)
        return Slack(ReceiverName("pr"), options(**(given or BOT)), surroundings)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        method = request.url.path.rsplit("/", 1)[-1]
        self.calls.append(method)
        if waiting := self.script.get(method):
            step = waiting.pop(0)
            if isinstance(step, Exception):
                raise step
            return step
        return await self._transport.handle_async_request(request)

    def says(self, method: str, status: int = 200, body: bytes = b"", **headers: str) -> None:
        stream = httpx.ByteStream(body)
        answer = httpx.Response(status, stream=stream, headers=headers)
        self.script.setdefault(method, []).append(answer)

    def errs(self, method: str, error: str) -> None:
        self.says(method, body=b'{"ok":false,"error":"%s"}' % error.encode())

    def loses(self, method: str) -> None:
        self.script.setdefault(method, []).append(httpx.ReadTimeout("lost"))


@pytest.fixture
def workspace() -> Workspace:
    return Workspace()


def ack(**given):
    notice = a_notice(state=State.ACKNOWLEDGED, title="anna is on it: x", changed="anna took it on.",
                      standing="anna is on it.", page=False)  # fmt: skip
    defaults = {"id": "01J0B", "sequence": 2, "kind": NoticeKind.ACKNOWLEDGE, "notice": notice}
    return a_delivery(**defaults | given)


# ------------------------------------------------------------------------- with a bot token


async def test_a_trigger_is_one_message_and_its_place_is_remembered(workspace):
    outcome = await workspace.notifier().notify(a_delivery())
    (message,) = workspace.slack.top_level()
    assert outcome == Sent(f"{CHANNEL}:{message.ts}")
    assert message.metadata["event_payload"] == {"delivery_id": "01J0A", "incident": "e_1"}
    body = workspace.slack.ledger.messages[0].body
    assert body["unfurl_links"] is False
    assert body["unfurl_media"] is False
    assert "Nobody is on it yet." in body["text"]


async def test_later_deliveries_update_the_message_and_speak_in_its_thread(workspace):
    first = await workspace.notifier().notify(a_delivery())
    second = await workspace.notifier().notify(ack(parent_ref=first.ref))
    assert second == first
    (message,) = workspace.slack.top_level()
    assert message.edited == 1
    assert message.blocks[0]["text"]["text"].startswith(
        "👀 Backlash against Air Quillon: 40 people"
    )
    assert "anna is on it." in message.blocks[1]["text"]["text"]
    (reply,) = workspace.slack.thread(message.ts)
    assert reply.text == "👀 anna is on it: x"
    assert not reply.broadcast


async def test_a_page_in_a_thread_is_shown_in_the_channel_too(workspace):
    first = await workspace.notifier().notify(a_delivery())
    rise = a_delivery(id="01J0B", sequence=2, kind=NoticeKind.UPDATE, parent_ref=first.ref)
    await workspace.notifier().notify(rise)
    (reply,) = workspace.slack.thread(workspace.slack.top_level()[0].ts)
    assert reply.broadcast
    assert "Answer well" in reply.blocks[0]["text"]["text"]


async def test_a_trigger_of_an_incident_told_before_is_a_new_message(workspace):
    first = await workspace.notifier().notify(a_delivery())
    await workspace.notifier().notify(a_delivery(id="01J0B", sequence=4, parent_ref=first.ref))
    assert len(workspace.slack.top_level()) == 2


async def test_an_update_of_what_was_never_posted_is_posted(workspace):
    outcome = await workspace.notifier().notify(ack())
    (message,) = workspace.slack.top_level()
    assert outcome == Sent(f"{CHANNEL}:{message.ts}")
    assert message.blocks[0]["text"]["text"].startswith("👀 Backlash against")


async def test_when_people_delete_the_message_the_next_one_is_posted_anew(workspace):
    first = await workspace.notifier().notify(a_delivery())
    workspace.slack.delete(first.ref.partition(":")[2])
    second = await workspace.notifier().notify(ack(parent_ref=first.ref))
    assert second != first
    assert [second] == [Sent(f"{CHANNEL}:{m.ts}") for m in workspace.slack.top_level()]


@pytest.mark.parametrize(
    "error", ["message_not_found", "edit_window_closed", "cant_update_message"]
)
async def test_a_message_that_cannot_be_updated_is_replaced(workspace, error):
    first = await workspace.notifier().notify(a_delivery())
    workspace.errs("chat.update", error)
    second = await workspace.notifier().notify(ack(parent_ref=first.ref))
    assert second != first
    assert len(workspace.slack.top_level()) == 2


async def test_a_thread_that_is_locked_is_left_for_a_new_message(workspace):
    first = await workspace.notifier().notify(a_delivery())
    workspace.errs("chat.postMessage", "restricted_action_thread_locked")
    second = await workspace.notifier().notify(ack(parent_ref=first.ref))
    assert isinstance(second, Sent)
    assert second != first


@pytest.mark.parametrize("error", ["invalid_blocks", "msg_blocks_too_long", "msg_too_long"])
async def test_blocks_that_slack_does_not_take_are_left_out(workspace, error):
    workspace.errs("chat.postMessage", error)
    assert isinstance(await workspace.notifier().notify(a_delivery()), Sent)
    (message,) = workspace.slack.top_level()
    assert message.blocks == []
    assert "13 times the usual" in message.text


# --------------------------------------------------------------------- after a lost answer


async def test_a_message_that_did_arrive_is_found_and_not_sent_again(workspace):
    first = await workspace.notifier().notify(a_delivery())
    assert await workspace.notifier().notify(a_delivery(doubtful=True)) == first
    assert len(workspace.slack.top_level()) == 1


async def test_a_message_that_did_not_arrive_is_sent_and_says_it_may_be_a_repeat(workspace):
    await workspace.notifier().notify(a_delivery(id="01J09"))
    outcome = await workspace.notifier().notify(a_delivery(doubtful=True))
    assert isinstance(outcome, Sent)
    assert "This may be a repeat" in workspace.slack.top_level()[1].text


async def test_a_reply_that_did_arrive_is_not_sent_again(workspace):
    first = await workspace.notifier().notify(a_delivery())
    await workspace.notifier().notify(ack(parent_ref=first.ref))
    again = await workspace.notifier().notify(ack(parent_ref=first.ref, doubtful=True))
    assert again == first
    assert len(workspace.slack.thread(first.ref.partition(":")[2])) == 1


async def test_a_long_channel_is_searched_page_by_page(workspace):
    first = await workspace.notifier().notify(a_delivery())
    for n in range(120):
        workspace.slack.post_message({"channel": CHANNEL, "text": f"{n}"})
    workspace.calls.clear()
    assert await workspace.notifier().notify(a_delivery(doubtful=True)) == first
    assert workspace.calls == ["conversations.history"] * 3


async def test_a_search_ends_where_a_channel_never_does(workspace):
    for n in range(600):
        workspace.slack.post_message({"channel": CHANNEL, "text": f"{n}"})
    await workspace.notifier().notify(a_delivery(doubtful=True))
    assert workspace.calls == [*["conversations.history"] * 10, "chat.postMessage"]


async def test_in_a_busy_channel_a_lost_page_is_found_or_sent(workspace):
    """Forty pages of ours are more than 100 KB of JSON."""
    notifier = workspace.notifier(**BOT, signing_secret=SIGNING_SECRET)
    notice = a_notice(quotes=a_notice().quotes * 3)
    for n in range(40):
        await notifier.notify(a_delivery(id=f"01J0B{n:02}", notice=notice))
    outcome = await notifier.notify(a_delivery(doubtful=True))
    assert isinstance(outcome, Sent)
    assert "This may be a repeat" in workspace.slack.top_level()[-1].text
    assert await notifier.notify(a_delivery(doubtful=True)) == outcome
    assert len(workspace.slack.top_level()) == 41


@pytest.mark.parametrize("said", [b"", b"<html>a proxy's page</html>", b'{"ok":true,"messages":[{'])
async def test_a_history_that_nobody_can_read_holds_no_page_back(workspace, said):
    workspace.says("conversations.history", body=said)
    outcome = await workspace.notifier().notify(a_delivery(doubtful=True))
    assert isinstance(outcome, Sent)
    assert "This may be a repeat" in workspace.slack.top_level()[0].text


async def test_who_may_not_search_repeats_and_says_so(workspace):
    workspace.slack.readable = False
    await workspace.notifier().notify(a_delivery(doubtful=True))
    assert "This may be a repeat" in workspace.slack.top_level()[0].text


async def test_a_channel_known_by_name_only_cannot_be_searched(workspace):
    bot = BOT | {"channel": "#pr-crisis"}
    outcome = await workspace.notifier(**bot).notify(a_delivery(doubtful=True))
    assert isinstance(outcome, Sent)
    assert workspace.calls == ["chat.postMessage"]


@pytest.mark.parametrize("failure", ["lost", "limited", "broken"])
async def test_while_the_search_fails_nothing_is_sent(workspace, failure):
    if failure == "lost":
        workspace.loses("conversations.history")
    elif failure == "broken":
        workspace.errs("conversations.history", "internal_error")
    else:
        workspace.says("conversations.history", 429, **{"retry-after": "9"})
    outcome = await workspace.notifier().notify(a_delivery(doubtful=True))
    assert isinstance(outcome, Retry)
    assert outcome.after == (timedelta(seconds=9) if failure == "limited" else None)
    assert workspace.slack.top_level() == []


@pytest.mark.parametrize(
    "found",
    [b'{"ok":true}', b'{"ok":true,"messages":[null,{},{"metadata":{}},{"metadata":[]}]}',
     b'{"ok":true,"messages":[{"metadata":{"event_payload":null}}]}',
     b'{"ok":true,"messages":5}', b'{"ok":true,"messages":["a"],"response_metadata":7}'],
)  # fmt: skip
async def test_a_strange_history_hides_nothing(workspace, found):
    workspace.says("conversations.history", body=found)
    assert isinstance(await workspace.notifier().notify(a_delivery(doubtful=True)), Sent)


# ---------------------------------------------------------------------- what came of it


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("ratelimited", Retry), ("rate_limited", Retry), ("message_limit_exceeded", Retry),
        ("service_unavailable", Retry), ("request_timeout", Retry),
        ("internal_error", Unknown), ("fatal_error", Unknown),
        ("channel_not_found", Refused), ("not_in_channel", Refused), ("is_archived", Refused),
        ("invalid_auth", Refused), ("token_revoked", Refused), ("account_inactive", Refused),
        ("missing_scope", Refused), ("restricted_action", Refused), ("something_new", Refused),
    ],
)  # fmt: skip
async def test_slacks_errors_are_told_apart(workspace, error, kind):
    workspace.errs("chat.postMessage", error)
    outcome = await workspace.notifier().notify(a_delivery())
    assert isinstance(outcome, kind)
    assert outcome.reason == f"Slack: {error}"
    if "limit" in error:
        assert outcome.after == timedelta(seconds=30)


async def test_too_many_requests_wait_as_long_as_slack_asks(workspace):
    workspace.says("chat.postMessage", 429, b"", **{"retry-after": "17"})
    outcome = await workspace.notifier().notify(a_delivery())
    assert isinstance(outcome, Retry)
    assert outcome.after == timedelta(seconds=17)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"ok":1}', b"\xff", b"null"])
async def test_an_answer_that_is_no_sense_may_follow_a_message(workspace, body):
    workspace.says("chat.postMessage", body=body)
    assert isinstance(await workspace.notifier().notify(a_delivery()), Unknown)


async def test_an_error_that_is_no_word_is_not_repeated(workspace):
    workspace.says("chat.postMessage", body=b'{"ok":false,"error":"<script> xoxb-1"}')
    outcome = await workspace.notifier().notify(a_delivery())
    assert outcome == Refused("Slack: an unnamed error")


async def test_an_update_whose_answer_was_lost_is_done_again_without_doubt(workspace):
    first = await workspace.notifier().notify(a_delivery())
    workspace.loses("chat.update")
    outcome = await workspace.notifier().notify(ack(parent_ref=first.ref))
    assert isinstance(outcome, Retry)


async def test_a_reply_whose_answer_was_lost_is_in_doubt(workspace):
    first = await workspace.notifier().notify(a_delivery())
    workspace.loses("chat.postMessage")
    outcome = await workspace.notifier().notify(ack(parent_ref=first.ref))
    assert isinstance(outcome, Unknown)


async def test_an_update_that_is_refused_is_refused(workspace):
    first = await workspace.notifier().notify(a_delivery())
    workspace.errs("chat.update", "token_revoked")
    outcome = await workspace.notifier().notify(ack(parent_ref=first.ref))
    assert outcome == Refused("Slack: token_revoked")


async def test_a_check_shows_nobody_anything(workspace):
    assert await workspace.notifier().check() == Sent()
    bad = BOT | {"token": "xoxb-wrong"}
    assert await workspace.notifier(**bad).check() == Refused("Slack: invalid_auth")
    assert workspace.slack.top_level() == []


# --------------------------------------------------------------------- an incoming webhook


async def test_an_incoming_webhook_posts_anew_and_says_that_it_cannot_update(workspace):
    notifier = workspace.notifier(**HOOK_URL)
    assert await notifier.notify(a_delivery()) == Sent(None)
    assert await notifier.notify(ack()) == Sent(None)
    first, second = workspace.slack.top_level()
    assert "cannot update" not in first.text
    assert "an incoming webhook cannot update the earlier one" in second.text
    assert second.blocks[0]["text"]["text"] == "👀 anna is on it: x"


async def test_a_doubtful_message_through_an_incoming_webhook_says_so(workspace):
    await workspace.notifier(**HOOK_URL).notify(a_delivery(doubtful=True))
    assert "This may be a repeat" in workspace.slack.top_level()[0].text


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (400, b"invalid_payload", Refused("Slack: HTTP 400 invalid_payload")),
        (403, b"action_prohibited", Refused("Slack: HTTP 403 action_prohibited")),
        (404, b"no_service", Refused("Slack: HTTP 404 no_service")),
        (410, b"channel_is_archived", Refused("Slack: HTTP 410 channel_is_archived")),
        (404, b"<b>https://hooks.slack.com/x</b>", Refused("Slack: HTTP 404")),
        (500, b"rollup_error", Unknown("Slack: HTTP 500")),
        (503, b"", Retry("Slack: HTTP 503")),
        (200, b"fine", Unknown("Slack: an answer that is none of its own")),
        (200, b'{"ok":false,"error":"no_team"}', Refused("Slack: no_team")),
    ],
)
async def test_the_answers_of_an_incoming_webhook_are_told_apart(workspace, status, body, outcome):
    workspace.says(HOOK.rsplit("/", 1)[-1], status, body)
    assert await workspace.notifier(**HOOK_URL).notify(a_delivery()) == outcome


async def test_an_incoming_webhook_is_checked_without_a_message(workspace):
    assert await workspace.notifier(**HOOK_URL).check() == Sent()
    wrong = {"webhook_url": HOOK_URL["webhook_url"] + "x"}
    assert await workspace.notifier(**wrong).check() == Refused("Slack: HTTP 404 no_service")
    assert workspace.slack.top_level() == []


# ---------------------------------------------------------------------------- its options


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, "give token and channel, or webhook_url"),
        ({"token": TOKEN}, "give token and channel, or webhook_url"),
        ({"channel": "C1"}, "give token and channel, or webhook_url"),
        (BOT | HOOK_URL, "give token and channel, or webhook_url"),
        ({"token": TOKEN} | HOOK_URL, "give token and channel, or webhook_url"),
        (BOT | {"token": "abc"}, "token: .*begins with xoxb-"),
        (BOT | {"token": "xoxb-1\r\nX: y"}, "token: .*begins with xoxb-"),
        (BOT | {"channel": ""}, "channel: "),
        (BOT | {"api_url": "http://slack.example"}, "api_url: .*https"),
        ({"webhook_url": "http://hooks.example/x"}, "must be https"),
    ],
)
def test_wrong_options_are_told(given, reason):
    with pytest.raises(Misconfigured, match=f"receiver 'pr': .*{reason}") as caught:
        options(**given)
    assert "xoxb-standin" not in str(caught.value)
    assert "hooks.example" not in str(caught.value)


def test_a_token_is_shown_to_nobody():
    assert TOKEN not in repr(options(**BOT))
    assert HOOK not in repr(options(**HOOK_URL))


# ------------------------------------------------------------------------------- the way back


def pressed(user: str = "U1", **given) -> dict:
    action = {"action_id": "uproar_acknowledge", "value": "1:e_1", "action_ts": "1.0"}
    return {
        "type": "block_actions",
        "user": {"id": user, "name": "anna"},
        "actions": [action],
    } | given


def test_only_those_who_are_named_may_press_where_some_are_named():
    slack = Workspace().notifier(**BOT, signing_secret="s", users=["U1"])
    read = lambda payload: slack.read(signed(payload, now=NOON, secret="s")[0])
    assert [told.act.by for told in read(pressed())] == ["anna (Slack)"]
    assert read(pressed(user="U2")) == []


def test_without_a_way_back_there_are_no_buttons_and_nothing_is_trusted():
    slack = Workspace().notifier()
    body, headers = signed(pressed(), now=NOON, secret="")
    lower = {name.lower(): value for name, value in headers.items()}
    assert not slack.verifies(Signed(headers=lower, body=body), now=NOON)
    assert slack.problem is None


async def test_the_buttons_follow_where_the_incident_stands():
    workspace = Workspace()
    slack = workspace.notifier(**BOT, signing_secret="s")
    first = await slack.notify(a_delivery())
    (message,) = workspace.slack.top_level()
    assert message.blocks[-1]["type"] == "actions"
    over = a_notice(state=State.RESOLVED)
    await slack.notify(
        a_delivery(
            id="01J0B", sequence=2, kind=NoticeKind.RESOLVE, notice=over, parent_ref=first.ref
        )
    )
    assert all(block["type"] != "actions" for block in message.blocks)


@pytest.mark.parametrize(
    "address", [None, "", "http://169.254.169.254/x", "https://evil.example/", "file:///etc/passwd"]
)
async def test_a_person_is_answered_at_slacks_own_address_only(address):
    workspace = Workspace()
    slack = workspace.notifier(**BOT, signing_secret="s")
    (told,) = slack.read(signed(pressed(response_url=address), now=NOON, secret="s")[0])
    await slack.reply(told, Nothing.LATE)
    assert workspace.calls == []


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"app_token": "xoxb-1"}, "xapp-"),
        ({"signing_secret": "s"}, "no buttons"),
    ],
)
def test_a_way_back_that_cannot_be_is_refused(given, reason):
    with pytest.raises(Misconfigured, match=reason):
        options(**(HOOK_URL if "signing_secret" in given else BOT), **given)

"""What every notifier promises, whatever its channel: one table of failures, one of hostile texts."""

import asyncio
import logging
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import httpx
import pytest
import pytest_asyncio
import structlog
from standardwebhooks.webhooks import Webhook as Oracle
from structlog.testing import LogCapture

from services.alerter import deliver
from services.alerter.notifier import Notifier, Refused, Retry, Sent, Unknown
from services.alerter.notifier.exchange import Surroundings
from services.alerter.notifiers import NOTIFIERS, build, new_client, receivers, trial_delivery
from services.alerter.settings import ReceiverTable
from services.demo.standins import Fault, StandIns
from services.demo.standins.page import mrkdwn
from services.demo.standins.slack import HOOK
from tests.build import a_backlash, a_subject, some_evidence
from tests.outbox import LINK, MemoryOutbox, a_delivery, a_notice
from uproar.incident import Act, Incident, Verb, advance
from uproar.notice import Notice, NoticeKind, notice
from uproar.routing import ReceiverName

SECRETS = (
    StandIns.token,
    StandIns.routing_key,
    StandIns.secret,
    StandIns.secret.removeprefix("whsec_"),
    HOOK,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

# A notifier of each type, and Slack's incoming webhook, which is a receiver of its own.
# What people read, they read as text: these are not HTML or mrkdwn, where a mark could act.
VARIANTS = ("slack", "slack-hook", "pagerduty", "webhook", "email", "alertmanager")


def now() -> datetime:
    return datetime.now(UTC)


def tables(standins: StandIns) -> list[ReceiverTable]:
    given = standins.tables()
    hook = {"webhook_url": standins.webhook_url}
    options = {"slack-hook": hook} | given
    return [
        ReceiverTable(name=name, type=name.split("-")[0], options=options[name])
        for name in VARIANTS
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running():
    async with StandIns() as standins, new_client() as client:
        yield standins, client


@pytest.fixture
def standins(running) -> StandIns:
    standins = running[0]
    for kept in (
        standins.messages,
        standins.slack.messages,
        standins.pagerduty.alerts,
        standins.webhook.ids,
        standins.mail.letters,
        standins.alertmanager.alerts,
        standins.troubles.waiting,
    ):
        kept.clear()
    return standins


@pytest.fixture
def notifiers(running, standins) -> dict[ReceiverName, Notifier]:
    surroundings = Surroundings(client=running[1], installation="i1", clock=now)
    return build(tables(standins), surroundings)


@pytest.fixture(params=VARIANTS)
def notifier(request, notifiers) -> Notifier:
    return notifiers[ReceiverName(request.param)]


def fresh(**given):
    return a_delivery(created_at=now(), **given)


def a_worker(notifier: Notifier, outbox: MemoryOutbox, **given) -> deliver.Deliverer:
    return deliver.Deliverer(
        outbox,
        {notifier.name: notifier},
        clock=now,
        rng=Random(1),
        owner="test",
        written=asyncio.Event(),
        **given,
    )


async def test_the_table_of_variants_names_every_type():
    assert {name.split("-")[0] for name in VARIANTS} == set(NOTIFIERS)


# -------------------------------------------------------------------------------- outcomes


async def test_what_is_taken_is_sent(standins, notifier):
    assert isinstance(await notifier.notify(fresh()), Sent)
    message = standins.messages[0]
    assert message.text.lstrip("🟠 ").startswith("Backlash against Air Quillon: 40 people complain")


# By fault: what slack, slack-hook, pagerduty, webhook, email and alertmanager make of it.
TABLE = {
    Fault.RATE_LIMITED: (Retry, Retry, Retry, Retry, Retry, Retry),
    # For webhook and alertmanager a 2xx is a 2xx; a mail server says 554 to the letter itself.
    Fault.OK_FALSE: (Refused, Refused, Retry, Sent, Refused, Sent),
    Fault.BAD_REQUEST: (Refused, Refused, Refused, Retry, Refused, Refused),
    Fault.UNAUTHORIZED: (Refused, Refused, Refused, Retry, Refused, Refused),
    Fault.GONE: (Refused, Refused, Refused, Refused, Refused, Refused),
    Fault.REDIRECT: (Retry, Retry, Retry, Retry, Retry, Retry),
    Fault.UNAVAILABLE: (Retry, Retry, Retry, Retry, Retry, Retry),
    # Slack has no key by which it could drop a repeat, so here it matters what may have arrived.
    Fault.SERVER_ERROR: (Unknown, Unknown, Retry, Retry, Retry, Retry),
    Fault.GARBLED: (Unknown, Unknown, Retry, Sent, Unknown, Sent),
    Fault.DROPPED: (Unknown, Unknown, Unknown, Unknown, Unknown, Unknown),
    Fault.CUT: (Unknown, Unknown, Unknown, Unknown, Retry, Unknown),  # no letter was on its way yet
}


async def test_the_table_names_every_fault():
    assert set(TABLE) | {Fault.SILENT} == set(Fault)


@pytest.mark.parametrize("fault", TABLE)
async def test_a_failure_is_told_by_its_kind_and_then_overcome(standins, notifier, fault):
    standins.trouble(fault, error="channel_not_found", retry_after=7)
    outcome = await notifier.notify(fresh())
    assert type(outcome) is TABLE[fault][VARIANTS.index(notifier.name)]
    if fault is Fault.RATE_LIMITED and notifier.type != "email":  # SMTP does not say how long
        assert outcome.after == timedelta(seconds=7)
    assert isinstance(await notifier.notify(fresh(attempt=2, doubtful=True)), Sent)


async def test_silence_is_cut_off_and_the_page_repeated_without_harm(standins, notifier):
    """Through the worker, whose timeout it is."""
    standins.trouble(Fault.SILENT)
    outbox, stop = MemoryOutbox(), asyncio.Event()
    outbox.put(replace(fresh(), receiver=notifier.name))
    worker = a_worker(notifier, outbox, timeout=timedelta(seconds=1))
    work = asyncio.create_task(worker.run(stop))
    async with asyncio.timeout(60):
        while outbox.rows["01J0A"].state != "delivered":  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    stop.set()
    await work
    assert outbox.rows["01J0A"].doubtful
    if notifier.name == "slack":  # found in the channel
        assert len(standins.slack.top_level()) == 1
    elif notifier.name == "slack-hook":
        assert "This may be a repeat" in standins.slack.top_level()[-1].text
    elif notifier.name == "pagerduty":
        assert len(standins.pagerduty.alerts) == 1
    elif notifier.name == "alertmanager":
        assert len(standins.alertmanager.firing()) == 1
    else:
        assert [message.effect for message in standins.messages][1:] in ([], ["dropped"])


async def test_nobody_there_is_a_retry(notifiers):
    async with StandIns() as gone:
        left = tables(gone)
    async with new_client() as client:
        surroundings = Surroundings(client=client, installation="i1", clock=now)
        for notifier in build(left, surroundings).values():
            outcome = await notifier.notify(fresh())
            assert isinstance(outcome, Retry)
            assert "cannot be reached" in outcome.reason


async def test_a_listener_that_speaks_another_language_is_no_exception(notifiers):
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n" * 3)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0, family=socket.AF_INET)
    fake = StandIns(server.sockets[0].getsockname()[1])
    fake.mail.port = server.sockets[0].getsockname()[1]
    async with server, new_client() as client:
        surroundings = Surroundings(client=client, installation="i1", clock=now)
        for notifier in build(tables(fake), surroundings).values():
            # A mail server speaks first: there nothing has left us.
            expected = Retry if notifier.type == "email" else Unknown
            assert isinstance(await notifier.notify(fresh()), expected)


@pytest.mark.parametrize("kind", list(NoticeKind))
async def test_every_kind_of_notice_is_taken(standins, notifier, kind):
    first = await notifier.notify(fresh())
    later = fresh(id="01J0B", sequence=2, kind=kind, parent_ref=getattr(first, "ref", None))
    assert isinstance(await notifier.notify(later), Sent)


async def test_a_check_and_a_trial_arrive_and_wake_nobody(standins, notifier):
    assert isinstance(await notifier.check(), Sent)
    alerts = [alert for alert in standins.pagerduty.alerts if alert.state != "resolved"]
    assert (alerts, standins.slack.top_level()) == ([], [])
    receiver = receivers([t for t in tables(standins) if t.name == notifier.name])[0]
    trial = trial_delivery(receiver, "01J0T", url="https://u.example", now=now())
    assert isinstance(await notifier.notify(trial), Sent)
    alerts = [alert for alert in standins.pagerduty.alerts if alert.state != "resolved"]
    assert alerts == []
    assert any("A test from uproar" in message.text for message in standins.messages)


@pytest.mark.parametrize("fault", [Fault.UNAUTHORIZED, Fault.RATE_LIMITED, Fault.CUT])
async def test_a_check_fails_where_a_page_would(standins, notifier, fault):
    standins.trouble(fault)
    assert not isinstance(await notifier.check(), Sent)


# --------------------------------------------------------------------------------- secrets


@pytest.fixture
def told(monkeypatch, caplog) -> Callable[[], str]:
    """All that is logged from now on; uvicorn, the far side, apart."""
    capture = LogCapture()
    monkeypatch.setattr(deliver, "log", structlog.wrap_logger(None, processors=[capture]))
    caplog.set_level(logging.DEBUG)

    def everything() -> str:
        ours = [r.getMessage() for r in caplog.records if not r.name.startswith("uvicorn")]
        return "\n".join([*ours, *map(repr, capture.entries)])

    return everything


@pytest.mark.parametrize("fault", TABLE)
async def test_no_secret_is_logged_or_given_as_a_reason(standins, notifier, fault, told):
    standins.trouble(fault, error=StandIns.token)
    outbox, stop = MemoryOutbox(), asyncio.Event()
    outbox.put(replace(fresh(), receiver=notifier.name))
    worker = a_worker(notifier, outbox)
    work = asyncio.create_task(worker.run(stop))
    async with asyncio.timeout(60):
        while "delivered" not in told():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    stop.set()
    await work
    everything = [told(), outbox.rows["01J0A"].reason, repr(notifier), worker.problem()]
    for secret in SECRETS:
        assert secret not in repr(everything)


# --------------------------------------------------------------------------- hostile texts

HOSTILE = (
    "<!channel> @here <!everyone>",
    "<https://evil.example|your bank>",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "see https://evil.example/x, www.evil.example or javascript:alert(1)",
    "*bold* _it_ ~no~ `code` ```all``` > quote",
    "&lt;!channel&gt; &amp;lt;",
    "\u202egnp.exe \u2066 \x00 \ud800 \u0007",
    'a\r\nX-Header: 1\r\n\r\n{"ok": true}',
    "'; DROP TABLE incidents; -- {{7*7}} ${jndi:ldap://x} %s %n",
    "😡" * 400,
    "=cmd|'/c calc'!A1",
)


def hostile_notices(text: str) -> list[Notice]:
    """What is said of a subject, posts and a person that are all named so."""
    posts = tuple(some_evidence(id=f"push:{n}", text=text, url=text) for n in range(3))
    steps = (a_backlash(evidence=posts), Act(verb=Verb.ACKNOWLEDGE, by=text, note=text))
    incident: Incident | None = None
    notices = []
    for step in steps:
        was = incident
        incident, lines = advance(incident, step, now=now())
        said = notice(incident, lines[0], subject=a_subject(name=text), url=LINK, was=was)
        notices.append(said)
    return notices


def posts_of(standins: StandIns) -> list[str]:
    """The posts as PagerDuty and Alertmanager were given them; the addresses beside them are ours."""
    bodies = [(m.service, m.body) for m in standins.messages]
    alerts = [body["annotations"]["posts"] for service, body in bodies if service == "alertmanager"]
    triggers = [body["payload"] for _, body in bodies if "payload" in body]
    return alerts + [p["text"] for said in triggers for p in said["custom_details"]["posts"]]


@pytest.mark.parametrize("text", HOSTILE)
async def test_a_hostile_text_is_shown_and_does_nothing(standins, notifier, text):
    opened, taken = hostile_notices(text)
    first = await notifier.notify(fresh(notice=opened))
    assert isinstance(first, Sent)
    kind = NoticeKind.ACKNOWLEDGE
    later = fresh(id="01J0B", sequence=2, kind=kind, parent_ref=first.ref, notice=taken)
    assert isinstance(await notifier.notify(later), Sent)
    for message in standins.slack.messages.values():
        read = [b["text"]["text"] for b in message.blocks if b["type"] == "section"]
        for said in (message.text, *read):  # a header is plain text: nothing in it is read
            html = mrkdwn(said)
            assert "class=mention" not in html
            assert 'href="https://evil' not in html
            assert "@here" not in html
    posts = posts_of(standins)
    assert bool(posts) == (notifier.type in {"pagerduty", "alertmanager"})
    for post in posts:  # their readers make links of whatever looks like one
        assert "evil.example" not in post
        assert "javascript:" not in post
    async with httpx.AsyncClient(trust_env=False) as client:
        page = (await client.get(standins.url)).text
    assert "<script>alert" not in page
    assert "<img" not in page
    assert 'href="https://evil' not in page


# ------------------------------------------------------------------------------- signature


async def test_the_signature_on_the_wire_is_that_of_the_reference_library(notifiers, standins):
    """The stand-in verifies with code of its own; here the library of the standard does."""
    seen: list[httpx.Request] = []

    def remember(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(204, stream=httpx.ByteStream(b""))

    async with httpx.AsyncClient(transport=httpx.MockTransport(remember)) as client:
        surroundings = Surroundings(client=client, installation="i1", clock=now)
        made = build(tables(standins), surroundings)
        for attempt in (1, 2):
            delivery = fresh(attempt=attempt, notice=a_notice(title="é 😡 <&>"))
            await made[ReceiverName("webhook")].notify(delivery)
    for request in seen:
        event = Oracle(StandIns.secret).verify(request.content, dict(request.headers))
        assert event["data"]["title"] == "é 😡 <&>"
    assert {request.headers["webhook-id"] for request in seen} == {"01J0A"}

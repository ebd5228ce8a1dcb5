import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest
import trustme

from services.alerter.notifier import Refused, Retry, Sent
from services.alerter.notifier.exchange import Surroundings
from services.alerter.notifiers import build, new_client
from services.alerter.notifiers.email import Email, EmailOptions
from services.alerter.notifiers.email.letter import html, plain, write
from services.alerter.settings import ReceiverTable
from services.demo.standins import StandIns
from services.demo.standins.mail import ADDRESS, PASSWORD, USER
from tests.build import a_moment, some_evidence
from tests.outbox import a_delivery, a_notice
from uproar.errors import Misconfigured
from uproar.incident import Happening, State
from uproar.notice import Language, NoticeKind, quote

SENDER = "uproar <uproar@example.org>"


@pytest.fixture
async def standins() -> AsyncIterator[StandIns]:
    async with StandIns() as running:
        yield running


async def an_email(standins: StandIns, **options) -> Email:
    given = standins.tables()["email"] | options
    table = ReceiverTable(name="mail", type="email", options=given)
    around = Surroundings(client=new_client(), installation="i1", clock=lambda: datetime.now(UTC))
    await around.client.aclose()
    (made,) = build([table], around).values()
    return made


async def test_all_that_is_said_of_an_incident_is_one_thread(standins):
    email = await an_email(standins)
    first = await email.notify(a_delivery(id="01A", sequence=1, notice=a_notice(page=True)))
    taken = a_notice(page=False, title="Anna is on it: backlash", changed="Anna took it on.")
    later = a_delivery(
        id="01B", sequence=2, kind=NoticeKind.ACKNOWLEDGE, notice=taken, parent_ref=first.ref
    )
    second = await email.notify(later)
    rise = a_notice(page=True, title="Now worse. Crisis for Air Quillon")
    third = await email.notify(
        a_delivery(id="01C", sequence=3, kind=NoticeKind.UPDATE, notice=rise, parent_ref=second.ref)
    )
    root, reply, page = standins.mail.letters
    assert root["Message-ID"] == "<01A.uproar@example.org>"
    assert root["References"] is None
    assert reply["References"] == reply["In-Reply-To"] == root["Message-ID"]
    assert page["References"] == root["Message-ID"]
    assert reply["Subject"] == f"Re: {root['Subject'].strip()}"
    assert page["Subject"] == "Now worse. Crisis for Air Quillon"  # it must wake somebody
    assert (root["Importance"], reply["Importance"], page["Importance"]) == ("high", None, "high")
    assert first.ref == second.ref == third.ref


def body(letter: EmailMessage, kind: str) -> str:
    part = letter.get_body((kind,))
    assert part is not None
    return part.get_content()


async def test_a_letter_is_plain_and_html_and_says_the_same(standins):
    email = await an_email(standins)
    quotes = (quote(some_evidence(text="Vol 212 : à refaire… 😡 http://evil.example/x")),)
    await email.notify(a_delivery(notice=a_notice(quotes=quotes, language=Language.FR)))
    (letter,) = standins.mail.letters
    for kind in ("plain", "html"):
        said = body(letter, kind)
        assert "Vol 212 : à refaire… 😡 hxxp://evil[.]example/x" in said
        assert "Pourquoi maintenant" in said
        assert "Ouvrir l’incident" in said
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["To"] == ADDRESS


def test_nothing_in_a_letter_is_fetched_or_runs():
    hostile = "<img src=http://evil.example/x onerror=alert(1)><script>x</script>"
    shown = html(a_notice(title=hostile, quotes=(quote(some_evidence(text=hostile)),)))
    for tag in ("<img", "<script", "<link", "<iframe", "src="):
        assert tag not in shown.replace("src=hxxp", "").replace("&lt;img src=", "")
    assert 'href="https://example.org/1"' in shown


@pytest.mark.parametrize("text", ["a\r\nBcc: x@example.org", "\ud800", "é" * 900, "\x00\u202e"])
async def test_no_text_becomes_a_header_of_its_own(standins, text):
    email = await an_email(standins)
    clean = quote(some_evidence(text=text))
    title = clean.text or "-"
    assert isinstance(await email.notify(a_delivery(notice=a_notice(title=title))), Sent)
    (letter,) = standins.mail.letters
    assert letter["Bcc"] is None


def test_the_letter_of_the_end_is_green_and_a_repeat_says_so():
    over = a_notice(state=State.RESOLVED, what=Happening.ENDED)
    assert "border-top:6px solid #2e7d32" in html(over)
    assert "This may be a repeat" in plain(over, repeated=True)
    assert "This may be a repeat" in html(over, repeated=True)


def test_a_repeat_bears_the_same_message_id():
    first, _ = write(a_delivery(attempt=1), sender=SENDER, to=[ADDRESS], now=a_moment())
    again, _ = write(a_delivery(attempt=2), sender=SENDER, to=[ADDRESS], now=a_moment(minutes=9))
    assert first["Message-ID"] == again["Message-ID"]
    assert first["Date"] != again["Date"]


async def test_one_recipient_who_is_known_is_enough_and_none_is_a_refusal(standins):
    standins.mail.refused = {"gone@example.org"}
    email = await an_email(standins, to=["gone@example.org", ADDRESS])
    assert isinstance(await email.notify(a_delivery()), Sent)
    nobody = await an_email(standins, to="gone@example.org")
    assert await nobody.notify(a_delivery()) == Refused(
        "the mail server: 550 5.1.1 No such user here"
    )
    assert isinstance(await nobody.check(), Refused)


# ------------------------------------------------------------------------------ TLS, passwords


@pytest.fixture
async def secure(tmp_path: Path) -> AsyncIterator[tuple[StandIns, Path]]:
    """A mail server with STARTTLS and a password, and the file of its authority."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(file)
    running = StandIns()
    running.mail.tls, running.mail.users = context, True
    async with running:
        yield running, file


async def test_the_password_goes_over_starttls_only(secure):
    standins, file = secure
    login = {"security": "starttls", "username": USER, "password": PASSWORD, "ca_file": str(file)}
    email = await an_email(standins, **login)
    assert isinstance(await email.check(), Sent)
    assert isinstance(await email.notify(a_delivery()), Sent)
    wrong = await an_email(standins, **login | {"password": "wrong"})
    outcome = await wrong.notify(a_delivery())
    assert outcome == Refused("the mail server refuses our user (code 535)")
    assert len(standins.mail.letters) == 1


async def test_a_certificate_that_nobody_signed_is_refused(secure):
    standins, _ = secure
    login = {"security": "starttls", "username": USER, "password": PASSWORD}
    outcome = await (await an_email(standins, **login)).notify(a_delivery())
    assert isinstance(outcome, Refused | Retry)
    assert standins.mail.letters == []


async def test_a_server_without_tls_gets_neither_password_nor_letter(standins):
    login = {"security": "starttls", "username": USER, "password": PASSWORD}
    outcome = await (await an_email(standins, **login)).notify(a_delivery())
    assert isinstance(outcome, Refused | Retry)
    assert standins.mail.letters == []


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"server": "mail.example.org"}, "this machine only"),
        ({"sender": "nobody"}, "no e-mail address"),
        ({"to": ["a@b.example\nBcc: c@d.example"]}, "no e-mail address"),
        ({"to": []}, "at least 1"),
        ({"username": "x"}, "username and password"),
        ({"ca_file": "/nowhere"}, "cannot be used"),
        ({"security": "ssl"}, "starttls"),
    ],
)
async def test_wrong_options_are_told(standins, wrong, why):
    with pytest.raises(Misconfigured, match=why):
        await an_email(standins, **wrong)


def test_the_password_is_not_shown():
    options = EmailOptions(
        server="localhost", sender=SENDER, to=ADDRESS, username="u", password="p"
    )
    assert "'p'" not in repr(options)

"""Letter: a notice as an e-mail, plain and HTML, in the thread of its incident. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from html import escape
from typing import Final, NamedTuple

from services.alerter.notifier import Delivery
from uproar.backlash import Level
from uproar.incident import State
from uproar.notice import Language, Notice, Quote
from uproar.notice.defang import defanged
from uproar.notice.storm import Storm, storm

_COLOUR: Final = {Level.WATCH: "#8a6d00", Level.ALERT: "#c4570a", Level.CRISIS: "#b3261e"}
_OVER: Final = "#2e7d32"


class _Labels(NamedTuple):
    why_now: str
    now: str
    how_big: str
    changed: str
    standing: str
    posts: str
    advice: str
    link: str
    repeated: str


_LABELS: Final = {
    Language.EN: _Labels(
        why_now="Why now",
        now="Now",
        how_big="How big",
        changed="What changed",
        standing="Who",
        posts="What people write",
        advice="Answer well",
        link="Open the incident",
        repeated="This may be a repeat: the mail server did not say whether the first one arrived.",
    ),
    Language.FR: _Labels(
        why_now="Pourquoi maintenant",
        now="À présent",
        how_big="Ampleur",
        changed="Ce qui a changé",
        standing="Qui",
        posts="Ce qu’on écrit",
        advice="Bien répondre",
        link="Ouvrir l’incident",
        repeated="Peut-être un doublon\u00a0: le serveur n’a pas dit si le premier est arrivé.",
    ),
}


class Thread(NamedTuple):
    """The first letter of an incident; written into ``Sent.ref`` as ``MESSAGE-ID SUBJECT``."""

    message_id: str
    subject: str

    def __str__(self) -> str:
        return f"{self.message_id} {self.subject}"

    @classmethod
    def read(cls, ref: str | None) -> "Thread | None":
        """Read a reference; None where there is none."""
        message_id, _, subject = (ref or "").partition(" ")
        return cls(message_id, subject) if message_id.startswith("<") and subject else None


def write(
    delivery: Delivery, *, sender: str, to: Sequence[str], now: datetime
) -> tuple[EmailMessage, Thread]:
    """
    Write the letter of a delivery.

    Its Message-ID is the same for every attempt. It answers the first letter of the incident and
    bears its subject, so that every client keeps them together; only a page has a subject of its
    own: it must be read on a lock screen.

    Args:
        delivery: What to say; ``parent_ref`` names the thread.
        sender: ``Name <address>``.
        to: Addresses.
        now: Wall clock of this attempt.

    Returns:
        The letter, and the thread that it belongs to.
    """
    notice = delivery.notice
    domain = parseaddr(sender)[1].rpartition("@")[2]
    message_id = f"<{delivery.id}.uproar@{domain}>"
    thread = Thread.read(delivery.parent_ref)
    title = storm([notice, *delivery.bundle]).title if delivery.bundle else notice.title
    title = " ".join(title.split())  # a header is folded at blanks, unbreakable ones too
    letter = EmailMessage(policy=SMTP)
    letter["From"], letter["To"] = sender, ", ".join(to)
    if thread and not notice.page:
        letter["Subject"] = f"Re: {thread.subject}"
    else:
        letter["Subject"] = title
    letter["Date"] = format_datetime(now.astimezone(UTC))
    letter["Message-ID"] = message_id
    if thread and thread.message_id != message_id:
        letter["In-Reply-To"] = letter["References"] = thread.message_id
    letter["Auto-Submitted"] = "auto-generated"
    letter["X-Auto-Response-Suppress"] = "All"
    if notice.page:
        letter["Importance"], letter["X-Priority"] = "high", "1"
    if delivery.bundle:
        said = storm([notice, *delivery.bundle])
        letter.set_content(plain_storm(said, repeated=delivery.doubtful))
        letter.add_alternative(html_storm(said, repeated=delivery.doubtful), subtype="html")
    else:
        letter.set_content(plain(notice, repeated=delivery.doubtful))
        letter.add_alternative(html(notice, repeated=delivery.doubtful), subtype="html")
    return letter, thread or Thread(message_id, title)


def plain(notice: Notice, *, repeated: bool = False) -> str:
    """Write the text for clients that show no HTML, and for the preview of all others."""
    labels = _LABELS[notice.language]
    posts = [f"{_when(quote)}\n> {defanged(quote.text)}" for quote in notice.quotes]
    advice = f"{labels.advice}: {notice.advice}" if notice.advice else ""
    parts = [
        notice.title,
        "\n".join(f"{label}: {said}" for label, said in _facts(notice, labels)),
        "\n".join([f"{labels.posts}:", *posts]) if posts else "",
        advice,
        f"{labels.link}: {notice.link}",
        labels.repeated if repeated else "",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def html(notice: Notice, *, repeated: bool = False) -> str:
    """Write the same for a phone: no image, no script, no font is fetched from anywhere."""
    labels = _LABELS[notice.language]
    colour = _OVER if notice.state is State.RESOLVED else _COLOUR[notice.level]
    facts = "".join(
        f'<p style="margin:6px 0"><b>{escape(label)}</b>&ensp;{escape(said)}</p>'
        for label, said in _facts(notice, labels)
    )
    posts = "".join(map(_quote, notice.quotes))
    if posts:
        posts = f'<p style="margin:14px 0 4px"><b>{escape(labels.posts)}</b></p>{posts}'
    advice = f"<p><b>{escape(labels.advice)}</b>&ensp;{escape(notice.advice)}</p>"
    note = f'<p style="color:#616061;font-size:13px">{escape(labels.repeated)}</p>'
    button = (
        f'<p style="margin:18px 0"><a href="{escape(notice.link)}" style="background:{colour};'
        "color:#fff;text-decoration:none;padding:11px 18px;border-radius:6px;"
        f'display:inline-block">{escape(labels.link)}</a></p>'
    )
    body = f"{facts}{posts}{advice if notice.advice else ''}{button}{note if repeated else ''}"
    return _sheet(notice.title, body, colour=colour, language=notice.language)


def plain_storm(said: Storm, *, repeated: bool = False) -> str:
    """Write the text of many incidents at once: a line and a link for each, the worst first."""
    labels = _LABELS[said.worst[0].language]
    lines = [f"{one.headline}\n  {one.link}" for one in said.worst]
    parts = [said.title, *lines, said.why, labels.repeated if repeated else ""]
    return "\n\n".join(filter(None, parts)) + "\n"


def html_storm(said: Storm, *, repeated: bool = False) -> str:
    """Write the same for a phone."""
    worst = said.worst[0]
    lines = "".join(
        f'<p style="margin:8px 0"><a href="{escape(one.link)}" style="color:#1264a3">'
        f"{escape(one.headline)}</a></p>"
        for one in said.worst
    )
    notes = [said.why, _LABELS[worst.language].repeated if repeated else ""]
    shown = "".join(
        f'<p style="color:#616061;font-size:13px">{escape(note)}</p>' for note in notes if note
    )
    colour = _COLOUR[worst.level]
    return _sheet(said.title, lines + shown, colour=colour, language=worst.language)


def _sheet(title: str, body: str, *, colour: str, language: Language) -> str:
    """Put a body under its title; nothing of it is fetched from anywhere."""
    return (
        f'<!doctype html><html lang="{language.value}"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title>"
        '<body style="margin:0;background:#fff;color:#1d1c1d;font:16px/1.45 system-ui,sans-serif">'
        f'<div style="max-width:560px;margin:0 auto;padding:16px;border-top:6px solid {colour}">'
        f'<h1 style="font-size:20px;line-height:1.3;margin:8px 0 12px">{escape(title)}</h1>'
        f"{body}</div></body></html>"
    )


def _facts(notice: Notice, labels: _Labels) -> list[tuple[str, str]]:
    pairs = (
        (labels.changed if notice.changed else "", notice.changed),
        (labels.why_now if notice.growing else labels.now, notice.why_now),
        (labels.how_big, notice.how_big),
        (labels.standing, notice.standing),
    )
    return [(label, said) for label, said in pairs if said]


def _when(quote: Quote) -> str:
    return quote.created_at.astimezone(UTC).strftime("%H:%M UTC")


def _quote(quote: Quote) -> str:
    """Show a post; its own address can be opened, what its text names cannot."""
    when = escape(_when(quote))
    if quote.url:
        host = escape(quote.url.split("/", 3)[2])
        when = (
            f'<a href="{escape(quote.url)}" rel="noopener noreferrer nofollow"'
            f' style="color:#1264a3">{host}</a>, {when}'
        )
    return (
        f'<p style="margin:8px 0 2px;color:#616061;font-size:13px">{when}</p>'
        '<blockquote style="margin:0;padding-left:10px;border-left:4px solid #ddd">'
        f"{escape(defanged(quote.text))}</blockquote>"
    )

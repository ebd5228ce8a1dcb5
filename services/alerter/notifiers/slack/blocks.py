"""Blocks: a notice as Slack's Block Kit, within its limits. Pure; nothing is sent from here."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from uproar.backlash import Level
from uproar.incident import State
from uproar.notice import Language, Notice, NoticeKind, Quote
from uproar.notice.storm import storm

# Slack: header 150, section 3,000, 50 blocks; together it fails from about 11,000 characters on,
# undocumented. All of ours stay under 20 blocks and 6,000 characters.
_HEADER: Final = 150
_FACT: Final = 450
_QUOTE: Final = 500
_URL: Final = 400
_TEXT: Final = 350
_NAMED: Final = 100
BUNDLE: Final = 40
"""Incidents that one message names: with links of usual length they stay below 8,000 characters."""
_LINES: Final = 4  # of them in a section of 3,000, were every link as long as it may be
_MENTION: Final = re.compile(r"@(?=here|channel|everyone|group)", re.IGNORECASE)
_SIGN: Final = {Level.WATCH: "🟡", Level.ALERT: "🟠", Level.CRISIS: "🔴"}

Block = dict[str, Any]


class Labels(NamedTuple):
    """What stands between the sentences of a notice."""

    why_now: str
    now: str
    how_big: str
    changed: str
    standing: str
    advice: str
    take: str
    read: str
    repeated: str
    anew: str


_LABELS: Final = {
    Language.EN: Labels(
        why_now="Why now",
        now="Now",
        how_big="How big",
        changed="What changed",
        standing="Who",
        advice="Answer well",
        take="Open the incident and take it on",
        read="Open the incident",
        repeated="This may be a repeat: Slack did not say whether the first one arrived.",
        anew="A new message: an incoming webhook cannot update the earlier one.",
    ),
    Language.FR: Labels(
        why_now="Pourquoi maintenant",
        now="À présent",
        how_big="Ampleur",
        changed="Ce qui a changé",
        standing="Qui",
        advice="Bien répondre",
        take="Ouvrir l’incident et s’en charger",
        read="Ouvrir l’incident",
        repeated="Peut-être un doublon\u00a0: Slack n’a pas dit si le premier est arrivé.",
        anew="Nouveau message\u00a0: un webhook entrant ne peut pas modifier le précédent.",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """
    What Slack is given.

    Attributes:
        text: For lock screens and screen readers, which see nothing else.
        blocks: What is shown in the channel.
        plain: All of it without blocks, for when Slack takes none.
    """

    text: str
    blocks: tuple[Block, ...]
    plain: str


def render(
    notice: Notice,
    kind: NoticeKind,
    *,
    repeated: bool = False,
    anew: bool = False,
    buttons: Sequence[Block] = (),
) -> Message:
    """
    Write the one message of an incident: what happened, or for a later notice how it stands.

    Args:
        notice: What to say.
        kind: What it is for.
        repeated: Say that it may be a repeat.
        anew: It cannot replace the earlier message and says so; then it tells what happened.
        buttons: What people can do from it (:mod:`services.alerter.notifiers.slack.buttons`).
    """
    labels = _LABELS[notice.language]
    first = anew or kind in {NoticeKind.TRIGGER, NoticeKind.CANARY}
    title = f"{_sign(notice)} {notice.title if first else notice.headline}"
    facts = _facts(notice, labels)
    label = labels.take if notice.state is State.OPEN else labels.read
    link = f"<{_url(notice.link)}|{label}>"
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": _cut(title, _HEADER)}},
        *([_section(facts)] if facts else []),
        *(_section(_quote(quote)) for quote in notice.quotes),
        *(
            [_section(f"*{labels.advice}*  {escape(notice.advice, _FACT)}")]
            if notice.advice
            else []
        ),
        _section(link),
        *buttons,
    ]
    notes = _notes(labels, repeated=repeated, anew=anew and kind is not NoticeKind.TRIGGER)
    if notes:
        element = {"type": "mrkdwn", "text": notes, "verbatim": True}
        blocks.append({"type": "context", "elements": [element]})
    text = escape(f"{title}. {notice.standing}" if notice.standing else title, _TEXT)
    return Message(
        text=f"{text} {notes}".strip(),
        blocks=tuple(blocks),
        plain="\n".join(filter(None, (text, facts, link, notes))),
    )


def reply(notice: Notice, *, repeated: bool = False) -> Message:
    """Write the thread's line: what happened and what is new."""
    labels = _LABELS[notice.language]
    said = [f"*{escape(f'{_sign(notice)} {notice.title}', _FACT)}*", escape(notice.changed, _FACT)]
    if notice.page and notice.advice:
        said.append(f"*{labels.advice}*  {escape(notice.advice, _FACT)}")
    notes = _notes(labels, repeated=repeated)
    body = "\n".join(filter(None, [*said, notes]))
    text = escape(f"{_sign(notice)} {notice.title}", _TEXT)
    return Message(text=f"{text} {notes}".strip(), blocks=(_section(body),), plain=body)


def bundle(notices: Sequence[Notice], *, repeated: bool = False) -> Message:
    """Write the one message of a storm: a line and a link for each incident, the worst first."""
    said, labels = storm(notices), _LABELS[notices[0].language]
    lines = [
        f"{_sign(one)} <{_url(one.link)}|{escape(one.headline, _NAMED)}>" for one in said.worst
    ]
    notes = " ".join(filter(None, (said.why, _notes(labels, repeated=repeated))))
    title = {"type": "plain_text", "text": _cut(said.title, _HEADER)}
    sections = ["\n".join(lines[i : i + _LINES]) for i in range(0, len(lines), _LINES)]
    blocks = ({"type": "header", "text": title}, *map(_section, sections), _section(notes))
    text = f"{escape(said.title, _TEXT)} {_notes(labels, repeated=repeated)}".strip()
    return Message(text=text, blocks=blocks, plain="\n".join([text, *lines, notes]))


def escape(text: str, limit: int) -> str:
    """Make a text harmless in mrkdwn, no link, no mention, and cut it to a length as escaped."""
    quiet = _MENTION.sub("@\u2060", text)
    escaped = [_ENTITIES.get(c, c) for c in quiet]
    if sum(map(len, escaped)) <= limit:
        return "".join(escaped)
    kept, length = [], 1
    for piece in escaped:
        length += len(piece)
        if length > limit:
            break
        kept.append(piece)
    return "".join(kept) + "…"


_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def _facts(notice: Notice, labels: Labels) -> str:
    pairs = (
        (labels.why_now if notice.growing else labels.now, notice.why_now),
        (labels.how_big, notice.how_big),
        (labels.changed, notice.changed),
        (labels.standing, notice.standing),
    )
    return "\n".join(f"*{label}*  {escape(said, _FACT)}" for label, said in pairs if said)


def _quote(quote: Quote) -> str:
    """Show a post: where and when first, so that nothing in its text can reach the link."""
    when = quote.created_at.strftime("%H:%M UTC")
    url = _url(quote.url or "")
    head = f"<{url}|{escape(_host(url), 60)}, {when}>" if url else when
    return f"{head}\n>{escape(quote.text, _QUOTE)}"


def _host(url: str) -> str:
    return url.split("/", 3)[2]


def _url(url: str) -> str:
    """Return an address that cannot end its own brackets; nothing where it is too long."""
    bare = "".join(f"%{ord(c):02X}" if c in "<>|" else c for c in url).replace("&", "&amp;")
    return bare if len(bare) <= _URL else ""


def _notes(labels: Labels, *, repeated: bool, anew: bool = False) -> str:
    return " ".join([labels.repeated] * repeated + [labels.anew] * anew)


def _section(text: str) -> Block:
    """A paragraph in which Slack makes no links or mentions of its own (``verbatim``)."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _sign(notice: Notice) -> str:
    """Say where it stands at the first look; a page is a page also while somebody is on it."""
    if notice.state is State.RESOLVED:
        return "✅"
    taken = notice.state is State.ACKNOWLEDGED and not notice.page
    return "👀" if taken else _SIGN[notice.level]


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"

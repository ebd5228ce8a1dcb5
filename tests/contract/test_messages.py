"""docs/messages.md shows what people are sent: it is written by the code that sends it."""

import json
import re
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from services.alerter.notifiers.alertmanager import render as alertmanager
from services.alerter.notifiers.email.letter import plain
from services.alerter.notifiers.pagerduty import render as pagerduty
from services.alerter.notifiers.slack.blocks import Message, render, reply
from services.alerter.notifiers.webhook import render as webhook
from tests.build import a_backlash, a_moment, a_subject, a_why, some_evidence
from tests.outbox import LINK, a_delivery
from uproar.backlash import Backlash, Event, Level
from uproar.incident import Act, Incident, Verb, advance
from uproar.notice import Language, Notice, NoticeKind, notice

PAGE = Path(__file__).resolve().parents[2] / "docs" / "messages.md"
FOLDER = PAGE.with_suffix("")
MAX_PICTURE_BYTES = 100_000

INTRODUCTION = """\
# What people are sent

Every message answers, in this order and on one screen of a phone: what happened, why now, how big
it is, who is on it, what people write, how to answer well, and where to act. Texts are in English or
French (`language` of the receiver, or of the subject where the receiver has none). The examples are
written by `tests/contract/test_messages.py` from the code that sends them; after a change, run
`python -m tests.contract.test_messages write`. The pictures are drawn from the same messages by
`python -m tests.pictures`, which needs Chromium.

A page that had to catch up, after an outage or because the classifier did not keep pace, says so at the
end of its first line: *detected 42 min late*, *détecté avec 42 min de retard*. A replay of the past
(older than 7 days) does not.

The posts are quoted as they were written, cut to a line: no link in them is a link, no mention
mentions anybody, and nothing is unfurled. In e-mail, PagerDuty and Alertmanager, whose readers make
links of whatever looks like one, addresses inside a post are written `hxxps://evil[.]example`.
"""

BUTTONS = """\
Where a press can reach uproar (`signing_secret` or `app_token`) the message has buttons: *I'm on it*,
*Snooze* (1 hour, 4 hours, 1 day), *Close it*, *False alarm* (with its reason, after a question). What
was done elsewhere, in PagerDuty, the console or by REST, shows here within a second or two.
"""

EMAIL = """\
Plain text and HTML. All letters of an incident are one thread: a later one answers the first and bears
its subject; only a page has a subject of its own, and is marked as important. The plain part:
"""

ALERTMANAGER = """\
Labels are the identity of an alert, so no number that changes stands in them. The alert is posted again
every minute while the incident lasts, to every instance; when the severity rises, the alert of the
lower one is resolved by the same request.
"""

WEBHOOK = """\
Signed as Standard Webhooks 1.0.0 asks; `webhook-id` is the same for every attempt. `type` is
`incident.opened`, `incident.updated`, `incident.acknowledged` or `incident.resolved`, and `data` is
an incident as `schemas/incident.v1.schema.json` has it, with the sentences of the notice beside it.
The texts are not escaped for any page.
"""

ENGLISH = (
    "Air Quillon broke my cello and the desk laughed. Flight 212, I have it on video.",
    "Third day, third agent, still no answer about a broken instrument. Never again @airquillon",
    "So @airquillon, is this how you treat musicians? #QuillonBreaksCellos",
)
FRENCH = (
    "Air Quillon a cassé mon violoncelle et le guichet a ri. Vol 212, j’ai la vidéo.",
    "Troisième jour, troisième agent, toujours pas de réponse. Plus jamais @airquillon",
    "Alors @airquillon, c’est ainsi que vous traitez les musiciens ?",
)


def story(language: Language) -> list[tuple[NoticeKind, Notice]]:
    """A wave from its page to its end, told to one reader."""
    texts = FRENCH if language is Language.FR else ENGLISH
    note = "j’appelle l’escale" if language is Language.FR else "calling the station"
    posts = tuple(
        some_evidence(
            id=f"push:{n}",
            text=text,
            url=f"https://social.example/posts/{n}",
            created_at=a_moment(minutes=n - 5),
        )
        for n, text in enumerate(texts, start=1)
    )
    rise = {
        "level": Level.CRISIS,
        "page": True,
        "posts": 412,
        "authors": 287,
        "severity": 83,
        "why": a_why(negative=171.0, negative_share=0.86),
        "at": a_moment(minutes=24),
        "evidence": posts,
    }
    steps: list[tuple[NoticeKind, Any]] = [
        (NoticeKind.TRIGGER, a_backlash(evidence=posts)),
        (NoticeKind.ACKNOWLEDGE, Act(verb=Verb.ACKNOWLEDGE, by="Anna", note=note)),
        (NoticeKind.UPDATE, a_backlash(Event.GREW, sequence=1, **rise)),
        (
            NoticeKind.RESOLVE,
            a_backlash(
                Event.ENDED,
                sequence=2,
                level=Level.CRISIS,
                severity=12,
                posts=655,
                authors=402,
                why=a_why(negative=2.0, negative_share=0.4),
                at=a_moment(minutes=190),
                evidence=(),
            ),
        ),
    ]
    incident: Incident | None = None
    told = []
    for kind, step in steps:
        was = incident
        heard = (
            step.at + timedelta(minutes=1) if isinstance(step, Backlash) else a_moment(minutes=6)
        )
        incident, lines = advance(incident, step, now=heard)
        said = notice(
            incident,
            lines[0],
            subject=a_subject(),
            url=LINK,
            language=language,
            was=was,
        )
        told.append((kind, said))
    return told


def shown(message: Message) -> str:
    """Write Slack's blocks as a quotation in Markdown."""
    paragraphs = []
    for block in message.blocks:
        if block["type"] == "actions":
            continue  # the picture shows them
        text = block["elements"][0]["text"] if "elements" in block else block["text"]["text"]
        text = re.sub(r"<([^|>]+)\|([^>]+)>", r"[\2](\1)", text)
        text = re.sub(r"^\*(.+?)\*", r"**\1**", text, flags=re.MULTILINE)
        text = re.sub(r"^>", "> ", text, flags=re.MULTILINE)
        paragraphs.append(f"**{text}**" if block["type"] == "header" else text)
    lines = "\n\n".join(paragraphs).split("\n")
    hard = [line + "\\" if _goes_on(line, after) else line for line, after in _pairs(lines)]
    return "\n".join(f"> {line}".rstrip() for line in hard)


def _pairs(lines: list[str]) -> list[tuple[str, str]]:
    return list(zip(lines, [*lines[1:], ""], strict=True))


def _goes_on(line: str, after: str) -> bool:
    return bool(line and after) and not line.startswith(">") and not after.startswith(">")


def slack(language: Language) -> str:
    parts = []
    first, *later = story(language)
    parts += ["The page, a message in the channel:", shown(render(first[1], first[0]))]
    for kind, said in later:
        parts += [
            f"Then in its thread ({kind.value}"
            + (", shown in the channel too):" if said.page else "):"),
            shown(reply(said)),
        ]
    kind, said = later[-1]
    parts += ["And the message itself in the end:", shown(render(said, kind))]
    return "\n\n".join(parts)


def document() -> str:
    (_, opened), (acknowledge, taken), *_ = story(Language.EN)
    trigger = a_delivery(notice=opened, id="01KM6Z5V3C8Q7J2W9X4T1B0N6D")
    event = pagerduty(trigger, key="uproar:7f3c:e_5d0c:1")
    hook = webhook(replace(trigger, notice=replace(opened, quotes=opened.quotes[:1])))
    alerts = alertmanager(trigger, labels={"installation": "7f3c"}, now=a_moment(minutes=1))
    parts = [
        INTRODUCTION,
        "## Slack, with a bot token\n",
        picture("slack-en", "A page in Slack, with its buttons"),
        BUTTONS,
        slack(Language.EN),
        picture("slack-story-en", "The same message in the end, with its thread"),
        "\n## Slack, in French\n",
        picture("slack-fr", "La même alerte en français"),
        slack(Language.FR),
        "\n## Slack, through an incoming webhook\n",
        "It cannot update a message, so each step is a new one and says so:\n",
        shown(render(taken, acknowledge, anew=True)),
        "\nAfter an answer was lost, a message that could not be looked for is sent again, marked:\n",
        shown(render(opened, NoticeKind.TRIGGER, repeated=True)),
        "\n## E-mail\n",
        picture("email-en", "The page as a letter"),
        picture("email-fr", "La page en français, par courriel"),
        EMAIL,
        f"```\n{plain(opened)}```",
        "\n## PagerDuty\n",
        picture("pagerduty", "The alert in PagerDuty"),
        (
            "One alert for each episode, and a new one (`...:1.7`) for who must be woken once more; an\n"
            "acknowledgement and the end carry its `dedup_key` only.\n"
        ),
        f"```json\n{json.dumps(event, indent=2, ensure_ascii=False)}\n```",
        "\n## Alertmanager\n",
        picture("alertmanager", "The alert in Alertmanager"),
        ALERTMANAGER,
        f"```json\n{json.dumps(alerts[:1], indent=2, ensure_ascii=False)}\n```",
        "\n## Webhook\n",
        picture("webhook", "The event at an endpoint"),
        WEBHOOK,
        f"```json\n{json.dumps(hook, indent=2, ensure_ascii=False)}\n```",
    ]
    return "\n".join(parts) + "\n"


def picture(name: str, says: str) -> str:
    return f"![{says}](messages/{name}.png)\n"


def test_every_picture_of_the_page_is_there_and_small():
    named = set(re.findall(r"\(messages/([\w-]+)\.png\)", document()))
    assert named == {path.stem for path in FOLDER.glob("*.png")}
    assert max(path.stat().st_size for path in FOLDER.glob("*.png")) < MAX_PICTURE_BYTES


def test_the_page_shows_what_is_sent():
    assert PAGE.read_text(encoding="utf-8") == document(), (
        "run `python -m tests.contract.test_messages write`"
    )


if __name__ == "__main__" and sys.argv[1:] == ["write"]:
    PAGE.write_text(document(), encoding="utf-8")

"""docs/messages.md shows what people are sent: it is written by the code that sends it."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

from services.alerter.notifiers.alertmanager import render as alertmanager
from services.alerter.notifiers.email.letter import plain, plain_storm
from services.alerter.notifiers.pagerduty import render as pagerduty
from services.alerter.notifiers.slack.blocks import Message, bundle, render, reply
from services.alerter.notifiers.webhook import render as webhook
from tests.build import a_moment
from tests.outbox import a_delivery
from tests.told import acts, late, storm, story, to_the_operator, tried
from uproar.notice import Language, NoticeKind
from uproar.notice.storm import storm as said_of

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

STORM = """\
When more new pages are due than a receiver takes in 10 seconds, one message names them all, the worst
first (up to 40 incidents in Slack, 100 in PagerDuty and in a letter). Each is an incident of its own.
"""

OPERATOR = """\
`UPROAR_ALERTER_OPERATOR_WEBHOOK` is told when a part of uproar has been unwell for 30 seconds, again
every half hour, and when it works again; signed with `UPROAR_ALERTER_OPERATOR_SECRET`, where given.
"""


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


def done_by_people() -> str:
    (_, snoozed), (trigger, reopened), (_, judged) = acts()
    return "\n\n".join(
        [
            "Snoozed, in the thread of the message:",
            shown(reply(snoozed)),
            "Opened again, a new message, so that it wakes somebody:",
            shown(render(reopened, trigger)),
            "A false alarm, in the thread; the rest of the wave is not told any more:",
            shown(reply(judged)),
        ]
    )


def in_a_storm() -> str:
    delivery = storm()
    notices = [delivery.notice, *delivery.bundle]
    event = pagerduty(delivery, key=f"uproar:7f3c:storm:{delivery.id}:1")
    return "\n\n".join(
        [
            "In Slack:",
            shown(bundle(notices)),
            "As a letter:",
            f"```\n{plain_storm(said_of(notices))}```",
            "In PagerDuty, one alert; it is acknowledged and resolved with the last of its incidents:",
            f"```json\n{json.dumps(event, indent=2, ensure_ascii=False)}\n```",
        ]
    )


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
        "\n## What people do\n",
        picture("slack-acts-en", "Snoozed, opened again, judged a false alarm"),
        done_by_people(),
        "\n## A page that comes late\n",
        picture("slack-late-en", "A page that had to catch up"),
        shown(render(late(), NoticeKind.TRIGGER)),
        "\n## A storm\n",
        picture("slack-storm-en", "Many incidents in one message"),
        picture("email-storm-en", "The same as a letter"),
        STORM,
        in_a_storm(),
        "\n## A test\n",
        picture("slack-test-en", "A test message"),
        "What `POST /v1/receivers/NAME/test` and `uproar init` send, in Slack and as a letter:\n",
        shown(render(tried(), NoticeKind.CANARY)),
        f"\n```\n{plain(tried())}```",
        "\n## To the operator\n",
        picture("operator", "uproar is unwell, and well again"),
        OPERATOR,
        *(
            f"```json\n{json.dumps(event, indent=2, ensure_ascii=False)}\n```"
            for event in to_the_operator()
        ),
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

"""
Pictures: draws docs/messages/*.png, each a message as its reader sees it, with a headless Chromium.

``python -m tests.pictures`` draws them all. Each bears the digest of what it shows, by which
tests/contract/test_pictures.py tells whether it is old.
"""

import hashlib
import io
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from PIL import Image, ImageChops
from PIL.PngImagePlugin import PngInfo

from services.alerter.notifiers.alertmanager import render as alertmanager
from services.alerter.notifiers.email.letter import html, html_storm
from services.alerter.notifiers.pagerduty import render as pagerduty
from services.alerter.notifiers.slack.blocks import Message, bundle, render, reply
from services.alerter.notifiers.slack.buttons import actions
from services.alerter.notifiers.webhook import render as webhook
from services.demo.standins.ledger import Received
from services.demo.standins.page import page
from services.demo.standins.pagerduty import Alert
from services.demo.standins.slack import Posted
from tests.build import a_moment
from tests.contract.test_messages import FOLDER
from tests.outbox import a_delivery
from tests.told import acts, late, storm, story, to_the_operator, tried
from uproar.notice import Language, Notice, NoticeKind
from uproar.notice.storm import storm as said_of

WIDTH, HEIGHT, COLOURS = 460, 1700, 192
DIGEST = "shows"


def pages() -> dict[str, str]:
    """What is drawn, as HTML, by the name of its picture."""
    (kind, opened), *later = story(Language.EN)
    (kind_fr, opened_fr), *_ = story(Language.FR)
    (_, snoozed), (again, reopened), (_, judged) = acts()
    struck = [storm().notice, *storm().bundle]
    return {
        "slack-en": _slack([_posted(_rendered(opened, kind), "1")]),
        "slack-fr": _slack([_posted(_rendered(opened_fr, kind_fr), "1")]),
        "slack-story-en": _slack(
            [
                replace(_posted(_rendered(later[-1][1], later[-1][0]), "1"), edited=len(later)),
                *(
                    replace(_posted(reply(said), f"1.{n}"), thread_ts="1")
                    for n, (_, said) in enumerate(later)
                ),
            ]
        ),
        "email-en": html(opened),
        "email-fr": html(opened_fr),
        "pagerduty": page([], [_alert(opened)], [], refresh=False),
        "alertmanager": page([], [], [], [_fires(opened)], refresh=False),
        "webhook": page([], [], [_event(opened)], refresh=False),
        "slack-acts-en": _slack(
            [
                _posted(_rendered(snoozed, NoticeKind.ACKNOWLEDGE), "1"),
                replace(_posted(reply(snoozed), "1.1"), thread_ts="1"),
                _posted(_rendered(reopened, again), "2"),
                replace(_posted(reply(judged), "2.1"), thread_ts="2"),
            ]
        ),
        "slack-late-en": _slack([_posted(_rendered(late(), NoticeKind.TRIGGER), "1")]),
        "slack-storm-en": _slack([_posted(bundle(struck), "1")]),
        "email-storm-en": html_storm(said_of(struck)),
        "slack-test-en": _slack([_posted(render(tried(), NoticeKind.CANARY), "1")]),
        "operator": page(
            [],
            [],
            [
                _received("webhook", event["type"], event["text"], event["timestamp"])
                for event in to_the_operator()
            ],
            refresh=False,
        ),
    }


def digest(shown: str) -> str:
    """Name what a picture shows."""
    return hashlib.sha256(shown.encode()).hexdigest()[:16]


def chromium() -> str | None:
    """Return where a browser is that can draw; None where there is none."""
    return next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )


def draw(browser: str, shown: str) -> bytes:
    """Draw a page as a small PNG, cut to what is on it."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "page.html", Path(folder) / "page.png"
        source.write_text(shown, encoding="utf-8")
        subprocess.run(
            [
                browser,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--default-background-color=FFFFFFFF",
                f"--user-data-dir={folder}/profile",
                f"--window-size={WIDTH},{HEIGHT}",
                f"--screenshot={target}",
                source.as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )
        picture = Image.open(target).convert("RGB")
    background = Image.new("RGB", picture.size, picture.getpixel((0, HEIGHT - 1)))
    box = ImageChops.difference(picture, background).getbbox()
    bottom = min(HEIGHT, (box[3] if box else HEIGHT) + 16)
    notes, out = PngInfo(), io.BytesIO()
    notes.add_text(DIGEST, digest(shown))
    picture.crop((0, 0, WIDTH, bottom)).quantize(COLOURS).save(
        out, "PNG", optimize=True, pnginfo=notes
    )
    return out.getvalue()


def drawn(path: Path) -> str | None:
    """Return the digest of what a picture shows."""
    with Image.open(path) as picture:
        texts: Mapping[str, str] = getattr(picture, "text", {})
        return texts.get(DIGEST)


def _rendered(said: Notice, kind: NoticeKind) -> Message:
    return render(said, kind, buttons=actions(said, 1))


def _posted(message: Message, ts: str) -> Posted:
    return Posted(channel="C1", ts=ts, text=message.text, blocks=list(message.blocks))


def _slack(messages: list[Posted]) -> str:
    return page(messages, [], [], refresh=False)


def _alert(said: Notice) -> Alert:
    payload = pagerduty(a_delivery(notice=said), key="k")["payload"]
    return Alert(
        key="k",
        summary=payload["summary"],
        severity=payload["severity"],
        details=payload["custom_details"],
    )


def _fires(said: Notice) -> Received:
    alert, *_ = alertmanager(
        a_delivery(notice=said), labels={"installation": "7f3c"}, now=a_moment(minutes=1)
    )
    labels = ", ".join(f'{name}="{value}"' for name, value in alert["labels"].items())
    return _received("alertmanager", "firing", alert["annotations"]["summary"], labels)


def _event(said: Notice) -> Received:
    event = webhook(a_delivery(notice=said))
    return _received("webhook", event["type"], event["data"]["title"], "webhook-id 01KM6Z5V3C8Q7J")


def _received(service: str, what: str, text: str, key: str) -> Received:
    return Received(
        number=1,
        at=a_moment(),
        service=service,
        what=what,
        text=text,
        key=key,
        effect="new",
        body={},
    )


if __name__ == "__main__":
    found = chromium()
    if found is None:
        sys.exit("there is no Chromium on this machine: install it (apt install chromium)")
    FOLDER.mkdir(exist_ok=True)
    for name, shown in pages().items():
        (FOLDER / f"{name}.png").write_bytes(draw(found, shown))
        print(FOLDER / f"{name}.png")

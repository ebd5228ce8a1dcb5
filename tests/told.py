"""Told: what docs/messages.md and its pictures show: a wave from its page to its end, and all the rest."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx

from services.alerter.notifier import Delivery
from services.alerter.operator import Operator
from tests.build import a_backlash, a_moment, a_subject, a_why, some_evidence
from tests.outbox import LINK, a_delivery
from uproar.backlash import Backlash, Event, Level
from uproar.incident import Act, Incident, Verb, advance
from uproar.notice import Language, Notice, NoticeKind, notice, trial

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


def acts() -> list[tuple[NoticeKind, Notice]]:
    """What people do beside taking it on: put it off, bring it back, judge it."""
    wave = a_backlash()
    incident, lines = advance(None, wave, now=wave.at)
    told = []
    for kind, minutes, act in (
        (
            NoticeKind.ACKNOWLEDGE,
            10,
            Act(verb=Verb.SNOOZE, by="Anna", until=a_moment(minutes=250)),
        ),
        (NoticeKind.TRIGGER, 40, Act(verb=Verb.REOPEN, by="Ben", note="it goes on")),
        (
            NoticeKind.RESOLVE,
            60,
            Act(verb=Verb.FALSE_ALARM, by="Ben", note="a fan page quotes the song"),
        ),
    ):
        was = incident
        incident, lines = advance(incident, act, now=a_moment(minutes=minutes))
        told.append((kind, notice(incident, lines[0], subject=a_subject(), url=LINK, was=was)))
    return told


def late() -> Notice:
    """A page that had to catch up."""
    wave = a_backlash()
    incident, lines = advance(None, wave, now=wave.at + timedelta(minutes=43))
    return notice(incident, lines[0], subject=a_subject(), url=LINK)


def tried(language: Language = Language.EN) -> Notice:
    """What POST /v1/receivers/NAME/test sends."""
    return trial(url="https://uproar.example", language=language, now=a_moment())


def storm() -> Delivery:
    """Many pages in one message; five stand for a hundred."""
    notices = []
    for place, (subject, people) in enumerate(STRUCK.items(), start=1):
        wave = a_backlash(
            subject=subject,
            level=Level.CRISIS if people > 100 else Level.ALERT,
            authors=people,
            severity=min(90, 40 + people // 4),
            why=a_why(negative=float(people)),
        )
        incident, lines = advance(None, wave, now=wave.at)
        link = f"https://uproar.example/incidents/e_{place}"
        notices.append(notice(incident, lines[0], subject=a_subject(subject), url=link))
    first, *others = notices
    return replace(a_delivery(notice=first, id="01KM6Z5V3C8Q7J2W9X4T1B0N6D"), bundle=tuple(others))


STRUCK = {"air-quillon": 40, "marlowe-kettles": 12, "nordbank": 180, "fizz": 9, "lumen-rail": 64}
"""Whom a storm strikes, and how many people complain."""


def to_the_operator() -> list[dict[str, Any]]:
    """What the operator's webhook gets while the database is away for a minute, and when it is back."""
    heard: list[dict[str, Any]] = []
    now, problems = a_moment(), {"database": "the database does not answer"}

    def desk(request: httpx.Request) -> httpx.Response:
        heard.append(json.loads(request.content))
        return httpx.Response(200, stream=httpx.ByteStream(b"ok"))

    async def watch() -> None:
        nonlocal now
        async with httpx.AsyncClient(transport=httpx.MockTransport(desk)) as client:
            operator = Operator(
                client,
                url="https://desk.example/hook",
                keys=(),
                problems=lambda: problems,
                clock=lambda: now,
            )
            for seconds in (0, 30, 60):
                now = a_moment(seconds=seconds)
                if seconds == 60:
                    problems.clear()
                await operator.look()

    asyncio.run(watch())
    return heard

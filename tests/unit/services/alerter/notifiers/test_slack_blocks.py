from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.alerter.notifiers.slack.blocks import escape, render, reply
from services.demo.standins.ledger import Ledger
from services.demo.standins.page import mrkdwn
from services.demo.standins.slack import SlackStandIn
from tests.build import NOON
from tests.outbox import a_notice
from uproar.backlash import Level
from uproar.incident import Happening, State
from uproar.notice import Language, NoticeKind, Quote
from uproar.post import PostId

NASTY = st.text(alphabet=st.sampled_from("<>&|!@*_~`\n\\ #:/.-hereCaoxé😡\u202e"), max_size=280)


def lengths(message) -> int:
    def of(value) -> int:
        if isinstance(value, dict):
            return sum(of(v) for k, v in value.items() if k != "type")
        if isinstance(value, list):
            return sum(map(of, value))
        return len(value) if isinstance(value, str) else 0

    return len(message.text) + sum(map(of, message.blocks))


def accepted(message) -> bool:
    slack = SlackStandIn(ledger=Ledger(clock=lambda: NOON))
    slack.post_message({"channel": "C0", "text": message.text, "blocks": list(message.blocks)})
    return True


def a_quote(text: str = "lost my bag", url: str | None = "https://a.example/1") -> Quote:
    return Quote(post=PostId("push:1"), text=text, url=url, created_at=NOON, why="")


def test_a_trigger_can_be_read_in_five_seconds():
    message = render(a_notice(), NoticeKind.TRIGGER)
    texts = [b["text"]["text"] for b in message.blocks]
    assert texts[0] == (
        "🟠 Backlash against Air Quillon: 40 people complain within 15\u00a0min, usual is 3"
    )
    assert texts[1].split("\n") == [
        "*Why now*  That is 13 times the usual. 80 % of the posts are negative, usual is 40 %.",
        "*How big*  60 posts so far, 40 people complaining. Severity 60 of 100, level alert.",
        "*Who*  Nobody is on it yet.",
    ]
    assert (
        texts[2] == "<https://example.org/1|example.org, 12:00 UTC>\n>Air Quillon lost my bag again"
    )
    assert texts[3].startswith("*Answer well*  Answer openly: what you know")
    assert texts[4] == ("<https://uproar.example/incidents/e_1|Open the incident and take it on>")
    assert message.text.endswith("usual is 3. Nobody is on it yet.")


def test_french_readers_get_french_labels():
    message = render(a_notice(language=Language.FR), NoticeKind.TRIGGER)
    assert message.blocks[1]["text"]["text"].startswith("*Pourquoi maintenant*  ")
    assert "s’en charger>" in message.blocks[-1]["text"]["text"]


@pytest.mark.parametrize(
    ("state", "level", "sign"),
    [
        (State.OPEN, Level.WATCH, "🟡"),
        (State.OPEN, Level.ALERT, "🟠"),
        (State.OPEN, Level.CRISIS, "🔴"),
        (State.ACKNOWLEDGED, Level.CRISIS, "👀"),
        (State.RESOLVED, Level.CRISIS, "✅"),
    ],
)
def test_the_first_sign_says_where_it_stands(state, level, sign):
    message = render(a_notice(state=state, level=level, page=False), NoticeKind.TRIGGER)
    assert message.text.startswith(sign)
    assert message.blocks[0]["text"]["text"].startswith(sign)


def test_a_page_is_red_even_while_somebody_is_on_it():
    rise = a_notice(state=State.ACKNOWLEDGED, level=Level.CRISIS)
    assert reply(rise).text.startswith("🔴")


@pytest.mark.parametrize("language", list(Language))
def test_what_is_taken_or_over_asks_nobody_to_take_it_on(language):
    opened = render(a_notice(language=language), NoticeKind.TRIGGER).blocks[-1]["text"]["text"]
    for state in (State.ACKNOWLEDGED, State.RESOLVED):
        notice = a_notice(language=language, state=state, what=Happening.ACKNOWLEDGE)
        message = render(notice, NoticeKind.ACKNOWLEDGE)
        link = message.blocks[-1]["text"]["text"]
        assert opened.startswith(link.removesuffix(">"))
        assert link != opened
        assert message.blocks[1]["text"]["text"].startswith(("*Now*  ", "*À présent*  "))


def test_a_later_message_says_how_it_stands_and_its_thread_what_happened():
    notice = a_notice(title="anna is on it", headline="Backlash against X", changed="At 12:05.")
    assert "Backlash against X" in render(notice, NoticeKind.ACKNOWLEDGE).text
    said = reply(replace(notice, page=False))
    assert said.text == "🟠 anna is on it"
    assert said.blocks[0]["text"]["text"] == "*🟠 anna is on it*\nAt 12:05."


@given(NASTY, NASTY, NASTY, st.sampled_from(Language), st.booleans())
def test_whatever_people_write_is_within_the_limits_and_harmless(post, name, note, language, flag):
    notice = a_notice(
        language=language,
        title=name or "x",
        headline=name or "x",
        changed=note,
        standing=note,
        quotes=(a_quote(post), a_quote(post * 3), a_quote(note)),
    )
    for message in (
        render(notice, NoticeKind.TRIGGER, repeated=flag),
        render(notice, NoticeKind.UPDATE, repeated=flag, anew=flag),
        reply(notice, repeated=flag),
    ):
        assert accepted(message)
        assert len(message.blocks) <= 20
        assert lengths(message) <= 6000
        shown = [message.text, message.plain]
        shown += [b["text"]["text"] for b in message.blocks if b["type"] == "section"]
        for text in shown:
            assert "class=mention" not in mrkdwn(text)
            links = [part.split("|")[0] for part in text.split("<")[1:]]
            assert set(links) <= {"https://a.example/1", notice.link}


def test_every_paragraph_is_taken_to_the_letter():
    message = render(a_notice(), NoticeKind.TRIGGER)
    assert all(b["text"]["verbatim"] for b in message.blocks if b["type"] == "section")


@pytest.mark.parametrize(
    "text", ["<!channel>", "<!here|x>", "@here", "@Channel", "@everyone", "<@U1>", "<#C1>"]
)
def test_nobody_is_mentioned_by_a_post(text):
    harmless = escape(text, 100)
    assert "<" not in harmless
    assert not any(f"@{who}" in harmless.lower() for who in ("here", "channel", "everyone"))


@given(st.text(max_size=300), st.integers(1, 400))
def test_what_is_escaped_is_cut_between_characters(text, limit):
    cut = escape(text, limit)
    assert len(cut) <= limit
    for rest in cut.split("&")[1:]:
        assert rest.startswith(("amp;", "lt;", "gt;"))


def test_a_link_cannot_end_its_brackets():
    notice = a_notice(quotes=(a_quote(url="https://a.example/x|y>z<b&c"),))
    text = render(notice, NoticeKind.TRIGGER).blocks[2]["text"]["text"]
    assert text.startswith("<https://a.example/x%7Cy%3Ez%3Cb&amp;c|a.example, 12:00 UTC>")


@pytest.mark.parametrize("url", [None, "https://a.example/" + "x" * 500])
def test_a_post_without_a_fitting_link_shows_its_time_only(url):
    notice = a_notice(quotes=(a_quote(url=url),))
    assert render(notice, NoticeKind.TRIGGER).blocks[2]["text"]["text"] == "12:00 UTC\n>lost my bag"


def test_a_notice_with_little_to_say_is_short():
    notice = a_notice(why_now="", how_big="", changed="", standing="", advice="", quotes=())
    message = render(notice, NoticeKind.CANARY)
    assert accepted(message)
    assert [b["type"] for b in message.blocks] == ["header", "section"]

import re
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from services.alerter.access import Role
from services.alerter.advance import Advancer
from services.alerter.console.pages import COOKIE, PAGE
from services.alerter.store.incidents import Arrival
from tests.build import NOON, a_backlash, a_why, some_evidence
from tests.unit.services.alerter.conftest import Caller
from uproar.backlash import Event, Level, episode_id
from uproar.incident import Act, IncidentId, Verb
from uproar.subject import SubjectId


@pytest.fixture
def browser(call) -> httpx.AsyncClient:
    """A browser: it keeps cookies, and follows no redirect by itself."""
    return call.http


@pytest.fixture
async def inside(browser, parts) -> httpx.AsyncClient:
    """A browser that has logged in as admin."""
    await browser.get("/login", params={"once": await parts.access.link()})
    return browser


async def opened(advancer: Advancer, number: int = 0, **given) -> str:
    at = NOON + number * timedelta(days=8)  # too long after the one before to be an episode of it
    episode = episode_id(SubjectId("air-quillon"), at)
    incident = await advancer.hear(a_backlash(incident=episode, at=at, **given), Arrival())
    return incident.id


def token_of(page: httpx.Response) -> str:
    return re.search(r'name="token" value="(\w+)"', page.text)[1]


async def test_a_stranger_is_asked_for_a_key_and_sees_nothing(browser, advancer):
    incident = await opened(advancer)

    for path, where in (
        ("/", "/login"),
        (f"/incidents/{incident}", f"/login?to=/incidents/{incident}"),
    ):
        answer = await browser.get(path)
        assert (answer.status_code, answer.headers["Location"]) == (303, where)
        assert "Quillon" not in answer.text


async def test_a_one_time_link_opens_the_console_once(browser, parts):
    token = await parts.access.link()

    answer = await browser.get("/login", params={"once": token})
    assert answer.status_code == 200
    assert 'content="0;url=/"' in answer.text
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert (await browser.get("/")).status_code == 200

    browser.cookies.clear()
    again = await browser.get("/login", params={"once": token})
    assert again.status_code == 403
    assert "has been used" in again.text
    assert COOKIE not in again.cookies


async def test_a_key_opens_it_and_leads_back_to_the_incident(browser, parts, advancer):
    incident = await opened(advancer)
    _, key = await parts.access.create_key("Ada", Role.VIEWER)
    where = f"/incidents/{incident}"

    asked = await browser.get("/login", params={"to": where})
    answer = await browser.post("/login", data={"key": f" {key} ", "to": where})
    page = await browser.get(where)

    assert f'value="{where}"' in asked.text
    assert f'content="0;url={where}"' in answer.text
    assert page.status_code == 200
    assert "Acknowledge" not in page.text  # a viewer may only read


async def test_a_wrong_key_opens_nothing(browser):
    for key in ("", "nonsense", "\ud83d", "x" * 10_000):
        answer = await browser.post("/login", data={"key": key.encode("utf-8", "replace")})
        assert answer.status_code == 403
        assert COOKIE not in answer.cookies


async def test_who_tries_keys_and_links_too_often_has_to_wait(browser, parts):
    parts.limits._address = 2
    tries = [
        await browser.post("/login", data={"key": "guess"}),
        await browser.get("/login", params={"once": "guess"}),
        await browser.post("/login", data={"key": "guess"}),
        await browser.get("/login", params={"once": "guess"}),
    ]
    page = await browser.get("/login")

    assert [answer.status_code for answer in tries] == [403, 403, 429, 429]
    assert page.status_code == 200


@pytest.mark.parametrize(
    ("public", "secure"), [("https://uproar.example.org", True), ("http://console.test", False)]
)
async def test_behind_an_ingress_that_speaks_tls_the_cookie_is_for_tls_alone(parts, public, secure):
    browser = Caller(replace(parts, console_url=public)).http
    answer = await browser.get("/login", params={"once": await parts.access.link()})

    assert ("Secure" in answer.headers["Set-Cookie"]) is secure


@pytest.mark.parametrize(
    "to", ["https://evil.example", "//evil.example", "/\\evil", "javascript:alert(1)", "/x\n"]
)
async def test_the_way_in_leads_nowhere_else(browser, to):
    assert 'name="to" value="/"' in (await browser.get("/login", params={"to": to})).text


async def test_from_a_link_in_slack_the_page_reloads_itself_so_that_the_cookie_comes_along(
    browser, advancer
):
    incident = await opened(advancer)

    answer = await browser.get(f"/incidents/{incident}", headers={"Sec-Fetch-Site": "cross-site"})

    assert answer.status_code == 200
    assert f'content="0;url=/incidents/{incident}"' in answer.text
    assert "Quillon" not in answer.text


async def test_an_empty_list_says_that_all_is_calm(inside):
    assert "All is calm" in (await inside.get("/")).text
    assert "No incident is resolved" in (await inside.get("/?status=resolved")).text


async def test_the_list_shows_each_incident_and_counts_states(inside, advancer):
    await opened(advancer, severity=83)
    page = await inside.get("/")

    for text in ("air-quillon", ">83<", a_why().summary, "60 posts by 40 people"):
        assert text in page.text
    assert 'Open <span class="count">1</span>' in page.text
    assert a_why().summary not in (await inside.get("/?status=acknowledged")).text


async def test_a_long_list_goes_on_with_older_incidents(inside, advancer):
    for number in range(PAGE + 1):
        await opened(advancer, number)
    page = await inside.get("/")
    (older,) = re.findall(r'href="(/\?before=[^"]+)"', page.text)

    rest = await inside.get(older.replace("&amp;", "&"))

    assert page.text.count('class="card level') == PAGE
    assert rest.text.count('class="card level') == 1


async def test_garbage_in_the_address_shows_the_first_page(inside, advancer):
    await opened(advancer)
    for garbage in (
        "?before=x",
        "?before=~",
        "?status=burning",
        "?before=2026-01-01~e",
        "?before=0001-01-01T00:00:00%2B05:00~e",
        "?before=9999-12-31T23:59:59-05:00~e",
        "?x=%00",
    ):
        page = await inside.get(f"/{garbage}")
        assert page.status_code == 200
        assert a_why().summary in page.text


async def test_an_incident_shows_why_evidence_timeline_and_deliveries(inside, advancer):
    incident = await opened(advancer)

    page = (await inside.get(f"/incidents/{incident}")).text

    for text in (
        a_why().summary,
        "<dd>40</dd>",  # complaining
        "<dd>80 %</dd>",  # negative share
        some_evidence().text,
        "the most negative",
        'href="https://example.org/1"',
        "<strong>Opened</strong>",
        "paged",
        "war-room",
        "pending",
        "2 Mar 2026, 12:00 UTC",
    ):
        assert text in page


async def test_what_people_write_is_shown_and_never_run(inside, advancer):
    evil = '<script>alert("1")</script>'
    incident = await opened(
        advancer,
        why=a_why(summary=evil),
        evidence=(some_evidence(text=evil, url="javascript:alert(1)", why=evil),),
    )

    for page in (await inside.get("/"), await inside.get(f"/incidents/{incident}")):
        assert evil not in page.text
        assert "&lt;script&gt;" in page.text
        assert "javascript:" not in page.text


@pytest.mark.parametrize("path", ["/", "/login", "/incidents/e_none", "/login?once=x"])
async def test_every_page_runs_no_script_and_is_kept_nowhere(inside, path):
    answer = await inside.get(path)

    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "<script" not in answer.text
    assert "style=" not in answer.text


async def test_a_person_acknowledges_and_resolves(inside, advancer):
    incident = await opened(advancer)
    where = f"/incidents/{incident}"
    token = token_of(await inside.get(where))

    done = await inside.post(f"{where}/acknowledge", data={"token": token, "note": "on <it>"})
    page = await inside.get(where)
    assert (done.status_code, done.headers["Location"]) == (303, where)
    assert "console is on it since" in page.text
    assert "on &lt;it&gt;" in page.text
    assert "formaction" in page.text  # it can still be resolved

    await inside.post(f"{where}/resolve", data={"token": token})
    page = await inside.get(where)
    assert "resolved by console" in page.text
    assert "<strong>Acknowledged by console</strong>" in page.text
    assert "/acknowledge" not in page.text


async def test_every_happening_has_words_in_the_timeline(inside, advancer):
    incident = await opened(advancer)
    for verb in (Verb.ACKNOWLEDGE, Verb.RESOLVE):
        await advancer.act(IncidentId(incident), Act(verb=verb, by="Ada"))
    rest = [
        (Event.GREW, Level.CRISIS),
        (Event.GREW, Level.CRISIS),
        (Event.SUBSIDED, Level.ALERT),
        (Event.ENDED, Level.WATCH),
    ]
    for sequence, (event, level) in enumerate(rest, start=1):
        heard = a_backlash(event, sequence=sequence, level=level, incident=incident)
        await advancer.hear(heard, Arrival())

    page = await inside.get(f"/incidents/{incident}")

    assert re.findall(r"<li>.*?<strong>(.*?)</strong>", page.text, re.DOTALL) == [
        "Ended",
        "Subsided",
        "Grew",
        "Rose to crisis and opened again",
        "Resolved by Ada",
        "Acknowledged by Ada",
        "Opened",
    ]


async def test_an_act_that_comes_too_late_is_told(inside, advancer):
    incident = await opened(advancer)
    where = f"/incidents/{incident}"
    token = token_of(await inside.get(where))
    await inside.post(f"{where}/resolve", data={"token": token})

    answer = await inside.post(f"{where}/acknowledge", data={"token": token})
    page = await inside.get(answer.headers["Location"])

    assert "not possible any more" in page.text


async def test_a_form_of_another_site_does_nothing(inside, advancer, call):
    incident = await opened(advancer)

    for form in ({}, {"token": "x" * 64}, {"token": ""}):
        answer = await inside.post(f"/incidents/{incident}/acknowledge", data=form)
        assert answer.status_code == 403
    assert (await call("GET", f"/v1/incidents/{incident}")).json()["status"] == "open"


async def test_a_viewer_cannot_act_with_a_form_made_by_hand(browser, parts, advancer, call):
    incident = await opened(advancer)
    _, key = await parts.access.create_key("Ada", Role.VIEWER)
    await browser.post("/login", data={"key": key})
    token = token_of(await browser.get(f"/incidents/{incident}"))

    answer = await browser.post(f"/incidents/{incident}/resolve", data={"token": token})

    assert answer.status_code == 404
    assert (await call("GET", f"/v1/incidents/{incident}")).json()["status"] == "open"


async def test_unknown_incidents_and_acts_are_pages_too(inside):
    page = await inside.get("/incidents/e_none")
    assert page.status_code == 404
    assert "nothing here" in page.text
    token = token_of(await inside.get("/"))
    for path in ("/incidents/e_none/resolve", "/incidents/e_none/explode"):
        assert (await inside.post(path, data={"token": token})).status_code == 404


async def test_logging_out_ends_the_session(inside):
    token = token_of(await inside.get("/"))
    session = inside.cookies[COOKIE]

    await inside.post("/logout", data={"token": "wrong"})
    inside.cookies.set(COOKIE, session)
    assert (await inside.get("/")).status_code == 200

    answer = await inside.post("/logout", data={"token": token})
    assert answer.headers["Location"] == "/login"
    inside.cookies.set(COOKIE, session)
    assert (await inside.get("/")).status_code == 303


async def test_the_docs_name_every_route_and_load_nothing_from_elsewhere(browser):
    docs = await browser.get("/docs")

    assert "default-src 'none'" in docs.headers["Content-Security-Policy"]
    assert not re.search(r"<script|<link|src=", docs.text)
    for path in (await browser.get("/openapi.json")).json()["paths"]:
        assert f"<code>{path}</code>" in docs.text


async def test_style_and_icon_are_served_from_here(browser):
    style = await browser.get("/static/style.css")
    icon = await browser.get("/static/icon.svg")

    assert (style.status_code, icon.status_code) == (200, 200)
    assert "http" not in style.text
    assert (await browser.get("/static/../pages.py")).status_code == 404


async def test_every_button_does_what_it_says(inside, advancer, clock):
    incident = await opened(advancer)

    async def press(verb: str, **fields) -> str:
        page = await inside.get(f"/incidents/{incident}")
        form = {"token": token_of(page), **fields}
        answer = await inside.post(f"/incidents/{incident}/{verb}", data=form)
        assert answer.status_code == 303
        return (await inside.get(answer.headers["Location"])).text

    assert "snoozed until 2 Mar 2026, 16:00 UTC" in await press("snooze", minutes="240")
    assert "Snoozed" in (await inside.get("/?status=snoozed")).text
    assert "assigned to Bo" in await press("assign", assignee=" Bo ")
    assert "calling legal" in await press("note", note="calling legal")
    assert "Say it in the note first" in await press("false-alarm", note="  ")
    page = await press("false-alarm", note="a football match")
    assert "console called it a false alarm: a football match" in page
    assert 'class="chip verdict"' in (await inside.get("/")).text
    assert "Nobody is on it" not in await press("reopen")
    assert "not possible any more" in await press("snooze", minutes="99999")
    page = await inside.get(f"/incidents/{incident}")
    token = {"token": token_of(page)}
    for verb in ("merge", "wake", "absorb", "unsilence", "nonsense"):
        assert (await inside.post(f"/incidents/{incident}/{verb}", data=token)).status_code == 404


async def test_waves_and_what_was_merged_are_shown(inside, advancer):
    incident = await opened(advancer)
    await advancer.hear(a_backlash(Event.ENDED, sequence=1, incident=incident), Arrival())
    at = NOON + timedelta(days=1)
    wave = a_backlash(incident=episode_id(SubjectId("air-quillon"), at), at=at, posts=777)
    await advancer.hear(wave, Arrival())
    other = (await advancer.hear(a_backlash(subject="quillon-one"), Arrival())).id
    act = Act(verb=Verb.MERGE, by="Ada")
    await advancer.merge(IncidentId(other), IncidentId(incident), act)

    page = await inside.get(f"/incidents/{incident}")
    gone = await inside.get(f"/incidents/{other}")
    report = await inside.get(f"/incidents/{incident}/report")

    for said in ("Waves", "wave 2", "777", "Merged into it", f"/incidents/{other}"):
        assert said in page.text, said
    assert "speaks for it" in gone.text
    assert "<textarea" not in gone.text
    assert "What to learn" in report.text

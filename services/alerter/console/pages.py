"""Pages: the list of incidents, one incident and what to do with it, the way in and out."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import parse_qs

import jinja2
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

from services.alerter import report
from services.alerter.access import (
    SESSION_LIFE,
    Access,
    Identity,
    Role,
    form_token,
    form_token_fits,
)
from services.alerter.advance import Advancer
from services.alerter.store import deliveries, history
from services.alerter.store.database import Database
from services.alerter.store.filter import Filter
from uproar.errors import Unavailable
from uproar.incident import Act, Happening, IllegalTransition, IncidentId, State, Verb

COOKIE: Final = "uproar_session"
PAGE: Final = 50
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the one-time token stands in an address
    "X-Content-Type-Options": "nosniff",
}
_OFFERED: Final = frozenset(
    {
        Verb.ACKNOWLEDGE,
        Verb.RESOLVE,
        Verb.REOPEN,
        Verb.SNOOZE,
        Verb.ASSIGN,
        Verb.NOTE,
        Verb.FALSE_ALARM,
    }
)
_PROBLEMS: Final = {
    "1": "That is not possible any more: see the timeline.",
    "words": "Say it in the note first.",
}
_HERE: Final = Path(__file__).parent
_LOCAL: Final = re.compile(r"/(incidents/[\w.-]{1,200})?")

router = APIRouter(include_in_schema=False)
static = StaticFiles(directory=_HERE / "static")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """
    What the console stands on.

    Attributes:
        knock: Counts an attempt to come in from an address; raises where it is one too many.
        console_url: The address under which people know it.
    """

    database: Database
    access: Access
    advancer: Advancer
    clock: Callable[[], datetime]
    knock: Callable[[str], None]
    console_url: str


def _when(moment: datetime | None) -> str:
    return moment.strftime("%-d %b %Y, %H:%M") + " UTC" if moment else "—"


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:.1f}".removesuffix(".0")


def _happening(line: Mapping[str, Any]) -> str:
    """Say what a line of the timeline tells, in the words of people."""
    by, other = line["by"], line["other"]
    words = {
        Happening.OPENED: "Opened",
        Happening.GREW: "Grew",
        Happening.ROSE: f"Rose to {line['level']}",
        Happening.DOUBLED: "Grew to twice its size",
        Happening.RETURNED: f"Returned: wave {line['episode']}",
        Happening.SUBSIDED: "Subsided",
        Happening.ENDED: "Ended",
        Happening.ACKNOWLEDGE: f"Acknowledged by {by}",
        Happening.RESOLVE: f"Resolved by {by}",
        Happening.REOPEN: f"Reopened by {by}",
        Happening.SNOOZE: f"Snoozed by {by}",
        Happening.ASSIGN: f"Assigned to {other} by {by}" if other else f"Unassigned by {by}",
        Happening.NOTE: f"Note by {by}",
        Happening.RATE: f"Rated by {by}",
        Happening.FALSE_ALARM: f"Called a false alarm by {by}",
        Happening.MERGE: f"Merged into another incident by {by}",
        Happening.ABSORB: f"Another incident was merged into it by {by}",
        Happening.UNMERGE: f"Taken out of another incident by {by}",
        Happening.RELEASE: f"Another incident was taken out of it by {by}",
        Happening.SPLIT: f"Split by {by}",
        Happening.WAKE: "Snooze over",
        Happening.UNSILENCE: "Silence over",
    }
    detected = line["happened_at"] is not None
    again = line["before"] == State.RESOLVED and line["after"] != State.RESOLVED and detected
    return words[Happening(line["happened"])] + (" and opened again" if again else "")


_TEMPLATES: Final = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {"when": _when, "number": _number, "happening": _happening}


@router.get("/")
async def incidents(
    request: Request,
    status: Annotated[str, Query(max_length=20)] = "",
    before: Annotated[str, Query(max_length=300)] = "",
) -> Response:
    """Show the incidents, the newest first; ``before`` is where the page before this one ended."""
    who = await _who(request)
    if who is None:
        return _ask_in(request)
    chosen = [State(status)] if status in set(State) else []
    async with _parts(request).database.reading() as transaction:
        counts = await history.counts(transaction, who.subjects)
        rows = await history.incidents(
            transaction,
            Filter(states=chosen, sight=who.subjects),
            limit=PAGE + 1,
            after=_place(before),
        )
    shown = rows[:PAGE]
    older = f"{shown[-1]['opened_at'].isoformat()}~{shown[-1]['id']}" if len(rows) > PAGE else None
    return _page(
        request,
        "incidents.html",
        who=who,
        rows=shown,
        counts=counts.by_state,
        chosen=chosen[0].value if chosen else "",
        older=older,
    )


@router.get("/incidents/{incident_id}")
async def incident(request: Request, incident_id: str, problem: str = "") -> Response:
    """Show one incident: why, evidence, timeline, deliveries, and what can be done."""
    who = await _who(request)
    if who is None:
        return _ask_in(request)
    async with _parts(request).database.reading() as transaction:
        row = await history.incident(transaction, incident_id)
        if row is None or not who.sees(row["subject"]):
            return _missing(request)
        return _page(
            request,
            "incident.html",
            who=who,
            row=row,
            evidence=await history.evidence(transaction, row["id"]),
            timeline=await history.timeline(transaction, row["id"]),
            deliveries=await deliveries.of_incident(transaction, row["id"]),
            episodes=await history.episodes(transaction, row["id"]),
            merged=[
                other
                for other in await history.merged(transaction, row["id"])
                if who.sees(other["subject"])
            ],
            may_act=who.role.may(Role.RESPONDER) and row["merged_into"] is None,
            problem=_PROBLEMS.get(problem, ""),
        )


@router.post("/incidents/{incident_id}/{verb}")
async def act(request: Request, incident_id: str, verb: str) -> Response:
    """Do what a button says, then show the incident."""
    who = await _who(request)
    form = await _form(request)
    if who is None or not form_token_fits(_session(request), form.get("token", "")):
        return _page(
            request,
            "message.html",
            status=HTTPStatus.FORBIDDEN,
            who=who,
            heading="This form is too old",
            text="Go back, reload the page and try again.",
        )
    if verb not in _OFFERED or not who.role.may(Role.RESPONDER):
        return _missing(request)
    async with _parts(request).database.reading() as transaction:
        row = await history.incident(transaction, incident_id)
    if row is None or not who.sees(row["subject"]):
        return _missing(request)
    doing = _doing(request, who, Verb(verb), form)
    where = f"/incidents/{incident_id}"
    if doing.note is None and doing.verb in {Verb.NOTE, Verb.FALSE_ALARM}:
        where += "?problem=words"
        return RedirectResponse(where, status_code=HTTPStatus.SEE_OTHER, headers=dict(HEADERS))
    try:
        if await _parts(request).advancer.act(IncidentId(incident_id), doing) is None:
            return _missing(request)
    except IllegalTransition:
        where += "?problem=1"
    return RedirectResponse(where, status_code=HTTPStatus.SEE_OTHER, headers=dict(HEADERS))


def _doing(request: Request, who: Identity, verb: Verb, form: Mapping[str, str]) -> Act:
    minutes = form.get("minutes", "")
    wait = int(minutes) if minutes.isascii() and minutes.isdigit() and len(minutes) < 6 else 60
    return Act(
        verb=verb,
        by=who.name,
        note=form.get("note", "").strip()[:4000] or None,
        via=_via(request),
        until=_parts(request).clock() + timedelta(minutes=wait) if verb is Verb.SNOOZE else None,
        assignee=form.get("assignee", "").strip()[:200] or None if verb is Verb.ASSIGN else None,
    )


@router.get("/incidents/{incident_id}/report")
async def printed(request: Request, incident_id: str) -> Response:
    """Show the report of an incident."""
    who = await _who(request)
    if who is None:
        return _ask_in(request)
    async with _parts(request).database.reading() as transaction:
        row = await history.incident(transaction, incident_id)
        if row is None or not who.sees(row["subject"]):
            return _missing(request)
        html = await report.rendered(transaction, row, now=_parts(request).clock())
    return HTMLResponse(html, headers=dict(report.HEADERS) | {"Cache-Control": "no-store"})


@router.get("/login")
async def way_in(request: Request, once: str = "", to: str = "/") -> Response:
    """Ask for a key, or take a one-time link."""
    if not once:
        return _page(request, "login.html", who=None, to=_local(to), problem="")
    _parts(request).knock(_address(request))
    session = await _parts(request).access.log_in_by_link(once)
    if session is None:
        return _page(
            request,
            "login.html",
            status=HTTPStatus.FORBIDDEN,
            who=None,
            to="/",
            problem="This link has been used or is too old.",
        )
    return _let_in(request, session, "/")


@router.post("/login")
async def log_in(request: Request) -> Response:
    """Open a session with a key."""
    _parts(request).knock(_address(request))
    form = await _form(request)
    to = _local(form.get("to", "/"))
    session = await _parts(request).access.log_in_by_key(form.get("key", "").strip())
    if session is None:
        return _page(
            request,
            "login.html",
            status=HTTPStatus.FORBIDDEN,
            who=None,
            to=to,
            problem="This key is unknown or revoked.",
        )
    return _let_in(request, session, to)


@router.post("/logout")
async def log_out(request: Request) -> Response:
    """End the session."""
    form = await _form(request)
    if form_token_fits(_session(request), form.get("token", "")):
        await _parts(request).access.log_out(_session(request))
    answer = RedirectResponse("/login", status_code=HTTPStatus.SEE_OTHER, headers=dict(HEADERS))
    answer.delete_cookie(COOKIE)
    return answer


def _let_in(request: Request, session: str, to: str) -> Response:
    """Set the cookie on a page that goes on by itself: a redirect would not send it along."""
    answer = _page(request, "onward.html", who=None, to=to)
    answer.set_cookie(
        COOKIE,
        session,
        max_age=int(SESSION_LIFE.total_seconds()),
        httponly=True,
        samesite="strict",
        secure="https" in {request.url.scheme, _known_by(request)},
    )
    return answer


def _known_by(request: Request) -> str:
    """Return the scheme of the public address: an ingress may end TLS, and ask us over http."""
    return _parts(request).console_url.partition(":")[0].lower()


def _ask_in(request: Request) -> Response:
    """
    Send people without a session to the way in.

    A browser that comes from a link on another site (Slack's) keeps a strict cookie back: one
    reload from our own page brings it.
    """
    to = _local(request.url.path)
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        return _page(request, "onward.html", who=None, to=to)
    where = "/login" if to == "/" else f"/login?to={to}"
    return RedirectResponse(where, status_code=HTTPStatus.SEE_OTHER, headers=dict(HEADERS))


def _missing(request: Request) -> Response:
    return _page(
        request,
        "message.html",
        status=HTTPStatus.NOT_FOUND,
        who=None,
        heading="There is nothing here",
        text="The address may be cut, or the incident is not of this installation.",
    )


def _page(
    request: Request, template: str, *, status: HTTPStatus = HTTPStatus.OK, **values: Any
) -> Response:
    token = form_token(_session(request)) if values["who"] else ""
    html = _TEMPLATES.get_template(template).render(
        now=_parts(request).clock(), token=token, **values
    )
    return HTMLResponse(html, status_code=status, headers=dict(HEADERS))


async def _who(request: Request) -> Identity | None:
    session = _session(request)
    try:
        return await _parts(request).access.by_session(session) if session else None
    except Unavailable:
        return None


async def _form(request: Request) -> dict[str, str]:
    body = (await request.body()).decode("utf-8", "replace")
    try:
        return {name: values[0] for name, values in parse_qs(body, max_num_fields=20).items()}
    except ValueError:
        return {}


def _via(request: Request) -> str:
    return f"console {_address(request)}"


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"


def _session(request: Request) -> str:
    return request.cookies.get(COOKIE, "")


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.console
    return parts


def _local(to: str) -> str:
    """Go nowhere but to a page of ours."""
    return to if _LOCAL.fullmatch(to) else "/"


def _place(before: str) -> tuple[datetime, str] | None:
    moment, _, incident_id = before.partition("~")
    try:
        parsed = datetime.fromisoformat(moment)
        opened_at = parsed.astimezone(UTC) if parsed.tzinfo else None
    except (ValueError, OverflowError):
        return None
    return (opened_at, incident_id) if opened_at and incident_id else None

"""Show: how the demo looks on a terminal. It judges nothing."""

import html
import re
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from rich import box
from rich.console import Console, Group
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from services.demo.outcome import PAGES, Case, Outcome
from services.demo.standins import Received

MAX_EVIDENCE = 5
TIME = "%a %d %b %H:%M"


class Bar:
    """How the story is pushed: posts, and the day it is in it."""

    def __init__(self, console: Console, what: str) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[reached]}"),
            console=console,
        )
        self._task = self._bar.add_task(what, total=None, reached="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def begin(self, posts: int) -> None:
        """Hear how many posts there are."""
        self._bar.update(self._task, total=posts)

    def moved(self, posts: int, reached: datetime | None) -> None:
        """Show how far the story has come."""
        when = f"{reached:{TIME}}" if reached else ""
        self._bar.update(self._task, completed=posts, reached=when)


def show(console: Console, outcome: Outcome) -> None:
    """Show the incident, what was sent, and what did not page."""
    if (case := outcome.backlash) is not None:
        console.print(_incident(case, outcome))
        console.print(_messages(outcome))
    console.print(_quiet(outcome))


def _incident(case: Case, outcome: Outcome) -> Panel:
    incident, why = case.incident, case.incident["why"]
    heading = Text.assemble(
        (f"{incident['subject_name']}: {incident['level']}", "bold"),
        f", severity {incident['severity']} of 100, {incident['posts']} posts, "
        f"about {incident['authors']} people complain.\n"
        f"The song went online on {outcome.onset:{TIME}}.",
    )
    reasons = Text(f"{why['summary']}\n")
    share, usual = why.get("negative_share"), why.get("baseline_share")
    if share is not None and usual is not None:
        reasons.append(f"negative: {share:.0%} of the posts, usually {usual:.0%}; ")
    reasons.append(
        f"by chance once in 10^{why['statistic']:.0f} looks, "
        f"where once in 10^{why['threshold']:.1f} is enough"
    )
    return Panel(
        Group(
            heading,
            _titled("Timeline (event time)"),
            _timeline(case),
            _titled("Why"),
            reasons,
            _titled("Evidence"),
            *[_cited(post) for post in case.evidence[:MAX_EVIDENCE]],
        ),
        title="incident",
        border_style="red",
        box=box.ROUNDED,
    )


def _titled(text: str) -> Text:
    return Text(f"\n{text}", style="bold cyan")


def _timeline(case: Case) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for row in case.timeline:
        when = row["happened_at"] or row["at"]
        table.add_row(
            f"{datetime.fromisoformat(when):%H:%M}",
            row["happened"],
            row["level"],
            f"{row['posts']} posts",
            "[bold red]PAGE[/bold red]" if row["page"] else "",
            escape(row["summary"] or ""),
        )
    return table


def _cited(post: dict[str, Any]) -> Text:
    when = datetime.fromisoformat(post["created_at"])
    return Text.assemble(
        (f"{when:%H:%M} ", "dim"),
        " ".join(post["text"].split())[:220],
        (f"  ({post['why']})", "dim"),
    )


def _messages(outcome: Outcome) -> Panel:
    """Show what woke people: the Slack message whole, the other pages by their first line."""
    parts: list[Text] = []
    later = 0
    for message in outcome.messages:
        if PAGES.get(message.service) != message.what or message.effect != "new":
            later += 1
            continue
        parts.append(Text(f"{message.at:%H:%M:%S} {message.service} {message.what}", "bold cyan"))
        parts.append(Text(_whole(message) if message.service == "slack" else message.text))
    parts.append(Text(f"and {later} updates of these, as it grew", "dim"))
    return Panel(
        Group(*parts),
        title="received by the stand-ins, within the documented limits",
        border_style="magenta",
        box=box.ROUNDED,
    )


def _whole(message: Received) -> str:
    """Return the words of a Slack message's blocks, in order, links as their words."""
    words = [text for block in message.body.get("blocks", []) for text in _texts(block)]
    plain = re.sub(r"<[^<>|]*\|([^<>]*)>", r"\1", "\n".join(words) or message.text)
    return html.unescape(plain)


def _texts(part: Any) -> list[str]:
    if isinstance(part, list):
        return [text for item in part for text in _texts(item)]
    if not isinstance(part, dict):
        return []
    own = part.get("text")
    if isinstance(own, str):
        return [own]
    return [text for value in part.values() for text in _texts(value)]


def _quiet(outcome: Outcome) -> Text:
    begin, end = outcome.story.giveaway
    posts = sum(
        begin <= datetime.fromisoformat(post["created_at"]) < end
        for post in outcome.story.posts
        if "#QuillonGiveaway".lower() in post["text"].lower() or "@airquillon" in post["text"]
    )
    pages = sum(begin <= at < end for case in outcome.cases for at in case.pages)
    return Text(
        f"giveaway on {begin:{TIME}}: {posts} posts in {(end - begin).seconds // 3600} hours, "
        f"{pages or 'no'} page{'s' * (pages > 1)}"
    )

"""
Run: `uproar demo`: the product on embedded parts, one bundled crisis, and what came of it.

It is the product as `uproar up` runs it, in a folder and on ports of its own; only the receivers
are stand-ins on this machine.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from rich.console import Console

from services.alerter import access
from services.demo.outcome import Outcome, gather, judge
from services.demo.show import Bar, show
from services.demo.standins import StandIns
from services.demo.standins.__main__ import toml
from services.demo.story import WATCH, Story, minute_of, story
from services.ingest.replay import replay
from services.process import Exit, run
from services.standalone.apart import Interrupted, keep_logs, own_settings, running
from services.standalone.plan import Plan, where_to_push
from services.standalone.up import quieten
from uproar.errors import Unavailable, UproarError

PAGE_SECONDS = 300.0
STREAM = "chirp"
STORM_SPEED = 1200
"""Event seconds a second, from the song on: so that a page is measured without a backlog."""


def main(seed: int, *, keep: bool = False) -> int:
    """
    Run the demo.

    Args:
        seed: Of the story.
        keep: Keep everything running at the end, until Ctrl-C.

    Returns:
        0 if the backlash paged and nothing else did, 1 otherwise: then it has said why.

    Raises:
        Misconfigured, Unavailable: It could not run at all.
        KeyboardInterrupt: A signal came; everything has ended.
    """
    console = Console(highlight=False)
    ended: list[bool | UproarError | Interrupted] = []

    async def demo(stop: asyncio.Event) -> None:
        try:
            ended.append(await _demo(console, seed, stop, keep=keep))
        except (UproarError, Interrupted) as error:
            ended.append(error)

    with own_settings("demo") as folder:
        code = run(demo, grace=timedelta(minutes=2))
        what = ended[0] if ended else False
        if isinstance(what, Interrupted):
            raise KeyboardInterrupt
        if code != Exit.OK or what is not True:
            console.print(f"the logs of all parts are kept in {keep_logs(folder)}")
    if isinstance(what, UproarError):
        raise what
    return code or (0 if what else 1)


async def _demo(console: Console, seed: int, stop: asyncio.Event, *, keep: bool) -> bool:
    told = story(seed)
    async with StandIns() as standins:
        before, after = _write(told, standins)
        plan = Plan.load()
        quieten("demo", plan)
        console.print("starting broker, alerter, classifier and ingest")
        async with running(plan, say=console.print, stop=stop):
            database = plan.alerter.database_url
            key = await asyncio.to_thread(access.create, database, "viewer", "demo")
            watching = partial(gather, plan.addresses(), key, told, standins.messages)
            await _replay(before, console, "six calm days, and a giveaway")
            with console.status("waiting for the model to have read them"):
                await _wait(watching, told.onset - timedelta(hours=1))
            await _replay(after, console, f"the song, {STORM_SPEED} times as fast", STORM_SPEED)
            with console.status("waiting for the last minute to be judged"):
                outcome = await _wait(watching, told.end)
            show(console, outcome)
            verdict = judge(outcome)
            if keep:
                console.print(f"stand-ins: {standins.url}   Ctrl-C ends everything")
                await _keep(plan, console, stop)
    if verdict.wrong:
        for line in verdict.wrong:
            console.print(f"[red]wrong:[/red] {line}")
        return False
    print(verdict.line, flush=True)  # noqa: T201 - scripts read it
    return True


# ------------------------------------------------------------------------------------- its parts


def _write(told: Story, standins: StandIns) -> tuple[Path, Path]:
    """Write uproar.toml, with the stand-ins for receivers; and the posts, before the song and after."""
    config = Path(os.environ["UPROAR_CONFIG"])
    config.write_text(f"{WATCH.read_text('utf-8')}\n{toml(standins)}", "utf-8")
    files = config.with_name("calm.jsonl"), config.with_name("storm.jsonl")
    cut = minute_of(told.onset)
    with (
        files[0].open("w", encoding="utf-8") as calm,
        files[1].open("w", encoding="utf-8") as storm,
    ):
        for post in told.posts:
            out = calm if datetime.fromisoformat(post["created_at"]) < cut else storm
            out.write(json.dumps(post, ensure_ascii=False) + "\n")
    return files


async def _replay(file: Path, console: Console, what: str, speed: float | None = None) -> None:
    address, token = where_to_push(None, None)
    with Bar(console, what) as bar:
        summary = await replay(
            file, to=address, token=token, source=STREAM, speed=speed, progress=bar
        )
    if lost := summary.bad + summary.counts["rejected"]:
        raise Unavailable(f"ingest refused {lost} posts of the story: {summary.rejected[:3]}")


async def _wait(watching: Callable[[], Awaitable[Outcome]], moment: datetime) -> Outcome:
    """Wait until all before a moment of event time is judged and what follows is delivered."""
    loop = asyncio.get_running_loop()
    until = loop.time() + PAGE_SECONDS
    while True:
        outcome = await watching()
        there = outcome.judged_to is not None and outcome.judged_to >= minute_of(moment)
        if (outcome.settled and there) or loop.time() > until:
            return outcome
        await asyncio.sleep(0.2)


async def _keep(plan: Plan, console: Console, stop: asyncio.Event) -> None:
    link = await asyncio.to_thread(
        access.one_time_link, plan.alerter.database_url, plan.addresses()["alerter"]
    )
    console.print(f"console: {link}")
    with suppress(asyncio.CancelledError):
        await stop.wait()

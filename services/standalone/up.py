"""`uproar up`: the whole product on this machine, until Ctrl-C."""

import asyncio
import logging
import sys
from datetime import timedelta

import click

from services.alerter import access
from services.process import Exit, logs, run
from services.standalone.plan import Plan
from services.standalone.run import GRACE_SECONDS, Standalone
from uproar.errors import UproarError


def say(line: str) -> None:
    """Tell the person at the terminal, who may have piped stdout elsewhere."""
    click.echo(line, err=True)


def up() -> int:
    """
    Run everything until SIGINT or SIGTERM.

    Returns:
        The exit code.

    Raises:
        Misconfigured: A person must mend something; the text says what.
        Unavailable: The embedded broker does not come up.
    """
    plan = Plan.load()
    watched = plan.watched()
    quieten("up", plan)
    failed: list[UproarError] = []

    async def main(stop: asyncio.Event) -> None:
        house = Standalone(plan, say=say)
        welcoming = asyncio.create_task(_welcome(house, plan, watched))
        say("starting: broker, alerter, classifier, ingest")
        try:
            await house.run(stop)
        except UproarError as error:
            failed.append(error)
        finally:
            welcoming.cancel()

    code = run(main, grace=timedelta(seconds=3 * GRACE_SECONDS + 10))
    if failed:
        raise failed[0]
    if code == Exit.OK:
        say("stopped")
    return code


def quieten(name: str, plan: Plan) -> None:
    """Log only errors: the services have logs of their own, and what matters is said."""
    loud = plan.ingest.log_level == "debug"
    logs(name, plan.ingest.model_copy(update={"log_level": "debug" if loud else "error"}))
    if not loud:  # while a broker is away its client has ten errors a second
        logging.getLogger("kafka").setLevel(logging.CRITICAL)


async def _welcome(house: Standalone, plan: Plan, watched: int) -> None:
    """Say where everything is, once it is there."""
    await house.ready.wait()
    alerter = plan.alerter
    link = await asyncio.to_thread(
        access.one_time_link, alerter.database_url, plan.addresses()["alerter"]
    )
    secret = plan.token_file()
    where = f"in {secret}" if secret else "the one of UPROAR_INGEST_TOKEN"
    lines = {
        "console": f"{link}  (opens once, within 15 minutes)",
        "API": f"{plan.addresses()['alerter']}/docs  (keys: uproar keys create --role viewer)",
        "push": f"POST {plan.addresses()['ingest']}/v1/posts  (bearer token: {where})",
        "watching": f"{watched} subjects" if watched else "nobody yet: uproar init",
        "broker": plan.kafka or "embedded, in memory: see README, Limits",
        "logs": str(plan.logs),
    }
    say("uproar is up; Ctrl-C stops it")
    for name, text in lines.items():
        say(f"  {name:<9} {text}")
    sys.stderr.flush()

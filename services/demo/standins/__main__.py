"""``python -m services.demo.standins --port 0``: prints its address, then how to page it."""

import asyncio
import json
import signal

import click

from services.demo.standins import StandIns


@click.command()
@click.option("--port", default=0, show_default="a free one", help="Where to listen.")
def main(port: int) -> None:
    """Run a local Slack, PagerDuty and webhook endpoint until interrupted."""
    asyncio.run(_run(port))


async def _run(port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stop.set)
    async with StandIns(port) as standins:
        click.echo(standins.url)
        click.echo(f"\nOpen {standins.url} to see what arrives. In uproar.toml:\n")
        click.echo(toml(standins))
        await stop.wait()


def toml(standins: StandIns, *kinds: str) -> str:
    """Write the receivers, those of some types or all, as uproar.toml wants them."""
    lines: list[str] = []
    tables = standins.tables()
    for kind, options in ((kind, tables[kind]) for kind in kinds or tables):
        lines += ["[[receiver]]", f'name = "local-{kind}"', f'type = "{kind}"']
        for name, value in options.items():
            lines.append(f"{name} = {json.dumps(value)}")  # JSON's values are TOML's
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

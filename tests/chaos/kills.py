"""
Kills: real processes, a real broker and real sockets, and SIGKILL in the middle of it.

Three parts: an alerter that is killed while it delivers to stand-ins that fail; two of them on one
PostgreSQL, of which now one is killed and now the other; and the whole product of which one process
after the other is killed at random moments of a crisis that it reads.
"""

import asyncio
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random

from services.demo.standins import Fault, StandIns
from tests.broker import Address, Cluster, broker
from tests.build import a_backlash
from tests.chaos import trial
from tests.chaos.real import Real, judged
from tests.chaos.trial import Pace, Trial
from tests.databases import new_url
from tests.integration.test_alerter import House, fine, send
from uproar.topics import BACKLASH

WHOLE = ("ingest", "classifier", "alerter", "broker")
"""What is killed of the whole product: each of them in every crisis, in a random order."""
SECONDS_A_KILL = 8.0
_FAULTS = (Fault.RATE_LIMITED, Fault.UNAVAILABLE, Fault.SERVER_ERROR, Fault.DROPPED, Fault.CUT)


def campaign(number: int, *, seed: int, kafka: bool) -> Real:
    """Kill so many processes and count what is missing or there twice."""
    total = Real()
    whole = number * len(WHOLE) // (len(WHOLE) + 1)  # the rest: alerters that are delivering
    pair = (number - whole) // 2
    for replicas, times in ((1, number - whole - pair), (2, pair)):
        if times:
            total.add(alerters(replicas, times, seed=seed, kafka=kafka))
    for first in range(0, whole, len(WHOLE)):
        victims = min(len(WHOLE), whole - first)
        total.add(crisis(seed + first // len(WHOLE), victims=victims, kafka=kafka))
    return total


# --------------------------------------------------------- one or two alerters that are delivering


def alerters(replicas: int, number: int, *, seed: int, kafka: bool = False) -> Real:
    """Kill one of some alerters so many times; several of them are on one PostgreSQL."""
    with ExitStack() as stack:
        address = stack.enter_context(broker("kafka" if kafka else "embedded"))
        folders = [
            Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(replicas)
        ]
        url = new_url(folders[0], "postgresql") if replicas > 1 else None
        return asyncio.run(_delivering(number, Random(seed), address, folders, url))


async def _delivering(
    number: int, rng: Random, address: Address, folders: Sequence[Path], url: str | None
) -> Real:
    """Kill one of them in the middle of each page, and start it again."""
    async with StandIns() as standins:
        homes = [House(folder, address, standins, url) for folder in folders]
        for home in homes:
            await home.begin()
        incidents = []
        try:
            for n in range(number):
                event = a_backlash(subject=f"brand-{n}")
                incidents.append(event.incident)
                for _ in range(rng.randrange(3)):
                    path = rng.choice(("/slack", "/pagerduty", "/webhook"))
                    standins.trouble(rng.choice(_FAULTS), path=path)
                await send(address, BACKLASH, event)
                await asyncio.sleep(rng.random() * 0.5)
                victim = rng.choice(homes)
                await asyncio.to_thread(victim.end, signal.SIGKILL)
                print(f"SIGKILL {n + 1}: one of {len(homes)} alerters", flush=True)
                victim.start()
                await victim.until(lambda home=victim: fine(home))

            async def done() -> bool:
                found = {item["id"] for item in await homes[0].items("/v1/incidents?limit=200")}
                status = await homes[0].ask("/v1/status")
                return set(incidents) <= found and status["outbox"]["pending"] == 0

            await homes[0].until(done)
        finally:
            for home in homes:
                if home._process and home._process.poll() is None:
                    await asyncio.to_thread(home.end, signal.SIGKILL)
        return judged(standins, incidents)


# ---------------------------------------------------------------------------- the whole product


def crisis(seed: int, *, victims: int = len(WHOLE), kafka: bool = False) -> Real:
    """
    Let the product read a crisis, kill so many of its processes, and compare with the back-test.

    Raises:
        AssertionError: The incidents are not those of the back-test.
    """
    rng = Random(seed)
    chosen = rng.sample(WHOLE, victims)
    moments = sorted(rng.random() for _ in chosen)
    print(f"seed {seed}: {', '.join(_plan(chosen, moments))}", flush=True)
    with ExitStack() as stack:
        cluster = Cluster() if kafka else None
        if cluster is not None:
            stack.callback(cluster.remove)
            cluster.start()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        real = trial.run(
            folder,
            _killing(chosen, moments, rng, cluster),
            seed=seed,
            pace=Pace(SECONDS_A_KILL * victims),
            address=cluster.address if cluster else None,
        )
    print(
        f"seed {seed}: incidents as in the back-test; posts lost {real.posts_lost}, counted twice "
        f"{real.posts_counted_twice}, pages lost {real.pages_lost}, PagerDuty duplicates "
        f"{real.pagerduty_duplicates}"
        + (f", records doubled {real.posts_doubled}" if kafka else ""),
        flush=True,
    )
    return real


def _plan(victims: Sequence[str], moments: Sequence[float]) -> list[str]:
    return [f"{v} at {m:.0%}" for v, m in zip(victims, moments, strict=True)]


def _killing(
    victims: Sequence[str], moments: Sequence[float], rng: Random, cluster: Cluster | None
) -> Callable[[Trial], None]:
    def kill_them(under: Trial) -> None:
        for victim, moment in zip(victims, moments, strict=True):
            under.pace.wait_until(moment)
            time.sleep(rng.random())  # not only where a batch has just been acknowledged
            began = time.monotonic()
            if victim != "broker":
                _kill_a_service(under, victim)
            elif cluster is not None:
                cluster.kill()
                time.sleep(rng.uniform(0.5, 5.0))
                cluster.restart()
            else:
                _kill_the_embedded_broker(under)
            under.wait_until_well()
            took = time.monotonic() - began
            print(f"SIGKILL: {victim}, all well after {took:.1f} s", flush=True)

    return kill_them


def _kill_a_service(under: Trial, victim: str) -> None:
    home = under.home
    killed = home.wait(f"{victim} to be there", lambda: home.kill_if_there(victim))
    home.wait(f"another {victim}", lambda: home.process_of(victim) not in {None, killed})


def _kill_the_embedded_broker(under: Trial) -> None:
    home = under.home
    before = home.output.count("ready again")
    home.wait("the broker to be there", lambda: home.kill_if_there("broker"))
    home.wait("the next life", lambda: home.output.count("ready again") > before)

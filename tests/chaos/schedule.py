"""Schedule: one plan on a virtual clock: the product's own rooms, a real database, and its end."""

import asyncio
import shutil
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from random import Random

import httpx
import ulid

from services.alerter.advance import Advancer
from services.alerter.consume import Taker
from services.alerter.deliver import Deliverer
from services.alerter.notifier import Outbox
from services.alerter.notifier.exchange import Surroundings
from services.alerter.notifiers import build
from services.alerter.settings import ReceiverTable
from services.alerter.store import silences
from services.alerter.store.database import Database
from services.alerter.store.outbox import SqlOutbox
from services.demo.standins import StandIns
from tests.chaos.plan import HEALED, Deed, Life, Plan, draw
from tests.chaos.process import Killed, Process, living, without_threads
from tests.chaos.standing import dormant
from tests.chaos.verdict import Verdict, judge, unfinished
from tests.chaos.virtual import VirtualLoop
from tests.chaos.world import World
from uproar.errors import Unavailable
from uproar.incident import Act, IllegalTransition, IncidentId, Verb
from uproar.routing import Receiver, ReceiverName, Route
from uproar.topics import BACKLASH

POLL = timedelta(seconds=12)
RING = 10.0
PATIENCE = 4 * 3600.0
"""Seconds, virtual, until a schedule that does not come to rest counts as lost."""


@dataclass(slots=True)
class Product:
    """What is tried; a planted bug replaces a part of it."""

    outbox: Callable[[Database], Outbox] = SqlOutbox
    deliverer: Callable[..., Deliverer] = Deliverer


@dataclass(slots=True)
class Stage:
    """Where schedules are played: one database file, and an engine for each replica that is kept."""

    folder: Path
    empty: Path
    product: Product = field(default_factory=Product)
    databases: dict[int, Database] = field(default_factory=dict)
    standins: StandIns = field(default_factory=lambda: StandIns(8090))

    @property
    def path(self) -> Path:
        return self.folder / "uproar.db"

    def play(self, plan: Plan) -> Verdict:
        """Play one plan from its beginning to its end."""
        for left in self.folder.glob("uproar.db*"):
            left.unlink()
        shutil.copyfile(self.empty, self.path)
        chance = Random(plan.seed)
        seeded = ulid.ULIDGenerator(randomness=lambda _: chance.randbytes(10))
        was, ulid.default_generator = ulid.default_generator, seeded
        loop = VirtualLoop()
        try:
            with without_threads():
                return loop.run_until_complete(Play(self, plan).run())
        finally:
            ulid.default_generator = was
            loop.close()

    def replay(self, seed: int) -> Verdict:
        """Play the plan of a seed."""
        return self.play(draw(seed))

    async def database(self, replica: int) -> Database:
        """Open the database for a new life; compiled statements are kept, connections are not."""
        if replica not in self.databases:
            self.databases[replica] = Database(f"sqlite+aiosqlite:///{self.path}")
        await self.databases[replica].engine.dispose(close=False)
        return self.databases[replica]


class Play:
    """One schedule while it runs."""

    def __init__(self, stage: Stage, plan: Plan) -> None:
        self.stage, self.plan = stage, plan
        self.rng = Random(plan.seed + 1)
        records = [BACKLASH.record(event, key="k") for _, event in plan.events]
        self.world = World(stage.standins, self.rng, records, trouble=plan.trouble)
        self.world.standins.slack.readable = plan.readable
        self.alive: dict[int, tuple[Process, Advancer]] = {}
        self.acting = len(plan.acts) + len(plan.silences)
        self.deaths: list[str] = []
        self.over = asyncio.Event()

    async def run(self) -> Verdict:
        async with httpx.AsyncClient(transport=self.world.network) as client:
            self.client = client
            replicas = [
                asyncio.create_task(self._replica(n, lives))
                for n, lives in enumerate(self.plan.lives)
            ]
            others = [asyncio.create_task(one) for one in self._world()]
            resting = asyncio.create_task(self._rest())
            await asyncio.wait([resting, *replicas], return_when=asyncio.FIRST_COMPLETED)
            for task in replicas:
                if task.done():
                    task.result()
            rested = resting.result()
            for task in [*replicas, *others]:
                task.cancel()
            while left := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.gather(*left, return_exceptions=True)
        return judge(self.stage.path, self.world, self.plan, rested=rested, deaths=self.deaths)

    # ------------------------------------------------------------------------- the processes

    async def _replica(self, number: int, lives: tuple[Life, ...]) -> None:
        """Live one life after the other; the last one does not end."""
        for life in (*lives, Life()):
            process = Process(
                self.world.storage, self.rng, dies_at=life.dies_at, stalls_at=life.stalls_at
            )
            with living(process):
                body = asyncio.create_task(self._live(number, process))
            try:
                await asyncio.wait({body})
            finally:
                process.die()
                body.cancel()
            self.alive.pop(number, None)
            self._look_at(body, process)
            await asyncio.sleep(life.restarts_after)

    def _look_at(self, body: asyncio.Task[None], process: Process) -> None:
        """Take a death that was planned; anything else is a bug."""
        self.deaths.append(process.died_at)
        error = body.exception()
        killed = bool(process.died_at)
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if not killed and error is not None:
            raise error

    async def _live(self, number: int, process: Process) -> None:
        world, written = self.world, asyncio.Event()
        database = await self.stage.database(number)
        surroundings = Surroundings(client=self.client, installation="i1", clock=world.clock)
        tables = [
            ReceiverTable(name=kind, type=kind, options=options)
            for kind, options in world.standins.tables().items()
            if kind in self.plan.receivers + self.plan.failover
        ]
        advancer = Advancer(
            database,
            routes=[_route(self.plan)],
            console_url="https://uproar.example",
            clock=world.clock,
            written=written,
        )
        deliverer = self.stage.product.deliverer(
            self.stage.product.outbox(database),
            build(tables, surroundings),
            clock=world.clock,
            rng=self.rng,
            owner=f"replica-{number}",
            written=written,
            poll=POLL,
        )
        self.alive[number] = process, advancer
        async with asyncio.TaskGroup() as group:
            group.create_task(deliverer.run(self.over))
            group.create_task(self._consume(process, Taker(database, advancer, world.clock)))
            group.create_task(_ring(advancer))

    async def _consume(self, process: Process, taker: Taker) -> None:
        """Read the log as services.alerter.consume does; two replicas may both read a record."""
        log, position = self.world.log, self.world.log.committed
        while True:
            records = log.records[position : log.arrived]
            if not records:
                await asyncio.sleep(1)
                continue
            done = await taker.take(records[:2], _never)
            await process.step("before the offset")
            position += done
            log.committed = max(log.committed, position)
            if done < len(records[:2]):
                await asyncio.sleep(2)

    # ------------------------------------------------------------------------- all the others

    def _world(self) -> list:
        plan = self.plan
        return [
            self._arrive(),
            *(self._outage(*outage) for outage in plan.outages),
            *(self._jump(*jump) for jump in plan.jumps),
            *(self._act(deed) for deed in plan.acts),
            *(self._silence(number, *one) for number, one in enumerate(plan.silences)),
            *(self._refusal(*one) for one in plan.refusals),
            self._heal(),
        ]

    async def _arrive(self) -> None:
        for at, _ in self.plan.events:
            await _until(at)
            self.world.log.arrived += 1

    async def _outage(self, at: float, seconds: float) -> None:
        await _until(at)
        self.world.storage.stop()
        await asyncio.sleep(seconds)
        self.world.storage.down = False

    async def _jump(self, at: float, by: float) -> None:
        await _until(at)
        self.world.clock.ahead += timedelta(seconds=by)

    async def _refusal(self, at: float, lasts: float, receiver: str) -> None:
        await _until(at)
        self.world.network.refusing.add(receiver)
        await asyncio.sleep(lasts)
        self.world.network.refusing.discard(receiver)

    async def _heal(self) -> None:
        await _until(HEALED)
        self.world.network.trouble = 0.0
        self.world.clock.ahead = timedelta()

    async def _act(self, deed: Deed) -> None:
        """Be a person: try again until it is done."""
        await self._persist(deed.at, lambda advancer: self._do(advancer, deed))

    async def _silence(self, number: int, at: float, lasts: float, subject: str) -> None:
        async def begin(advancer: Advancer) -> bool:
            now = self.world.clock.true()
            silence = silences.Silence(
                id=f"s{number}",
                subject=subject,
                starts_at=now,
                ends_at=now + timedelta(seconds=lasts),
                severity=None,
                reason="a launch",
                created_by="anna",
                created_at=now,
            )
            async with advancer._database.writing() as transaction:
                if await silences.find(transaction, silence.id) is None:
                    await silences.create(transaction, silence)
            return True

        await self._persist(at, begin)

    async def _persist(
        self, at: float, do: Callable[[Advancer], Coroutine[None, None, object]]
    ) -> None:
        await _until(at)
        while not await self._try(do):  # noqa: ASYNC110
            await asyncio.sleep(2)
        self.acting -= 1

    async def _try(self, do: Callable[[Advancer], Coroutine[None, None, object]]) -> bool:
        if not self.alive:
            return False
        process, advancer = self.rng.choice(list(self.alive.values()))
        with living(process), suppress(Unavailable, Killed):
            try:
                return await asyncio.create_task(do(advancer)) is not None
            except IllegalTransition:
                return True
        return False

    async def _do(self, advancer: Advancer, deed: Deed) -> object:
        act, incident = Act(verb=deed.verb, by="anna"), self._incident(deed.subject)
        match deed.verb:
            case Verb.SNOOZE:
                until = self.world.clock.true() + timedelta(seconds=deed.seconds)
                return await advancer.act(incident, replace(act, until=until))
            case Verb.MERGE if deed.other:
                return await advancer.merge(incident, self._incident(deed.other), act)
            case Verb.UNMERGE:
                return await advancer.unmerge(incident, act)
            case Verb.SPLIT:
                return await advancer.split(incident, act)
            case _:
                return await advancer.act(incident, act)

    def _incident(self, subject: str) -> IncidentId:
        return IncidentId(next(e.incident for _, e in self.plan.events if e.subject == subject))

    async def _rest(self) -> bool:
        """Wait until everything that was to be done is done."""
        await _until(HEALED)
        while asyncio.get_running_loop().time() < PATIENCE:
            read = self.world.log.committed == len(self.plan.events)
            done = read and not self.acting and not dormant(self.stage.path)
            if done and not unfinished(self.stage.path):
                return True
            await asyncio.sleep(5)
        return False


async def _ring(advancer: Advancer) -> None:
    while True:
        with suppress(Unavailable):
            await advancer.ring()
        await asyncio.sleep(RING)


def _route(plan: Plan) -> Route:
    def those(names: tuple[str, ...]) -> tuple[Receiver, ...]:
        return tuple(
            Receiver(name=ReceiverName(name), pages_only=name == "pagerduty") for name in names
        )

    return Route(name="default", receivers=those(plan.receivers), failover=those(plan.failover))


async def _until(at: float) -> None:
    await asyncio.sleep(max(0.0, at - asyncio.get_running_loop().time()))


async def _never(_: object) -> None:
    raise AssertionError("nothing here is malformed")

"""
Run: the broker and the three services as one, each waited for, watched, and stopped in order.

A service that ends by itself is started again; an embedded broker that ends takes everything with
it, and the whole begins anew where the last snapshot ends.
"""

import asyncio
from collections.abc import Callable

import httpx

from services.broker import ensure_topics
from services.process import Exit
from services.standalone.child import Child, Say
from services.standalone.embedded import Broker, Tansu
from services.standalone.lock import locked
from services.standalone.plan import Plan
from services.standalone.rewind import rewind
from uproar.errors import Misconfigured, Unavailable

SERVICES = ("alerter", "classifier", "ingest")
"""In the order of their start; they stop in reverse."""

GRACE_SECONDS = 30.0
LOOK_SECONDS = 0.1
REMIND_SECONDS = 10.0
MAX_BACK_OFF_SECONDS = 30.0
STEADY_SECONDS = 60.0


class Standalone:
    """
    The whole product on this machine.

    Attributes:
        ready: Set while all three services are ready for the first time, and from then on.
        servers: The broker, once it is there.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        say: Say,
        broker: Callable[[], Broker] | None = None,
    ) -> None:
        """
        Make a house; nothing starts yet.

        Args:
            plan: The environment, read.
            say: Told in one line what happens.
            broker: Makes the embedded broker, where the environment names no Kafka.
        """
        self.ready, self.servers = asyncio.Event(), ""
        self._plan, self._say = plan, say
        self._new_broker = broker or (lambda: Tansu(plan.folder / "broker.log"))
        self._children: dict[str, Child] = {}
        self._up = {name: asyncio.Event() for name in SERVICES}
        self._topics_there = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """
        Run until ``stop`` is set; then everything has ended.

        Raises:
            Misconfigured: A person must mend something; the text says what.
            Unavailable: The embedded broker does not come up.
        """
        with locked(self._plan.folder):
            self._plan.check_ports()
            while not stop.is_set():
                if self._plan.kafka is not None:
                    await self._live(stop, None)
                    continue
                broker = self._new_broker()
                await broker.start()
                try:
                    await self._live(stop, broker)
                finally:
                    await broker.stop()

    async def _live(self, stop: asyncio.Event, broker: Broker | None) -> None:
        """Run the services on one life of the broker, until it or ``stop`` ends it."""
        self.servers = servers = broker.servers if broker else self._plan.kafka or ""
        environment = self._plan.environment(
            servers=servers, epoch=broker.epoch if broker else None
        )
        if broker is not None:
            for line in await asyncio.to_thread(rewind, self._plan.folder):
                self._say(line)
        for up in self._up.values():
            up.clear()
        self._topics_there.clear()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._keep(name, environment)) for name in SERVICES]
                tasks.append(group.create_task(self._prepare(servers)))
                await self._end_of_life(stop, broker)
                for task in tasks:
                    task.cancel()
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        finally:
            await self._stop(at_once=not stop.is_set())

    async def _prepare(self, servers: str) -> None:
        """Make the topics, as soon as the broker answers; then wait for all to be ready."""
        settings = self._plan.ingest.model_copy(update={"bootstrap_servers": servers})
        said = False
        while not self._topics_there.is_set():
            try:
                await asyncio.to_thread(ensure_topics, settings)
                self._topics_there.set()
            except Unavailable as error:
                if not said:
                    self._say(f"waiting for the broker: {error}")
                said = True
                await asyncio.sleep(1)
        for up in self._up.values():
            await up.wait()
        if self.ready.is_set():
            self._say("everything is ready again")
        self.ready.set()

    async def _end_of_life(self, stop: asyncio.Event, broker: Broker | None) -> None:
        stopping = asyncio.create_task(stop.wait())
        dying = asyncio.create_task(broker.ended() if broker else asyncio.Event().wait())
        try:
            await asyncio.wait({stopping, dying}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            dying.cancel()
        if not stop.is_set():
            self._say(
                f"the embedded broker has ended ({dying.result()});"
                " everything starts again with a new one"
            )

    async def _stop(self, *, at_once: bool) -> None:
        """End the services in order; at once where the broker is gone, and each waits only for it."""
        found = [self._children.pop(name, None) for name in reversed(SERVICES)]
        children = [child for child in found if child is not None]
        if at_once:
            await asyncio.gather(*(child.stop(GRACE_SECONDS) for child in children))
            return
        for child in children:
            await child.stop(GRACE_SECONDS)

    # ---------------------------------------------------------------------------- one service

    async def _keep(self, name: str, environment: dict[str, str]) -> None:
        """Run one service, again and again, until cancelled."""
        if name != "alerter":  # it answers and delivers without a broker, too
            await self._topics_there.wait()
        if name == "ingest":  # what is pushed before the watch list is there would be about nobody
            await self._up["alerter"].wait()
        back_off = 1.0
        while True:
            child = Child(name, env=environment, logs=self._plan.logs, say=self._say)
            self._children[name] = child
            begun = asyncio.get_running_loop().time()
            await child.start()
            waiting = asyncio.create_task(self._wait_for(child))
            try:
                code = await child.ended()
            finally:
                waiting.cancel()
            if code == Exit.MISCONFIGURED:
                raise Misconfigured(f"{name}: {child.complaint}")
            if asyncio.get_running_loop().time() - begun > STEADY_SECONDS:
                back_off = 1.0
            self._say(f"{name} has ended ({_how(code)}); starting it again in {back_off:g} s")
            await asyncio.sleep(back_off)
            back_off = min(2 * back_off, MAX_BACK_OFF_SECONDS)

    async def _wait_for(self, child: Child) -> None:
        """Ask a service until it is ready, and say now and then what it still lacks."""
        address = self._plan.addresses()[child.name]
        loop = asyncio.get_running_loop()
        said_at, said = loop.time(), ""
        async with httpx.AsyncClient(base_url=address, timeout=5, trust_env=False) as http:
            while missing := await _missing(http):
                if missing != said and loop.time() - said_at > REMIND_SECONDS:
                    self._say(f"waiting for {child.name}: {missing}")
                    said_at, said = loop.time(), missing
                await asyncio.sleep(LOOK_SECONDS)
        self._up[child.name].set()


NEEDED = frozenset({"publish"})
"""Parts of which a service thinks that it can do without, and the whole cannot: ingest would take
posts about nobody while the watch list is on its way."""


async def _missing(http: httpx.AsyncClient) -> str:
    """Return what a service lacks in order to be ready; nothing when it is."""
    try:
        response = await http.get("/ready")
        body = response.json()
    except (httpx.TransportError, ValueError):
        return "it does not answer yet"
    lacking: dict[str, str] = body.get("problems", {})
    lacking |= {part: why for part, why in body.get("degraded", {}).items() if part in NEEDED}
    if response.status_code != httpx.codes.OK and not lacking:
        return "not ready"
    return "; ".join(f"{part}: {why}" for part, why in lacking.items())


def _how(code: int) -> str:
    if code < 0:
        return f"signal {-code}"
    meanings = {
        Exit.OK: "although nobody asked it to",
        Exit.CANNOT_START: "it cannot reach what it needs",
        Exit.BUG: "a bug: its log has the details",
        Exit.STUCK: "it was stuck",
    }
    return f"exit code {code}: {meanings[Exit(code)]}" if code in set(Exit) else f"exit code {code}"

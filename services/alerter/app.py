"""App: the wiring of the alerter and nothing else. Broker and receivers may come and go."""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

import httpx
import structlog
from fastapi import FastAPI
from pydantic import SecretStr

from services import traces
from services.alerter import metrics, notifiers
from services.alerter.access import Access
from services.alerter.advance import Advancer
from services.alerter.api import (
    acts,
    audit,
    events,
    incidents,
    keys,
    parts,
    receivers,
    silences,
    status,
    subjects,
)
from services.alerter.api import callbacks as callback_routes
from services.alerter.api import routes as route_list
from services.alerter.api import schedules as schedule_list
from services.alerter.api.classifier import ClassifierWatch
from services.alerter.api.problems import BodyLimit, add_problems
from services.alerter.beginning import Beginning
from services.alerter.callbacks import Callbacks
from services.alerter.console import pages
from services.alerter.consume import Consumer, Taker
from services.alerter.deliver import Deliverer
from services.alerter.escalate import Auditor
from services.alerter.notifier import Notifier
from services.alerter.notifier.exchange import Surroundings
from services.alerter.notifiers.webhook import signing_key
from services.alerter.operator import Operator
from services.alerter.publish import Publisher
from services.alerter.settings import AlerterSettings, Document, read
from services.alerter.store import backlog, history, migrate, retention, verdicts
from services.alerter.store import subjects as watch_list
from services.alerter.store.database import Database
from services.alerter.store.outbox import SqlOutbox
from services.alerter.store.retention import Keep
from services.alerter.tend import Tender
from services.metadata import create_no_topics
from services.process import Health, add_probes, logs, serve
from services.reference import add_reference
from uproar.errors import Malformed, Misconfigured, Unavailable
from uproar.incident import State
from uproar.routing import Receiver, Route, names_of, read_routes
from uproar.schedule import Schedule, read_schedules

LOOK_EVERY: Final = timedelta(seconds=2)
PRUNE_EVERY: Final = timedelta(hours=1)
COUNT_EVERY: Final = timedelta(minutes=1)
BUDGET_SPAN: Final = timedelta(days=30)

_DESCRIPTION: Final = """Incidents, the watch list and what is known of both.

Send `Authorization: Bearer KEY` (`uproar keys create`). A key may send 600 requests a minute.

A POST that is sent again with the same `Idempotency-Key` within 24 hours gets the first answer and
changes nothing more. Only where uproar or its database died between an act and its answer is it done
again, a minute later at the earliest."""

log = structlog.get_logger(room="alerter/app")


Work = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


def wall_clock() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


async def main(stop: asyncio.Event) -> None:
    """Run the alerter until ``stop`` is set; raises Misconfigured, at the start only."""
    settings = AlerterSettings.load()
    logs("alerter", settings)
    traces.begin("alerter")
    create_no_topics()
    if settings.links_lead_nowhere:
        log.warning(
            "pages link to nowhere: set UPROAR_ALERTER_PUBLIC_URL", now=settings.console_url
        )
    for chatty in ("kafka", "aiokafka"):  # they say many times a second what our rooms say once
        logging.getLogger(chatty).setLevel(logging.CRITICAL)
    document = read(settings.config, settings.watch)
    routes, schedules = routes_of(document)
    told = notifiers.receivers(document.receivers)
    database = Database(settings.database_url)
    health = Health()
    beginning = Beginning(database, document.subjects, routes, told, clock=wall_clock)
    health.watch("database", lambda: beginning.problem)
    async with httpx.AsyncClient() as probing, notifiers.new_client() as sending:
        operator = Operator(
            sending,
            url=_secret(settings.operator_webhook),
            keys=_operator_keys(settings),
            problems=lambda: health.problems() | health.degraded(),
            clock=wall_clock,
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(operator.run(stop))  # first: the rest may have to wait
                installation = await beginning.run(stop)
                if installation is None:
                    return
                surroundings = Surroundings(
                    client=sending, installation=installation, clock=wall_clock
                )
                notify = notifiers.build(document.receivers, surroundings)
                works = _works(
                    settings,
                    routes,
                    database,
                    schedules=schedules,
                    receiving={receiver: notify[receiver.name] for receiver in told},
                    probing=probing,
                    sending=sending,
                    health=health,
                )
                for work in works:
                    group.create_task(work(stop))
        finally:
            await database.close()


async def migrate_only(_: asyncio.Event) -> None:
    """Bring the database to the schema of this version; raises Misconfigured, Unavailable."""
    settings = AlerterSettings.load()
    logs("alerter", settings)
    database = Database(settings.database_url)
    try:
        await migrate.migrate(database)
    finally:
        await database.close()
    log.info("migrated")


def _works(
    settings: AlerterSettings,
    routes: Sequence[Route],
    database: Database,
    *,
    schedules: Sequence[Schedule],
    receiving: Mapping[Receiver, Notifier],
    probing: httpx.AsyncClient,
    sending: httpx.AsyncClient,
    health: Health,
) -> list[Work]:
    """Build everything and return what runs side by side until the end."""
    written = asyncio.Event()
    notify = {receiver.name: notifier for receiver, notifier in receiving.items()}
    advancer = Advancer(
        database,
        routes=routes,
        console_url=settings.console_url,
        clock=wall_clock,
        written=written,
    )
    deliverer = Deliverer(
        SqlOutbox(database),
        notify,
        clock=wall_clock,
        rng=Random(),
        owner=f"{socket.gethostname()}:{os.getpid()}",
        written=written,
    )
    consumer = Consumer(settings, Taker(database, advancer, wall_clock))
    publisher = Publisher(settings, database, wall_clock)
    classifier = ClassifierWatch(settings.classifier_url, probing)
    keep = Keep(
        text=timedelta(days=settings.keep_text_days),
        readings=timedelta(days=settings.keep_readings_days),
    )
    upkeep = Upkeep(database, advancer, wall_clock, keep, receivers=notify)
    callbacks = Callbacks(database, advancer, notify, wall_clock)
    tender = Tender(database, callbacks, notify, wall_clock)

    auditor = Auditor(
        database,
        receivers=list(notify),
        client=sending,
        heartbeat=_secret(settings.heartbeat_url),
        clock=wall_clock,
    )

    health.watch("database", lambda: upkeep.problem)
    health.watch("consume", lambda: consumer.problem, vital=False)
    health.watch("publish", lambda: publisher.problem, vital=False)
    health.watch("deliver", deliverer.problem, vital=False)
    health.watch("callbacks", callbacks.problem, vital=False)
    health.watch("audit", lambda: auditor.problem, vital=False)
    given = parts.Parts(
        database=database,
        access=Access(database, wall_clock),
        advancer=advancer,
        clock=wall_clock,
        problems=lambda: health.problems() | health.degraded(),
        classifier=lambda: classifier.seen,
        callbacks=callbacks,
        receivers=receiving,
        console_url=settings.console_url,
        routes=routes,
        schedules=schedules,
    )
    app = application(given, health)

    async def answer(stop: asyncio.Event) -> None:
        await serve(app, host=settings.host, port=settings.port, stop=stop)

    return [
        answer,
        consumer.run,
        publisher.run,
        deliverer.run,
        classifier.run,
        upkeep.run,
        callbacks.run,
        tender.run,
        auditor.run,
    ]


def _secret(value: SecretStr | None) -> str | None:
    return value.get_secret_value() if value else None


def _operator_keys(settings: AlerterSettings) -> tuple[bytes, ...]:
    if settings.operator_secret is None:
        return ()
    try:
        return (signing_key(settings.operator_secret),)
    except ValueError as error:
        raise Misconfigured(f"UPROAR_ALERTER_OPERATOR_SECRET {error}") from None


def application(given: parts.Parts, health: Health) -> FastAPI:
    """Put API, console and probes together."""
    app = FastAPI(
        title="uproar",
        version="1",
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
    )
    app.state.parts = given
    app.state.console = pages.Parts(
        database=given.database,
        access=given.access,
        advancer=given.advancer,
        clock=given.clock,
        knock=lambda address: given.limits.count_address(address, now=given.clock()),
        console_url=given.console_url,
    )
    add_problems(app)
    for router in (
        incidents.router,
        acts.router,
        events.router,
        subjects.router,
        silences.router,
        route_list.router,
        schedule_list.router,
        audit.router,
        receivers.router,
        callback_routes.router,
        keys.router,
        status.router,
        pages.router,
    ):
        app.include_router(router)
    app.mount("/static", pages.static)
    add_probes(app, health, metrics.REGISTRY)
    add_reference(app)
    app.add_middleware(BodyLimit)
    return app


def routes_of(document: Document) -> tuple[tuple[Route, ...], tuple[Schedule, ...]]:
    """
    Read who hears of what, and who is on call when.

    Raises:
        Misconfigured: Which route, schedule or receiver is wrong, and why.
    """
    known = notifiers.receivers(document.receivers)
    try:
        schedules = read_schedules(document.schedules, names_of(known), ZoneInfo)
        return read_routes(document.routes, known, schedules), schedules
    except Malformed as error:
        raise Misconfigured(str(error)) from error


class Upkeep:
    """
    Looks at the database every other second: wakes what was snoozed, counts what stands in it.

    Once an hour it prunes.
    """

    def __init__(
        self,
        database: Database,
        advancer: Advancer,
        clock: Callable[[], datetime],
        keep: Keep | None = None,
        *,
        receivers: Collection[str] = (),
    ) -> None:
        self.problem: str | None = None
        self._database, self._advancer, self._clock = database, advancer, clock
        self._keep = keep or Keep()
        self._pruned_at = clock()
        self._counted_at: datetime | None = None
        self._receivers = set(receivers)  # of which a count stands in the metrics

    async def run(self, stop: asyncio.Event) -> None:
        """Look until ``stop`` is set."""
        while not stop.is_set():
            try:
                await self.look()
                self.problem = None
            except Unavailable as error:
                self.problem = str(error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_EVERY.total_seconds())

    async def look(self) -> None:
        """Ring and measure once, and prune when it is time; raises Unavailable."""
        now = self._clock()
        await self._advancer.ring()
        again = self._counted_at is None or abs(now - self._counted_at) >= COUNT_EVERY
        states = tuple(State) if again else history.UNRESOLVED  # resolved is all the history
        async with self._database.reading() as transaction:
            counts = await history.counts(transaction, states=states)
            waits = await backlog.measured(transaction)
        for state, count in counts.by_state.items():
            metrics.INCIDENTS.labels(state=state.value).set(count)
        age = now - waits.oldest if waits.oldest else timedelta()
        metrics.OUTBOX_PENDING.set(waits.pending)
        metrics.OUTBOX_OLDEST.set(age.total_seconds())
        for receiver in self._receivers | set(waits.by_receiver):
            one = waits.by_receiver.get(receiver)
            metrics.OUTBOX_WAITING.labels(receiver=receiver).set(one.pending if one else 0)
            metrics.OUTBOX_DEAD.labels(receiver=receiver).set(one.dead if one else 0)
        self._receivers |= set(waits.by_receiver)
        if again:
            self._counted_at = now
            await self._count_pages(now)
        if now - self._pruned_at >= PRUNE_EVERY:
            self._pruned_at = now
            log.info("pruned", rows=await self._prune(now))

    async def _count_pages(self, now: datetime) -> None:
        """Set what was paged beside what the budgets leave to chance."""
        async with self._database.reading() as transaction:
            pages = await verdicts.paged(transaction, since=now - BUDGET_SPAN)
            asked = await watch_list.alarms_asked_per_day(transaction)
        metrics.PAGES_30D.clear()  # a verdict may have been taken back
        for verdict in ("none", *pages):
            metrics.PAGES_30D.labels(verdict=verdict).set(pages.get(verdict, 0))
        metrics.BUDGET_30D.set(asked * BUDGET_SPAN.days)

    async def _prune(self, now: datetime) -> int:
        async with self._database.writing() as transaction:
            gone = await retention.prune(transaction, now=now, keep=self._keep)
        while True:
            async with self._database.writing() as transaction:
                expired = await retention.expire(transaction, before=now - self._keep.text)
            gone += expired
            if not expired:
                return gone

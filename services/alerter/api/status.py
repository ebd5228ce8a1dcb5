"""Status: the state of the whole product in one answer, without the name of any subject."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from services.alerter.api.classifier import Classifier
from services.alerter.api.parts import Given, Parts, address, asking, bearer_of
from services.alerter.store import backlog, history, readings
from services.alerter.store.backlog import Backlog
from services.alerter.store.history import Counts
from uproar.errors import Unavailable
from uproar.incident import State as IncidentState
from uproar.watermark import State

router = APIRouter(tags=["status"])

_OUTBOX_LATE: Final = timedelta(minutes=1)


class Health(StrEnum):
    """How the product is: down only when the database is, for nothing works then."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


class Incidents(BaseModel):
    """Incidents that are not resolved."""

    open: int | None
    acknowledged: int | None
    worst_severity: int | None = Field(description="of those not resolved; null without one")


class Pipeline(BaseModel):
    """How far detection is behind."""

    lag_seconds: float | None = Field(
        description="event time that sources have and detection has not; null while unknown"
    )
    canary_age_seconds: float | None = Field(description="null until there is a canary")


class Source(BaseModel):
    """A stream of posts, as ingest last told of it."""

    name: str
    state: State
    last_post_at: datetime | None


class Model(BaseModel):
    """The model that scores posts, as the classifier tells of it."""

    name: str | None
    ready: bool
    degraded: bool


class Waiting(BaseModel):
    """Deliveries to one receiver."""

    pending: int
    oldest_seconds: float
    dead: int


class Outbox(BaseModel):
    """Deliveries that are not done, canaries apart."""

    pending: int | None
    oldest_seconds: float | None = Field(description="0 where none waits")
    dead: int | None = Field(description="refused for good: nobody will get them")
    receivers: dict[str, Waiting] | None = Field(
        description="those for whom any waits or is dead; null without a key"
    )


class Status(BaseModel):
    """The state of the whole product."""

    status: Health
    incidents: Incidents
    pipeline: Pipeline
    sources: list[Source]
    model: Model
    outbox: Outbox


@router.get("/v1/status")
async def status(request: Request, given: Given) -> Status:
    """Tell how the product is; needs no key, and names receivers only to who brings one."""
    now, classifier = given.clock(), given.classifier()
    try:
        known = await _known(request, given, now)
        async with given.database.reading() as transaction:
            counts = await history.counts(transaction)
            waits = await backlog.measured(transaction)
            rows = await readings.sources(transaction, now=now)
    except Unavailable:
        return _down(classifier)
    outbox_late = waits.oldest is not None and now - waits.oldest > _OUTBOX_LATE
    blind = any(row["state"] is State.BLIND for row in rows)
    well = not (
        given.problems() or outbox_late or blind or not classifier.ready or classifier.degraded
    )
    return Status(
        status=Health.OK if well else Health.DEGRADED,
        incidents=_incidents(counts),
        pipeline=Pipeline(
            lag_seconds=_lag(
                [row["event_time"] for row in rows if row["state"] is State.LIVE], classifier
            ),
            canary_age_seconds=None,
        ),
        sources=[Source.model_validate(row) for row in rows],
        model=_model(classifier),
        outbox=_outbox(waits, now, named=known),
    )


async def _known(request: Request, given: Parts, now: datetime) -> bool:
    if bearer_of(request):
        return await asking(request) is not None
    given.limits.count_status(address(request), now=now)
    return False


def _down(classifier: Classifier) -> Status:
    return Status(
        status=Health.DOWN,
        incidents=Incidents(open=None, acknowledged=None, worst_severity=None),
        pipeline=Pipeline(lag_seconds=None, canary_age_seconds=None),
        sources=[],
        model=_model(classifier),
        outbox=Outbox(pending=None, oldest_seconds=None, dead=None, receivers=None),
    )


def _incidents(counts: Counts) -> Incidents:
    return Incidents(
        open=counts.by_state[IncidentState.OPEN],
        acknowledged=counts.by_state[IncidentState.ACKNOWLEDGED],
        worst_severity=counts.worst_severity,
    )


def _outbox(waits: Backlog, now: datetime, *, named: bool) -> Outbox:
    receivers = {
        name: Waiting(pending=one.pending, oldest_seconds=_age(one, now), dead=one.dead)
        for name, one in waits.by_receiver.items()
    }
    return Outbox(
        pending=waits.pending,
        oldest_seconds=_age(waits, now),
        dead=waits.dead,
        receivers=receivers if named else None,
    )


def _age(waits: Backlog, now: datetime) -> float:
    return round((now - waits.oldest).total_seconds(), 3) if waits.oldest else 0.0


def _model(classifier: Classifier) -> Model:
    return Model(name=classifier.model, ready=classifier.ready, degraded=classifier.degraded)


def _lag(live: list[datetime | None], classifier: Classifier) -> float | None:
    """Compare with the slowest live source: detection waits for it on purpose."""
    told = [moment for moment in live if moment is not None]
    if not told or classifier.event_time is None:
        return None
    behind: timedelta = min(told) - classifier.event_time
    return max(0.0, behind.total_seconds())

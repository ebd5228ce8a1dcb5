"""Schedules over HTTP: who is on call, now and at any moment, as uproar.toml says it."""

from datetime import datetime, time
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from services.alerter.api.parts import Given, Moment, Page, Viewer
from services.alerter.api.route import ApiRoute
from uproar.schedule import DAYS, Schedule, Shift

router = APIRouter(prefix="/v1/schedules", tags=["schedules"], route_class=ApiRoute)


class ShiftShown(BaseModel):
    """Hours of some weekdays, and who takes them."""

    receivers: list[str]
    rotation: bool = Field(description="one after the other, a week each; else all of them")
    days: list[str] = Field(description="weekdays on which it begins")
    begins: str = Field(examples=["20:00"])
    ends: str = Field(description="not later than it begins: on the day after", examples=["08:00"])


class ScheduleShown(BaseModel):
    """A schedule and who is on call."""

    name: str
    time_zone: str
    on_call: list[str] = Field(
        description="receivers that are paged now, or at the moment asked for"
    )
    until: datetime | None = Field(description="when somebody else is; null: not within 8 days")
    otherwise: list[str] = Field(description="who is on call while no shift runs")
    shifts: list[ShiftShown]
    routes: list[str] = Field(description="routes that page whoever is on call")


class ScheduleList(Page):
    """Every schedule, in the order of uproar.toml."""

    items: list[ScheduleShown]


@router.get("")
async def listed(
    given: Given,
    _: Viewer,
    at: Annotated[
        Moment | None, Query(description="who is on call then (RFC 3339)", examples=[None])
    ] = None,
) -> ScheduleList:
    """List the schedules, and who is on call now; `at`: at another moment."""
    moment = at or given.clock()
    return ScheduleList(items=[_shown(given, one, moment) for one in given.schedules])


def _shown(given: Given, schedule: Schedule, at: datetime) -> ScheduleShown:
    return ScheduleShown(
        name=schedule.name,
        time_zone=str(schedule.zone),
        on_call=list(schedule.on_call(at)),
        until=schedule.changes(at),
        otherwise=list(schedule.otherwise),
        shifts=[_shift(shift) for shift in schedule.shifts],
        routes=[
            route.name
            for route in given.routes
            if schedule.name in {one.name for one in (*route.receivers, *route.failover)}
        ],
    )


def _shift(shift: Shift) -> ShiftShown:
    return ShiftShown(
        receivers=list(shift.receivers),
        rotation=shift.starting is not None,
        days=[DAYS[day] for day in sorted(shift.days)],
        begins=f"{shift.begins:%H:%M}",
        ends="24:00" if shift.ends == time() else f"{shift.ends:%H:%M}",
    )

"""Routes over HTTP: who hears of whose incidents, as uproar.toml says it."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from services.alerter.api.parts import Given, Page, Viewer
from services.alerter.api.route import ApiRoute
from uproar.backlash import Level

router = APIRouter(prefix="/v1/routes", tags=["routes"], route_class=ApiRoute)


class RouteShown(BaseModel):
    """A route."""

    name: str
    level: Level = Field(description="from which level on its receivers hear of an incident")
    receivers: list[str] = Field(description="names of receivers, and of schedules")
    failover: list[str] = Field(description="who is paged where they gave no receipt in time")


class RouteList(Page):
    """Every route, in the order of uproar.toml."""

    items: list[RouteShown]


@router.get("")
async def listed(given: Given, _: Viewer) -> RouteList:
    """List the routes."""
    return RouteList(
        items=[
            RouteShown(
                name=route.name,
                level=route.level,
                receivers=[receiver.name for receiver in route.receivers],
                failover=[receiver.name for receiver in route.failover],
            )
            for route in given.routes
        ]
    )

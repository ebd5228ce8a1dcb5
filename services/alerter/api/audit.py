"""The audit over HTTP: who did what, when and from where."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from services.alerter.api.parts import (
    Admin,
    Cursor,
    Given,
    Limit,
    Page,
    Text,
    cursor_of,
    place_of,
)
from services.alerter.api.route import ApiRoute
from services.alerter.store import audit

router = APIRouter(prefix="/v1/audit", tags=["audit"], route_class=ApiRoute)


class Entry(BaseModel):
    """One act."""

    id: str
    at: datetime
    who: str
    via: str = Field(description="through which surface, and from where")
    what: str
    target: str
    subject: str | None
    detail: dict[str, Any]


class Audit(Page):
    """Acts, the newest first."""

    items: list[Entry]


@router.get("")
async def listed(
    given: Given,
    _: Admin,
    target: Annotated[Text | None, Query(max_length=200)] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Audit:
    """List what was done, the newest first; `target`: to one incident, key, subject or silence."""
    after = place_of(cursor, datetime, str)
    async with given.database.reading() as transaction:
        rows = await audit.page(
            transaction,
            target=target,
            limit=limit + 1,
            after=after and (after[0], after[1]),
        )
    shown = rows[:limit]
    return Audit(
        items=[Entry.model_validate(row) for row in shown],
        next=cursor_of(shown[-1]["at"], shown[-1]["id"]) if len(rows) > limit else None,
    )

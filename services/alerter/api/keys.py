"""Keys over HTTP: made, listed, revoked by an admin."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from services.alerter.access import MAX_NAME, Role
from services.alerter.api.parts import Admin, Body, Given, Id, Page, Text
from services.alerter.api.problems import Problem
from services.alerter.api.route import SecretApiRoute

router = APIRouter(prefix="/v1/keys", tags=["keys"], route_class=SecretApiRoute)


class NewKey(Body):
    """A key to be made."""

    name: Annotated[Text, Field(min_length=1, max_length=MAX_NAME, examples=["on-call bot"])]
    role: Role
    subjects: Annotated[list[Text], Field(min_length=1, max_length=1000)] | None = Field(
        default=None, description="the only ones that it may see; null: all"
    )


class Key(BaseModel):
    """A key as it is kept: never the key itself."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    role: Role
    created_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    subjects: list[str] | None


class Keys(Page):
    """Every key."""

    items: list[Key]


class MadeKey(Key):
    """A key as it is shown once."""

    key: str = Field(description="the key; it is shown this once")


@router.get("")
async def listed(given: Given, _: Admin) -> Keys:
    """List every key, the revoked ones too."""
    return Keys(items=[Key.model_validate(row) for row in await given.access.keys()])


@router.post("", status_code=HTTPStatus.CREATED)
async def create(given: Given, who: Admin, new: NewKey) -> MadeKey:
    """Make a key; one that is limited to subjects sees nothing of any other."""
    row, secret = await given.access.create_key(
        new.name, new.role, new.subjects, by=who.name, via=who.via
    )
    return MadeKey(**Key.model_validate(row).model_dump(), key=secret)


@router.delete("/{key_id}", status_code=HTTPStatus.NO_CONTENT)
async def revoke(given: Given, who: Admin, key_id: Id) -> None:
    """End a key and the sessions that were opened with it."""
    if not await given.access.revoke_key(key_id, by=who.name, via=who.via):
        raise Problem(HTTPStatus.NOT_FOUND, "there is no such key, or it is revoked already")

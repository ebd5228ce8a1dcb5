"""Standby: what those who stand by must hear: a page that nobody before them has, and what follows."""

from typing import Final

from sqlalchemy import or_, select

from services.alerter.store.deliveries import State
from services.alerter.store.tables import DELIVERIES

_OTHER: Final = DELIVERIES.alias("other")
_PAGED: Final = DELIVERIES.alias("paged")

PAGE: Final = DELIVERIES.c.deadline.is_not(None)

_SAME: Final = (
    select(_OTHER.c.id)
    .where(_OTHER.c.incident == DELIVERIES.c.incident, _OTHER.c.sequence == DELIVERIES.c.sequence)
    .correlate(DELIVERIES)
)
_HAS_IT: Final = _OTHER.c.state == State.DELIVERED.value
_ANSWERED: Final = or_(
    ~_SAME.where(_OTHER.c.standby == 0, ~_HAS_IT, _OTHER.c.state != State.SUPERSEDED).exists(),
    _SAME.where(_OTHER.c.standby > 0, _OTHER.c.standby < DELIVERIES.c.standby, _HAS_IT).exists(),
)
"""All who come first have the page, but who is no more, or one who stands by before this one."""

_CALLED: Final = (
    select(_PAGED.c.id)
    .where(
        _PAGED.c.incident == DELIVERIES.c.incident,
        _PAGED.c.receiver == DELIVERIES.c.receiver,
        _PAGED.c.sequence < DELIVERIES.c.sequence,
        _PAGED.c.deadline.is_not(None),
        _PAGED.c.state != State.SUPERSEDED.value,
    )
    .correlate(DELIVERIES)
    .exists()
)
"""This receiver was paged before, or may yet be."""

NEEDED: Final = or_(PAGE & ~_ANSWERED, ~PAGE & _CALLED)
"""What those who stand by must hear: an unanswered page, and what follows one."""

WANTED: Final = or_(DELIVERIES.c.standby == 0, DELIVERIES.c.attempt > 0, NEEDED)
"""What is to go out: all but what is kept for those who stand by, and perhaps never needed."""

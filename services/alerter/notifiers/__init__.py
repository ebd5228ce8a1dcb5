"""Notifiers: one file a kind of receiver; NOTIFIERS is the one line to add. None knows another."""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import httpx

from services.alerter.notifier import Delivery, DeliveryId, Notifier
from services.alerter.notifier.exchange import TIMEOUT, Surroundings
from services.alerter.notifier.options import read_options
from services.alerter.notifiers.alertmanager import Alertmanager
from services.alerter.notifiers.email import Email
from services.alerter.notifiers.pagerduty import PagerDuty
from services.alerter.notifiers.slack import Slack
from services.alerter.notifiers.webhook import Webhook
from services.alerter.settings import ReceiverTable
from uproar.errors import Misconfigured
from uproar.notice import Language, NoticeKind, trial
from uproar.routing import Receiver, ReceiverName

NotifierType = type[Slack] | type[PagerDuty] | type[Email] | type[Alertmanager] | type[Webhook]

NOTIFIERS: Final[Mapping[str, NotifierType]] = {
    n.type: n for n in (Slack, PagerDuty, Email, Alertmanager, Webhook)
}
"""Every kind of receiver by the ``type`` that uproar.toml gives it."""


def build(
    tables: Sequence[ReceiverTable], surroundings: Surroundings
) -> dict[ReceiverName, Notifier]:
    """
    Make the notifier of each receiver.

    Raises:
        Misconfigured: One line for each receiver or option that is wrong; never a secret's value.
    """
    made: dict[ReceiverName, Notifier] = {}
    wrong: list[str] = []
    for table in tables:
        name = ReceiverName(table.name)
        try:
            kind = _type(table)
            options: Any = read_options(kind.options, table)  # of this very kind
            made[name] = kind(name, options, surroundings)
        except Misconfigured as error:
            wrong.append(str(error))
    if wrong:
        raise Misconfigured("\n".join(wrong))
    return made


def receivers(tables: Sequence[ReceiverTable]) -> tuple[Receiver, ...]:
    """Tell routing who there is and what each may hear; raises Misconfigured."""
    return tuple(_receiver(table) for table in tables)


def trial_delivery(
    receiver: Receiver, delivery_id: DeliveryId, *, url: str, now: datetime
) -> Delivery:
    """Write a message that only says that the receiver works; for ``uproar init``."""
    notice = trial(url=url, language=receiver.language or Language.EN, now=now)
    return Delivery(
        id=delivery_id,
        incident=notice.incident,
        episode=1,
        sequence=1,
        receiver=receiver.name,
        kind=NoticeKind.CANARY,
        notice=notice,
        created_at=now,
    )


def new_client() -> httpx.AsyncClient:
    """Open the client that all notifiers share: straight to this machine, no redirects, no chatter."""
    for chatty in (
        "httpx",
        "httpcore",
        "websockets",
    ):  # they log addresses, and an address can be a secret
        logging.getLogger(chatty).setLevel(logging.WARNING)
    here = dict.fromkeys(("all://localhost", "all://127.0.0.1", "all://[::1]"))
    return httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False, mounts=here)


def _type(table: ReceiverTable) -> NotifierType:
    try:
        return NOTIFIERS[table.type]
    except KeyError:
        known = ", ".join(NOTIFIERS)
        raise Misconfigured(
            f"receiver {table.name!r}: type {table.type!r} is none of {known}"
        ) from None


def _receiver(table: ReceiverTable) -> Receiver:
    kind = _type(table)
    options = read_options(kind.options, table)
    return Receiver(
        name=ReceiverName(table.name),
        language=options.language,
        pages_only=kind.pages_only,
        canary=options.canary,
    )

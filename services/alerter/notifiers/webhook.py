"""Webhook: tells any HTTPS endpoint, signed as Standard Webhooks 1.0.0 asks. It asks nothing back."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import ipaddress
import json
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Self

import httpx
import msgspec
from pydantic import SecretStr, field_validator, model_validator

from services.alerter.notifier import (
    UNLIMITED,
    Delivery,
    Outcome,
    Refused,
    Retry,
    Sent,
    Unknown,
)
from services.alerter.notifier.exchange import Answer, Surroundings, failure, retry_after, send
from services.alerter.notifier.options import ReceiverOptions, web_address
from uproar.notice import NoticeKind
from uproar.routing import ReceiverName

_EVENT: Final = {
    NoticeKind.TRIGGER: "incident.opened",
    NoticeKind.UPDATE: "incident.updated",
    NoticeKind.ACKNOWLEDGE: "incident.acknowledged",
    NoticeKind.RESOLVE: "incident.resolved",
    NoticeKind.CANARY: "canary.sent",
}
_PREFIX: Final = "whsec_"
_LOOK_UPS: Final = 2
"""Threads of its own: no look-up can be broken off, and all others share a handful of threads."""


class WebhookOptions(ReceiverOptions):
    """``secret`` is ``whsec_`` and 24 to 64 bytes in base64; while it rotates, both sign."""

    url: SecretStr
    secret: SecretStr
    previous_secret: SecretStr | None = None
    allow_private: bool = False

    @field_validator("secret", "previous_secret")
    @classmethod
    def _secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            signing_key(value)
        return value

    @model_validator(mode="after")
    def _url(self) -> Self:
        web_address(self.url.get_secret_value(), plain=self.allow_private)
        return self


class Webhook:
    """
    POSTs ``{"type", "timestamp", "data"}`` with the delivery's id as ``webhook-id``.

    The id is the same for every attempt, so the endpoint can drop a repeat: a lost answer is simply
    sent again. Only 2xx is success and only 410 ends a delivery; everything else is tried again.
    """

    type: Final = "webhook"
    options: Final = WebhookOptions
    pages_only: Final = False
    pace: Final = UNLIMITED  # what an endpoint takes it says itself, with 429

    def __init__(
        self, name: ReceiverName, options: WebhookOptions, surroundings: Surroundings
    ) -> None:
        self.name = name
        self._options, self._surroundings = options, surroundings
        secrets = (options.secret, options.previous_secret)
        self._keys = [signing_key(secret) for secret in secrets if secret]
        self._resolver = ThreadPoolExecutor(_LOOK_UPS, thread_name_prefix=f"look up {name}")

    async def notify(self, delivery: Delivery) -> Outcome:
        """See :class:`services.alerter.notifier.Notifier`."""
        return await self._post(delivery.id, render(delivery), attempt=delivery.attempt)

    async def check(self) -> Outcome:
        """Send a signed event of type ``receiver.checked`` that stands for nothing."""
        now = self._surroundings.clock()
        event = {"type": "receiver.checked", "timestamp": _written(now), "data": {}}
        return await self._post(f"check_{int(now.timestamp())}", event, attempt=1)

    async def _post(self, message_id: str, event: dict[str, Any], *, attempt: int) -> Outcome:
        url = httpx.URL(self._options.url.get_secret_value())
        addresses = await self._addresses(url)
        if isinstance(addresses, Retry | Refused):
            return addresses
        body = json.dumps(event, ensure_ascii=False).encode("utf-8", "replace")
        now = self._surroundings.clock()
        answer = await send(
            self._surroundings.client,
            str(url.copy_with(host=addresses[(attempt - 1) % len(addresses)])),
            body,
            headers={
                "Content-Type": "application/json",
                "Host": url.netloc.decode("ascii"),
                "Connection": "close",  # no other name at this address may reuse the connection
                **sign(message_id, body, keys=self._keys, now=now),
            },
            extensions={"sni_hostname": url.raw_host.decode("ascii")},
        )
        return _outcome(answer, message_id, self._surroundings.clock())

    async def _addresses(self, url: httpx.URL) -> Sequence[str] | Retry | Refused:
        """Resolve the host once and judge what is then connected to: a name may change its mind."""
        host, port = url.raw_host.decode("ascii"), url.port or {"http": 80}.get(url.scheme, 443)
        try:
            found = await asyncio.get_running_loop().run_in_executor(
                self._resolver,
                partial(socket.getaddrinfo, host.strip("[]"), port, type=socket.SOCK_STREAM),
            )
        except (OSError, UnicodeError):
            return Retry("the endpoint's name does not resolve")
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not self._options.allow_private and not all(map(is_public, addresses)):
            return Refused("the endpoint is a private address: set allow_private if you mean it")
        return addresses


def render(delivery: Delivery) -> dict[str, Any]:
    """
    Write the event; texts are not escaped for any page.

    ``data`` is an incident as schemas/incident.v1.schema.json has it, and beside it what the notice
    says in the language of the receiver.
    """
    notice = delivery.notice
    said = msgspec.to_builtins(notice)
    renamed = {"incident", "state", "why_now", "quotes", "link", "before"}
    evidence = [quote | {"id": quote.pop("post")} for quote in said["quotes"]]
    return {
        "type": _EVENT[delivery.kind],
        "timestamp": _written(notice.at),
        "data": {
            "id": notice.incident,
            "status": notice.state.value,
            "episode": delivery.episode,
            "sequence": delivery.sequence,
            "summary": notice.why_now,
            "evidence": evidence,
            "url": notice.link,
        }
        | {name: value for name, value in said.items() if name not in renamed},
    }


def sign(message_id: str, body: bytes, *, keys: Sequence[bytes], now: datetime) -> dict[str, str]:
    """Return the three headers of Standard Webhooks; one signature for each key."""
    timestamp = str(int(now.timestamp()))
    signed = f"{message_id}.{timestamp}.".encode() + body
    digests = (hmac.new(key, signed, hashlib.sha256).digest() for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{base64.b64encode(d).decode()}" for d in digests),
    }


def is_public(address: str) -> bool:
    """Whether an address lies outside of every private, local, link-local or reserved range."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and (inner := _embedded(ip)):
        return is_public(str(inner))
    site = isinstance(ip, ipaddress.IPv6Address) and ip.is_site_local  # fec0::/10, of old
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or site)


def _embedded(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 one leads to: mapped, 6to4, Teredo or NAT64."""
    if ip in ipaddress.IPv6Network("64:ff9b::/96"):
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)


def _outcome(answer: Answer | Retry | Unknown, message_id: str, now: datetime) -> Outcome:
    if not isinstance(answer, Answer):
        return answer
    if 200 <= answer.status < 300:
        return Sent(message_id)
    if answer.status == httpx.codes.GONE:
        return Refused("the endpoint: HTTP 410, it wants no more")
    if answer.status in {502, 503, 504} and "retry-after" in answer.headers:
        return Retry(f"the endpoint: HTTP {answer.status}", after=retry_after(answer, now=now))
    return failure(answer, now=now) or Retry(f"the endpoint: HTTP {answer.status}")


def signing_key(secret: SecretStr) -> bytes:
    """Read a secret as Standard Webhooks writes it; raises ValueError."""
    text = secret.get_secret_value()
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(_PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError("must be whsec_ and 24 to 64 bytes in base64")
    return key


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")

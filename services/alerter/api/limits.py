"""Limits: how much a key, or an address without one, may ask for; the rest gets a 429."""

import math
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from services.alerter.api.problems import Problem

KEY_PER_MINUTE: Final = 600
ADDRESS_PER_MINUTE: Final = 120
STREAMS_PER_KEY: Final = 20
_STREAM_RETRY_SECONDS: Final = 60
_REMEMBERED: Final = 10_000


@dataclass(slots=True)
class _Bucket:
    left: float
    at: datetime


class Limits:
    """
    One bucket of tokens for each caller, filled steadily; kept in memory, by each process for itself.

    Args:
        key_per_minute: Requests of one key; also the most at once.
        address_per_minute: Requests of one address that brings no valid key.
        streams_per_key: Streams of events that one key may have open at once.
    """

    def __init__(
        self,
        *,
        key_per_minute: int = KEY_PER_MINUTE,
        address_per_minute: int = ADDRESS_PER_MINUTE,
        streams_per_key: int = STREAMS_PER_KEY,
    ) -> None:
        self._key, self._address = key_per_minute, address_per_minute
        self._streams, self._open = streams_per_key, Counter[str]()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def count_key(self, key: str, *, now: datetime) -> None:
        """Count a request of a key; raises Problem (429) where it is one too many."""
        self._take(f"key {key}", self._key, now)

    def count_address(self, address: str, *, now: datetime) -> None:
        """Count a request without a valid key, as :meth:`count_key`."""
        self._take(f"address {address}", self._address, now)

    def count_status(self, address: str, *, now: datetime) -> None:
        """Count a look at the status without a key: as many as a key may take, beside all else."""
        self._take(f"status {address}", self._key, now)

    @contextmanager
    def stream(self, key: str) -> Iterator[None]:
        """Hold one of the streams that a key may have open; raises Problem (429) without a free one."""
        if self._open[key] >= self._streams:
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"at most {self._streams} streams at once: close one",
                Retry_After=str(_STREAM_RETRY_SECONDS),
            )
        self._open[key] += 1
        try:
            yield
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]

    def _take(self, caller: str, per_minute: int, now: datetime) -> None:
        bucket = self._buckets.pop(caller, None) or _Bucket(left=per_minute, at=now)
        passed = max(now - bucket.at, timedelta()) / timedelta(minutes=1)
        bucket.left, bucket.at = min(per_minute, bucket.left + passed * per_minute), now
        self._buckets[caller] = bucket
        while len(self._buckets) > _REMEMBERED:  # whoever was quiet longest has a full one anyway
            self._buckets.popitem(last=False)
        if bucket.left < 1:
            wait = math.ceil((1 - bucket.left) * 60 / per_minute)
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"at most {per_minute} requests a minute; try again in {wait} s",
                Retry_After=str(wait),
            )
        bucket.left -= 1

"""Classifier: what is known of it from its probes. It sends the alerter nothing about itself."""

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

LOOK_EVERY: Final = timedelta(seconds=5)
_TIMEOUT_SECONDS: Final = 2.0
_MODEL: Final = "uproar_classifier_model_info"
_EVENT_TIME: Final = "uproar_classifier_event_time_timestamp_seconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Classifier:
    """
    What the classifier says of itself; nothing while it does not answer.

    Attributes:
        model: Its name; None until it is loaded.
        ready: It is loaded.
        degraded: It fails: posts flow on without scores.
        event_time: How far detection has come.
    """

    model: str | None = None
    ready: bool = False
    degraded: bool = False
    event_time: datetime | None = None


class ClassifierWatch:
    """Looks at the classifier's probes every few seconds: the only way to know of its model."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self.seen = Classifier()
        self._url, self._client = url.rstrip("/"), client

    async def run(self, stop: asyncio.Event) -> None:
        """Look until ``stop`` is set."""
        while not stop.is_set():
            self.seen = await self.look()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_EVERY.total_seconds())

    async def look(self) -> Classifier:
        """Ask once."""
        try:
            ready = await self._client.get(f"{self._url}/ready", timeout=_TIMEOUT_SECONDS)
            metrics = await self._client.get(f"{self._url}/metrics", timeout=_TIMEOUT_SECONDS)
            said = ready.json()
            troubled = {**said.get("problems", {}), **said.get("degraded", {})}
            values = _values(metrics.text)
        except (httpx.HTTPError, ValueError, AttributeError, TypeError):
            return Classifier()
        name = values.get(_MODEL)
        loaded = isinstance(name, str) and name != ""
        return Classifier(
            model=str(name) if loaded else None,
            ready=loaded,
            degraded=loaded and "model" in troubled,
            event_time=_moment(values.get(_EVENT_TIME)),
        )


def _values(exposition: str) -> dict[str, float | str]:
    """Read the two metrics that matter here; an info's value is its label ``name``."""
    found: dict[str, float | str] = {}
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            if sample.name == _EVENT_TIME:
                found[sample.name] = float(sample.value)
            elif sample.name == _MODEL:
                found[sample.name] = sample.labels.get("name", "")
    return found


def _moment(seconds: float | str | None) -> datetime | None:
    if not isinstance(seconds, float) or not 0 < seconds < 1e11:
        return None
    return datetime.fromtimestamp(seconds, UTC)

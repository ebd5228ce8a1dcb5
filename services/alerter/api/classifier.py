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
    """What the classifier says of itself; nothing while it does not answer."""

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
            problems, degraded = said.get("problems", {}), said.get("degraded", {})
            values = _values(metrics.text)
        except (httpx.HTTPError, ValueError, AttributeError):
            return Classifier()
        model, event_time = values.get(_MODEL), values.get(_EVENT_TIME)
        return Classifier(
            model=model if isinstance(model, str) else None,
            ready="model" not in problems and ready.status_code in {200, 503},
            degraded="model" in degraded,
            event_time=_moment(event_time),
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

"""How long it takes until an acknowledgement on one surface is on every other."""

import time
from pathlib import Path

import pytest

from tests.databases import migrated, sqlite_url
from tests.surfaces import acknowledge, acknowledged_everywhere, surfaces, until

EACH = 12
LIMIT_SECONDS = 3.0


def percentile(sorted_seconds: list[float], share: float) -> float:
    return sorted_seconds[min(len(sorted_seconds) - 1, int(share * len(sorted_seconds)))]


@pytest.mark.slow
async def test_an_acknowledgement_is_everywhere_within_three_seconds(tmp_path: Path):
    took: dict[str, list[float]] = {}
    async with migrated(sqlite_url(tmp_path)) as database, surfaces(database) as there:
        for number in range(EACH):
            for surface in ("slack", "pagerduty", "rest", "console"):
                incident = f"e_{surface}_{number}"
                await there.page(incident)
                begun = time.monotonic()
                by = await acknowledge(there, incident, surface)
                await until(lambda i=incident, by=by: acknowledged_everywhere(there, i, by))
                took.setdefault(surface, []).append(time.monotonic() - begun)
    every = sorted(second for seconds in took.values() for second in seconds)
    for surface, seconds in [*took.items(), ("all", every)]:
        seconds.sort()
        print(
            f"acknowledged in {surface:<9} everywhere after: median {percentile(seconds, 0.5):.2f} s, "
            f"p95 {percentile(seconds, 0.95):.2f} s, worst {seconds[-1]:.2f} s (n={len(seconds)})"
        )
    assert percentile(every, 0.95) <= LIMIT_SECONDS

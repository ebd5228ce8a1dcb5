"""
Fit: from real series to tempers.json, the parameters of the generator of backgrounds.

    python -m services.backtest.evaluate.fit DATA > services/backtest/evaluate/tempers.json

Seasons are read off; noise, bursts and answers are found by simulated moments: of a few hundred
candidates, the one whose simulated months look most like the real ones in overdispersion at four
lengths and in the quantiles of the daily maximum of an hour's count.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from rich.progress import track

from services.backtest.evaluate.background import (
    SMALL,
    STEP,
    STEPS_A_DAY,
    Array,
    Background,
    Brand,
    Temper,
)
from services.backtest.evaluate.recordings import Recording, check, streams, tickers

WIDTHS: Final = (1, 12, 72, 288)
QUANTILES: Final = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
CANDIDATES, ROUNDS, DAYS = 300, 3, 96
BEGIN: Final = 28_400_000 // 1440 * 1440
HOUR: Final = 60 // STEP


def seasons(recording: Recording) -> tuple[Array, Array, Array]:
    """Return the factors of weekday hours, weekend hours and weekdays, shrunk and outliers cut."""
    at = (recording.begin + np.arange(len(recording.counts)) * STEP)[recording.usual]
    counts = recording.counts[recording.usual]
    counts = np.minimum(counts, np.quantile(counts, 0.98))
    hour, weekday = at // 60 % 24, (at // 1440 + 3) % 7
    mean = counts.mean()
    prior = 10.0 / mean if mean < 1 else 10.0
    all_hours = _factors(counts, hour, 24, mean, prior=np.ones(24), weight=prior)
    hours = []
    for kind in (weekday < 5, weekday >= 5):
        own = counts[kind]
        hours.append(_factors(own, hour[kind], 24, own.mean(), prior=all_hours, weight=4 * prior))
    return (
        hours[0],
        hours[1],
        _factors(counts, weekday, 7, mean, prior=np.ones(7), weight=40 * prior),
    )


def _factors(
    counts: Array, place: Array, places: int, mean: float, *, prior: Array, weight: float
) -> Array:
    heard = np.bincount(place, counts, places) + weight * mean * prior
    usual = (np.bincount(place, minlength=places) + weight) * mean
    factors = heard / usual
    return np.asarray(factors / factors.mean())


def moments(counts: Array, usual: Array, season: Array) -> Array:
    """
    Say how a series looks, its size and seasons apart.

    Args:
        counts: Shape (steps, lanes).
        usual: Which steps count, shape (steps,).
        season: Factor of each step, shape (steps,).

    Returns:
        Shape (moments, lanes): ln(phi + 0.05) at four lengths, ln of quantiles of the daily
        maximum of an hour's count over its mean.
    """
    mean = counts[usual].mean(axis=0)
    expected = season[:, None] * mean
    found = []
    for width in WIDTHS:
        whole = _blocks(usual[:, None], width).min(axis=1)[:, 0] > 0
        x = _blocks(counts, width).sum(axis=1)[whole]
        e = np.maximum(_blocks(np.broadcast_to(expected, counts.shape), width).sum(axis=1), 1e-6)
        e = e[whole]
        cut = np.minimum(x, e + 8 * np.sqrt(e + e * e))  # bursts are told by the maxima
        phi = ((cut - e) ** 2 - e).sum(axis=0) / (e * e).sum(axis=0)
        found.append(np.log(np.maximum(phi, 0) + 0.05))
    maxima = daily_maxima(counts, usual) / (HOUR * mean)
    quantiles = np.quantile(maxima, QUANTILES, axis=0)
    return np.concatenate([found, np.log(np.maximum(quantiles, 0.05))])


def daily_maxima(counts: Array, usual: Array) -> Array:
    """Return the greatest count of an hour of each day that is usual, shape (days, lanes)."""
    total = np.concatenate([np.zeros((1, counts.shape[1])), np.cumsum(counts, axis=0)])
    hours = total[HOUR:] - total[:-HOUR]
    days = len(hours) // STEPS_A_DAY
    hours = hours[: days * STEPS_A_DAY].reshape(days, STEPS_A_DAY, -1)
    whole = usual[: days * STEPS_A_DAY].reshape(days, -1).mean(axis=1) > 0.9
    return np.asarray(hours.max(axis=1)[whole])


def _blocks(values: Array, width: int) -> Array:
    length = len(values) // width
    return values[: length * width].reshape(length, width, -1)


def simulate(brands: Sequence[Brand], days: int, seed: int) -> Array:
    """Simulate five-minute counts, shape (steps, lanes)."""
    background = Background(brands, BEGIN, np.random.default_rng(seed))
    parts = []
    for _ in range(days):
        day = background.day()
        parts.append((day.negative + day.other).reshape(STEPS_A_DAY, STEP, -1).sum(axis=1))
    return np.concatenate(parts).astype(np.float64)


def season_of(temper: Temper, begin: int, steps: int) -> Array:
    """Return the factor of each step, mean 1."""
    at = begin + np.arange(steps) * STEP
    weekday, hour = (at // 1440 + 3) % 7, at // 60 % 24
    hours = np.where(weekday < 5, np.array(temper.weekday)[hour], np.array(temper.weekend)[hour])
    factor = hours * np.array(temper.days)[weekday]
    return np.asarray(factor / factor.mean())


def fit(recording: Recording, seed: int) -> Temper:
    """Find the temper of a recording."""
    weekday, weekend, days = (tuple(np.round(f, 3).tolist()) for f in seasons(recording))
    rng = np.random.default_rng(seed)
    rate = float(recording.counts[recording.usual].mean()) * HOUR
    shape = {"name": recording.name, "weekday": weekday, "weekend": weekend, "days": days}
    candidates = [_random(rng, shape, rate) for _ in range(CANDIDATES)]
    season = season_of(candidates[0], recording.begin, len(recording.counts))
    wanted = moments(recording.counts[:, None], recording.usual, season)
    best: list[tuple[float, Temper]] = []
    for number in range(ROUNDS):
        if number:
            parents = [temper for _, temper in best[:10]]
            candidates = [_near(rng, parents[i % 10], rate) for i in range(CANDIDATES)]
        brands = [Brand(name="", rate=rate, temper=temper) for temper in candidates]
        counts = simulate(brands, DAYS, seed * 10 + number)
        got = moments(
            counts, np.ones(len(counts), bool), season_of(candidates[0], BEGIN, len(counts))
        )
        distance = np.abs(got - wanted).mean(axis=0)
        best = sorted([*best, *zip(distance.tolist(), candidates, strict=True)], key=lambda b: b[0])
    print(f"{recording.name}: {rate:.2f}/h, distance {best[0][0]:.3f}", file=sys.stderr)  # noqa: T201
    return best[0][1]


def _random(rng: np.random.Generator, shape: Mapping[str, object], rate: float) -> Temper:
    def log_uniform(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    return msgspec.convert(
        {
            **shape,
            "noise": tuple(log_uniform(0.003, 0.3) for _ in range(3)),
            "drift": log_uniform(0.1, 0.5),
            "bursts": log_uniform(0.05, 4),
            "least": log_uniform(0.3, 5),
            "tail": float(rng.uniform(1.2, 3.5)),
            "minutes": log_uniform(15, 400),
            "answers": float(rng.uniform(0, 0.4)) if rate <= SMALL else 0.0,
        },
        Temper,
    )


def _near(rng: np.random.Generator, temper: Temper, rate: float) -> Temper:
    def nudge(value: float) -> float:
        return float(value * np.exp(0.25 * rng.standard_normal()))

    return msgspec.structs.replace(
        temper,
        noise=tuple(map(nudge, temper.noise)),
        drift=min(nudge(temper.drift), 0.6),
        bursts=nudge(temper.bursts),
        least=nudge(temper.least),
        tail=max(nudge(temper.tail), 1.1),
        minutes=nudge(temper.minutes),
        answers=min(nudge(temper.answers), 0.6) if rate <= SMALL else 0.0,
    )


def main(data: Path) -> None:
    """Print the table of tempers as JSON."""
    recordings = [*tickers(check(data)), *(stream.recording for stream in streams(data))]
    tempers = []
    for number, recording in enumerate(track(recordings, console=None, disable=True)):
        tempers.append(fit(recording, number + 1))
    rounded = [
        {k: _rounded(v) for k, v in msgspec.to_builtins(temper).items()} for temper in tempers
    ]
    text = msgspec.json.format(msgspec.json.encode(rounded), indent=1)
    sys.stdout.write(text.decode() + "\n")


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return value


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Found: what is asked of a measurement, and what it has found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from services.bench.pipeline import Load
from services.bench.rounds import Rates
from services.bench.soak import Memory

PARTS: Final = ("classifier", "pipeline", "latency", "ingest")
"""What can be measured; by default all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """
    What shall be measured.

    Attributes:
        posts: JSONL file of texts; None for posts made of our own sentences.
        base: Checkpoint for the naive way.
        plots: Folder to draw into; None for no pictures.
        only: Parts, of :data:`PARTS`.
        kafka: Bootstrap servers of a Kafka; None for the embedded broker.
        soak: Minutes of half load to watch the memory of; None for no soak.
        rate: Posts a second that count as the whole's capacity; None to measure it.
        rounds: Of everything that is compared.
    """

    posts: Path | None
    base: Path
    plots: Path | None
    only: tuple[str, ...] = PARTS
    kafka: str | None = None
    soak: float | None = None
    rate: float | None = None
    rounds: int = 5


@dataclass(slots=True)
class Found:
    """What was measured: the figures of the interface and more, and why some are missing."""

    figures: dict[str, float] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    curves: dict[str, Rates] = field(default_factory=dict)
    loads: list[Load] = field(default_factory=list)
    memory: Mapping[str, Memory] = field(default_factory=dict)

"""Curves: how the parts of the loss fell, kept beside the checkpoint and drawn at the end."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

_HALF_LIFE = 50  # steps: a batch alone says little


class Point(msgspec.Struct, frozen=True):
    """A step and the parts of the loss there, smoothed; ``held_out`` where it was measured."""

    step: int
    parts: dict[str, float]


class Curves:
    """The learning curves of a run."""

    def __init__(self, points: list[Point] | None = None) -> None:
        self.points = points or []
        self._now: dict[str, float] = dict(self.points[-1].parts) if self.points else {}

    def hear(self, parts: Mapping[str, float]) -> None:
        """Take the parts of one step into the running means."""
        fresh = 1 - 0.5 ** (1 / _HALF_LIFE)
        for name, value in parts.items():
            before = self._now.get(name, value)
            self._now[name] = before + fresh * (value - before)

    def mark(self, step: int, **measured: float) -> None:
        """Keep a point."""
        self.points.append(Point(step, self._now | measured))

    @property
    def total(self) -> float:
        """The sum of the parts, without what was measured on rows held out."""
        return sum(self._now.values())

    def write(self, file: Path) -> None:
        """Write the points as JSON."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(msgspec.json.encode(self.points))

    @classmethod
    def read(cls, file: Path, up_to: int) -> "Curves":
        """Read the points up to a step; none if the file is absent."""
        if not file.is_file():
            return cls()
        points = msgspec.json.decode(file.read_bytes(), type=list[Point])
        return cls([point for point in points if point.step <= up_to])


def draw(points: list[Point], title: str, file: Path) -> bool:
    """Draw a PNG, one line a part; False where matplotlib (``uproar[plots]``) is missing."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an extra of its own
    except ImportError:
        return False
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(7, 4))
    for name in sorted({name for point in points for name in point.parts}):
        known: list[tuple[Any, Any]] = [
            (point.step, point.parts[name]) for point in points if name in point.parts
        ]
        axes.plot(*zip(*known, strict=True), label=name.replace("_", " "))
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(file, dpi=90)
    plt.close(figure)
    return True

"""Plot: what detection saw and said of a subject, as a picture. Needs uproar[plots]."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from uproar.backlash import Backlash, Event
from uproar.errors import Misconfigured
from uproar.reading import Reading
from uproar.subject import Subject

HOUR: Final = timedelta(hours=1)
_COLOURS: Final = {
    Event.OPENED: "#c0392b",
    Event.GREW: "#e67e22",
    Event.SUBSIDED: "#2980b9",
    Event.ENDED: "#27ae60",
}


def draw(
    folder: Path,
    subjects: Sequence[Subject],
    readings: Sequence[Reading],
    events: Sequence[Backlash],
) -> list[Path]:
    """
    Draw a PNG for each subject of which anything was heard, and return where they are.

    Above: negative posts an hour, all posts, what is usual. Below: the strangest window's statistic
    against the threshold of ``alert``. Events stand across both, pages bold.

    Raises:
        Misconfigured: matplotlib is missing, or the folder cannot be written.
    """
    plt = pyplot()
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for subject in subjects:
            own = [r for r in readings if r.subject == subject.id and not r.decision]
            if own:
                path = folder / f"{subject.id}.png"
                told = [event for event in events if event.subject == subject.id]
                figure = _figure(plt, subject, own, told)
                figure.savefig(path, dpi=110)
                plt.close(figure)
                paths.append(path)
    except OSError as error:
        raise Misconfigured(f"cannot draw into {folder}: {error}") from error
    return paths


def pyplot() -> Any:
    """Return pyplot, drawing to files; raises Misconfigured where matplotlib is missing."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an extra of its own

        mpl.use("Agg")
        import matplotlib.pyplot as plt  # noqa: PLC0415
    except ImportError as error:
        raise Misconfigured("--plots needs matplotlib: pip install 'uproar[plots]'") from error
    return plt


def _figure(
    plt: Any, subject: Subject, readings: Sequence[Reading], events: Sequence[Backlash]
) -> Any:
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(14, 8), sharex=True, height_ratios=(3, 2), layout="constrained"
    )
    figure.suptitle(f"{subject.name}: {sum(event.page for event in events)} pages")
    _counts(above, readings)
    _statistic(below, readings)
    seen = set()
    for event in events:
        label = None if event.event in seen else event.event.value
        seen.add(event.event)
        for axes in (above, below):
            axes.axvline(
                event.at,
                color=_COLOURS[event.event],
                linewidth=2.2 if event.page else 0.9,
                linestyle="-" if event.page else "--",
                label=label if axes is above else None,
            )
    above.legend(loc="upper left", fontsize=8)
    below.set_xlabel("event time (UTC)")
    return figure


def _counts(axes: Any, readings: Sequence[Reading]) -> None:
    negative, posts, usual = Counter[datetime](), Counter[datetime](), {}
    for reading in readings:
        hour = (reading.at - timedelta(seconds=1)).replace(minute=0, second=0, microsecond=0)
        negative[hour] += reading.negative  # type: ignore[assignment] # a Counter also counts parts
        posts[hour] += reading.posts
        usual[hour] = reading.baseline * 3600 / reading.window_seconds
    hours = sorted(posts)
    axes.bar(hours, [posts[h] for h in hours], 1 / 24, align="edge", color="#d5dbdb", label="posts")
    axes.bar(
        hours, [negative[h] for h in hours], 1 / 24, align="edge", color="#e6a49c", label="negative"
    )
    axes.plot(hours, [usual[h] for h in hours], color="black", linewidth=1, label="usual negative")
    axes.set_ylabel("an hour")


def _statistic(axes: Any, readings: Sequence[Reading]) -> None:
    times = [reading.at for reading in readings]
    ratios = [reading.statistic / reading.threshold for reading in readings]
    shut = [r for r in readings if r.gate != "open" and r.statistic >= r.threshold]
    axes.plot(times, ratios, color="#34495e", linewidth=0.8)
    axes.axhline(1.0, color="#c0392b", linewidth=1, label="alert")
    axes.scatter(
        [r.at for r in shut],
        [r.statistic / r.threshold for r in shut],
        s=14,
        color="#8e44ad",
        zorder=3,
        label="strange, but a gate is shut",
    )
    axes.set_ylabel("statistic / threshold")
    axes.legend(loc="upper left", fontsize=8)

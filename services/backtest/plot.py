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

    Above: negative posts an hour, all posts, what is usual and the band of two standard deviations
    above it; events along the edge, pages as lines. Below: the strangest window's statistic against
    the threshold of ``alert``. Incidents are shaded.

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
    pages = sum(event.page for event in events)
    figure.suptitle(f"{subject.name}: {pages} page{'' if pages == 1 else 's'}")
    _counts(above, readings)
    _statistic(below, readings)
    for axes in (above, below):
        _incidents(axes, events, readings[-1].at)
        axes.margins(x=0.01)
    _events(above, events)
    for axes in (above, below):
        axes.legend(loc="upper left", fontsize=8)
    below.set_xlabel("event time (UTC)")
    return figure


def _counts(axes: Any, readings: Sequence[Reading]) -> None:
    hours, posts, negative, usual, most = _by_hour(readings)
    wide = {"width": 1 / 24, "align": "edge"}
    axes.bar(hours, posts, color="#dfe5e6", label="posts", **wide)
    axes.bar(hours, negative, color="#d98880", label="negative", **wide)
    axes.fill_between(
        hours,
        usual,
        most,
        step="post",
        color="#5d6d7e",
        alpha=0.35,
        linewidth=0,
        label="two deviations above",
    )
    axes.step(hours, usual, where="post", color="#1b2631", linewidth=1, label="usual negative")
    axes.set_ylabel("posts an hour")


def _by_hour(readings: Sequence[Reading]) -> tuple[list[Any], ...]:
    """Return hours, posts, negative ones, the usual, and two deviations above it."""
    negative, posts, usual = Counter[datetime](), Counter[datetime](), {}
    for reading in readings:
        hour = (reading.at - timedelta(seconds=1)).replace(minute=0, second=0, microsecond=0)
        negative[hour] += reading.negative  # type: ignore[assignment] # a Counter also counts parts
        posts[hour] += reading.posts
        mean = reading.baseline * 3600 / reading.window_seconds
        doubt = 1 / reading.certainty if reading.certainty else 0.0
        usual[hour] = mean, mean + 2 * (mean + doubt * mean**2) ** 0.5
    hours: list[Any] = sorted(posts)
    means, most = zip(*(usual[hour] for hour in hours), strict=True)
    return hours, [posts[h] for h in hours], [negative[h] for h in hours], [*means], [*most]


def _statistic(axes: Any, readings: Sequence[Reading]) -> None:
    times = [reading.at for reading in readings]
    ratios = [reading.statistic / reading.threshold for reading in readings]
    shut = [r for r in readings if r.gate != "open" and r.statistic >= r.threshold]
    axes.plot(times, ratios, color="#34495e", linewidth=0.9)
    axes.axhline(1.0, color="#c0392b", linewidth=1, label="threshold of alert")
    if shut:
        axes.scatter(
            [r.at for r in shut],
            [r.statistic / r.threshold for r in shut],
            s=14,
            color="#8e44ad",
            zorder=3,
            label="strange, but a gate is shut",
        )
    axes.set_yscale("symlog", linthresh=1.5)  # up to the threshold as it is, a flood at a glance
    axes.set_ylim(bottom=0)
    ticks = [
        tick for tick in (0, 0.5, 1, 2, 5, 10, 20, 50, 100) if tick <= max([2.0, *ratios]) * 1.2
    ]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_ylabel("statistic / threshold")


def _incidents(axes: Any, events: Sequence[Backlash], end: datetime) -> None:
    """Shade the time of each incident."""
    for opened in (event for event in events if event.event is Event.OPENED):
        last = [e.at for e in events if e.incident == opened.incident and e.event is Event.ENDED]
        axes.axvspan(opened.at, *(last or [end]), color="#f5b041", alpha=0.12, linewidth=0)


def _events(axes: Any, events: Sequence[Backlash]) -> None:
    """Mark events along the upper edge, pages with a line and their level."""
    edge = axes.get_xaxis_transform()
    for kind, colour in _COLOURS.items():
        at = [event.at for event in events if event.event is kind]
        if at:
            label = kind.value
            axes.scatter(
                at, [0.985] * len(at), s=34, marker="v", color=colour, transform=edge, label=label
            )
    for number, page in enumerate(event for event in events if event.page):
        axes.axvline(page.at, color="#c0392b", linewidth=1.4)
        axes.annotate(
            f"page: {page.level.value} {page.at:%d %b %H:%M} ",
            (page.at, 0.93 - 0.05 * (number % 6)),
            xycoords=edge,
            ha="right",
            fontsize=8,
            color="#c0392b",
        )

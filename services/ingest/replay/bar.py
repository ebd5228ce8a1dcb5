"""Bar: how a replay goes, on the terminal."""

from datetime import datetime
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Bar:
    """A progress bar: posts, posts per second, event time reached."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]:,.0f} posts/s"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[reached]}"),
        )
        self._task = self._bar.add_task("replay", total=None, speed=0.0, reached="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def begin(self, posts: int) -> None:
        """Hear how many posts there are."""
        self._bar.update(self._task, total=posts)

    def moved(self, posts: int, reached: datetime | None) -> None:
        """Show how many of them ingest has, and how far event time has come."""
        task = self._bar.tasks[0]
        self._bar.update(
            self._task,
            completed=posts,
            speed=task.speed or 0.0,
            reached=f"{reached:%Y-%m-%d %H:%M}" if reached else "",
        )

"""Summary: why there is a wave, as one sentence for people who do not know statistics."""

from typing import Final

_WINDOWS: Final = ("ten minutes", "half an hour", "an hour", "three hours", "six hours", "a day")


def opening(name: str, *, negative: float, baseline: float, window: int, share: float) -> str:
    """Say that there is a wave, or that it grew."""
    return (
        f"{_people(negative)} complained about {name} within {_WINDOWS[window]},"
        f" where usually {_usual(baseline)}; {share:.0%} of what is written is negative."
    )


def subsiding(name: str, *, excess: float, peak: float) -> str:
    """Say that a wave is much lower than at its peak."""
    return (
        f"The wave about {name} is ebbing: {_number(max(excess, 0))} more complaints than usual"
        f" in the last hour, after {_number(peak)} at its peak."
    )


def ending(name: str, *, posts: int, authors: int, minutes: int) -> str:
    """Say that a wave is over."""
    hours = max(1, round(minutes / 60))
    lasted = f"{hours} hour{'s' if hours > 1 else ''}"
    if hours >= 72:
        lasted = f"{round(hours / 24)} days"
    return (
        f"The wave about {name} is over: {posts} posts and {authors} people who complained"
        f" in {lasted}."
    )


def _people(count: float) -> str:
    number = max(1, round(count))
    return f"{number:,} people" if number > 1 else "One person"


def _usual(baseline: float) -> str:
    if baseline < 0.5:
        return "almost nobody does"
    return f"about {_number(baseline)} {'do' if round(baseline) > 1 else 'does'}"


def _number(count: float) -> str:
    return f"{round(count):,}"

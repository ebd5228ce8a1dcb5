"""Chart: complaints, the usual and praise over time as an SVG that needs no script."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from markupsafe import Markup, escape

WIDTH: Final = 720
HEIGHT: Final = 220
_LEFT, _TOP, _BOTTOM = 40, 12, 24
_LINES: Final = (("positive", "praise"), ("baseline", "usual"), ("negative", "complaints"))


def drawn(readings: Sequence[Mapping[str, Any]], lines: Sequence[Mapping[str, Any]]) -> Markup:
    """
    Draw readings of a subject, and mark what happened to its incident.

    Args:
        readings: Rows of the store, the oldest first.
        lines: The timeline, the first first.

    Returns:
        The SVG; empty where there is nothing to draw.
    """
    if len(readings) < 2:
        return Markup("")
    first, last = readings[0]["at"], readings[-1]["at"]
    top = max(1.0, *(float(reading[name]) for reading in readings for name, _ in _LINES))

    def x(moment: datetime) -> float:
        share: float = (moment - first) / (last - first)
        return _LEFT + (WIDTH - _LEFT) * share

    def y(value: float) -> float:
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * value / top

    parts = [_axes(top, first, last, y)]
    for name, said in _LINES:
        points = " ".join(f"{x(r['at']):.1f},{y(float(r[name])):.1f}" for r in readings)
        parts.append(f'<polyline class="{said}" points="{points}"/>')
    for line in lines:
        moment = line["happened_at"] or line["at"]
        if first <= moment <= last:
            parts.append(_mark(x(moment), str(line["happened"])))
    body = "".join(parts)
    return Markup(  # noqa: S704  # numbers, and texts that _mark and _axes escape
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="Complaints, the usual and praise per reading">{body}</svg>'
    )


def _axes(top: float, first: datetime, last: datetime, y: Any) -> str:
    base = y(0.0)
    return (
        f'<line class="axis" x1="{_LEFT}" y1="{base:.1f}" x2="{WIDTH}" y2="{base:.1f}"/>'
        f'<text x="{_LEFT - 6}" y="{y(top) + 4:.1f}" class="end">{top:.0f}</text>'
        f'<text x="{_LEFT - 6}" y="{base:.1f}" class="end">0</text>'
        f'<text x="{_LEFT}" y="{HEIGHT - 6}">{escape(first.strftime("%d %b %H:%M"))}</text>'
        f'<text x="{WIDTH}" y="{HEIGHT - 6}" class="end">'
        f"{escape(last.strftime('%d %b %H:%M'))}</text>"
    )


def _mark(x: float, said: str) -> str:
    return (
        f'<line class="mark" x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{HEIGHT - _BOTTOM}">'
        f"<title>{escape(said)}</title></line>"
    )

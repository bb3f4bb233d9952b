"""Square pictures: the radar of general sets, the reliability diagram, and lines over two axes.

Contract: pure functions from rows to inline SVG, "" when there is nothing finite to draw.  Colours
and strokes come from CSS classes, so one drawing serves light and dark; every picture has a title
and a description with its figures, for readers who cannot see it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from denizen.evaluate.report.evidence import Plot, PlotPoint, RadarPoint, Rate, Reliability
from denizen.evaluate.report.text import e, percent, ticks

_LABEL = 12  # characters that fit beside a spoke


def picture(width: int, height: int, title: str, description: str, body: str) -> str:
    """An SVG with its title and description."""
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{e(title)}">'
        f"<title>{e(title)}</title><desc>{e(description)}</desc>{body}</svg>"
    )


def radar(points: Sequence[RadarPoint]) -> str:
    """Accuracy by set before and after, from 0 in the middle to 100%; needs three sets."""
    if len(points) < 3:
        return ""
    width, height, radius = 470, 340, 124
    x0, y0 = width / 2, height / 2

    def place(index: int, share: float) -> tuple[float, float]:
        angle = 2 * math.pi * index / len(points) - math.pi / 2
        return x0 + share * radius * math.cos(angle), y0 + share * radius * math.sin(angle)

    def ring(rates: Sequence[float]) -> str:
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(i, r) for i, r in enumerate(rates)))

    grid = "".join(
        f'<polygon class="grid" points="{ring([share] * len(points))}"/>'
        for share in (0.25, 0.5, 0.75, 1.0)
    )
    spokes, names = [], []
    for index, point in enumerate(points):
        (x, y), (tx, ty) = place(index, 1), place(index, 1.07)
        spokes.append(f'<line class="grid" x1="{x0}" y1="{y0}" x2="{x:.1f}" y2="{y:.1f}"/>')
        side = "middle" if abs(tx - x0) < 9 else "start" if tx > x0 else "end"
        name = e(_short(point.set))
        names.append(f'<text x="{tx:.1f}" y="{ty + 4:.1f}" text-anchor="{side}">{name}</text>')
    rates: tuple[tuple[str, Callable[[RadarPoint], Rate]], ...] = (
        ("base", lambda point: point.before),
        ("spec", lambda point: point.after),
    )
    shapes = "".join(
        f'<polygon class="area {kind}" points="{ring([of(p).value for p in points])}"/>'
        + "".join(
            f'<circle class="mark {kind}" cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>'
            for x, y in (place(i, of(p).value) for i, p in enumerate(points))
        )
        for kind, of in rates
    )
    said = "; ".join(
        f"{p.set} {percent(p.before.value)} before, {percent(p.after.value)} after" for p in points
    )
    title = f"General ability on {len(points)} sets, before and after"
    return picture(width, height, title, said, grid + "".join(spokes) + shapes + "".join(names))


def _short(name: str) -> str:
    return name if len(name) <= _LABEL else name[: _LABEL - 1] + "\u2026"


def reliability(found: Reliability) -> str:
    """Share right against stated confidence, with Wilson intervals and the diagonal."""
    frame = Frame(340, 300, (0.0, 1.0), (0.0, 1.0))
    body = frame.grid((0, 0.25, 0.5, 0.75, 1), (0, 0.25, 0.5, 0.75, 1), percent)
    body += frame.segment("chance", 0, 0, 1, 1)
    path = []
    for part in found.bins:
        x = part.confidence
        body += frame.segment("bar c0", x, part.accuracy.low, x, part.accuracy.high)
        path.append((x, part.accuracy.value))
    body += frame.path("line c0", path)
    most = max((part.accuracy.n for part in found.bins), default=1)
    for part in found.bins:
        size = 2.5 + 2.5 * math.sqrt(part.accuracy.n / most)
        body += frame.dot("mark c0", part.confidence, part.accuracy.value, size)
    body += frame.titles("stated confidence", "share right")
    said = "; ".join(
        f"confidence {percent(b.confidence)}: {percent(b.accuracy.value)} of {b.accuracy.n} right"
        for b in found.bins
    )
    return picture(340, 300, f"Reliability diagram of {found.system}", said, body)


def plot(data: Plot) -> str:
    """Lines with their intervals and a key; points that a logarithmic axis lacks are left out."""
    lines = [(line.name, [p for p in line.points if _drawn(p, data)]) for line in data.lines]
    seen = [p for _, points in lines for p in points]
    if not seen:
        return ""
    heights = [y for p in seen for y in (p.low, p.y, p.high) if y is not None and math.isfinite(y)]
    if data.log_y:
        heights = [y for y in heights if y > 0]
    across = _range([p.x for p in seen], data.log_x)
    if not data.log_x and 0 < across[0] < 0.1 * across[1]:
        across = (0.0, across[1])
    up = _range(heights if data.log_y else [0.0, *heights], data.log_y)
    frame = Frame(380, 260, across, up, data.log_x, data.log_y)
    places = sorted({p.x for p in seen})
    marks = places if len(places) <= 6 else _ticks(across, data.log_x)
    body = frame.grid(marks, _ticks(up, data.log_y), lambda value: f"{value:.3g}")
    if data.diagonal:
        low, high = max(across[0], up[0]), min(across[1], up[1])
        body += frame.segment("chance", low, low, high, high) if high > low else ""
    for index, (_, points) in enumerate(lines):
        tone = f"c{index % 4}"
        for point in points:
            if point.low is not None and point.high is not None:
                low = max(point.low, up[0])
                body += frame.segment(f"bar {tone}", point.x, low, point.x, point.high)
        body += frame.path(f"line {tone}", [(p.x, p.y) for p in points])
        if len(points) <= 12:
            body += "".join(frame.dot(f"mark {tone}", p.x, p.y, 3.5) for p in points)
    body += frame.titles(data.x, data.y)
    said = ". ".join(
        f"{name}: " + ", ".join(f"{p.x:.3g} {p.y:.3g}" for p in _thin(points))
        for name, points in lines
    )
    key = "".join(
        f'<span><i class="c{i % 4}"></i>{e(name)}</span>' for i, (name, _) in enumerate(lines)
    )
    title = f"{data.name}: {data.y} against {data.x}"
    return f'<div class="key">{key}</div>' * (len(lines) > 1) + picture(380, 260, title, said, body)


class Frame:
    """Two axes and where a value lies between them, in the units of the viewBox."""

    def __init__(
        self,
        width: int,
        height: int,
        across: tuple[float, float],
        up: tuple[float, float],
        log_x: bool = False,
        log_y: bool = False,
    ) -> None:
        self.left, self.right, self.top, self.bottom = 50, width - 20, 10, height - 42
        self._across, self._up = across, up
        self._log_x, self._log_y = log_x, log_y

    def x(self, value: float) -> float:
        return self.left + _part(value, self._across, self._log_x) * (self.right - self.left)

    def y(self, value: float) -> float:
        return self.bottom - _part(value, self._up, self._log_y) * (self.bottom - self.top)

    def grid(
        self, across: Sequence[float], up: Sequence[float], word: Callable[[float], str]
    ) -> str:
        rows = "".join(
            f'<line class="grid" x1="{self.left}" x2="{self.right}" y1="{self.y(t):.1f}" '
            f'y2="{self.y(t):.1f}"/><text x="{self.left - 7}" y="{self.y(t) + 4:.1f}" '
            f'text-anchor="end">{e(word(t))}</text>'
            for t in up
        )
        columns = "".join(
            f'<line class="grid" x1="{self.x(t):.1f}" x2="{self.x(t):.1f}" y1="{self.bottom}" '
            f'y2="{self.bottom + 4}"/><text x="{self.x(t):.1f}" y="{self.bottom + 17}" '
            f'text-anchor="middle">{e(word(t))}</text>'
            for t in across
        )
        return rows + columns

    def titles(self, across: str, up: str) -> str:
        middle, beside = (self.left + self.right) / 2, (self.top + self.bottom) / 2
        return (
            f'<text class="axis" x="{middle}" y="{self.bottom + 36}" '
            f'text-anchor="middle">{e(across)}</text>'
            f'<text class="axis" transform="translate(12 {beside}) rotate(-90)" '
            f'text-anchor="middle">{e(up)}</text>'
        )

    def segment(self, kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
        return (
            f'<line class="{kind}" x1="{self.x(x1):.1f}" y1="{self.y(y1):.1f}" '
            f'x2="{self.x(x2):.1f}" y2="{self.y(y2):.1f}"/>'
        )

    def path(self, kind: str, points: Sequence[tuple[float, float]]) -> str:
        places = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        return f'<polyline class="{kind}" points="{places}"/>' if len(points) > 1 else ""

    def dot(self, kind: str, x: float, y: float, radius: float) -> str:
        return (
            f'<circle class="{kind}" cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="{radius:.1f}"/>'
        )


def _part(value: float, between: tuple[float, float], log: bool) -> float:
    low, high = between
    if log:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return (value - low) / ((high - low) or 1)


def _drawn(point: PlotPoint, data: Plot) -> bool:
    finite = math.isfinite(point.x) and math.isfinite(point.y)
    return finite and not (data.log_x and point.x <= 0) and not (data.log_y and point.y <= 0)


def _range(values: Sequence[float], log: bool) -> tuple[float, float]:
    low, high = min(values), max(values)
    if low == high:
        return (low / 2, high * 2) if log else (low - 0.5, high + 0.5)
    return (low, high) if log else (low, high + 0.04 * (high - low) * (high != 1.0))


def _ticks(between: tuple[float, float], log: bool) -> list[float]:
    low, high = between
    if not log:
        return ticks(low, high)
    powers = [10.0**k for k in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]
    return powers if len(powers) > 1 else [low, high]


def _thin(points: Sequence[PlotPoint], most: int = 12) -> Sequence[PlotPoint]:
    """At most about a dozen of them, for the words beside the picture."""
    return points[:: max(1, -(-len(points) // most))]

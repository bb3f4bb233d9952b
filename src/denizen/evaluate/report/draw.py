"""The report's pictures: interval tracks, the training curve, the lineage.

Contract: pure functions from data to markup strings. Colours come from CSS variables, so one
drawing serves light and dark; tracks are laid out by CSS so that they fit a phone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from denizen.evaluate.report.data import Artefact, FamilyRow
from denizen.evaluate.report.evidence import Rate
from denizen.evaluate.report.text import e, interval, percent, ticks

INITIALS = frozenset(("amm", "apr", "apy", "il", "lp", "tvl"))


def forest(rows: Sequence[FamilyRow]) -> str:
    """One line a family: base and specialist with their 95% intervals on a 0 to 100% track."""
    body = "".join(_forest_row(row) for row in rows)
    scale = "".join(f'<span style="left:{x}%">{x}%</span>' for x in (0, 25, 50, 75, 100))
    return f'<div class="forest">{body}<div class="scale" aria-hidden="true">{scale}</div></div>'


def _forest_row(row: FamilyRow) -> str:
    label = (
        f"{row.family}: base {percent(row.base.value)} ({interval(row.base.low, row.base.high)}), "
        f"specialist {percent(row.specialist.value)} "
        f"({interval(row.specialist.low, row.specialist.high)})"
    )
    kind = "frow total" if row.family == "overall" else "frow"
    return (
        f'<div class="{kind}"><div class="fname">{e(plain(row.family))}'
        f"<small>n = {row.base.n}</small></div>"
        f'<div class="track" role="img" aria-label="{e(label)}">'
        f"{_mark(row.base, 'base')}{_mark(row.specialist, 'spec')}</div>"
        f'<div class="fnum"><span class="cbase">{percent(row.base.value)}</span>'
        f'<span class="arrow">→</span><b class="cspec">{percent(row.specialist.value)}</b>'
        f"<small>{interval(row.specialist.low, row.specialist.high)}</small></div></div>"
    )


def _mark(rate: Rate, kind: str) -> str:
    low, high = 100 * rate.low, 100 * rate.high
    return (
        f'<i class="ci {kind}" style="left:{low:.2f}%;width:{high - low:.2f}%"></i>'
        f'<i class="dot {kind}" style="left:{100 * rate.value:.2f}%"></i>'
    )


def plain(name: str) -> str:
    """A family's identifier in words."""
    words = name.replace("_", " ").split()
    text = " ".join(word.upper() if word in INITIALS else word for word in words)
    return text[:1].upper() + text[1:]


def curve(xs: Sequence[float], ys: Sequence[float], *, name: str, smooth: bool = False) -> str:
    """A line chart with round ticks; "" when fewer than two points are finite.

    `smooth` draws a running mean over the faint raw line.
    """
    points = [(x, y) for x, y in zip(xs, ys, strict=True) if math.isfinite(y)]
    if len(points) < 2:
        return ""
    width, height = 380, 190
    left, right, top, bottom = 40, 10, 10, 26
    x_low, x_high = points[0][0], points[-1][0]
    y_high = max(0.0, *(y for _, y in points)) * 1.05 or 1.0
    y_low = min(0.0, min(y for _, y in points))

    def px(x: float) -> float:
        return left + (x - x_low) / ((x_high - x_low) or 1) * (width - left - right)

    def py(y: float) -> float:
        return top + (y_high - y) / (y_high - y_low) * (height - top - bottom)

    grid = "".join(
        f'<line class="grid" x1="{left}" x2="{width - right}" y1="{py(t):.1f}" y2="{py(t):.1f}"/>'
        f'<text x="{left - 7}" y="{py(t) + 4:.1f}" text-anchor="end">{t:g}</text>'
        for t in ticks(y_low, y_high)
    )
    axis = "".join(
        f'<text x="{px(t):.1f}" y="{height - 7}" text-anchor="middle">{t:g}</text>'
        for t in ticks(x_low, x_high, 5)
        if t <= x_high - 0.04 * (x_high - x_low)
    )

    def line(data: Sequence[tuple[float, float]], kind: str) -> str:
        path = " ".join(f"{px(x):.1f},{py(y):.1f}" for x, y in data)
        return f'<polyline class="{kind}" points="{path}"/>'

    lines = line(points, "faint") + line(_smoothed(points), "line") if smooth else ""
    lines = lines or line(points, "line")
    first, last = points[0][1], points[-1][1]
    label = f"{name}, from {first:.4g} at step {x_low:g} to {last:.4g} at step {x_high:g}"
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{e(label)}">'
        f"{grid}{axis}{lines}</svg>"
    )


def _smoothed(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Centred running mean over about a twelfth of the run; the raw line stays visible."""
    half = max(1, len(points) // 24)
    out = []
    for i, (x, _) in enumerate(points):
        window = points[max(0, i - half) : i + half + 1]
        out.append((x, sum(y for _, y in window) / len(window)))
    return out


def lineage(artefacts: Sequence[Artefact]) -> str:
    """Artefacts in levels, sources first; a level is one more than its deepest parent."""
    known = {artefact.name: artefact for artefact in artefacts}
    levels: dict[str, int] = {}

    def level(name: str, path: tuple[str, ...] = ()) -> int:
        if name not in levels:
            parents = [p for p in known[name].parents if p in known and p not in path]
            levels[name] = 1 + max((level(p, (*path, name)) for p in parents), default=-1)
        return levels[name]

    for artefact in artefacts:
        level(artefact.name)
    steps = []
    for depth in range(max(levels.values(), default=-1) + 1):
        cards = "".join(_card(a) for a in artefacts if levels[a.name] == depth)
        steps.append(f'<div class="level">{cards}</div>')
    return (
        '<div class="flow">' + '<div class="down" aria-hidden="true"></div>'.join(steps) + "</div>"
    )


def _card(artefact: Artefact) -> str:
    source = f"<small>from {e(', '.join(artefact.parents))}</small>" if artefact.parents else ""
    note = f"<small>{e(artefact.note)}</small>" if artefact.note else ""
    return (
        f'<div class="node"><em>{e(artefact.kind)}</em><b>{e(artefact.name)}</b>'
        f'<code title="{e(artefact.hash)}">{e(artefact.hash[:16])}</code>{note}{source}</div>'
    )

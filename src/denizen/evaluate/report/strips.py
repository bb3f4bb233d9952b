"""Pictures one line high: intervals on a shared scale, as SVG that fits any width.

Contract: pure functions from rows to markup.  Places are percentages of the width, so a strip
needs no viewBox, and its words stay readable on a phone; colours come from CSS variables.  Each
strip is an image with a title that says its figures in words.
"""

from __future__ import annotations

from collections.abc import Sequence

from denizen.evaluate.report.draw import plain
from denizen.evaluate.report.evidence import ForestRow, LadderRow
from denizen.evaluate.report.text import e, percent, points, span, ticks

KINDS = frozenset(("PASS", "FAIL", "INCONCLUSIVE"))


class Scale:
    """Maps [low, high] to 2..98 percent of the width; widened to at least `least`."""

    def __init__(self, low: float, high: float, least: float = 0.02) -> None:
        missing = max(0.0, least - (high - low)) / 2
        self.low, self.high = low - missing, high + missing

    def __call__(self, value: float) -> float:
        return 2 + 96 * (value - self.low) / (self.high - self.low)

    def inside(self, value: float) -> float:
        """Like a call, kept on the strip: a bound of minus infinity ends at its edge."""
        return self(min(self.high, max(self.low, value)))


def differences(rows: Sequence[ForestRow]) -> str:
    """The forest plot: one strip a row, in points, with its threshold and the line of no change."""
    scale = Scale(
        min(0.0, *(min(row.low, row.threshold) for row in rows)),
        max(0.0, *(row.high for row in rows)),
    )
    body = "".join(_difference(row, scale) for row in rows)
    axis = "".join(
        f'<span style="left:{scale(t / 100):.2f}%">{_signed(t)}</span>'
        for t in ticks(100 * scale.low, 100 * scale.high, 4)
    )
    return (
        f'<div class="forest diffs">{body}<div class="scale" aria-hidden="true">{axis}</div>'
        '<p class="note">Dot and bar: difference and interval in percentage points. Solid line: '
        "no change. Dashed line: the threshold its lower end must exceed.</p></div>"
    )


def _difference(row: ForestRow, scale: Scale) -> str:
    bounds = f"{points(row.low)} to {points(row.high)}"
    label = (
        f"{row.name}: {points(row.difference)} points ({bounds}) against {row.against or 'base'}, "
        f"threshold {points(row.threshold)}, n = {row.n}"
        + (f", {row.status}" if row.status else "")
    )
    kind = row.status if row.status in KINDS else "plain"
    low, high = scale.inside(row.low), scale.inside(row.high)
    zero = f'<line class="zero" x1="{scale(0):.2f}%" x2="{scale(0):.2f}%" y1="0" y2="100%"/>'
    limit = ""
    if row.threshold:
        at = scale.inside(row.threshold)
        limit = f'<line class="limit" x1="{at:.2f}%" x2="{at:.2f}%" y1="3" y2="25"/>'
    status = f' · <span class="word {kind}">{e(row.status)}</span>' if row.status else ""
    total = " total" if row.name == "overall" else ""
    return (
        f'<div class="frow{total}"><div class="fname">{e(plain(row.name))}'
        f"<small>n = {row.n:,}{status}</small></div>"
        f"{_open(label, 'strip ' + kind)}{zero}{limit}"
        f'<line class="span" x1="{low:.2f}%" x2="{high:.2f}%" y1="50%" y2="50%"/>'
        f'<circle cx="{scale.inside(row.difference):.2f}%" cy="50%" r="5"/></svg>'
        f'<div class="fnum"><b>{points(row.difference)}</b><small>{bounds}</small></div></div>'
    )


def ladder(rows: Sequence[LadderRow]) -> str:
    """Accuracy of each quant with its interval; a faint band is the merged model's own."""
    merged = next((row.accuracy for row in rows if row.difference is None), None)
    low = min(row.accuracy.low for row in rows)
    high = max(row.accuracy.high for row in rows)
    scale = Scale(low, high, 0.05)
    out = []
    for row in rows:
        rate = row.accuracy
        label = f"{row.quant}: {percent(rate.value, 1)} exact ({span(rate.low, rate.high)})"
        kind = row.status if row.status in KINDS else "plain"
        band = ""
        if merged is not None:
            left, right = scale(merged.low), scale(merged.high)
            band = (
                f'<rect class="band" x="{left:.2f}%" width="{right - left:.2f}%" y="0" '
                'height="100%"/>'
            )
        out.append(
            f'<div class="frow"><div class="fname">{e(row.quant)}</div>'
            f"{_open(label, 'strip ' + kind)}{band}"
            f'<line class="span" x1="{scale(rate.low):.2f}%" x2="{scale(rate.high):.2f}%" '
            'y1="50%" y2="50%"/>'
            f'<circle cx="{scale(rate.value):.2f}%" cy="50%" r="5"/></svg>'
            f'<div class="fnum"><b>{percent(rate.value, 1)}</b>'
            f"<small>{span(rate.low, rate.high)}</small></div></div>"
        )
    axis = "".join(
        f'<span style="left:{scale(t / 100):.2f}%">{t:g}%</span>'
        for t in ticks(100 * scale.low, 100 * scale.high, 4)
    )
    return (
        f'<div class="forest steps">{"".join(out)}'
        f'<div class="scale" aria-hidden="true">{axis}</div></div>'
    )


def share(part: float) -> str:
    """A small bar for a share of the largest, in [0, 1]."""
    width = 100 * min(1.0, max(0.0, part))
    return (
        f'<div class="bar" aria-hidden="true"><i class="both" style="width:{width:.1f}%"></i></div>'
    )


def _signed(value: float) -> str:
    return f"{value:+g}".replace("-", "\u2212") if value else "0"


def _open(label: str, kind: str) -> str:
    text = e(label)
    return f'<svg class="{kind}" role="img" aria-label="{text}"><title>{text}</title>'

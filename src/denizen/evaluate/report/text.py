"""Numbers and untrusted text as safe HTML; the only place where text meets markup.

Contract: `e` escapes everything it is given and makes control and direction characters visible,
so generated text can neither add markup nor reorder what the reader sees.
"""

from __future__ import annotations

import html
import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from denizen.evaluate.report.evidence import Rate

_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


def visible(text: object) -> str:
    """Text whose invisible control characters became a code such as [U+202E]; not escaped."""
    shown = _HIDDEN.sub(lambda match: f"[U+{ord(match.group()):04X}]", str(text))
    return shown.encode("utf-8", "replace").decode()


def e(text: object) -> str:
    """Escaped, visible text."""
    return html.escape(visible(text), quote=True)


def percent(value: float, digits: int = 0) -> str:
    return f"{100 * value:.{digits}f}%"


def interval(low: float, high: float) -> str:
    return f"{100 * low:.0f} to {100 * high:.0f}%"


def span(low: float, high: float) -> str:
    """An interval in percent with one decimal."""
    return f"{100 * low:.1f} to {100 * high:.1f}%"


def rate(value: Rate) -> str:
    """A share with its interval in small print; markup."""
    return f"{percent(value.value, 1)}<small>{span(value.low, value.high)}</small>"


def number(value: float, unit: str = "") -> str:
    """A figure in its unit; "share" reads as percent, whole numbers have no decimals."""
    if not math.isfinite(value):
        return "not finite"
    if unit == "share":
        # A small rate keeps its leading digit: 0.04% is not 0.0%.
        return percent(value, 1 if abs(value) >= 0.001 or value == 0 else 3)
    text = f"{value:,.0f}" if value == round(value) else f"{value:.3g}"
    return f"{text} {unit}".strip().replace("-", "\u2212")


def points(value: float) -> str:
    """Signed percentage points with a real minus sign."""
    text = f"{100 * value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "\u2212")


def signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "\u2212")


def p_value(p: float | None) -> str:
    if p is None:
        return "\u2013"
    return "< 0.0001" if p < 1e-4 else f"{p:.4f}" if p < 0.1 else f"{p:.2f}"


def duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def size(count: float) -> str:
    """Bytes as MB or GB (powers of ten, as disks are sold)."""
    if count >= 1e9:
        return f"{count / 1e9:.2f} GB"
    return f"{count / 1e6:.0f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round axis values covering [low, high], about `count` of them."""
    if not high > low:
        return [low]
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]

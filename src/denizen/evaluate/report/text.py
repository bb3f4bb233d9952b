"""Numbers and untrusted text as safe HTML; the only place where text meets markup.

Contract: `e` escapes everything it is given and makes control and direction characters visible,
so generated text can neither add markup nor reorder what the reader sees.
"""

from __future__ import annotations

import html
import math
import re

_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


def e(text: object) -> str:
    """Escaped text; invisible control characters become a visible code such as [U+202E]."""
    shown = _HIDDEN.sub(lambda match: f"[U+{ord(match.group()):04X}]", str(text))
    return html.escape(shown.encode("utf-8", "replace").decode(), quote=True)


def percent(value: float, digits: int = 0) -> str:
    return f"{100 * value:.{digits}f}%"


def interval(low: float, high: float) -> str:
    return f"{100 * low:.0f} to {100 * high:.0f}%"


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

"""How models and people type figures, put into the plain form that `quantities.py` reads.

Contract: LaTeX and markdown marks go, "2.63 x 10^3" and "2.63e3" become digits, "11 546.95",
"11'546.95", "11.546,95" and "124,5" become 11546.95 and 124.5, "minus 5%" becomes -5%.  A comma
before exactly three digits still parts thousands.  Everything runs in time linear in the text.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal

MAX_EXPONENT = 80
# Most answers: nothing to do.
_PLAIN = re.compile(r"[-$]?(?:\d+|[1-9]\d{0,2}(?:,\d{3})+)(?:\.\d+)?(?:%| [A-Za-z]{1,12})?")
_WIDE = Context(prec=200)
_TEX = re.compile(r"\\(?:text|mathrm|mathbf|textbf|boxed)\s?\{([^{}\\]{0,200})\}")
_TEX_MARKS = (("{,}", ","), ("$$", " "), (r"\,", " "), (r"\%", "%"), (r"\$", "$"), (r"\times", "x"),
              (r"\cdot", "*"), (r"\approx", " ~ "), (r"\ ", " "))  # fmt: skip
_ITALIC = re.compile(r"(?<![A-Za-z0-9_])_+(?=[\w$~-])|(?<=[\w%.)])_+(?![A-Za-z0-9_])")
_POWER = re.compile(
    r"(?<![\w.,])(\d{1,40}(?:\.\d{1,60})?)"
    r"(?:[eE]([-+\u2212]?\d{1,3})(?![\w.])"
    r"| ?[x*\u00d7\u00b7] ?10(?:\^|\*\*) ?\{?([-+\u2212]?\d{1,3})\}?(?![\w.]*\d))"
)
_GROUPED = re.compile(r"(?<![\w.,])\d{1,3}(?:[ \u00a0\u2009\u202f'_]\d{3})+(?!\d)")
_LAKHS = re.compile(r"(?<![\w.,])\d{1,2}(?:,\d{2})+,\d{3}(?![\d,])")
# Points part the thousands and a comma the decimals, or a comma stands before what is no thousand.
_COMMA = re.compile(
    r"(?<![\w.,])(?:\d{1,3}(?:\.\d{3})+,\d{1,40}|\d{1,3}(?:\.\d{3}){2,}"
    r"|\d{1,40},(?:\d{1,2}|\d{4,40})|0,\d{1,40})(?![\d,]|\.\d)"
)
_MINUS = re.compile(r"\b(?:minus|negative) (?=\$?\d)", re.IGNORECASE)
_DOLLAR_MINUS = re.compile(r"\$ ?[-\u2212](?=\d)")
_DASH_MINUS = re.compile(r"(?:(?<=[\s(=~*])|^)\u2013(?=\$?\d)")
_JOINED = re.compile(
    r"(?<![\w.,])(\$?\d[\d,]*(?:\.\d+)?[kKmMbB]?)(?=(?!x)[A-Za-z]*[A-Z][A-Za-z0-9]*[A-Z])"
)
_PERCENT_WORD = re.compile(
    r"(?<=\d) ?(?:per ?cent|percent|pct|percentage points?)\b", re.IGNORECASE
)
_BASIS_WORD = re.compile(r"(?<=\d) ?basis points?\b", re.IGNORECASE)


def plain(text: str) -> str:
    """Typed apostrophes, and no marks of markdown italics around words."""
    text = text.replace("\u2019", "'")
    return _ITALIC.sub("", text) if "_" in text else text


def percents(text: str) -> str:
    """ "5 percent" as "5%", "5 basis points" as "5 bps"."""
    if "p" not in text and "P" not in text:
        return text
    return _BASIS_WORD.sub(" bps", _PERCENT_WORD.sub("%", text))


def plain_figures(text: str) -> str:
    """The text with each figure in plain digits, a point before decimals."""
    if _PLAIN.fullmatch(text):
        return text
    if "\\" in text or "{,}" in text:
        for mark, said in _TEX_MARKS:
            text = text.replace(mark, said)
        text = _TEX.sub(r"\1", text)
    if "inus" in text or "egative" in text:
        text = _MINUS.sub("-", text)
    if "$" in text:
        text = _DOLLAR_MINUS.sub("-$", text)
    if "\u2013" in text:
        text = _DASH_MINUS.sub("-", text)
    if "10" in text or "e" in text or "E" in text:
        text = _POWER.sub(_expanded, text)
    text = _GROUPED.sub(lambda m: re.sub(r"\D", "", m.group(0)), text)
    if "," in text or text.count(".") > 1:
        text = _LAKHS.sub(lambda m: m.group(0).replace(",", ""), text)
        text = _COMMA.sub(lambda m: m.group(0).replace(".", "").replace(",", "."), text)
    return _JOINED.sub(r"\1 ", text)


def _expanded(match: re.Match[str]) -> str:
    """A figure with an exponent as digits; left alone if it is past what any answer needs."""
    power = int((match.group(2) or match.group(3)).replace("\u2212", "-"))
    if abs(power) > MAX_EXPONENT:
        return match.group(0)
    return f"{Decimal(match.group(1)).scaleb(power, _WIDE):f}"

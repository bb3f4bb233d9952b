"""Privacy audits, and the integrity of the holdout everything rests on."""

from __future__ import annotations

from denizen.evaluate.report import charts
from denizen.evaluate.report.data import ReportData
from denizen.evaluate.report.evidence import Figure, PrivacyPart, Quote
from denizen.evaluate.report.parts import facts, section, status_tag, table
from denizen.evaluate.report.text import e, number


def privacy(data: ReportData) -> str:
    return section(
        "Privacy and trust audits",
        "What the tuned model gives away about its training rows, and whether anything was "
        "planted in it.",
        "".join(map(_part, data.privacy)),
    )


def figure_text(figure: Figure) -> str:
    """The value with its interval, in its unit."""
    share = figure.unit if figure.unit == "share" else ""

    def bound(value: float) -> str:
        return number(value, share)

    text = number(figure.value, figure.unit)
    if figure.low is not None and figure.high is not None:
        text += f" ({bound(figure.low)} to {bound(figure.high)})"
    elif figure.high is not None:
        text += f" (at most {bound(figure.high)})"
    elif figure.low is not None:
        text += f" (at least {bound(figure.low)})"
    return text


def _part(part: PrivacyPart) -> str:
    known = facts({figure.label: figure_text(figure) for figure in part.figures})
    pictures = [(plot.name, charts.plot(plot)) for plot in part.plots]
    drawn = "".join(
        f"<figure>{picture}<figcaption>{e(name)}</figcaption></figure>"
        for name, picture in pictures
        if picture
    )
    plots = f'<div class="plots">{drawn}</div>' if drawn else ""
    quotes = "".join(map(_quote, part.quotes))
    return (
        f'<div class="card ex"><div class="named"><b>{e(part.name)}</b>'
        f"{status_tag(part.status)}</div><p>{e(part.sentence)}</p>{known}{plots}{quotes}</div>"
    )


def _quote(quote: Quote) -> str:
    words = " · ".join(w for w in ("generated" if quote.generated else "", e(quote.note)) if w)
    top = f"<header>{words}</header>" if words else ""
    return (
        f'<div class="said quiet">{top}<pre dir="auto">{e(quote.text) or "(nothing)"}</pre></div>'
    )


def integrity(data: ReportData) -> str:
    part = data.integrity
    if part is None:
        return ""
    known = {
        "Holdout": f"{part.items:,} items, frozen",
        "Content hash": part.holdout_hash,
        "Compared with": f"{part.training_rows:,} training rows",
    }
    if (judge := part.judge) is not None:
        known["Judge"] = (
            f"{judge.model}: agreement with human labels \u03ba = {judge.kappa:.2f} "
            f"({judge.low:.2f} to {judge.high:.2f}) on {judge.n:,} labels"
        )
    checks = [(e(c.name), e(c.sentence), status_tag(c.status)) for c in part.checks]
    if judge is not None and judge.status:
        checks.append(("Judge", "calibrated against human labels", status_tag(judge.status)))
    head = (("Check", "lead"), ("Found", ""), ("Verdict", "r"))
    inner = table(head, checks) if checks else ""
    return section(
        "Integrity of the holdout",
        "The questions are frozen by their content hash and were compared with every training row.",
        f'<div class="card">{facts(known)}</div>'
        + (f'<div class="card ex">{inner}</div>' if inner else ""),
    )

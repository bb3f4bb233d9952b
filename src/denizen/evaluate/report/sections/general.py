"""What it forgot: general ability set by set, and whether its confidence means anything."""

from __future__ import annotations

from denizen.evaluate.report import charts
from denizen.evaluate.report.data import ReportData
from denizen.evaluate.report.evidence import RadarPoint, Reliability
from denizen.evaluate.report.parts import section, status_tag, table
from denizen.evaluate.report.text import e, percent, points, signed, span


def forgetting(data: ReportData) -> str:
    return section(
        "What it forgot",
        "General questions that have nothing to do with DeFi, before and after.",
        _overall(data) + _radar(data),
    )


def _overall(data: ReportData) -> str:
    leg = data.forgetting
    if leg is None:
        return ""
    drift = ""
    if leg.drift is not None:
        bounds = ""
        if leg.drift_low is not None and leg.drift_high is not None:
            bounds = f" (95% interval {signed(leg.drift_low)} to {signed(leg.drift_high)})"
        drift = (
            f'<div class="card"><h3>General text</h3><p class="big">{signed(leg.drift)} nats</p>'
            f"<p>Change of mean log-probability a token on general sentences{bounds}; negative "
            "means they became less likely.</p></div>"
        )
    return (
        '<div class="pair"><div class="card"><h3>General questions</h3>'
        f'<p class="big">{percent(leg.before.value, 1)}<span class="arrow"> → </span>'
        f"{percent(leg.after.value, 1)}</p><p>{points(leg.difference)} points on {leg.after.n} "
        f"questions; at worst {points(leg.low)} (95%, one-sided), margin {points(-leg.margin)}."
        f"</p></div>{drift}</div>"
    )


def _radar(data: ReportData) -> str:
    if not data.radar:
        return ""

    def cells(point: RadarPoint) -> tuple[str, ...]:
        how = f"{point.scoring}, " if point.scoring else ""
        margin = "" if point.margin is None else f", margin {points(-point.margin)}"
        worst = f"at worst {points(point.low)}{margin}"
        before, after = percent(point.before.value, 1), percent(point.after.value, 1)
        return (
            f"{e(point.set)}<small>{e(how)}n = {point.after.n}</small>"
            f'<small class="only">{before} \u2192 {after}; at worst '
            f"{points(point.low)}</small>",
            f"{before}<small>{span(point.before.low, point.before.high)}</small>",
            f"{after}<small>{span(point.after.low, point.after.high)}</small>",
            f'{points(point.difference)}<small class="wide">{worst}</small>',
            status_tag(point.status),
        )

    head = (
        ("Set", "lead"),
        ("Before", "r opt"),
        ("After", "r opt"),
        ("Points", "r"),
        ("Verdict", "r"),
    )
    key = (
        '<div class="key"><span><i class="base"></i>before</span>'
        '<span><i class="spec"></i>after</span></div>'
    )
    picture = charts.radar(data.radar)
    drawn = f'<div class="radar">{key}{picture}</div>' if picture else ""
    rows = [cells(point) for point in data.radar]
    return f'<div class="card ex">{drawn}{table(head, rows, "plain")}</div>'


def calibration(data: ReportData) -> str:
    return section(
        "Does its confidence mean anything?",
        "Answers sorted by stated confidence, in bins of equal count. On the diagonal, of the "
        "answers given with 80% confidence 80% are right; below it the model is too sure.",
        f'<div class="pair">{"".join(map(_diagram, data.reliability))}</div>'
        if data.reliability
        else "",
    )


def ece_sentence(found: Reliability) -> str:
    """The calibration error with its interval, and whether it exceeds what chance gives."""
    text = (
        f"Expected calibration error {100 * found.ece:.1f} points "
        f"(95% interval {100 * found.low:.1f} to {100 * found.high:.1f}), {found.n:,} answers; "
        f"confidence is the {found.measure}."
    )
    if found.chance is not None:
        word = "would stay under" if found.ece > found.chance else "would also reach up to"
        text += f" A perfectly calibrated model {word} {100 * found.chance:.1f}."
    return text


def _diagram(found: Reliability) -> str:
    return (
        f'<div class="card"><h3>{e(found.system)}</h3>{charts.reliability(found)}'
        f"<p>{e(ece_sentence(found))}</p></div>"
    )

"""The gate's checks, the behaviour suites, and the ledger of looks at the holdout."""

from __future__ import annotations

from denizen.evaluate.gate import Check, Status
from denizen.evaluate.report import draw
from denizen.evaluate.report.data import ReportData
from denizen.evaluate.report.evidence import BehaviourRow
from denizen.evaluate.report.from_gate import DIFFERENCES, behaviour_rows, looks_of
from denizen.evaluate.report.parts import facts, section, status_tag, table
from denizen.evaluate.report.sections.summary import power_sentence
from denizen.evaluate.report.text import e, p_value, percent, points, rate, span

DASH = "\u2013"
RULES = {
    "noninferior": "not worse than the base",
    "floor": "the lower bound must exceed the floor",
    "zero": "no failure at all",
}


def figures(check: Check) -> tuple[str, str, str]:
    """(figure, interval, threshold) in points where the check is a difference, else in percent."""
    if check.kind == "unfinished":
        return DASH, DASH, DASH
    if check.kind in (*DIFFERENCES, "slice"):
        # A slice has no threshold: it fails only when it is significantly worse.
        threshold = DASH if check.kind == "slice" else points(check.threshold)
        bounds = f"{points(check.low)} to {points(check.high)}"
        return points(check.figure), bounds, threshold
    return percent(check.figure, 1), span(check.low, check.high), percent(check.threshold, 1)


def gate(data: ReportData) -> str:
    def cells(check: Check) -> tuple[str, ...]:
        figure, bounds, threshold = figures(check)
        must = "" if threshold == DASH else f", must exceed {threshold}"
        why = "" if check.status is Status.PASS else f"<small>{e(check.sentence)}</small>"
        return (
            f"{e(draw.plain(check.name))}<small>{e(check.kind)} to {e(check.against)}, "
            f'n = {check.n}</small><small class="only">{bounds}{must}, '
            f"p {p_value(check.p)}</small>{why}",
            status_tag(check.status),
            figure,
            bounds,
            DASH if threshold == DASH else f"&gt; {threshold}",
            p_value(check.p),
        )

    head = (
        ("Check", "lead"),
        ("Verdict", ""),
        ("Figure", "r"),
        ("Interval", "r opt"),
        ("Must exceed", "r opt"),
        ("p", "r opt"),
    )
    rows = [cells(check) for check in data.verdict.checks]
    sliced = any(check.kind == "slice" for check in data.verdict.checks)
    return section(
        "What the gate asked",
        f"Every check has to pass at &alpha; = {data.verdict.alpha:g}. Differences are in "
        "percentage points; the lower end of the interval must exceed the threshold. "
        "Superiority intervals resample whole templates; non-inferiority bounds are one-sided."
        + (" A slice fails only when it is significantly worse." if sliced else ""),
        f'<div class="card">{table(head, rows, "plain")}</div>' if rows else "",
    )


def limit_of(row: BehaviourRow) -> str:
    """The rule with its figure, in words."""
    words = RULES.get(row.rule, row.rule)
    if row.limit is None:
        return words
    figure = {
        "noninferior": f"margin {points(-row.limit)} points",
        "floor": f"floor {percent(row.limit, 1)}",
        "zero": f"and a failure rate above {percent(row.limit, 1)} excluded",
    }.get(row.rule, f"{row.limit:g}")
    return f"{words} ({figure})"


def behaviour(data: ReportData) -> str:
    def cells(row: BehaviourRow) -> tuple[str, ...]:
        worst = "" if row.low is None else f"<small>at worst {points(row.low)} points</small>"
        candidate = DASH
        if (found := row.candidate) is not None:
            candidate = (
                f"<b>{percent(found.value, 1)}</b>"
                f"<small>{span(found.low, found.high)}, n = {found.n}</small>"
            )
        change = "\u2013" if row.difference is None else points(row.difference)
        sentence = f"<small>{e(row.sentence)}</small>" if row.sentence else ""
        return (
            f"{e(draw.plain(row.suite))}<small>{e(limit_of(row))}</small>{sentence}",
            "\u2013" if row.base is None else rate(row.base),
            candidate,
            f"{change}{worst}",
            status_tag(row.status),
        )

    head = (
        ("Suite", "lead"),
        ("Base", "r"),
        ("Specialist", "r"),
        ("Points", "r"),
        ("Verdict", "r"),
    )
    rows = [cells(row) for row in data.behaviour or behaviour_rows(data.verdict)]
    return section(
        "How it behaves",
        "Suites with a judge that needs no model. Each states its own rule; 95% intervals "
        "(Wilson), bounds of differences one-sided.",
        f'<div class="card">{table(head, rows)}</div>' if rows else "",
    )


def looks(data: ReportData) -> str:
    """Repeated looks at one holdout cost alpha; what is left is said."""
    cards = []
    if (ledger := data.looks or looks_of(data.verdict, data.created)) is not None:
        head = (
            ("Look", "lead"),
            ("When", ""),
            ("Candidate", ""),
            ("\u03b1 allowed", "r"),
            ("Verdict", "r"),
        )
        rows = [
            (
                f"{look.number}",
                e(look.when),
                e(look.candidate),
                f"{look.alpha:.4f}",
                status_tag(look.status),
            )
            for look in ledger.looks
        ]
        spent = 100 * min(1.0, ledger.spent / ledger.alpha) if ledger.alpha else 100.0
        meter = (
            f'<div class="meter" role="img" aria-label="{spent:.0f}% of alpha is spent">'
            f'<i style="width:{spent:.1f}%"></i></div>'
        )
        told = f"{ledger.spent:.4f} of \u03b1 = {ledger.alpha:g} spent, {ledger.left:.4f} left"
        plan = f"; planned for {ledger.planned} looks" if ledger.planned else ""
        rule = f" ({e(ledger.rule)})" if ledger.rule else ""
        inner = table(head, rows) if rows else ""
        cards.append(f'<div class="card">{meter}<p>{told}{plan}{rule}.</p>{inner}</div>')
    if data.power is not None:
        told_before = {"Paired items": f"{data.power.n:,}"}
        told_before["Detectable difference"] = f"{100 * data.power.detectable:.1f} points"
        cards.append(
            f'<div class="card ex">{facts(told_before)}<p>{e(power_sentence(data))}</p></div>'
        )
    return section(
        "Looks at the holdout",
        "Each look at the same holdout spends part of the error that all of them together may "
        "make. When nothing is left, a fresh holdout is due.",
        "".join(cards),
    )

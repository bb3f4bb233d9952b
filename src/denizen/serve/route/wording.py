"""The report in words: the lines that text and page share.

Contract: pure functions from a RouteReport; money in dollars, shares in percent, every estimate
with its interval.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from denizen.serve.route.measures import Span
from denizen.serve.route.risk import percent

if TYPE_CHECKING:
    from denizen.evaluate.report.evidence import Rate
    from denizen.serve.route.measures import Measures, Money
    from denizen.serve.route.report import RouteReport


def facts(report: RouteReport) -> dict[str, str]:
    """The figures as name and value, in reading order."""
    found = {
        "Status": report.status,
        "Promise": (
            f"at most {percent(report.promise, 1)} of local answers wrong, "
            f"with confidence {percent(1 - report.delta)}"
        ),
        "Right without routing": rate(report.local),
        "Answered locally": rate(report.answered),
        "Wrong among those": rate(report.wrong_of_answered),
        "Calibration error": (
            f"{share(report.confidence.ece)} "
            f"({share(report.confidence.low)} to {share(report.confidence.high)})"
        ),
    }
    if report.measures is not None and report.five is not None:
        found |= {"Frontier": report.upstream, **_compared(report.measures, report.five)}
    else:
        found |= {
            "Frontier": "none: there is no upstream to compare with",
            f"Ceiling at {share(report.budget)} escalated": (
                f"{share(report.ceiling)} if an upstream were always right"
            ),
        }
    found |= _money("as calibrated", report.money) | _money("at the budget", report.money_of_budget)
    if report.audits:
        found["Audits"] = audits(report)
    return found


def _compared(at_budget: Measures, five: Measures) -> dict[str, str]:
    found = {
        "Frontier alone": (
            f"{share(five.frontier)} right, local alone {share(five.local)}, n = {five.n}"
        ),
        "Quality at exactly 5% escalated": span(five.quality),
        f"Quality at {share(at_budget.share)} escalated (the budget)": span(at_budget.quality),
        f"Regret to the oracle at {share(at_budget.share)}": (
            f"{100 * at_budget.regret:.1f} points "
            f"({100 * at_budget.regret_interval[0]:.1f} to "
            f"{100 * at_budget.regret_interval[1]:.1f}; the oracle reaches "
            f"{share(at_budget.oracle)})"
        ),
    }
    average = five.apgr
    fifty, eighty = _calls(five.cpt50, five.cpt50_interval), _calls(five.cpt80, five.cpt80_interval)
    if average is None or not fifty or not eighty:
        return found | {"APGR": "undefined: the frontier is not surely better on these questions"}
    return found | {
        "APGR": f"{average.value:.3f} ({average.low:.3f} to {average.high:.3f}); at random .500",
        "CPT(50)": fifty,
        "CPT(80)": eighty,
    }


def _calls(value: float | None, interval: tuple[float, float] | None) -> str:
    """A share of calls with its interval, "" where there is none."""
    return "" if value is None or interval is None else span(Span(value, *interval))


def _money(when: str, found: Money) -> dict[str, str]:
    saving = "" if found.saving is None else f", {found.saving:.0%} less than all-frontier"
    return {
        f"1,000 questions {when}": (
            f"${found.routed:.2f} at {share(found.share)} escalated"
            f"{f' and {found.audited:.2%} audited' if found.audited else ''}; "
            f"all-frontier ${found.frontier:.2f}{saving}"
        )
    }


def audits(report: RouteReport) -> str:
    """What the audits say, and whether the alarm is on."""
    seen = report.audits
    text = (
        f"{seen['disagreed']} of {seen['audits']} disagreed "
        f"(bound {share(float(seen['low']))} to {share(float(seen['high']))})"
    )
    if seen["alarm"]:
        # A disagreement says that one of the two is wrong, and not which.
        return f"ALARM, the promise is broken or the upstream errs: {text}; look, calibrate again"
    return f"{text}: " + ("within the promise" if seen["kept"] else "no evidence against it")


def text(report: RouteReport) -> str:
    """The whole report as plain text."""
    width = max(len(name) for name in facts(report))
    lines = [report.sentence, ""]
    lines += [f"{name:<{width}}  {value}" for name, value in facts(report).items()]
    if report.families:
        lines += ["", "family: local, frontier, p (frontier better, after Holm)"]
        lines += [
            f"  {row.family}: {share(row.local.value)}, {share(row.frontier.value)} of "
            f"{row.local.n}, p = {row.p:.4f}{', better' if row.better else ''}"
            for row in report.families
        ]
        lines.append(better(report))
    return "\n".join([*lines, "", *report.limits])


def better(report: RouteReport) -> str:
    """Where the frontier is truly better."""
    names = [row.family for row in report.families if row.better]
    if not names:
        return "The frontier is surely better in no family."
    return f"The frontier is surely better in: {', '.join(names)}."


def share(value: float) -> str:
    """A share in percent with one decimal."""
    return f"{value:.1%}"


def rate(value: Rate) -> str:
    """A share with its interval."""
    return f"{share(value.value)} ({share(value.low)} to {share(value.high)}) of {value.n}"


def span(value: Span) -> str:
    """A figure with its interval."""
    return f"{share(value.value)} ({share(value.low)} to {share(value.high)})"

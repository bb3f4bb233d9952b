"""Markdown of calibration, the privacy audits and the holdout's integrity."""

from __future__ import annotations

from denizen.evaluate.report.data import ReportData
from denizen.evaluate.report.evidence import Plot, PrivacyPart
from denizen.evaluate.report.marks import fenced, m, part, rows
from denizen.evaluate.report.sections.general import ece_sentence
from denizen.evaluate.report.sections.trust import figure_text
from denizen.evaluate.report.text import number, percent, span


def calibration(data: ReportData) -> str:
    blocks = []
    for found in data.reliability:
        table = rows(
            ("Confidence from", "to", "mean", "right", "interval", "n"),
            (
                (
                    percent(b.low, 1),
                    percent(b.high, 1),
                    percent(b.confidence, 1),
                    percent(b.accuracy.value, 1),
                    span(b.accuracy.low, b.accuracy.high),
                    str(b.accuracy.n),
                )
                for b in found.bins
            ),
        )
        blocks += [f"### {m(found.system)}", m(ece_sentence(found)), table]
    return part("Does its confidence mean anything?", *blocks)


def privacy(data: ReportData) -> str:
    return part("Privacy and trust audits", *(_audit(audit) for audit in data.privacy))


def _audit(audit: PrivacyPart) -> str:
    blocks = [f"### {m(audit.name)}: {m(audit.status)}", m(audit.sentence)]
    blocks.append("\n".join(f"- {m(f.label)}: {m(figure_text(f))}" for f in audit.figures))
    blocks += map(_plot, audit.plots)
    for quote in audit.quotes:
        words = ", ".join(w for w in ("generated" if quote.generated else "", m(quote.note)) if w)
        blocks += [f"{words}:" if words else "", fenced(quote.text)]
    return "\n\n".join(block for block in blocks if block)


def _plot(plot: Plot) -> str:
    def bounds(low: float | None, high: float | None) -> str:
        return "\u2013" if low is None or high is None else f"{number(low)} to {number(high)}"

    table = rows(
        ("Line", m(plot.x), m(plot.y), "interval"),
        (
            (m(line.name), number(p.x), number(p.y), bounds(p.low, p.high))
            for line in plot.lines
            for p in line.points[:: max(1, -(-len(line.points) // 16))]
        ),
    )
    return f"{m(plot.name)}\n\n{table}"


def integrity(data: ReportData) -> str:
    found = data.integrity
    if found is None:
        return ""
    lines = [
        f"- Holdout: {found.items:,} items, frozen as {m(found.holdout_hash)}",
        f"- Compared with {found.training_rows:,} training rows",
    ]
    if (judge := found.judge) is not None:
        lines.append(
            f"- Judge {m(judge.model)}: kappa {judge.kappa:.2f} ({judge.low:.2f} to "
            f"{judge.high:.2f}) against human labels, n = {judge.n:,}"
            + (f", {m(judge.status)}" if judge.status else "")
        )
    table = rows(
        ("Check", "verdict", "found"),
        ((m(c.name), m(c.status) or "\u2013", m(c.sentence)) for c in found.checks),
    )
    return part("Integrity of the holdout", "\n".join(lines), table if found.checks else "")

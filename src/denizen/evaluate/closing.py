"""The closing screen: five lines that say what was proven, and what was not.

Contract: always exactly five lines of plain text, in the order verdict, accuracy, pairs,
shipped file, provenance. Nothing is claimed that the report data does not carry.
"""

from __future__ import annotations

from denizen.evaluate.gate import Status
from denizen.evaluate.report.data import ReportData
from denizen.evaluate.report.text import duration, interval, percent, points, size


def closing_lines(data: ReportData) -> list[str]:
    return [_verdict(data), _accuracy(data), _pairs(data), _shipped(data), _provenance(data)]


def _verdict(data: ReportData) -> str:
    verdict = data.verdict
    line = f"{verdict.status}: {verdict.sentence}"
    if verdict.status is Status.INCONCLUSIVE and verdict.n_needed is not None:
        line += f" About {verdict.n_needed:,} items would settle it."
    return line


def _accuracy(data: ReportData) -> str:
    total = data.overall
    if total is None:
        return "Accuracy: not measured in this run."
    return (
        f"Accuracy: {percent(total.specialist.value)} exact "
        f"({interval(total.specialist.low, total.specialist.high)}) on {total.base.n} unseen "
        f"questions; the base got {percent(total.base.value)}."
    )


def _pairs(data: ReportData) -> str:
    total = data.overall
    families = [c for c in data.verdict.checks if c.name.startswith("family ")]
    better = sum(check.status is Status.PASS for check in families)
    line = "Pairs: "
    if total is not None:
        line += f"{total.wins} questions won, {total.losses} lost"
    else:
        line += "not reported"
    if families:
        line += f"; significantly better in {better} of {len(families)} families"
    return line + "."


def _shipped(data: ReportData) -> str:
    parts = []
    if (quant := data.quantisation) is not None:
        weight = f" ({size(quant.bytes_after)})" if quant.bytes_after else ""
        parts.append(
            f"{quant.kind}{weight} itself scored {percent(quant.shipped.value)}, "
            f"{points(quant.difference)} points from the merged model"
        )
    if (parity := data.parity) is not None:
        parts.append("token ids equal" if parity.equal else "TOKEN IDS DIFFER")
    if (leg := data.forgetting) is not None:
        parts.append(f"general questions {percent(leg.before.value)} to {percent(leg.after.value)}")
    if not parts:
        return "Shipped file: not tested separately in this run."
    return f"Shipped file: {'; '.join(parts)}."


def _provenance(data: ReportData) -> str:
    last = data.lineage[-1] if data.lineage else None
    line = "Evidence: "
    if last is not None:
        line += f"{last.name} {last.hash[:12]}, traced to its sources; "
    if data.stages:
        line += f"made in {duration(sum(stage.seconds for stage in data.stages))}; "
    return line + "all of it in the report."

"""Markdown of the run itself: training, what watched it, the ledger, lineage, the machine."""

from __future__ import annotations

from denizen.evaluate.report.data import ReportData
from denizen.evaluate.report.marks import m, part, rows
from denizen.evaluate.report.text import duration, percent

_DASH = "\u2013"


def training(data: ReportData) -> str:
    if data.training is None:
        return ""
    seen = [(p.step, p.loss) for p in data.training.points if p.loss is not None]
    curve = ""
    if seen:
        (first, before), (last, after) = seen[0], seen[-1]
        curve = f"Loss {before:.4g} at step {first}, {after:.4g} at step {last}."
    known = "\n".join(f"- {m(k)}: {m(v)}" for k, v in data.training.facts.items())
    return part("Training", curve, known)


def rails(data: ReportData) -> str:
    if (rails := data.rails) is None:
        return ""
    words = {True: "**look**", False: "clear", None: "not judged"}
    lines = [f"- Stopped early: {m(rails.stopped)}"] if rails.stopped else []
    for trend in rails.trends:
        seen = [(step, value) for step, value in trend.points if value is not None]
        if seen:
            limit = "" if trend.limit is None else f"; the limit is {trend.limit:g}"
            lines.append(
                f"- {m(trend.name)}: {seen[0][1]:.4g} at step {seen[0][0]}, {seen[-1][1]:.4g} at "
                f"step {seen[-1][0]} ({m(trend.note)}{limit})"
            )
    lines += [f"- {m(c.name)}: {words[c.flagged]}, {m(c.sentence)}" for c in rails.checks]
    return part("What watched the run", "\n".join(lines))


def ledger(data: ReportData) -> str:
    table = rows(
        ("Entry", "count", "unit", "share", "note"),
        (
            (
                m(row.name),
                f"{row.count:,}",
                m(row.unit),
                _DASH if row.share is None else percent(row.share, 1),
                m(row.note),
            )
            for row in data.ledger
        ),
    )
    return part("Supervision ledger", table if data.ledger else "")


def lineage(data: ReportData) -> str:
    table = rows(
        ("Artefact", "kind", "hash", "from", "note"),
        (
            (m(a.name), m(a.kind), m(a.hash), m(", ".join(a.parents)) or _DASH, m(a.note))
            for a in data.lineage
        ),
    )
    return part("Lineage", table if data.lineage else "")


def machine(data: ReportData) -> str:
    facts = [*(data.machine or {}).items()]
    facts += [(f"stage {stage.name}", duration(stage.seconds)) for stage in data.stages]
    return part("Where and how long", "\n".join(f"- {m(k)}: {m(v)}" for k, v in facts))

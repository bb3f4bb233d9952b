"""Where it comes from: training, the supervision ledger, lineage, limits, the machine."""

from __future__ import annotations

from denizen.evaluate.report import draw
from denizen.evaluate.report.data import ReportData
from denizen.evaluate.report.parts import facts, section, table
from denizen.evaluate.report.text import duration, e, percent


def training(data: ReportData) -> str:
    if data.training is None:
        return ""
    run = data.training
    loss = [(p.step, p.loss) for p in run.points if p.loss is not None]
    speed = [(p.step, p.tokens_per_second) for p in run.points if p.tokens_per_second is not None]
    charts = []
    for title, series, smooth in (
        ("Loss by step", loss, True),
        ("Tokens a second by step", speed, False),
    ):
        picture = draw.curve(
            [x for x, _ in series], [y for _, y in series], name=title, smooth=smooth
        )
        if picture:
            charts.append(f'<div class="card"><h3>{title}</h3>{picture}</div>')
    known = facts(run.facts)
    body = f'<div class="pair">{"".join(charts)}</div>' if charts else ""
    if known:
        body += f'<div class="card ex">{known}</div>'
    return section("Training", "How the adapter was learned.", body)


def ledger(data: ReportData) -> str:
    rows = [
        (
            e(row.name) + (f"<small>{e(row.note)}</small>" if row.note else ""),
            f"{row.count:,}",
            e(row.unit),
            "\u2013" if row.share is None else percent(row.share, 1),
        )
        for row in data.ledger
    ]
    head = (("Entry", "lead"), ("Count", "r"), ("Unit", ""), ("Share", "r"))
    return section(
        "Supervision ledger",
        "Where every training token went. Nothing is truncated or dropped in silence.",
        f'<div class="card">{table(head, rows)}</div>' if rows else "",
    )


def lineage(data: ReportData) -> str:
    return section(
        "Lineage",
        "From sources to the shipped file. Each box is named by the hash of its content "
        "(the first 16 digits; the .json file has them whole).",
        draw.lineage(data.lineage) if data.lineage else "",
    )


def limits(data: ReportData) -> str:
    items = "".join(f"<li>{e(line)}</li>" for line in data.limits)
    return section(
        "What this does not prove",
        "Read before relying on the verdict.",
        f'<div class="card"><ul>{items}</ul></div>' if items else "",
    )


def machine(data: ReportData) -> str:
    stages = {stage.name: duration(stage.seconds) for stage in data.stages}
    cards = []
    if data.machine:
        cards.append(f'<div class="card"><h3>Machine</h3>{facts(data.machine)}</div>')
    if stages:
        cards.append(f'<div class="card"><h3>Time by stage</h3>{facts(stages)}</div>')
    body = f'<div class="pair">{"".join(cards)}</div>' if cards else ""
    return section("Where and how long", "Timings hold for this machine only.", body)

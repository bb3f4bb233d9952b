"""The report as Markdown: the same sections and figures as the page, for a pull request or a diff.

Contract: `render_markdown(data)` returns the whole text.  Pictures become tables of their figures;
model text stands in fences and is marked as generated; everything else is escaped (`marks.py`).
"""

from __future__ import annotations

from denizen.evaluate.report import markdown_run as run
from denizen.evaluate.report import markdown_trust as trust
from denizen.evaluate.report.data import Example, ReportData
from denizen.evaluate.report.draw import plain
from denizen.evaluate.report.evidence import Rate
from denizen.evaluate.report.from_gate import behaviour_rows, forest_rows, looks_of
from denizen.evaluate.report.marks import fenced, m, part, rows
from denizen.evaluate.report.sections.examples import LEAD
from denizen.evaluate.report.sections.judged import figures, limit_of
from denizen.evaluate.report.sections.summary import WORDS, power_sentence, tile_rows
from denizen.evaluate.report.text import (
    p_value,
    percent,
    points,
    signed,
    size,
    span,
)

DASH = "\u2013"


def render_markdown(data: ReportData) -> str:
    """The whole report."""
    head = (
        f"# {m(data.title)}\n\n**{data.verdict.status}** {WORDS[data.verdict.status]} "
        f"{m(data.verdict.sentence)}"
    )
    if data.verdict.n_needed is not None:
        head += (
            f" About {data.verdict.n_needed:,} paired items would settle the largest open question."
        )
    if told := power_sentence(data):
        head += f"\n\n{m(told)}"
    tiles = "\n".join(f"- {m(a)}: **{m(b)}** ({m(c)})" for a, b, c in tile_rows(data))
    body = (
        head,
        tiles,
        _differences(data),
        _families(data),
        _systems(data),
        _examples(data),
        _gate(data),
        _looks(data),
        _shipped(data),
        _forgetting(data),
        _behaviour(data),
        trust.calibration(data),
        trust.privacy(data),
        trust.integrity(data),
        run.training(data),
        run.rails(data),
        run.ledger(data),
        run.lineage(data),
        part("What this does not prove", "\n".join(f"- {m(line)}" for line in data.limits)),
        run.machine(data),
        f"Made by Denizen {m(data.version)}, {m(data.created)}, with\n\n{fenced(data.command)}",
    )
    return "\n\n".join(block for block in body if block) + "\n"


def _rate(rate: Rate) -> str:
    return f"{percent(rate.value, 1)} ({span(rate.low, rate.high)})"


def _differences(data: ReportData) -> str:
    found = data.forest or forest_rows(data.verdict)
    table = rows(
        ("Compared", "against", "points", "interval", "must exceed", "n", "verdict"),
        (
            (
                m(plain(row.name)),
                m(row.against),
                points(row.difference),
                f"{points(row.low)} to {points(row.high)}",
                points(row.threshold),
                f"{row.n:,}",
                m(row.status) or DASH,
            )
            for row in found
        ),
    )
    return part("What changed, with its interval", table if found else "")


def _families(data: ReportData) -> str:
    found = ([data.overall] if data.overall else []) + list(data.families)
    head = (
        "Family", m(data.base), m(data.specialist), "both right", "won", "lost", "both wrong", "p",
    )  # fmt: skip
    table = rows(
        head,
        (
            (
                m(plain(row.family)),
                _rate(row.base),
                _rate(row.specialist),
                str(row.both_right),
                str(row.wins),
                str(row.losses),
                str(row.both_wrong),
                m(p_value(row.p)),
            )
            for row in found
        ),
    )
    return part("Every family, before and after", table if found else "")


def _systems(data: ReportData) -> str:
    table = rows(
        ("System", "exact", "questions", "seconds a question", "note"),
        (
            (
                m(row.system),
                _rate(row.accuracy),
                str(row.accuracy.n),
                DASH if row.seconds_per_item is None else f"{row.seconds_per_item:.2f}",
                m(row.note),
            )
            for row in data.systems
        ),
    )
    return part("Systems compared", table if data.systems else "")


def _examples(data: ReportData) -> str:
    def one(example: Example) -> str:
        mark = ", generated" if example.generated else ""
        said = [f"### {m(plain(example.family))}", fenced(example.prompt)]
        for name, text, ok in (
            (data.base, example.before, example.before_ok),
            (data.specialist, example.after, example.after_ok),
        ):
            said += [f"{m(name)}{mark}: **{'exact' if ok else 'wrong'}**", fenced(text)]
        if example.derivation:
            said += ["Computed exactly:", fenced(example.derivation)]
        if example.expected:
            said += ["Expected:", fenced(example.expected)]
        return "\n\n".join(said)

    return part("Before and after", *((LEAD, *map(one, data.examples)) if data.examples else ()))


def _gate(data: ReportData) -> str:
    checks = data.verdict.checks
    table = rows(
        ("Check", "kind", "verdict", "figure", "interval", "must exceed", "p", "n", "finding"),
        (
            (
                m(plain(check.name)),
                m(check.kind),
                str(check.status),
                *figures(check),
                m(p_value(check.p)),
                f"{check.n:,}",
                m(check.sentence),
            )
            for check in checks
        ),
    )
    lead = f"Every check has to pass at alpha = {data.verdict.alpha:g}."
    return part("What the gate asked", *((lead, table) if checks else ()))


def _looks(data: ReportData) -> str:
    ledger = data.looks or looks_of(data.verdict, data.created)
    if ledger is None:
        return ""
    planned = f"; planned for {ledger.planned} looks" if ledger.planned else ""
    rule = f" ({m(ledger.rule)})" if ledger.rule else ""
    told = (
        f"{ledger.spent:.4f} of alpha = {ledger.alpha:g} spent, {ledger.left:.4f} left"
        f"{planned}{rule}."
    )
    table = rows(
        ("Look", "when", "candidate", "alpha allowed", "verdict"),
        (
            (str(x.number), m(x.when), m(x.candidate), f"{x.alpha:.4f}", m(x.status) or DASH)
            for x in ledger.looks
        ),
    )
    return part("Looks at the holdout", told, table if ledger.looks else "")


def _shipped(data: ReportData) -> str:
    lines = []
    if (quant := data.quantisation) is not None:
        lines.append(
            f"- {m(quant.kind)}: {_rate(quant.merged)} merged, {_rate(quant.shipped)} shipped; "
            f"{points(quant.difference)} points, at worst {points(quant.low)} (95%, one-sided), "
            f"margin {points(-quant.margin)}"
        )
    if (parity := data.parity) is not None:
        lines.append(
            f"- Token ids {'equal' if parity.equal else '**DIFFERENT**'}: {parity.tokens:,} tokens "
            f"in {parity.conversations} golden conversations ({m(', '.join(parity.sides))})"
        )
        lines += [f"  - {m(line)}" for line in parity.mismatches[:5]]
    table = rows(
        ("Quant", "size", "exact", "points to merged", "at worst", "margin", "verdict"),
        (
            (
                m(row.quant),
                size(row.bytes),
                _rate(row.accuracy),
                DASH if row.difference is None else points(row.difference),
                DASH if row.low is None else points(row.low),
                DASH if row.margin is None else points(-row.margin),
                m(row.status) or "reference",
            )
            for row in data.ladder
        ),
    )
    return part("The file that ships", "\n".join(lines), table if data.ladder else "")


def _forgetting(data: ReportData) -> str:
    told = ""
    if (leg := data.forgetting) is not None:
        told = (
            f"- General questions: {_rate(leg.before)} before, {_rate(leg.after)} after; "
            f"{points(leg.difference)} points on {leg.after.n}, at worst {points(leg.low)} (95%, "
            f"one-sided), margin {points(-leg.margin)}"
        )
        if leg.drift is not None:
            told += f"\n- General text: {signed(leg.drift)} nats a token"
            if leg.drift_low is not None and leg.drift_high is not None:
                told += f" ({signed(leg.drift_low)} to {signed(leg.drift_high)})"
    table = rows(
        ("Set", "scoring", "before", "after", "points", "at worst", "n", "verdict"),
        (
            (
                m(p.set),
                m(p.scoring),
                _rate(p.before),
                _rate(p.after),
                points(p.difference),
                points(p.low),
                f"{p.after.n:,}",
                m(p.status) or DASH,
            )
            for p in data.radar
        ),
    )
    return part("What it forgot", told, table if data.radar else "")


def _behaviour(data: ReportData) -> str:
    found = data.behaviour or behaviour_rows(data.verdict)
    table = rows(
        ("Suite", "rule", "base", "specialist", "points", "at worst", "n", "verdict", "finding"),
        (
            (
                m(plain(row.suite)),
                m(limit_of(row)),
                DASH if row.base is None else _rate(row.base),
                DASH if row.candidate is None else _rate(row.candidate),
                DASH if row.difference is None else points(row.difference),
                DASH if row.low is None else points(row.low),
                DASH if row.candidate is None else f"{row.candidate.n:,}",
                m(row.status) or DASH,
                m(row.sentence),
            )
            for row in found
        ),
    )
    return part("How it behaves", table if found else "")

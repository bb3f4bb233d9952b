"""The report page: one HTML file that needs no network, no script and no other file.

Contract: `render(data)` returns the whole page; `write_report(path, data)` writes it and
report.json beside it, each whole or not at all. Verdict first, evidence after, provenance last.
Model output is escaped (see `text.py`) and a content security policy forbids anything active.
"""

from __future__ import annotations

from pathlib import Path

from denizen.evaluate.gate import Check, Status
from denizen.evaluate.report import draw
from denizen.evaluate.report.data import Example, ReportData
from denizen.evaluate.report.parts import facts, section, table, tag
from denizen.evaluate.report.rails import rails_section
from denizen.evaluate.report.text import (
    duration,
    e,
    interval,
    p_value,
    percent,
    points,
    signed,
    size,
)
from denizen.project.atomic import atomic_write_text

WORDS = {
    Status.PASS: "Proven on unseen questions.",
    Status.FAIL: "Do not release this model.",
    Status.INCONCLUSIVE: "Not proven, and not disproven.",
}


def write_report(path: Path, data: ReportData) -> tuple[Path, Path]:
    """Write the page to `path` and its content to the same name with .json; returns both."""
    twin = path.with_suffix(".json")
    page, content = render(data), data.to_json()
    atomic_write_text(path, page)
    atomic_write_text(twin, content)
    return path, twin


def render(data: ReportData) -> str:
    style = Path(__file__).with_name("style.css").read_text("utf-8")
    sections = (
        _verdict(data),
        _tiles(data),
        _families(data),
        _systems(data),
        _examples(data),
        _gate(data),
        _shipped(data),
        _forgetting(data),
        _training(data),
        rails_section(data.rails),
        _ledger(data),
        _lineage(data),
        _limits(data),
        _machine(data),
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{e(data.verdict.status)} · {e(data.title)}</title>"
        f"<style>\n{style}</style></head>"
        f"<body><main>\n<h1>{e(data.title)}<span>{e(data.created)}</span></h1>\n"
        + "\n".join(section for section in sections if section)
        + f"\n<footer>Made by Denizen {e(data.version)} with<pre>{e(data.command)}</pre>"
        "The same content is in the .json file beside this page.</footer>\n</main></body></html>\n"
    )


def _verdict(data: ReportData) -> str:
    verdict = data.verdict
    more = ""
    if verdict.n_needed is not None:
        more = (
            f'<p class="next">About {verdict.n_needed:,} paired items would settle the largest '
            "open question.</p>"
        )
    return (
        f'<div class="verdict {e(verdict.status)}"><b>{e(verdict.status)}</b>'
        f"<p>{WORDS[verdict.status]} {e(verdict.sentence)}</p>{more}</div>"
    )


def _tiles(data: ReportData) -> str:
    tiles: list[tuple[str, str, str]] = []
    if (total := data.overall) is not None:
        tiles.append(
            (
                "Exact answers",
                percent(total.specialist.value),
                f"95% interval {interval(total.specialist.low, total.specialist.high)}",
            )
        )
        tiles.append(
            (
                "Before training",
                percent(total.base.value),
                f"the same {total.base.n} questions",
            )
        )
        tiles.append(
            (
                "Won / lost",
                f"{total.wins} / {total.losses}",
                "questions only the specialist, or only the base, got right",
            )
        )
    if data.stages:
        longest = max(data.stages, key=lambda stage: stage.seconds)
        tiles.append(
            (
                "Made in",
                duration(sum(stage.seconds for stage in data.stages)),
                f"longest stage: {longest.name}, {duration(longest.seconds)}",
            )
        )
    elif (quant := data.quantisation) is not None and quant.bytes_after:
        tiles.append(("Ships as", size(quant.bytes_after), quant.kind))
    if not tiles:
        return ""
    body = "".join(
        f'<div class="tile"><span>{e(label)}</span><b>{e(value)}</b><small>{e(note)}</small></div>'
        for label, value, note in tiles
    )
    return f'<div class="tiles">{body}</div>'


def _families(data: ReportData) -> str:
    rows = ([data.overall] if data.overall else []) + list(data.families)
    if not rows:
        return ""
    key = (
        f'<div class="key"><span><i class="base"></i>{e(data.base)}</span>'
        f'<span><i class="spec"></i>{e(data.specialist)}</span></div>'
    )

    def bar(won: int, both: int, lost: int, n: int) -> str:
        parts = (("both", both), ("won", won), ("lost", lost))
        inner = "".join(
            f'<i class="{kind}" style="width:{100 * count / n:.2f}%"></i>' for kind, count in parts
        )
        return f'<div class="bar" aria-hidden="true">{inner}</div>'

    rows_table = table(
        (
            ("Family", "lead"),
            ("Both right", "r opt"),
            ("Won", "r"),
            ("Lost", "r"),
            ("Both wrong", "r opt"),
            ("p", "r"),
            ("", "opt"),
        ),
        (
            (
                e(draw.plain(row.family)),
                str(row.both_right),
                str(row.wins),
                str(row.losses),
                str(row.both_wrong),
                p_value(row.p),
                bar(row.wins, row.both_right, row.losses, row.base.n),
            )
            for row in rows
        ),
        "plain",
    )
    return section(
        "Every family, before and after",
        "Share of exact answers on the frozen holdout, with 95% intervals. Templates, pools and "
        "numbers of these questions do not occur in training.",
        f'<div class="card">{key}{draw.forest(rows)}</div>',
    ) + section(
        "Question by question",
        "Both models answered the same questions, so the test looks only at those where they "
        "disagree: won means only the specialist was right, lost means only the base was. p is "
        "from the exact McNemar test, corrected over the families (Holm).",
        f'<div class="card">{rows_table}</div>',
    )


def _systems(data: ReportData) -> str:
    if not data.systems:
        return ""
    rows = [
        (
            f"{e(row.system)}" + (f"<small>{e(row.note)}</small>" if row.note else ""),
            percent(row.accuracy.value, 1),
            interval(row.accuracy.low, row.accuracy.high),
            str(row.accuracy.n),
            "\u2013" if row.seconds_per_item is None else f"{row.seconds_per_item:.2f} s",
        )
        for row in data.systems
    ]
    head = (
        ("System", "lead"),
        ("Exact", "r"),
        ("95% interval", "r"),
        ("Questions", "r"),
        ("Per question", "r"),
    )
    return section(
        "Systems compared",
        "The same holdout and the same verifier for each.",
        f'<div class="card">{table(head, rows)}</div>',
    )


def _examples(data: ReportData) -> str:
    cards = "".join(_example(example, data) for example in data.examples)
    return section(
        "Before and after",
        "Taken in order from the holdout, not hand-picked, failures included. The text in the "
        "two columns was generated by the models.",
        cards,
    )


def _example(example: Example, data: ReportData) -> str:
    def said(name: str, text: str, ok: bool) -> str:
        return (
            f'<div class="said {"right" if ok else "wrong"}"><header>{e(name)} · generated '
            f"{tag('exact' if ok else 'wrong', 'right' if ok else 'wrong')}</header>"
            f'<pre dir="auto">{e(text) or "(nothing)"}</pre></div>'
        )

    gold = ""
    if example.derivation or example.expected:
        parts = []
        if example.derivation:
            parts.append(f"Computed exactly: <code>{e(example.derivation)}</code>")
        if example.expected:
            parts.append(f"Expected: <code>{e(example.expected)}</code>")
        gold = f'<p class="gold">{"<br>".join(parts)}</p>'
    return (
        f'<div class="card ex"><h3>{e(draw.plain(example.family))}</h3>'
        f'<p class="ask" dir="auto">{e(example.prompt)}</p><div class="two">'
        f"{said(data.base, example.before, example.before_ok)}"
        f"{said(data.specialist, example.after, example.after_ok)}</div>{gold}</div>"
    )


def _gate(data: ReportData) -> str:
    def cells(check: Check) -> tuple[str, ...]:
        span = f"{points(check.low)} to {points(check.high)}"
        why = "" if check.status is Status.PASS else f"<small>{e(check.sentence)}</small>"
        return (
            f"{e(draw.plain(check.name))}<small>{e(check.kind)} to {e(check.against)}, "
            f'n = {check.n}</small><small class="only">{span}, must exceed '
            f"{points(check.threshold)}, p {p_value(check.p)}</small>{why}",
            tag(check.status, check.status),
            points(check.figure),
            span,
            f"&gt; {points(check.threshold)}",
            p_value(check.p),
        )

    head = (
        ("Check", "lead"),
        ("Verdict", ""),
        ("Points", "r"),
        ("Interval", "r opt"),
        ("Must exceed", "r opt"),
        ("p", "r opt"),
    )
    rows = [cells(check) for check in data.verdict.checks]
    return section(
        "What the gate asked",
        f"Every check has to pass at &alpha; = {data.verdict.alpha:g}. Differences are in "
        "percentage points; the lower end of the interval must exceed the threshold. "
        "Superiority intervals resample whole templates; non-inferiority bounds are one-sided.",
        f'<div class="card">{table(head, rows, "plain")}</div>',
    )


def _shipped(data: ReportData) -> str:
    cards = []
    if (quant := data.quantisation) is not None:
        sizes = ""
        if quant.bytes_before and quant.bytes_after:
            sizes = f"<p>{size(quant.bytes_before)} before, {size(quant.bytes_after)} shipped.</p>"
        cards.append(
            f'<div class="card"><h3>{e(quant.kind)}</h3><p class="big">'
            f'{percent(quant.merged.value, 1)}<span class="arrow"> → </span>'
            f"{percent(quant.shipped.value, 1)}</p><p>{points(quant.difference)} points; at worst "
            f"{points(quant.low)} (95%, one-sided), margin {points(-quant.margin)}.</p>"
            f"{sizes}</div>"
        )
    if (parity := data.parity) is not None:
        result = tag("equal", "right") if parity.equal else tag("different", "wrong")
        wrong = "".join(f"<li><code>{e(line)}</code></li>" for line in parity.mismatches[:5])
        cards.append(
            f'<div class="card"><h3>Token ids</h3><p class="big">{result}</p>'
            f"<p>{parity.tokens:,} tokens in {parity.conversations} golden conversations, as "
            f"encoded by {e(', '.join(parity.sides))}.</p>"
            + (f"<ul>{wrong}</ul>" if wrong else "")
            + "</div>"
        )
    body = f'<div class="pair">{"".join(cards)}</div>' if cards else ""
    return section(
        "The file that ships",
        "The quantised file itself answered the holdout; it must not be worse than the merged "
        "model beyond the margin, and must read the same tokens as the trainer wrote.",
        body,
    )


def _forgetting(data: ReportData) -> str:
    leg = data.forgetting
    if leg is None:
        return ""
    drift = ""
    if leg.drift is not None:
        span = ""
        if leg.drift_low is not None and leg.drift_high is not None:
            span = f" (95% interval {signed(leg.drift_low)} to {signed(leg.drift_high)})"
        drift = (
            f'<div class="card"><h3>General text</h3><p class="big">{signed(leg.drift)} nats</p>'
            f"<p>Change of mean log-probability a token on general sentences{span}; negative "
            "means they became less likely.</p></div>"
        )
    return section(
        "What it forgot",
        "General questions that have nothing to do with DeFi, before and after.",
        '<div class="pair"><div class="card"><h3>General questions</h3>'
        f'<p class="big">{percent(leg.before.value, 1)}<span class="arrow"> → </span>'
        f"{percent(leg.after.value, 1)}</p><p>{points(leg.difference)} points on {leg.after.n} "
        f"questions; at worst {points(leg.low)} (95%, one-sided), margin {points(-leg.margin)}."
        f"</p></div>{drift}</div>",
    )


def _training(data: ReportData) -> str:
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


def _ledger(data: ReportData) -> str:
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


def _lineage(data: ReportData) -> str:
    return section(
        "Lineage",
        "From sources to the shipped file. Each box is named by the hash of its content "
        "(the first 16 digits; the .json file has them whole).",
        draw.lineage(data.lineage) if data.lineage else "",
    )


def _limits(data: ReportData) -> str:
    items = "".join(f"<li>{e(line)}</li>" for line in data.limits)
    return section(
        "What this does not prove",
        "Read before relying on the verdict.",
        f'<div class="card"><ul>{items}</ul></div>' if items else "",
    )


def _machine(data: ReportData) -> str:
    stages = {stage.name: duration(stage.seconds) for stage in data.stages}
    cards = []
    if data.machine:
        cards.append(f'<div class="card"><h3>Machine</h3>{facts(data.machine)}</div>')
    if stages:
        cards.append(f'<div class="card"><h3>Time by stage</h3>{facts(stages)}</div>')
    body = f'<div class="pair">{"".join(cards)}</div>' if cards else ""
    return section("Where and how long", "Timings hold for this machine only.", body)

"""The file that ships: every quant against the merged model, and token parity."""

from __future__ import annotations

from denizen.evaluate.report import strips
from denizen.evaluate.report.data import ReportData
from denizen.evaluate.report.evidence import LadderRow
from denizen.evaluate.report.parts import section, status_tag, table, tag
from denizen.evaluate.report.text import e, percent, points, size, span


def shipped(data: ReportData) -> str:
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
        body + _ladder(data),
    )


def _ladder(data: ReportData) -> str:
    if not data.ladder:
        return ""
    full = max(row.bytes for row in data.ladder)

    def cells(row: LadderRow) -> tuple[str, ...]:
        worst = ""
        if row.low is not None:
            margin = "" if row.margin is None else f", margin {points(-row.margin)}"
            worst = f"<small>at worst {points(row.low)}{margin}</small>"
        speed = ""
        if row.seconds_per_item is not None:
            speed = f"<small>{row.seconds_per_item:.2f} s a question</small>"
        code = f'<small><code title="{e(row.hash)}">{e(row.hash[:16])}</code></small>'
        return (
            f"<b>{e(row.quant)}</b>{code if row.hash else ''}",
            f"{size(row.bytes)}{strips.share(row.bytes / full if full else 0.0)}",
            f"{percent(row.accuracy.value, 1)}"
            f"<small>{span(row.accuracy.low, row.accuracy.high)}</small>{speed}",
            "\u2013" if row.difference is None else f"{points(row.difference)}{worst}",
            status_tag(row.status) if row.status else "<small>reference</small>",
        )

    head = (
        ("Quant", "lead"),
        ("Size", "r"),
        ("Exact", "r"),
        ("Points to merged", "r"),
        ("Verdict", "r"),
    )
    return (
        '<div class="card ex"><h3>Quant ladder: each file answered the whole holdout</h3>'
        f"{strips.ladder(data.ladder)}{table(head, [cells(row) for row in data.ladder])}</div>"
    )

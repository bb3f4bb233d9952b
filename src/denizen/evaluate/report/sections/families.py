"""Families: the forest plot of differences, accuracies before and after, pairs won and lost."""

from __future__ import annotations

from denizen.evaluate.report import draw, strips
from denizen.evaluate.report.data import ReportData
from denizen.evaluate.report.from_gate import forest_rows
from denizen.evaluate.report.parts import section, table
from denizen.evaluate.report.text import e, interval, p_value, percent


def differences(data: ReportData) -> str:
    rows = data.forest or forest_rows(data.verdict)
    if not rows:
        return ""
    return section(
        "What changed, with its interval",
        f"Percentage points that {e(data.specialist)} gained or lost, on the same items. A row "
        "passes when its whole interval lies right of its threshold: zero where it has to be "
        "better, minus the margin where it must not be worse.",
        f'<div class="card">{strips.differences(rows)}</div>',
    )


def families(data: ReportData) -> str:
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


def systems(data: ReportData) -> str:
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

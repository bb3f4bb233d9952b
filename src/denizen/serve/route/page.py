"""The route report as one HTML file: no script, no network, light and dark, like the release's.

Contract: `render` gives the page, `write_page` writes it and its JSON, each whole or not at all.
Charts, tables and style are those of evaluate/report; every text is escaped there.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from denizen.evaluate.report import charts
from denizen.evaluate.report import parts as shown
from denizen.evaluate.report.evidence import Plot, PlotLine, PlotPoint
from denizen.evaluate.report.sections.general import ece_sentence
from denizen.evaluate.report.text import e, p_value, rate
from denizen.project.atomic import atomic_write_text
from denizen.serve.route import wording
from denizen.serve.route.risk import percent

if TYPE_CHECKING:
    from denizen.serve.route.report import RouteReport

_WORDS = {
    "FEASIBLE": ("PASS", "The promise holds within the budget."),
    "INFEASIBLE": ("FAIL", "Risk and budget do not go together."),
}


def write_page(path: Path, report: RouteReport) -> Path:
    """Write the page to `path` and its figures beside it as .report.json, for the calibration is
    called route.json."""
    page, data = render(report), json.dumps(report.to_dict(), indent=1) + "\n"
    atomic_write_text(path.with_suffix(".report.json"), data)
    return atomic_write_text(path, page)


def render(report: RouteReport) -> str:
    """The whole page."""
    style = (files("denizen.evaluate.report") / "style.css").read_text("utf-8")
    kind, words = _WORDS[report.status]
    sections = (
        shown.section("Figures", "On the half that tested the thresholds.", _facts(report)),
        _quality(report),
        _risk(report),
        _confidence(report),
        _families(report),
        shown.section(
            "Limits",
            "What these figures do not say.",
            "<ul>" + "".join(f"<li>{e(limit)}</li>" for limit in report.limits) + "</ul>",
        ),
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{e(report.status)} · Routing</title><style>\n{style}</style></head>"
        f"<body><main>\n<h1>Routing<span>{e(report.created)}</span></h1>\n"
        f'<div class="verdict {kind}"><b>{e(report.status)}</b>'
        f"<p>{words} {e(_sentence(report))}</p></div>\n"
        + "\n".join(section for section in sections if section)
        + f"\n<footer>Calibrated for the model file <code>{e(report.gguf[:16])}</code> with "
        "<pre>denizen route calibrate</pre>The same content is in the .report.json file beside "
        "this page.</footer>\n</main></body></html>\n"
    )


def _sentence(report: RouteReport) -> str:
    text = report.sentence
    return f"{text[:1].upper()}{text[1:]}."


def _facts(report: RouteReport) -> str:
    return f'<div class="card">{shown.facts(wording.facts(report))}</div>'


def _quality(report: RouteReport) -> str:
    if not report.lines:
        return ""
    lines = tuple(
        PlotLine(line.name, tuple(PlotPoint(x, y) for x, y in line.points)) for line in report.lines
    )
    drawn = Plot("Cost and quality", "share escalated", "share right", lines)
    return shown.section(
        "Quality for its cost",
        "The least sure questions escalate first; the oracle knows which answers are wrong.",
        f'<div class="card"><div class="radar">{charts.plot(drawn)}</div></div>',
    )


def _risk(report: RouteReport) -> str:
    points = sorted(report.risk_curve)
    lines = (
        PlotLine("observed", tuple(PlotPoint(x, y) for x, y, _ in points)),
        PlotLine("bound", tuple(PlotPoint(x, y) for x, _, y in points)),
        PlotLine("promised", (PlotPoint(0.0, report.promise), PlotPoint(1.0, report.promise))),
    )
    drawn = Plot("Risk", "share escalated", "wrong among local answers", lines)
    return shown.section(
        "Risk for its cost",
        f"Errors among the answers that stay local; the bound is exact, at "
        f"{percent(1 - report.delta)} for each threshold alone.",
        f'<div class="card"><div class="radar">{charts.plot(drawn)}</div></div>',
    )


def _confidence(report: RouteReport) -> str:
    found = report.confidence
    return shown.section(
        "Does the confidence mean anything?",
        "On the diagonal, of the answers given with 80% confidence 80% are right.",
        f'<div class="card"><div class="radar">{charts.reliability(found)}</div>'
        f"<p>{e(ece_sentence(found))}</p></div>",
    )


def _families(report: RouteReport) -> str:
    if not report.families:
        return ""
    head = (("Family", "lead"), ("Local", "r"), ("Frontier", "r"), ("p", "r"))
    rows = [
        (
            f"{e(row.family)}<small>n = {row.local.n}</small>",
            rate(row.local),
            rate(row.frontier),
            f"{p_value(row.p)}{'<small>better</small>' if row.better else ''}",
        )
        for row in report.families
    ]
    table = shown.table(head, rows, "plain")
    return shown.section(
        "Where the frontier is truly better",
        e(wording.better(report)),
        f'<div class="card">{table}</div>',
    )

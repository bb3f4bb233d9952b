"""The report page: one HTML file that needs no network, no script and no other file.

Contract: `render(data)` returns the whole page; `write_report(path, data)` writes it, and the same
content as .md and .json beside it, each whole or not at all. Verdict first, evidence after,
provenance last. Model output is escaped (see `text.py`) and a content security policy forbids
anything active.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from denizen.evaluate.report.data import ReportData
from denizen.evaluate.report.markdown import render_markdown
from denizen.evaluate.report.rails import rails_section
from denizen.evaluate.report.sections import (
    examples,
    families,
    general,
    judged,
    provenance,
    shipped,
    summary,
    trust,
)
from denizen.evaluate.report.text import e
from denizen.project.atomic import atomic_write_text


class Written(NamedTuple):
    """The three files of a report; they say the same."""

    html: Path
    json: Path
    markdown: Path


def write_report(path: Path, data: ReportData) -> Written:
    """Write the page to `path` and its content to the same name with .json and .md."""
    files = Written(path, path.with_suffix(".json"), path.with_suffix(".md"))
    # All three are made before the first is written: a report never lacks its twins.
    texts = (render(data), data.to_json(), render_markdown(data))
    for file, text in zip(files, texts, strict=True):
        atomic_write_text(file, text)
    return files


def render(data: ReportData) -> str:
    """The whole page."""
    style = Path(__file__).with_name("style.css").read_text("utf-8")
    sections = (
        summary.verdict(data),
        summary.tiles(data),
        families.differences(data),
        families.families(data),
        families.systems(data),
        examples.examples(data),
        judged.gate(data),
        judged.looks(data),
        shipped.shipped(data),
        general.forgetting(data),
        judged.behaviour(data),
        general.calibration(data),
        trust.privacy(data),
        trust.integrity(data),
        provenance.training(data),
        rails_section(data.rails),
        provenance.ledger(data),
        provenance.lineage(data),
        provenance.limits(data),
        provenance.machine(data),
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
        "The same content is in the .json and .md files beside this page.</footer>\n"
        "</main></body></html>\n"
    )

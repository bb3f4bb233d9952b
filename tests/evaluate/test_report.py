"""The report page and the closing screen."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from evaluate_sample import EVIL, report_data, suite

from denizen.evaluate import ReportData, closing_lines, gate, pick_examples, write_report
from denizen.evaluate.report import render, render_markdown
from denizen.evaluate.report.text import duration, e, p_value, points, ticks


@pytest.fixture(scope="module")
def data() -> ReportData:
    return report_data()


class Balance(HTMLParser):
    VOID = frozenset(("meta", "br", "img", "line", "polyline"))

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.stack.pop() == tag


def test_the_page_is_well_formed_and_needs_nothing_else(data: ReportData) -> None:
    page = render(data)
    parser = Balance()
    parser.feed(page)
    assert parser.stack == []
    assert not parser.seen & {"script", "img", "link", "iframe", "object"}
    assert not re.search(r"https?://|url\(|@import|\ssrc=\"|\shref=", page)
    assert "default-src 'none'" in page


def test_generated_text_cannot_act_or_hide(data: ReportData) -> None:
    page = render(data)
    assert "<script" not in page and "<img" not in page and "\u202e" not in page
    assert "&lt;script&gt;" in page and "[U+202E]" in page
    assert EVIL not in page and "generated" in page


def test_every_place_for_text_is_escaped() -> None:
    plain, evil = report_data("plain"), '"><b class=x>'
    fields = {
        "title": evil,
        "created": evil,
        "command": evil,
        "base": evil,
        "specialist": evil,
        "version": evil,
        "limits": (evil,),
        "machine": {evil: evil},
    }
    assert plain.overall is not None
    fields["overall"] = dataclasses.replace(plain.overall, family=evil)
    fields["lineage"] = (dataclasses.replace(plain.lineage[0], name=evil, hash=evil, note=evil),)
    page = render(dataclasses.replace(plain, **fields))
    assert "<b class=x>" not in page.lower()


def test_verdict_comes_first_and_evidence_is_all_there(data: ReportData) -> None:
    page = render(data)
    order = [
        'class="verdict PASS"', "What changed, with its interval", "Every family",
        "Question by question", "Before and after", "What the gate asked", "Looks at the holdout",
        "The file that ships", "What it forgot", "How it behaves", "confidence mean anything",
        "Privacy and trust audits", "Integrity of the holdout", "Training</h2>",
        "Supervision ledger", "Lineage", "What this does not prove",
    ]  # fmt: skip
    places = [page.index(text) for text in order]
    assert places == sorted(places)
    assert data.lineage[-1].hash in page and "denizen quickstart --workspace" in page


def test_absent_sections_are_not_drawn(data: ReportData) -> None:
    bare = ReportData("t", "now", "c", "0", "b", "s", data.verdict)
    page = render(bare)
    Balance().feed(page)
    for text in (
        "Lineage",
        "Training",
        "Token ids",
        "What it forgot",
        "Every family",
        "Looks at",
        "How it behaves",
        "Privacy",
        "Integrity",
        "confidence mean",
    ):
        assert text not in page and text not in render_markdown(bare)
    # What the verdict itself holds is drawn from it.
    assert "What changed, with its interval" in page


def test_json_twin_says_the_same(data: ReportData, tmp_path: Path) -> None:
    files = write_report(tmp_path / "report.html", data)
    assert files.html.exists() and ReportData.from_json(files.json.read_text()) == data
    assert files.markdown == tmp_path / "report.md" and files.markdown.exists()


def test_a_broken_loss_is_null_and_does_not_break_the_page(data: ReportData) -> None:
    assert data.training is not None
    points_ = (dataclasses.replace(data.training.points[0], loss=float("nan")),)
    broken = dataclasses.replace(data, training=dataclasses.replace(data.training, points=points_))
    assert json.loads(broken.to_json())["training"]["points"][0]["loss"] is None
    assert "nan" not in re.findall(r"points=\"[^\"]*\"", render(broken))


def test_examples_show_failures_too() -> None:
    base, new = suite("base", 0.1), suite("new", 0.8)
    examples = pick_examples(base, new)
    assert sum(not x.after_ok for x in examples) == 2
    assert len({x.family for x in examples if x.after_ok}) == 6


def test_closing_is_five_lines_and_honest(data: ReportData) -> None:
    lines = closing_lines(data)
    assert len(lines) == 5 and all("\n" not in line for line in lines)
    assert lines[0].startswith("PASS")
    worse = gate(suite("base", 0.6), suite("bad", 0.1), resamples=300)
    assert closing_lines(dataclasses.replace(data, verdict=worse))[0].startswith("FAIL")
    unsure = gate(suite("base", 0.4, n=5), suite("m", 0.55, n=5), every_family=False, resamples=300)
    bare = ReportData("t", "now", "c", "0", "b", "s", unsure)
    lines = closing_lines(bare)
    assert len(lines) == 5 and lines[0].startswith("INCONCLUSIVE")
    assert "not measured" in lines[1] and "not tested" in lines[3]


def test_text_helpers() -> None:
    assert e("<a \x00\u200b>") == "&lt;a [U+0000][U+200B]&gt;"
    assert points(-0.0001) == "0.0" and points(-0.034) == "\u22123.4"
    assert p_value(None) == "\u2013" and p_value(0.00001) == "< 0.0001"
    assert duration(649.2) == "10 min 49 s" and duration(3700) == "1 h 01 min"
    assert ticks(0, 3.2) == [0, 1, 2, 3]

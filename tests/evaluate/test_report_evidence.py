"""The report's newer evidence: nothing generated can act, older reports load, figures are right."""

from __future__ import annotations

import dataclasses
import json
import random
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from evaluate_sample import EVIL, rate_of, report_data
from test_report import Balance

from denizen.evaluate import ReportData
from denizen.evaluate import report as r
from denizen.evaluate.report import charts, strips
from denizen.evaluate.report.marks import fenced, m


@pytest.fixture(scope="module")
def data() -> ReportData:
    return report_data()


class Links(HTMLParser):
    """What a Markdown renderer made of the text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)


FENCE = re.compile(r"^(`{3,})text\n.*?^\1$", re.M | re.S)
HOSTILE = (
    "<script>alert(1)</script>", "a | b", "`` ` ```", "[x](javascript:alert(1))",
    "![x](https://evil.example/p.png)", "https://evil.example/x", "www.evil.example",
    "mail@evil.example", "# title", "- item", "12. item", "***", "===", "x\n===", "a\\", "a\nb\n\n# c",
    "<!-- ", "&lt;b&gt;", "~~~", "$x$", "[^1]", "\u202eevil", "--- | ---", "<https://evil.example>",
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_shows_hostile_text_and_does_nothing_else(text: str) -> None:
    from markdown_it import MarkdownIt

    renderer = MarkdownIt("gfm-like", {"html": True, "linkify": False})
    for source in (m(text), f"| a | b |\n| --- | --- |\n| {m(text)} | c |", f"- {m(text)}"):
        tags = Links()
        tags.feed(renderer.render(source))
        allowed = {"p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"}
        assert set(tags.tags) <= allowed, (source, tags.tags)
        assert tags.tags.count("td") in (0, 2)
    assert not re.search(r"(?<!\\)://", m(text)) and "\n" not in m(text) and "\u202e" not in m(text)
    page = renderer.render(fenced(text) + "\n\nafter")
    assert page.startswith("<pre><code") and page.endswith("<p>after</p>\n")


def test_markdown_holds_every_section_and_no_live_markup(data: ReportData) -> None:
    text = r.render_markdown(data)
    order = [
        "**PASS**", "## What changed", "## Every family", "## Before and after",
        "## What the gate asked", "## Looks at the holdout", "## The file that ships",
        "## What it forgot", "## How it behaves", "## Does its confidence",
        "## Privacy and trust audits", "## Integrity", "## Training", "## Supervision ledger",
        "## Lineage", "## What this does not prove",
    ]  # fmt: skip
    places = [text.index(title) for title in order]
    assert places == sorted(places)
    # Outside of fences no generated text may open a tag.
    outside = re.sub(FENCE, "", text)
    assert "<script" not in outside and "<img" not in outside and "\u202e" not in text
    assert "generated" in outside and data.lineage[-1].hash in text
    for block in re.findall(r"(?m)(?:^\|.*\|$\n?)+", outside):
        cells = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(cells) == 1, block


def test_generated_text_is_marked_everywhere(data: ReportData) -> None:
    page = r.render(data)
    assert EVIL not in page and "<script" not in page and "<img" not in page
    quiet = re.findall(r'<div class="said quiet"><header>(.*?)</header>', page)
    assert quiet.count("generated · closest continuation") == 1
    assert "the n-gram" in quiet
    hidden = dataclasses.replace(
        data, examples=(dataclasses.replace(data.examples[0], generated=False),), privacy=()
    )
    assert "· generated" not in r.render(hidden)


def test_every_new_text_is_escaped() -> None:
    evil = '"><b class=x>'
    base = report_data("plain")

    def poison(value: object) -> object:
        if isinstance(value, str):
            return value if value in {"PASS", "FAIL", "INCONCLUSIVE"} else evil
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            names = [f.name for f in dataclasses.fields(value)]
            return dataclasses.replace(value, **{n: poison(getattr(value, n)) for n in names})
        if isinstance(value, tuple):
            return tuple(map(poison, value))
        return value

    names = (
        "forest", "reliability", "radar", "ladder", "behaviour", "privacy", "integrity", "looks",
    )  # fmt: skip
    data = dataclasses.replace(base, **{name: poison(getattr(base, name)) for name in names})
    data = dataclasses.replace(
        data, forest=(r.ForestRow(evil, 0.1, 0.0, 0.2, 9, evil, evil, evil),)
    )
    page = r.render(data)
    Balance().feed(page)
    outside = re.sub(FENCE, "", r.render_markdown(data))
    assert "<b class=x>" not in page and "<b class=x>" not in outside


def test_an_older_report_still_loads(data: ReportData) -> None:
    old = json.loads(data.to_json())
    for name in (
        "forest", "reliability", "radar", "ladder", "behaviour", "privacy", "integrity", "looks",
        "power",
    ):  # fmt: skip
        del old[name]
    for example in old["examples"]:
        del example["generated"]
    loaded = ReportData.from_json(json.dumps(old))
    assert loaded.privacy == () and loaded.looks is None and loaded.examples == data.examples


def test_forest_comes_from_the_verdict(data: ReportData) -> None:
    rows = r.forest_rows(data.verdict)
    assert [row.name for row in rows][:2] == ["overall", "fee_apr"]
    assert {row.name for row in rows} >= {"quantisation", "forgetting"}
    by_name = {row.name: row for row in rows}
    check = next(c for c in data.verdict.checks if c.name == "forgetting")
    assert by_name["forgetting"].threshold == check.threshold == -0.1
    picture = strips.differences(rows)
    labels = re.findall(r'role="img" aria-label="([^"]*)"', picture)
    assert len(labels) == len(rows) and f"{100 * check.figure:.1f}".lstrip("-") in labels[-1]
    # The dot lies between the ends of its interval, and zero where the axis says so.
    for strip in re.findall(r"<svg.*?</svg>", picture):
        x1, x2 = map(float, re.search(r'"span" x1="([\d.]+)%" x2="([\d.]+)%"', strip).groups())  # type: ignore[union-attr]
        dot = float(re.search(r'<circle cx="([\d.]+)%"', strip)[1])  # type: ignore[index]
        assert 0 <= x1 <= dot <= x2 <= 100
    zero = re.search(r'class="zero" x1="([\d.]+)%"', picture)
    axis = re.search(r'left:([\d.]+)%">0</span>', picture)
    assert zero is not None and axis is not None and zero[1] == axis[1]


def test_a_bound_of_minus_infinity_stays_on_the_strip() -> None:
    row = r.ForestRow("x", 0.0, -1.0, 0.1, 5, threshold=-0.02)
    assert "nan" not in strips.differences([row, dataclasses.replace(row, low=0.0, high=0.0)])


def test_calibration_of_a_calibrated_and_of_a_boastful_model() -> None:
    rng = random.Random(4)
    stated = [0.5 + 0.5 * rng.random() for _ in range(2000)]
    honest = r.reliability(stated, [rng.random() < p for p in stated], system="a", resamples=1000)
    assert honest.chance is not None and honest.ece < honest.chance < 0.05
    assert honest.low <= honest.ece <= honest.high
    boastful = r.reliability(
        stated, [rng.random() < p - 0.2 for p in stated], system="a", resamples=1000
    )
    assert boastful.ece == pytest.approx(0.2, abs=0.03) and boastful.chance is not None
    assert boastful.low > boastful.chance and boastful.low < 0.2 < boastful.high
    assert sum(part.accuracy.n for part in boastful.bins) == 2000 and len(boastful.bins) == 10


def test_equal_confidences_share_a_bin() -> None:
    # Sorted as they come, a tie cut in two would look like a bin that is always right.
    found = r.reliability([0.97] * 40, [True] * 20 + [False] * 20, system="a", resamples=100)
    assert len(found.bins) == 1 and found.ece == pytest.approx(0.47)
    with pytest.raises(ValueError, match="outside"):
        r.reliability([1.2], [True], system="a")
    with pytest.raises(ValueError, match="one outcome"):
        r.reliability([0.2], [], system="a")


def test_pictures_say_their_figures(data: ReportData) -> None:
    drawn = charts.radar(data.radar)
    assert drawn.count('<polygon class="area') == 2 and "arc_easy 56% before" in drawn
    assert charts.radar(data.radar[:2]) == ""
    for picture in re.findall(r"<svg.*?</svg>", r.render(data), re.S):
        assert 'role="img"' in picture and 'aria-label="' in picture and "nan" not in picture


def test_a_plot_leaves_out_what_its_axis_lacks() -> None:
    points = tuple(r.PlotPoint(x, y) for x, y in ((0.0, 0.0), (0.01, 0.1), (1.0, 1.0)))
    plot = r.Plot("ROC", "x", "y", (r.PlotLine("a", points),), log_x=True, log_y=True)
    line = re.search(r'polyline class="line c0" points="([^"]*)"', charts.plot(plot))
    assert line is not None and len(line[1].split()) == 2
    assert charts.plot(dataclasses.replace(plot, lines=())) == ""
    nothing = r.Plot("x", "x", "y", (r.PlotLine("a", (r.PlotPoint(0, float("nan")),)),))
    assert charts.plot(nothing) == ""


def test_the_ladder_shows_size_difference_and_verdict(data: ReportData) -> None:
    page = r.render(data)
    ladder = page[page.index("Quant ladder") : page.index("What it forgot")]
    for text in (
        "Q4_K_M",
        "105 MB",
        "\u22123.1",
        "at worst \u22124.5, margin \u22123.0",
        "INCONCLUSIVE",
        "reference",
    ):
        assert text in ladder, text
    assert "at most 1.0%" in page and "9.4 bits (8.6 to 10.3)" in page


def test_looks_say_what_is_spent(data: ReportData) -> None:
    page = r.render(data)
    assert "0.0316 of \u03b1 = 0.05 spent, 0.0184 left" in page and "width:63.2%" in page
    assert "600 paired items can detect 4.1 points" in page
    spent = r.Looks((), 0.0, 0.0, 0.0)
    assert "width:100.0%" in r.render(dataclasses.replace(data, looks=spent))


def test_behaviour_names_its_rule() -> None:
    data = report_data("plain")
    row = r.BehaviourRow("x", "zero", rate_of(1, 300), limit=0.01, status="PASS")
    page = r.render(dataclasses.replace(data, behaviour=(row,)))
    assert "no failure at all (and a failure rate above 1.0% excluded)" in page

"""The report's section on guards: drawn from a run's record, absent without one, and escaped."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from evaluate_sample import EVIL, report_data
from test_report import Balance

from denizen.evaluate import ReportData
from denizen.evaluate.report import guard_rails, render

REINFORCED = {
    "points": [
        {"step": s, "loss": 0.1, "metrics": {"reward": s / 40, "reward_answer": s / 50, "kl": 0.0}}
        for s in range(1, 31)
    ],
    "stopped": "step 30: 95% of the groups had equal rewards",
    "guards": {
        "forgetting": {"trend": [[10, 0.02], [20, 0.31], [30, -0.01]], "limit": 1.0},
        "development": {"trend": [[10, 1.5], [20, 1.25]], "items": 64, "best": 20},
        "hacking": {
            "findings": [
                {"name": "length gaming", "flagged": True, "sentence": "they correlate by +0.71"},
                {"name": "format without answers", "flagged": False, "sentence": "no"},
                {"name": "label frequency: x", "flagged": None, "sentence": "too few"},
            ]
        },
    },
}


@pytest.fixture(scope="module")
def plain() -> ReportData:
    return report_data("plain")


def page_of(data: ReportData, training: dict[str, Any]) -> str:
    page = render(dataclasses.replace(data, rails=guard_rails(training)))
    Balance().feed(page)
    return page


def test_the_record_of_a_run_is_drawn(plain: ReportData) -> None:
    page = page_of(plain, REINFORCED)
    assert page.index("Training</h2>") < page.index("What watched the run") < page.index("Lineage")
    for text in (
        "Reward by step", "Right answers by step", "Forgetting by step", "the limit is 1",
        "Development loss by step", "saved: step 20", "Length gaming", "they correlate by +0.71",
        "stopped early", "95% of the groups",
    ):  # fmt: skip
        assert text in page, text
    # Nothing was measured of these.
    assert "Entropy by step" not in page and "Length of answers" not in page
    labels = re.findall(r'aria-label="([^"]* by step, from [^"]*)"', page)
    assert "Reward by step, from 0.025 at step 1 to 0.75 at step 30" in labels
    assert "Forgetting by step, from 0.02 at step 10 to -0.01 at step 30" in labels
    rows = re.findall(
        r'<td class="lead"[^>]*>(.*?)</td><td[^>]*>.*?<span class="tag (\w*)">(.*?)<', page
    )
    found = {name: (kind, word) for name, kind, word in rows}
    assert found["Length gaming"] == ("wrong", "look")
    assert found["Format without answers"] == ("right", "clear")
    assert found["Label frequency: x"] == ("INCONCLUSIVE", "not judged")


def test_a_trend_below_zero_is_drawn_inside_its_frame(plain: ReportData) -> None:
    guards = {"forgetting": {"trend": [[1, -0.4], [2, -0.3], [3, -0.2]], "limit": 0}}
    page = page_of(plain, {"guards": guards})
    chart = page[page.index("Forgetting by step") :]
    line = re.search(r'polyline class="line" points="([^"]*)"', chart)
    assert line is not None
    heights = [float(pair.split(",")[1]) for pair in line.group(1).split()]
    assert all(10 <= y <= 164 for y in heights) and heights == sorted(heights, reverse=True)
    assert "the limit" not in chart.split("</section>")[0]


def test_nothing_is_drawn_where_nothing_watched(plain: ReportData) -> None:
    assert guard_rails({"points": [{"step": 1, "loss": 1.0, "metrics": {}}], "guards": {}}) is None
    assert "What watched the run" not in render(plain)


def test_it_survives_json_and_escapes_text(plain: ReportData) -> None:
    evil = {**REINFORCED, "stopped": EVIL}
    evil["guards"] = {"hacking": {"findings": [{"name": EVIL, "flagged": None, "sentence": EVIL}]}}
    data = dataclasses.replace(plain, rails=guard_rails(evil))
    assert ReportData.from_json(data.to_json()) == data
    page = page_of(plain, evil)
    assert "<script" not in page and "<img" not in page and "\u202e" not in page
    full = dataclasses.replace(plain, rails=guard_rails(REINFORCED))
    assert ReportData.from_json(full.to_json()) == full

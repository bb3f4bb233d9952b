"""The report: honest without a frontier, right with one, escaped, self-contained."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.serve.route.route_sample import CORE, item_of, pool

from denizen.project import ArtefactError, ConfigError
from denizen.project.config import Config, RouteConfig
from denizen.serve.exchange import Usage
from denizen.serve.route.audit import Auditor
from denizen.serve.route.calibrating import calibration_of
from denizen.serve.route.calibration import Settings
from denizen.serve.route.frontier import (
    GIVE_UP,
    Frontier,
    FrontierAnswer,
    cache_file,
    frontier_answers,
    request_of,
)
from denizen.serve.route.page import render, write_page
from denizen.serve.route.plot import check_target, draw
from denizen.serve.route.questions import halves
from denizen.serve.route.reply import UpstreamFailed
from denizen.serve.route.report import family_rows, make_report
from denizen.serve.route.reporting import report_of
from denizen.serve.route.scored import Scored
from denizen.serve.route.upstream import Answered
from denizen.serve.route.wording import facts, text

SETTINGS = Settings(0.2, 0.05, 0.3, 600, 128, "draft", CORE.names)
SCORED = pool(600, groups=("mechanics", "v2_quote"))
MADE = calibration_of(SCORED, SETTINGS, CORE, {"model": "a" * 64})
_, TESTING = halves(SCORED)


def frontier(right: float = 1.0) -> Frontier:
    made = {
        s.id: FrontierAnswer(s.id, (i % 100) < 100 * right, "x", 1, 1)
        for i, s in enumerate(TESTING)
    }
    return Frontier(made, {})


def report(**changed):
    return make_report(MADE, TESTING, **{"local_price": 0.02, "upstream_price": 5.0, **changed})


def test_without_a_frontier_it_says_so_and_claims_nothing() -> None:
    made = report()
    assert made.measures is None and made.five is None and not made.lines and not made.families
    words = text(made)
    assert "no upstream" in words and "cannot be told" in words
    assert not {"APGR", "CPT(50)", "Quality at exactly 5% escalated"} & set(facts(made))
    assert made.status in words or made.sentence in words
    assert made.local.value < made.ceiling <= 1
    assert "Ceiling" in words and "if an upstream were always right" in words


def test_with_a_frontier_every_figure_is_there() -> None:
    made = report(frontier=frontier(), upstream="big")
    assert made.five is not None and made.measures is not None and made.five.share == 0.05
    assert made.five.frontier == 1.0 and made.five.apgr is not None and made.five.apgr.value > 0.6
    words = text(made)
    for name in ("APGR", "CPT(50)", "CPT(80)", "exactly 5% escalated", "Regret", "1,000 questions"):
        assert name in words
    assert {row.family: row.better for row in made.families} == {
        "mechanics": True,
        "v2_quote": True,
    }
    assert "surely better in: mechanics, v2_quote" in words


def test_a_frontier_that_is_worse_is_told_so() -> None:
    words = text(report(frontier=frontier(0.1), upstream="small"))
    assert (
        "undefined: the frontier is not surely better" in words
        and "surely better in no family" in words
    )


def test_missing_answers_are_left_out_and_counted() -> None:
    full = frontier()
    some = dict(list(full.answers.items())[:200])
    made = report(frontier=Frontier(some, {"x": "timeout"}), upstream="big")
    assert made.five is not None and made.five.n == 200 and made.failed == 1
    assert "no answer to 1 questions" in text(made)
    assert report(frontier=Frontier({}, {"x": "timeout"}), upstream="big").measures is None


def test_families_need_proof() -> None:
    rows = family_rows(
        {"a": [(False, True)] * 3, "b": [(False, True)] * 12, "c": [(True, False)] * 9}
    )
    assert {row.family: row.better for row in rows} == {"a": False, "b": True, "c": False}


def test_the_answered_and_the_wrong_among_them() -> None:
    made = report()
    assert made.answered.n == len(TESTING)
    kept = round(made.answered.value * made.answered.n)
    assert made.wrong_of_answered.n == kept
    assert made.money.share == pytest.approx(1 - made.answered.value)


def test_the_page_stands_alone_and_escapes(tmp_path: Path) -> None:
    evil = replace(report(frontier=frontier(), upstream="<script>alert(1)</script>"))
    page = render(evil)
    assert "<script" not in page and "&lt;script&gt;" in page
    assert "prefers-color-scheme:dark" in page and page.count("<svg") == 3
    assert not re.search(r'(?:src|href)="', page) and "http" not in page.replace("http-equiv", "")
    path = write_page(tmp_path / "route.html", evil)
    assert path.read_text() == page
    assert not (tmp_path / "route.json").exists()  # the calibration's name
    data = json.loads((tmp_path / "route.report.json").read_text())
    assert data["money"]["routed"] and data["five"]["share"] == 0.05


@pytest.mark.slow
def test_curves_as_a_picture(tmp_path: Path) -> None:
    draw(report(frontier=frontier(), upstream="big"), tmp_path / "a.svg")
    assert "<svg" in (tmp_path / "a.svg").read_text()
    draw(report(), tmp_path / "b.png")
    assert (tmp_path / "b.png").read_bytes()[:4] == b"\x89PNG"
    for bad in (tmp_path / "a.pdf", tmp_path / "none" / "a.png"):
        with pytest.raises(ConfigError, match="cannot draw"):
            check_target(bad)


def test_audits_and_their_alarm_are_in_the_report() -> None:
    watch = Auditor(0.1, b"s" * 32, risk=0.2, delta=0.05)
    for n in range(40):
        watch.record(f"r{n}", n % 2 == 0)
    assert "ALARM" in text(report(audits=watch.state))
    assert "Audits" not in text(report())


class Frontiers:
    """An upstream that answers some questions rightly and fails on others."""

    def __init__(self, gold: dict[str, str], fail: int = 0) -> None:
        self.gold, self.fail, self.asked = gold, fail, 0

    async def check(self, request, visit) -> Answered:
        self.asked += 1
        if self.asked <= self.fail:
            raise UpstreamFailed("timeout")
        return Answered(self.gold[request.turns[-1].content], Usage(5, 2))


def questions(n: int) -> tuple[list[Scored], dict[str, str]]:
    items = [item_of(i) for i in range(n)]
    scored = [Scored(i.id, i.family, i.template, i.family, True, {}, i.to_json()) for i in items]
    return scored, {i.prompt: i.answer if n_ % 2 else "I do not know" for n_, i in enumerate(items)}


def test_the_frontier_is_asked_once_and_judged_by_the_verifier(tmp_path: Path) -> None:
    scored, gold = questions(12)
    path = cache_file(tmp_path, "https://a.test", "big", scored)
    first = Frontiers(gold)
    found = asyncio.run(frontier_answers(first, scored, path, suite=CORE))
    assert [found.answers[s.id].ok for s in scored] == [bool(n % 2) for n in range(12)]
    path.write_text(path.read_text() + '{"id": "cut')
    again = Frontiers(gold)
    assert (
        asyncio.run(frontier_answers(again, scored, path, suite=CORE)) == found and again.asked == 0
    )
    assert cache_file(tmp_path, "https://a.test", "other", scored) != path
    gold = {**scored[0].item, "gold": "other"}  # judged by another answer: asked again
    corrected = [replace(scored[0], item=gold), *scored[1:]]
    assert cache_file(tmp_path, "https://a.test", "big", corrected) != path


def test_failures_are_not_kept_and_a_dead_server_is_left_alone(tmp_path: Path) -> None:
    scored, gold = questions(20)
    path = tmp_path / "upstream.jsonl"
    dead = Frontiers(gold, fail=10_000)
    found = asyncio.run(frontier_answers(dead, scored, path, suite=CORE))
    assert not found.answers and len(found.failed) == 20 and dead.asked <= GIVE_UP + 4
    flaky = Frontiers(gold, fail=2)
    found = asyncio.run(frontier_answers(flaky, scored, path, suite=CORE))
    assert len(found.answers) == 18 and set(found.failed.values()) == {"timeout"}
    assert (
        len(asyncio.run(frontier_answers(Frontiers(gold), scored, path, suite=CORE)).answers) == 20
    )


def test_an_uncalibrated_workspace_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="not calibrated"):
        report_of(tmp_path, Config(route=RouteConfig()), quiet=True)


def test_the_frontier_is_asked_as_the_service_escalates() -> None:
    from denizen.serve.answering.conversation import read
    from denizen.serve.answering.escalating import upstream_request
    from denizen.serve.answering.ports import Parts
    from denizen.serve.exchange import Request, Turn

    question = "Which fee does Uniswap v2 take?"
    talk = read(Request("denizen", (Turn("user", question),)))
    parts = Parts(None, CORE)  # type: ignore[arg-type]
    assert request_of(question, CORE) == upstream_request(parts, talk, None)

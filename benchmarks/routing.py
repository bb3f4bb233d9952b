"""What routing is worth: the shipped specialist, its calibrated router, and a larger generalist.

Contract: Qwen2.5-Coder-1.5B-Instruct at its best (calculator described, a worked example of every
tool, the same grammar) plays the frontier.  In which families it is truly better is decided on the
fitting half (exact McNemar, Holm); everything reported is on the testing half, over all families
and over those.  If it is better nowhere, the result says so and claims nothing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.generalist import PEER, newest_gguf, score, worked_examples
from denizen.models import SYSTEM, ensure, find_model
from denizen.project import Workspace
from denizen.project.config import parse_config
from denizen.serve.backend import LocalBackend
from denizen.serve.route.calibrating import calibrate
from denizen.serve.route.calibration import FOLDER, Calibration
from denizen.serve.route.frontier import Frontier, FrontierAnswer
from denizen.serve.route.learn import stated
from denizen.serve.route.measures import Measures
from denizen.serve.route.measures import measure as figures
from denizen.serve.route.page import write_page
from denizen.serve.route.questions import halves
from denizen.serve.route.report import FIVE_PERCENT, RouteReport, family_rows, make_report
from denizen.serve.route.scored import Scored, read_scored
from denizen.tasks import Item, catalogue_prompt, suite_of


def measure(workspace: Path, items: int = 400) -> dict[str, Any]:
    """Calibrate, let the generalist answer the same questions, compare."""
    place = Workspace.open(workspace)
    config = parse_config(f"route: {{items: {items}}}\nserve: {{parallel: 8}}")
    gguf = newest_gguf(workspace)
    made = calibrate(
        place.root,
        config,
        gguf,
        lambda: LocalBackend(gguf, context=config.export.context, parallel=8),
        embedder=_embedder(),
        say=print,
    )
    scored = read_scored(place.root / FOLDER / made.answers)
    fitting, testing = halves(scored)
    answers = generalist_answers(scored, place.root)
    better = [
        row.family
        for row in family_rows(
            {
                family: [(s.ok, answers[s.id].ok) for s in fitting if s.family == family]
                for family in {s.family for s in fitting}
            }
        )
        if row.better
    ]
    frontier = Frontier({s.id: answers[s.id] for s in testing}, {})
    report = make_report(
        made,
        testing,
        local_price=config.route.local_price,
        upstream_price=config.route.upstream_price,
        audit=config.route.audit,
        upstream=f"{PEER}, at its best",
        frontier=frontier,
    )
    write_page(place.root / "route.html", report)
    return result(made, report, testing, frontier, better)


def result(
    made: Calibration,
    report: RouteReport,
    testing: Sequence[Scored],
    frontier: Frontier,
    better: Sequence[str],
) -> dict[str, Any]:
    """The JSON of the benchmark."""
    some = [s for s in testing if s.family in better]
    where = (
        f"the generalist is truly better in: {', '.join(better)}"
        if better
        else "the generalist is truly better in no family: it cannot play the frontier, and the "
        "figures over all families only say what escalating to it would do"
    )
    return {
        "items": len(testing),
        "frontier": PEER,
        "where": where,
        "sentence": made.facts["sentence"],
        "tradeoff": asdict(made.tradeoff),
        "local": asdict(report.local),
        "calibration_error": round(report.confidence.ece, 4),
        "all_families": _figures(report.measures, report.five),
        "families_where_it_is_better": _over(made, some, frontier) if some else None,
        "by_family": [
            {
                "family": row.family,
                "local": round(row.local.value, 3),
                "frontier": round(row.frontier.value, 3),
                "n": row.local.n,
                "p": round(row.p, 5),
            }
            for row in report.families
        ],
        "money": {k: str(v) for k, v in asdict(report.money_of_budget).items()},
        "compare": "RouteLLM on MT-Bench: CPT(50) 13.4%, APGR .802",
    }


def generalist_answers(scored: Sequence[Scored], workspace: Path) -> dict[str, FrontierAnswer]:
    """The generalist's answers to all questions, by id; kept in the workspace."""
    peer = ensure(find_model(PEER), say=print).gguf
    assert peer is not None
    system = catalogue_prompt(SYSTEM, suite_of("core")) + worked_examples()
    items = [Item.from_json(dict(s.item)) for s in scored]
    found = score("generalist, best", peer, system, items, workspace, guided=True)
    return {
        s.item_id: FrontierAnswer(s.item_id, s.ok, s.output[:1000], 0, s.tokens)
        for s in found.scores
    }


def _over(made: Calibration, some: Sequence[Scored], frontier: Frontier) -> dict[str, Any]:
    """The figures over some of the testing half."""
    confidences = stated(made.model, some)
    ours, theirs = [s.ok for s in some], [frontier.answers[s.id].ok for s in some]
    clusters = [s.cluster for s in some]
    return _figures(
        figures(confidences, ours, theirs, clusters, made.settings.budget),
        figures(confidences, ours, theirs, clusters, FIVE_PERCENT),
    )


def _figures(at_budget: Measures | None, five: Measures | None) -> dict[str, Any]:
    if at_budget is None or five is None:
        return {}
    return {
        "n": five.n,
        "local": round(five.local, 4),
        "frontier": round(five.frontier, 4),
        "quality_at_5_percent": [round(v, 4) for v in five.quality],
        "regret_at_5_percent": _spread(five.regret, five.regret_interval),
        "quality_at_budget": [round(v, 4) for v in at_budget.quality],
        "apgr": [round(v, 4) for v in five.apgr] if five.apgr else None,
        "cpt50": _spread(five.cpt50, five.cpt50_interval),
        "cpt80": _spread(five.cpt80, five.cpt80_interval),
    }


def _spread(value: float | None, interval: tuple[float, float] | None) -> list[float] | None:
    """[value, low, high], or None."""
    if value is None or interval is None:
        return None
    return [round(v, 4) for v in (value, *interval)]


def _embedder() -> Any:
    from denizen.models.embedder import Embedder

    return Embedder.load(say=print)


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.routing")
    parser.add_argument("--items", type=int, default=400)
    parser.add_argument("--workspace", type=Path, default=Path("bench-workspace"))
    chosen = parser.parse_args()
    print(json.dumps(measure(chosen.workspace, chosen.items), indent=1))


if __name__ == "__main__":
    main()

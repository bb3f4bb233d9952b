"""Examining: suites put to a file outside the gate, with the base beside it.

Contract: every suite's rate with its Wilson interval, and the paired difference to the base (exact
McNemar, cluster interval).  Nothing is judged and no look at the holdout is counted: these are
other questions.  Scores are stages, so a second call reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from denizen.evaluate import (
    Difference,
    McNemar,
    Proportion,
    Score,
    SuiteResult,
    mcnemar,
    pair,
    paired_bootstrap,
    read_scores,
    wilson,
)
from denizen.evaluate.general import GeneralItem
from denizen.evaluate.stats import discordant
from denizen.evaluate.suites import Behaviour
from denizen.evaluate.suites.audit import audit_figures
from denizen.evaluate.suites.grounding import grounding_figures
from denizen.evaluate.suites.ranking import Estimate
from denizen.improve.asking import Asked, Setting, ask_sets, ask_suite
from denizen.improve.stages import Stages
from denizen.models import checkpoint, ensure, find_model
from denizen.project import Config, Run, Store, Workspace, sha256_file
from denizen.project.machine import facts
from denizen.project.store import StageRecord

PUBLIC = "public sets"


@dataclass(frozen=True)
class Examined:
    """One suite's figures; `base`, `difference` and `test` where the base was asked too.

    `parts` are what the suite's rate is made of: faithfulness, citations, sides of a pair.
    """

    name: str
    rate: Proportion
    families: dict[str, Proportion]
    base: Proportion | None = None
    difference: Difference | None = None
    test: McNemar | None = None
    parts: Mapping[str, Proportion | Estimate] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        value: dict[str, Any] = {"suite": self.name, **self.rate._asdict()}
        value["families"] = {name: rate._asdict() for name, rate in self.families.items()}
        value["parts"] = {name: part._asdict() for name, part in self.parts.items()}
        if self.base is not None and self.difference is not None and self.test is not None:
            value["base"] = self.base._asdict()
            value["difference"] = self.difference._asdict()
            value["mcnemar"] = self.test._asdict()
        return value

    def line(self) -> str:
        """For people."""
        rate = self.rate
        text = f"{self.name:<16}{rate.value:>7.1%}  {rate.low:.1%} to {rate.high:.1%} of {rate.n}"
        if self.base is not None and self.difference is not None and self.test is not None:
            gap = self.difference
            text += (
                f"; base {self.base.value:.1%}, {100 * gap.value:+.1f} points "
                f"({100 * gap.low:+.1f} to {100 * gap.high:+.1f}), p = {self.test.p:.4f}"
            )
        for name, part in self.parts.items():
            text += f"\n  {name:<20}{part.value:>7.1%}  {part.low:.1%} to {part.high:.1%}"
        return text


def examine(
    workspace: Workspace,
    config: Config,
    gguf: Path,
    suites: Sequence[Behaviour],
    sets: dict[str, tuple[GeneralItem, ...]],
    *,
    base: bool = False,
    quiet: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> list[Examined]:
    """Put suites and public sets to a GGUF, and to the configured base if `base`."""
    files = ensure(find_model(config.model.base), config.model.source, say=say)
    systems = [Asked(gguf.name, gguf, sha256_file(gguf))]
    if base:
        systems.append(Asked(config.model.base, files.gguf or checkpoint(files), files.hash))
    evaluate = config.evaluate
    setting = Setting(checkpoint(files), config.export.context, evaluate.batch, evaluate.run_code)
    store = Store(workspace)
    with workspace.locked():
        run = Run.start(store, "denizen eval", config.model_dump(mode="json"), facts())
        stages = Stages(run, store, quiet=quiet, say=say)

        def read(stage: StageRecord) -> SuiteResult:
            return read_scores(stages.artefact(stage, "scores").path)

        found = []
        for suite in suites:
            asked = [
                ask_suite(stages, f"{suite.name} of {system.name}", system, suite, setting)
                for system in systems
            ]
            results = [read(stage) for stage in asked]
            figures = _figures(suite.name, [suite.fold(result) for result in results])
            found.append(replace(figures, parts=_parts(suite.name, results[0].scores)))
        if sets:
            asked = [
                ask_sets(stages, f"{PUBLIC} of {system.name}", system, sets, setting)
                for system in systems
            ]
            found.append(_figures(PUBLIC, [read(stage) for stage in asked]))
        run.close("done")
    return found


def _parts(name: str, scores: Sequence[Score]) -> dict[str, Proportion | Estimate]:
    """The sub-scores of the suites that have some."""
    if name == "grounding":
        return dict(grounding_figures(scores))
    if name != "audit":
        return {}
    found = audit_figures(scores)
    sides = {"both sides": found.paired, "flagged": found.flagged, "cleared": found.cleared}
    return {side: rate for side, rate in sides.items() if rate is not None}


def _figures(name: str, results: Sequence[SuiteResult]) -> Examined:
    result = results[0]
    families = {
        family: wilson(sum(s.ok for s in some), len(some))
        for family in result.families
        if (some := [s for s in result.scores if s.family == family])
    }
    rate = wilson(result.passed, result.n)
    if len(results) == 1:
        return Examined(name, rate, families)
    pairs = pair(results[1], result)
    before, after = [a.ok for a, _ in pairs], [b.ok for _, b in pairs]
    clusters = [a.cluster for a, _ in pairs]
    gap = paired_bootstrap(before, after, clusters=clusters)
    test = mcnemar(*discordant(before, after))
    return Examined(name, rate, families, wilson(sum(before), len(before)), gap, test)

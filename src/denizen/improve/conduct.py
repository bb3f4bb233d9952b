"""Conduct: what the gate asks beyond DeFi, of the base and of every file that might ship.

Contract: behaviour suites and public general sets.  What forgives nothing needs no base; what is
compared is asked of the base too, by its own GGUF if it has one.  Each is a stage of its own, so a
further suite asks nothing again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from denizen.evaluate import SuiteResult, read_scores
from denizen.evaluate.gate import BehaviourScores
from denizen.evaluate.general import GeneralItem, chosen_sets, read_sets
from denizen.evaluate.integrity import canary_suite
from denizen.evaluate.suites import Behaviour, behaviours, memorisation_suite, take
from denizen.improve.asking import Asked, Setting, ask_sets, ask_suite
from denizen.improve.lessons import questions, recall
from denizen.improve.scoring import system_of
from denizen.project import content_hash
from denizen.project.store import StageRecord

if TYPE_CHECKING:
    from denizen.improve.mainline import MainLine

PUBLIC = "public sets"
# The suite that is made of the training rows themselves.
REMEMBERED = "memorisation"
# The suite that begins the exam's canary and looks whether the model goes on.
PROBED = "canary"


def suites_of(names: str, count: int) -> tuple[Behaviour, ...]:
    """The suites that `evaluate.suites` names, `count` cases each at most; raises DataError."""
    listed = _listed(names)
    known = [name for name in listed if name not in (REMEMBERED, PROBED)]
    chosen = behaviours(None if listed == ["all"] else known)
    return tuple(take(suite, count) for suite in chosen)


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def sets_of(place: str, count: int, run_code: bool = False) -> dict[str, tuple[GeneralItem, ...]]:
    """The public sets that `evaluate.public_sets` names; programs are run only if allowed."""
    if not place:
        return {}
    chosen = chosen_sets(run_code=run_code)
    return read_sets(chosen, "hub" if place == "hub" else Path(place), limit=count)


class Conduct:
    """The behaviour suites and public sets of a main line."""

    def __init__(self, line: MainLine) -> None:
        self.line = line
        evaluate = line.config.evaluate
        # Named wrongly, they are refused here, before anything is made.
        self.suites = suites_of(evaluate.suites, evaluate.suite_cases)
        self._of_rows = bool({"all", REMEMBERED} & set(_listed(evaluate.suites)))
        self._of_exam = bool({"all", PROBED} & set(_listed(evaluate.suites)))
        self.sets: Mapping[str, Sequence[GeneralItem]] = sets_of(
            evaluate.public_sets, evaluate.public_items, evaluate.run_code
        )

    def ask(self) -> StageRecord:
        """Every suite and set of every system."""
        line, systems = self.line, self._systems()
        evaluate = line.config.evaluate
        setting = Setting(line.base, line.config.export.context, evaluate.batch, evaluate.run_code)
        if self._of_rows:
            self.suites = (*self.suites, self._remembered())
        if self._of_exam:
            self.suites = (*self.suites, canary_suite(line.canaries))
        for suite in self.suites:
            for name, system in systems.items():
                if name == "base" and suite.rule != "noninferior":
                    continue
                stage = f"{suite.name} {name}"
                line.done[stage] = ask_suite(line.stages, stage, system, suite, setting)
        if self.sets:
            for name, system in systems.items():
                stage = f"{PUBLIC} {name}"
                line.done[stage] = ask_sets(line.stages, stage, system, self.sets, setting)
        asked = {s.name: len(s.cases) for s in self.suites}
        if self.sets:
            asked[PUBLIC] = sum(map(len, self.sets.values()))
        figures = {"asked": asked, "systems": list(systems)}
        inputs = {"asked": content_hash(figures)}
        return line.stages.do("conduct", inputs, 1, lambda bar: ({}, figures))

    def scores(self, rung: str) -> list[BehaviourScores]:
        """What the gate reads of a rung ("shipped", or a quantisation beside it)."""
        tail = "" if rung == "shipped" else f" {rung}"
        found = [
            BehaviourScores(
                suite.name + tail,
                suite.rule,
                base=self._folded(suite, "base") if suite.rule == "noninferior" else None,
                candidate=self._folded(suite, rung),
                margin=suite.margin,
                floor=suite.floor,
            )
            for suite in self.suites
        ]
        if self.sets:
            found.append(
                BehaviourScores(
                    PUBLIC + tail,
                    "noninferior",
                    base=self.result(PUBLIC, "base"),
                    candidate=self.result(PUBLIC, rung),
                    margin=self.line.config.evaluate.public_margin,
                )
            )
        return found

    def result(self, suite: str, name: str) -> SuiteResult:
        """A system's scores on a suite, or on the public sets."""
        stage = self.line.done[f"{suite} {name}"]
        return read_scores(self.line.stages.artefact(stage, "scores").path)

    def _remembered(self) -> Behaviour:
        """Whether training rows come out again, asked with their own beginnings."""
        line = self.line
        path = line.stages.artefact(line.done["data"], "rows").path
        texts = [_whole(row) for row in questions(recall(path, line.config))]
        suite = memorisation_suite(texts, line.config.data.seed)
        return take(suite, line.config.evaluate.suite_cases)

    def _folded(self, suite: Behaviour, name: str) -> SuiteResult:
        return suite.fold(self.result(suite.name, name))

    def _systems(self) -> dict[str, Asked]:
        exporting, files = self.line.exporting, self.line.files
        first, *others = exporting.rungs
        found = {"base": Asked(system_of("base"), files.gguf or self.line.base, files.hash)}
        for name, quant in (("shipped", first), *((quant, quant) for quant in others)):
            gguf = exporting.gguf(quant)
            found[name] = Asked(system_of(name), gguf.path, gguf.hash)
        return found


def _whole(row: Any) -> str:
    """A training row's question and its answer, whatever it was learnt from."""
    said = getattr(row, "messages", ()) or getattr(row, "chosen", ())
    said = said or getattr(row, "completion", ())
    answers = [m["content"] for m in said if m["role"] == "assistant"]
    return "\n".join([row.question, *answers])

"""Gating: a counted look, every comparison, one verdict, on the very files that ship.

Contract: a look at the holdout is entered in the workspace's ledger before the candidate is scored.
The verdict covers all files of the release: the one that ships is compared with the base, the last
release and the merged model; every other rung of the ladder with the merged model; and each is held
to the behaviour suites and the general questions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from denizen.data.holdout import PARTS
from denizen.evaluate import GateVerdict, gate, general_suite
from denizen.evaluate.gate import BehaviourScores
from denizen.evaluate.integrity import exam_of
from denizen.evaluate.looks import Look, LookLedger
from denizen.evaluate.spending import Schedule
from denizen.models import SYSTEM
from denizen.project import (
    Bar,
    Config,
    ConfigError,
    Workspace,
    content_hash,
    source_hash,
)
from denizen.project.store import StageRecord
from denizen.tasks import Item, suite_of

if TYPE_CHECKING:
    from denizen.improve.mainline import MainLine


class Gating:
    """The look and the verdict of a main line."""

    def __init__(self, line: MainLine) -> None:
        self.line = line
        self.looked: Look | None = None
        known = {"overall", *(item.family for item in line.holdout)}
        for subject, floor in line.config.evaluate.floors.items():
            if subject not in known or not 0 < floor < 1:
                raise ConfigError(
                    f"no floor can be {floor:g} for {subject!r}",
                    where="evaluate.floors",
                    fix=f"a share between 0 and 1 of {', '.join(sorted(known))}",
                )

    @property
    def ledger(self) -> LookLedger:
        return LookLedger(self.line.workspace.path("looks"))

    def level(self) -> float:
        """Alpha of the next look at this exam: what its power is told at beforehand."""
        evaluate = self.line.config.evaluate
        number = len(self.ledger.looks(self.exam_hash)) + 1
        # A plan that is used up is refused when the look is counted, unless it is a repeated one.
        return Schedule(evaluate.alpha, evaluate.looks or None).level(number) or evaluate.alpha

    @property
    def exam_hash(self) -> str:
        """The whole frozen exam: a sample of it, or some of its families, is a look at it."""
        return exam_key(self.line.config, self.line.holdout)

    def look(self) -> StageRecord:
        """Count the look, then score what is to ship; dev items are looked at freely."""
        line = self.line
        if line.exam == "holdout":
            evaluate = line.config.evaluate
            gguf = line.exporting.gguf(line.exporting.rungs[0])
            scoring = content_hash([line.sample_hash, SYSTEM, evaluate.max_new_tokens])
            self.looked = self.ledger.look(
                self.exam_hash,
                gguf.hash,
                schedule=Schedule(evaluate.alpha, evaluate.looks or None),
                scoring=scoring,
                witnesses=self._witnesses(),
            )
            if self.looked.number > 1 and not self.looked.repeated:
                line.say(
                    f"look {self.looked.number} at this holdout: alpha {self.looked.alpha:.4f}, "
                    f"{self.looked.left:.4f} left"
                )
        return line.scoring.shipped()

    def judge(self) -> StageRecord:
        """The gate's stage."""
        line = self.line
        inputs = self._inputs()

        def body(bar: Bar) -> Any:
            verdict = self.compare("shipped")
            text = json.dumps(verdict.to_dict(), indent=1)
            made = line.store.put_text("verdict", "verdict.json", text, inputs)
            bar.update(1, verdict.status.value)
            return {"verdict": made}, {"status": verdict.status.value, "alpha": verdict.alpha}

        return line.stages.do("gate", inputs, 1, body)

    def compare(self, rung: str) -> GateVerdict:
        """The verdict on a scored rung, with every other file of the release."""
        line, scoring, evaluate = self.line, self.line.scoring, self.line.config.evaluate
        others = line.exporting.rungs[1:]
        behaviours: list[BehaviourScores] = list(line.conduct.scores(rung))
        for quant in others:
            behaviours += line.conduct.scores(quant)
            behaviours.append(
                BehaviourScores(
                    f"forgetting {quant}",
                    "noninferior",
                    base=general_suite(scoring.general("base"), "base"),
                    candidate=general_suite(scoring.general(quant), quant),
                    margin=evaluate.forgetting_margin,
                )
            )
        return gate(
            scoring.result("base"),
            scoring.result(rung),
            alpha=evaluate.alpha,
            previous=scoring.result("previous") if scoring.scored("previous") else None,
            previous_margin=evaluate.previous_margin,
            reference=scoring.result("merged"),
            quants={quant: scoring.result(quant) for quant in others},
            quant_margin=line.config.export.quant_margin,
            forgetting=(scoring.general("base"), scoring.general(rung)),
            forgetting_margin=evaluate.forgetting_margin,
            floors=evaluate.floors,
            behaviours=behaviours,
            further=[*line.judging.checks(), *line.auditing.checks()],
            look=self.looked,
        )

    def _inputs(self) -> dict[str, str]:
        line, evaluate = self.line, self.line.config.evaluate
        scored = {
            name: stage.outputs["scores"]
            for name, stage in line.done.items()
            if "scores" in stage.outputs
        }
        general = {n: s.outputs["general"] for n, s in line.done.items() if "general" in s.outputs}
        margins = (
            evaluate.alpha,
            evaluate.forgetting_margin,
            evaluate.previous_margin,
            line.config.export.quant_margin,
            evaluate.public_margin,
            line.config.judge.margin,
        )
        audits = [line.done[n].outputs for n in ("data", "judge", "audits") if n in line.done]
        return {
            "audits": content_hash([*audits, line.done["data"].figures.get("near")]),
            **{f"scores {name}": digest for name, digest in scored.items()},
            "general": content_hash(general),
            "settings": content_hash([margins, evaluate.floors, line.exporting.rungs]),
            "look": self.looked.entry if self.looked else "",
            "code": source_hash("evaluate"),
        }

    def _witnesses(self) -> list[str]:
        """The looks that earlier verdicts of this workspace name: none may be missing."""
        found = []
        for artefact in self.line.store.all():
            if artefact.kind == "verdict" and artefact.path.exists():
                try:
                    found.append(json.loads(artefact.path.read_text("utf-8")).get("look_hash", ""))
                except ValueError:
                    continue  # damaged: the store says so when it is used
        return found


def exam_key(config: Config, items: Sequence[Item]) -> str:
    """What the looks at an exam are counted under: all of it, whatever part is asked."""
    if not config.evaluate.holdout:
        return content_hash([sha256 for _, sha256 in PARTS.values()])
    return content_hash([item.to_json() for item in items])


def count_look(workspace: Workspace, config: Config, candidate: str, *, scoring: str) -> Look:
    """Count a look that something else than the gate takes; raises LedgerError."""
    evaluate = config.evaluate
    items = exam_of(evaluate.holdout, suite_of(config.data.families)).items
    return LookLedger(workspace.path("looks")).look(
        exam_key(config, items),
        candidate,
        schedule=Schedule(evaluate.alpha, evaluate.looks or None),
        scoring=scoring,
    )

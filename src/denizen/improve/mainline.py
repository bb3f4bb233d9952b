"""The main line: from real swaps to a proven specialist, stage by stage, resumable.

Contract: `run_mainline` builds verified rows, scores the base, trains, merges, exports, scores the
very GGUF that ships and the merged model, passes the gate and writes the report.  It stops after
`until`.  A release is promoted only on PASS; nothing of the holdout is read before the rows are
final, except to keep it out of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from denizen import __version__
from denizen.data import stratified
from denizen.data.build import draw_items
from denizen.evaluate import GateVerdict, PowerStatement, design_effect_of, power_statement
from denizen.evaluate.integrity import exam_of
from denizen.export import CardFacts, merge_adapter, model_card
from denizen.improve.auditing import Auditing
from denizen.improve.candidate import MADE_BY, adopt, find_candidate
from denizen.improve.conduct import Conduct
from denizen.improve.exporting import Exporting
from denizen.improve.gating import Gating
from denizen.improve.judging import Judging
from denizen.improve.learning import Learning
from denizen.improve.planting import check_plantable
from denizen.improve.scoring import Scoring
from denizen.improve.stages import Stages
from denizen.models import SYSTEM, checkpoint, ensure, find_model
from denizen.project import (
    Bar,
    Config,
    ConfigError,
    Run,
    Store,
    Workspace,
    atomic_write_text,
    content_hash,
    source_hash,
)
from denizen.project.machine import facts, peak_rss_bytes
from denizen.project.store import StageRecord
from denizen.protocols import load_swaps, swap_sample
from denizen.tasks import suite_of
from denizen.train.methods import find_adapter

STAGES = (
    "ground truth",
    "model",
    "data",
    "base score",
    "train",
    "merge",
    "export",
    # A look at the holdout is counted here, before anything that was trained is scored on it.
    "shipped score",
    "merged score",
    "conduct",
    "judge",
    "audits",
    "gate",
)


# Early stopping draws its own dev items from data.seed.
DEV_SEED = 7_919


@dataclass(frozen=True)
class Outcome:
    """What a whole run made."""

    run_id: str
    verdict: GateVerdict
    report: Path
    gguf: Path
    lines: tuple[str, ...]
    seconds: float


class MainLine:
    """One run of the main line over a workspace."""

    def __init__(
        self,
        workspace: Workspace,
        config: Config,
        *,
        full: bool = False,
        quiet: bool = False,
        command: str = "denizen quickstart",
        say: Callable[[str], None] = lambda _: None,
        exam: Literal["holdout", "dev"] = "holdout",
        candidate: str = "",
    ) -> None:
        """`exam`: what it is scored on; a line on dev items is for choosing, and ends unjudged.
        `candidate`: path or hash of a GGUF of the store to judge instead of making one."""
        self.workspace, self.config, self.say = workspace, config, say
        self.store = Store(workspace)
        self.run = Run.start(self.store, command, config.model_dump(mode="json"), facts())
        self.stages = Stages(self.run, self.store, quiet=quiet, say=say)
        self.entry = find_model(config.model.base)
        if exam == "holdout" and self.entry.purpose not in ("training", "bake-off"):
            raise ConfigError(
                f"{self.entry.id} is carried for {self.entry.purpose}s only",
                where="model.base",
                fix="choose a model that `denizen models list` marks as training",
            )
        self.suite = suite_of(config.data.families)
        found = exam_of(config.evaluate.holdout, self.suite)
        self.holdout, self.canaries = list(found.items), found.canaries
        items = self.holdout
        self.exam = exam
        if exam == "dev":
            drawn = draw_items(config.data.sample, DEV_SEED, items, suite=self.suite, split="dev")
            self.sample = drawn[0]
        else:
            self.sample = items if full else stratified(items, config.data.sample)
        self.sample_hash = content_hash([item.to_json() for item in self.sample])
        self.done: dict[str, StageRecord] = {}
        self._candidate = find_candidate(self, candidate) if candidate else None
        self.learning, self.scoring = Learning(self), Scoring(self)
        self.exporting, self.conduct = Exporting(self), Conduct(self)
        self.judging, self.auditing = Judging(self), Auditing(self)
        self.gating = Gating(self)
        if config.evaluate.privacy:
            check_plantable(config.train.objective, config.train.data)

    def go(self, until: str = "gate") -> Outcome | None:
        """Run stages up to and with `until`; the Outcome if that is the last one."""
        if STAGES.index(until) > STAGES.index("train"):
            check_shippable(self.config)
        bodies: dict[str, Callable[[], StageRecord]] = {
            "ground truth": self._ground_truth,
            "model": self._model,
            "data": self.learning.data,
            "base score": self.scoring.base,
            "train": self.learning.train,
            "merge": self._merge,
            "export": self.exporting.export,
            "shipped score": self.gating.look,
            "merged score": self.scoring.merged,
            "conduct": self.conduct.ask,
            "judge": self.judging.judge,
            "audits": self.auditing.audit,
            "gate": self.gating.judge,
        }
        try:
            if self.exam == "holdout" and STAGES.index(until) >= STAGES.index("base score"):
                self.say(self.power(self.gating.level()).sentence)
            for name in STAGES:
                if self._candidate is not None and name in MADE_BY:
                    continue
                self.done[name] = bodies[name]()
                if name == "model" and self._candidate is not None:
                    adopt(self, self._candidate)
                if name == until:
                    break
        except KeyboardInterrupt:
            self.run.close("interrupted")
            raise
        except BaseException:
            self.run.close("failed")
            raise
        outcome = self._outcome() if until == "gate" else None
        self.run.close("done")
        return outcome

    def power(self, alpha: float) -> PowerStatement:
        """What this sample can show at a level, its templates counted."""
        effect = design_effect_of(item.cluster for item in self.sample)
        return power_statement(len(self.sample), alpha=alpha, design_effect=effect)

    # -- stages ---------------------------------------------------------------------------------

    def _ground_truth(self) -> StageRecord:
        inputs = {"sample": swap_sample.SHA256, "code": source_hash("protocols")}

        def body(bar: Bar) -> Any:
            swaps = load_swaps()
            exact = 0
            for swap in swaps:
                exact += swap_sample.reproduced(swap)
                bar.advance(1)
            figures = {
                "swaps": len(swaps),
                "reproduced": exact,
                "first_block": swaps[0].block_number,
                "last_block": swaps[-1].block_number,
            }
            bar.update(len(swaps), f"{exact}/{len(swaps)} real swaps reproduced exactly")
            return {}, figures

        return self.stages.do("ground truth", inputs, len(load_swaps()), body)

    def _model(self) -> StageRecord:
        package = self.entry.package
        pin = package.sha256 if package else self.entry.hub_revision
        inputs = {"model": self.entry.id, "pin": pin, "source": self.config.model.source}
        files = ensure(self.entry, self.config.model.source, say=self.say)

        def body(bar: Bar) -> Any:
            bar.update(0.1, "reading the base model")
            checkpoint(files)
            return {}, {"hash": files.hash, "parameters": self.entry.parameters}

        record = self.stages.do("model", inputs, 1, body)
        self.files, self.base = files, checkpoint(files)
        return record

    def _merge(self) -> StageRecord:
        adapter = self.stages.artefact(self.done["train"], "adapter")
        inputs = {"adapter": adapter.hash, "base": self.files.hash, "code": source_hash("export")}

        def body(bar: Bar) -> Any:
            with self.store.making("merged", "merged", inputs) as (path, made):
                path.mkdir()
                merge_adapter(self.base, adapter.path, path, base_hash=self.files.hash)
            return {"merged": made[0]}, {}

        return self.stages.do("merge", inputs, 1, body)

    # -- closing --------------------------------------------------------------------------------

    def _outcome(self) -> Outcome:
        from denizen.evaluate import closing_lines, write_report
        from denizen.improve.release import promote
        from denizen.improve.reporting import report_data

        verdict_path = self.stages.artefact(self.done["gate"], "verdict").path
        verdict = GateVerdict.from_dict(json.loads(verdict_path.read_text("utf-8")))
        gguf = self.stages.artefact(self.done["export"], "gguf")
        seconds = sum(stage.seconds for stage in self.done.values())
        self.run.record.machine["peak_memory_gib"] = round(peak_rss_bytes() / 2**30, 2)
        data = report_data(self, verdict, gguf, seconds)
        folder = self.workspace.path("runs", self.run.record.id)
        write_report(folder / "report.html", data)
        write_report(self.workspace.path("report.html"), data)
        facts_of_card = CardFacts(
            base_model=self.entry.hub_repo,
            license=self.entry.licence,
            name=self.config.name,
            files=[self.exporting.gguf(quant).path.name for quant in self.exporting.rungs],
            system=SYSTEM,
        )
        card = model_card(json.loads(data.to_json()), facts_of_card)
        atomic_write_text(folder / "MODEL_CARD.md", card)
        atomic_write_text(gguf.path.parent / "README.md", card)
        if verdict.exit_code == 0:
            scores = self.stages.artefact(self.done["shipped score"], "scores")
            promote(self.workspace, gguf, scores, self.run.record.id, __version__)
        return Outcome(
            self.run.record.id,
            verdict,
            self.workspace.path("report.html"),
            gguf.path,
            tuple(closing_lines(data)),
            seconds,
        )


def check_shippable(config: Config) -> None:
    """Refuse, before the hours are spent, what cannot be merged and shipped."""
    if config.train.objective == "reward":
        raise ConfigError(
            "a reward model answers nothing: there is nothing to score or ship",
            where="train.objective",
            fix="make it with `denizen train`, and judge with it: rl.reward_model",
        )
    if not find_adapter(config.adapter.method).mergeable:
        raise ConfigError(
            f"a {config.adapter.method} adapter has no form as plain weights to score and ship",
            where="adapter.method",
            fix="stop at `denizen train`, or choose another method",
        )


def run_mainline(
    workspace: Workspace, config: Config, *, until: str = "gate", **options: Any
) -> Outcome | None:
    """Run the main line while holding the workspace."""
    with workspace.locked():
        return MainLine(workspace, config, **options).go(until)

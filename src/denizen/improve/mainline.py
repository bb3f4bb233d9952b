"""The main line: from real swaps to a proven specialist, stage by stage, resumable.

Contract: `run_mainline` builds verified rows, scores the base, trains, merges, scores, exports,
scores the very GGUF that ships, passes the gate and writes the report.  It stops after `until`.  A
release is promoted only on PASS; nothing of the holdout is read before the rows are final, except
to keep it out of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from denizen import __version__
from denizen.data import build_rows, check_leaks, load_holdout, read_rows, stratified, write_jsonl
from denizen.evaluate import (
    GateVerdict,
    GeneralScores,
    SuiteResult,
    gate,
    read_scores,
    run_suite,
    score_general,
    write_scores,
)
from denizen.export import Rounding, merge_adapter, modelfile, prove_tokens, write_gguf
from denizen.improve.stages import Stages
from denizen.models import (
    SYSTEM,
    Generator,
    LlamaEngine,
    checkpoint,
    conversation,
    ensure,
    find_model,
    load_model,
    load_tokenizer,
    render_prompt,
)
from denizen.project import (
    Artefact,
    Bar,
    Config,
    ConfigError,
    Run,
    Store,
    Workspace,
    content_hash,
    source_hash,
)
from denizen.project.machine import facts, peak_rss_bytes
from denizen.project.store import StageRecord
from denizen.protocols import load_swaps, swap_sample
from denizen.tasks import suite_of, verify
from denizen.train import ChoiceCut, Job, fine_tune, rendered_example, tabulate

STAGES = (
    "ground truth",
    "model",
    "data",
    "base score",
    "train",
    "merge",
    "merged score",
    "export",
    "shipped score",
    "gate",
)


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
    ) -> None:
        self.workspace, self.config, self.say = workspace, config, say
        self.store = Store(workspace)
        self.run = Run.start(self.store, command, config.model_dump(mode="json"), facts())
        self.stages = Stages(self.run, self.store, quiet=quiet, say=say)
        self.entry = find_model(config.model.base)
        if self.entry.purpose != "training":
            raise ConfigError(
                f"{self.entry.id} is carried for {self.entry.purpose}s only",
                where="model.base",
                fix="choose a model that `denizen models list` marks as training",
            )
        self.suite = suite_of(config.data.families)
        self.holdout = items = load_holdout(self.suite.names)
        self.sample = items if full else stratified(items, config.data.sample)
        self.sample_hash = content_hash([item.to_json() for item in self.sample])
        self.done: dict[str, StageRecord] = {}

    def go(self, until: str = "gate") -> Outcome | None:
        """Run stages up to and with `until`; the Outcome if that is the last one."""
        bodies: dict[str, Callable[[], StageRecord]] = {
            "ground truth": self._ground_truth,
            "model": self._model,
            "data": self._data,
            "base score": self._base_score,
            "train": self._train,
            "merge": self._merge,
            "merged score": self._merged_score,
            "export": self._export,
            "shipped score": self._shipped_score,
            "gate": self._gate,
        }
        try:
            for name in STAGES:
                self.done[name] = bodies[name]()
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

    def _data(self) -> StageRecord:
        data = self.config.data
        inputs = {
            "rows": str(data.rows),
            "seed": str(data.seed),
            "near_match": str(data.near_match),
            "families": ",".join(self.suite.names),
            "holdout": content_hash([i.to_json() for i in self.holdout]),
            "system": SYSTEM,
            "code": source_hash("protocols", "tasks", "data"),
        }

        def body(bar: Bar) -> Any:
            rows, report = build_rows(
                data.rows,
                data.seed,
                self.holdout,
                suite=self.suite,
                system=SYSTEM,
                on_row=bar.advance,
            )
            leaks = check_leaks(rows, self.holdout, data.near_match)
            with self.store.making("rows", "train.jsonl", inputs, asdict(report)) as (path, made):
                write_jsonl(path, rows)
            figures = {"build": asdict(report), "leaks": asdict(leaks)}
            bar.update(data.rows, f"{len(rows)} rows, {report.templates} templates")
            return {"rows": made[0]}, figures

        return self.stages.do("data", inputs, data.rows, body)

    def _base_score(self) -> StageRecord:
        # The same prompt and the same grammar as the specialist: only the weights differ.
        inputs = self._score_inputs(self.files.hash, SYSTEM)

        def body(bar: Bar) -> Any:
            return self._score_checkpoint(self.base, "base", self.files.hash, SYSTEM, inputs, bar)

        return self.stages.do("base score", inputs, len(self.sample) * 1.2, body)

    def _train(self) -> StageRecord:
        rows_artefact = self.stages.artefact(self.done["data"], "rows")
        inputs = {
            "rows": rows_artefact.hash,
            "base": self.files.hash,
            "train": content_hash(
                [
                    section.model_dump(mode="json")
                    for section in (
                        self.config.adapter,
                        self.config.train,
                        self.config.preference,
                        self.config.rl,
                        self.config.guard,
                    )
                ]
            ),
            "seed": str(self.config.data.seed),
            "quant": self.config.export.quant,
            "code": source_hash("train", "models", "tasks", "export"),
        }

        def body(bar: Bar) -> Any:
            rows = read_rows(rows_artefact.path)
            # Checked again here: this is where a leak would do its harm.
            check_leaks(rows, self.holdout, self.config.data.near_match)
            tokenizer = load_tokenizer(self.base)
            rendered, ledger = tabulate(
                tokenizer,
                [row.messages for row in rows],
                max_length=self.config.train.max_length,
                drop_budget=self.config.train.drop_budget,
                cut=ChoiceCut(
                    tokenizer, self.suite, self.config.train.choice_cut, self.config.data.seed
                ),
            )

            def on_step(step: int, total: int, point: Any) -> None:
                text = f"loss {point.loss:.3f}, {point.tokens_per_second:.0f} tokens/s"
                bar.update(step / total, text)

            with self.store.making("adapter", "adapter", inputs) as (path, made):
                job = Job(
                    base=self.base,
                    base_hash=self.files.hash,
                    examples=[rendered_example(row) for row in rendered],
                    config=self.config,
                    work=self.stages.work_dir("train", inputs),
                    adapter=path,
                    supervised_share=ledger.supervised_share,
                    rounding=self._rounding(),
                )
                result = fine_tune(job, on_step)
            figures = {"ledger": ledger.to_json(), "training": asdict(result)}
            return {"adapter": made[0]}, figures

        return self.stages.do("train", inputs, 1, body)

    def _rounding(self) -> Rounding:
        """What the export will do to each weight."""
        layers = json.loads((self.base / "config.json").read_text("utf-8"))["num_hidden_layers"]
        return Rounding(self.config.export.quant, layers)

    def _merge(self) -> StageRecord:
        adapter = self.stages.artefact(self.done["train"], "adapter")
        inputs = {"adapter": adapter.hash, "base": self.files.hash, "code": source_hash("export")}

        def body(bar: Bar) -> Any:
            with self.store.making("merged", "merged", inputs) as (path, made):
                path.mkdir()
                merge_adapter(self.base, adapter.path, path, base_hash=self.files.hash)
            return {"merged": made[0]}, {}

        return self.stages.do("merge", inputs, 1, body)

    def _merged_score(self) -> StageRecord:
        merged = self.stages.artefact(self.done["merge"], "merged")
        inputs = self._score_inputs(merged.hash, SYSTEM)

        def body(bar: Bar) -> Any:
            return self._score_checkpoint(
                merged.path, "specialist (merged)", merged.hash, SYSTEM, inputs, bar
            )

        return self.stages.do("merged score", inputs, len(self.sample) * 1.2, body)

    def _export(self) -> StageRecord:
        merged = self.stages.artefact(self.done["merge"], "merged")
        export = self.config.export
        inputs = {
            "merged": merged.hash,
            "quant": export.quant,
            "context": str(export.context),
            "code": source_hash("export", "models"),
        }

        def body(bar: Bar) -> Any:
            name = f"denizen-{self.entry.id}.{export.quant.upper()}.gguf"
            with self.store.making("gguf", name, inputs) as (path, made):
                counts = write_gguf(
                    merged.path,
                    path,
                    quant=export.quant,
                    name=f"denizen-{self.entry.id}",
                    base_gguf=self.files.gguf,
                    context=export.context,
                    on_tensor=lambda done, total: bar.update(0.7 * done / total),
                )
            gguf = made[0]
            text = modelfile(name, SYSTEM, context=export.context)
            (gguf.path.parent / "Modelfile").write_text(text, "utf-8")
            recipe = self.store.put_text("modelfile", "Modelfile", text, {"gguf": gguf.hash})
            bar.update(0.8, "proving token parity")
            engine = LlamaEngine(gguf.path, context=export.context)
            proof = prove_tokens(load_tokenizer(merged.path), engine)
            engine.close()
            figures = {
                "tensors": counts,
                "bytes": gguf.path.stat().st_size,
                "parity": proof._asdict(),
            }
            return {"gguf": gguf, "modelfile": recipe}, figures

        return self.stages.do("export", inputs, 1, body)

    def _shipped_score(self) -> StageRecord:
        gguf = self.stages.artefact(self.done["export"], "gguf")
        inputs = self._score_inputs(gguf.hash, SYSTEM)

        def body(bar: Bar) -> Any:
            engine = LlamaEngine(gguf.path, context=self.config.export.context)
            tokenizer = load_tokenizer(self.base)
            limit = self.config.evaluate.max_new_tokens

            def answer(batch: Any) -> list[str]:
                prompts, grammars = self._prompts(tokenizer, batch, SYSTEM)
                return engine.answer(prompts, grammars, max_new_tokens=limit, on_done=bar.advance)

            result = self._suite("specialist (GGUF)", gguf.hash, answer, inputs, bar, batch=8)
            engine.close()
            return self._scores("shipped", result, inputs, None)

        return self.stages.do("shipped score", inputs, len(self.sample), body)

    def _gate(self) -> StageRecord:
        base, merged, shipped = (self._result(n) for n in ("base", "merged", "shipped"))
        before, after = (self._general(n) for n in ("base", "merged"))
        previous = self._previous(shipped)
        evaluation = self.config.evaluate
        inputs = {
            "base": base.hash(),
            "merged": merged.hash(),
            "shipped": shipped.hash(),
            "previous": previous.hash() if previous else "",
            "general": content_hash([before.to_dict(), after.to_dict()]),
            "settings": content_hash(
                [evaluation.alpha, evaluation.forgetting_margin, self.config.export.quant_margin]
            ),
            "code": source_hash("evaluate"),
        }

        def body(bar: Bar) -> Any:
            verdict = gate(
                base,
                shipped,
                alpha=evaluation.alpha,
                previous=previous,
                reference=merged,
                quant_margin=self.config.export.quant_margin,
                forgetting=(before, after),
                forgetting_margin=evaluation.forgetting_margin,
            )
            text = json.dumps(verdict.to_dict(), indent=1)
            made = self.store.put_text("verdict", "verdict.json", text, inputs)
            bar.update(1, verdict.status.value)
            return {"verdict": made}, {"status": verdict.status.value}

        return self.stages.do("gate", inputs, 1, body)

    # -- scoring --------------------------------------------------------------------------------

    def _score_inputs(self, model_hash: str, system: str) -> dict[str, str]:
        return {
            "model": model_hash,
            "items": self.sample_hash,
            "prompt": content_hash(system),
            "tokens": str(self.config.evaluate.max_new_tokens),
            "code": source_hash("tasks", "protocols", "models"),
        }

    def _prompts(self, tokenizer: Any, items: Any, system: str) -> tuple[list[str], list[str]]:
        prompts = [render_prompt(tokenizer, conversation(i.prompt, system=system)) for i in items]
        return prompts, [self.suite.grammar(item.prompt) for item in items]

    def _score_checkpoint(
        self,
        folder: Path,
        system_name: str,
        digest: str,
        system: str,
        inputs: Mapping[str, str],
        bar: Bar,
    ) -> Any:
        """Score a transformers folder on the holdout sample and the general questions."""
        model, tokenizer = load_model(folder), load_tokenizer(folder)
        generator = Generator(model, tokenizer)
        size = self.config.evaluate.batch

        def answer(batch: Any) -> list[str]:
            prompts, grammars = self._prompts(tokenizer, batch, system)
            return generator.answer(
                prompts,
                grammars,
                max_new_tokens=self.config.evaluate.max_new_tokens,
                batch=size,
                on_done=bar.advance,
            )

        result = self._suite(system_name, digest, answer, inputs, bar, batch=2 * size)
        bar.update(len(self.sample), f"{result.accuracy:.1%} exact; general questions")
        general = score_general(model, tokenizer)
        right = sum(general.ok) / len(general.ok)
        bar.update(bar.total, f"{result.accuracy:.1%} exact, general {right:.0%}")
        name = "base" if system_name == "base" else "merged"
        return self._scores(name, result, inputs, general)

    def _suite(
        self,
        system: str,
        digest: str,
        answer: Any,
        inputs: Mapping[str, str],
        bar: Bar,
        *,
        batch: int,
    ) -> SuiteResult:
        partial = self.stages.work_dir(system, inputs) / "partial.jsonl"
        # Sorted by length, so that a batch holds prompts of like length.
        order = sorted(self.sample, key=lambda item: len(item.prompt))

        def progress(done: int, total: int) -> None:
            bar.update(done, f"{done}/{total}")

        return run_suite(
            order,
            answer,
            verify,
            system,
            artefact=digest,
            batch=batch,
            partial=partial,
            progress=progress,
        )

    def _scores(
        self,
        name: str,
        result: SuiteResult,
        inputs: Mapping[str, str],
        general: GeneralScores | None,
    ) -> tuple[dict[str, Artefact], dict[str, Any]]:
        with self.store.making("scores", f"{name}.jsonl", inputs) as (path, made):
            write_scores(path, result)
        outputs = {"scores": made[0]}
        if general is not None:
            text = json.dumps(general.to_dict())
            outputs["general"] = self.store.put_text("general", f"{name}.json", text, inputs)
        return outputs, {"accuracy": round(result.accuracy, 4), "n": result.n}

    def _result(self, name: str) -> SuiteResult:
        return read_scores(self.stages.artefact(self.done[f"{name} score"], "scores").path)

    def _general(self, name: str) -> GeneralScores:
        artefact = self.stages.artefact(self.done[f"{name} score"], "general")
        return GeneralScores.from_dict(json.loads(artefact.path.read_text("utf-8")))

    def _previous(self, shipped: SuiteResult) -> SuiteResult | None:
        """The last release's scores, if it is another file scored on the same items."""
        from denizen.improve.release import current_release

        release = current_release(self.workspace)
        if release is None or release.gguf_hash == shipped.artefact:
            return None
        known = {a.hash: a for a in self.store.all()}
        artefact = known.get(release.scores_hash)
        if artefact is None:
            return None
        scores = read_scores(artefact.verified().path)
        same = {s.item_id for s in scores.scores} == {s.item_id for s in shipped.scores}
        return scores if same else None

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


def run_mainline(
    workspace: Workspace, config: Config, *, until: str = "gate", **options: Any
) -> Outcome | None:
    """Run the main line while holding the workspace."""
    with workspace.locked():
        return MainLine(workspace, config, **options).go(until)

"""Scoring: the base, the merged model and the very GGUF that ships, on one sample of the holdout.

Contract: all three see the same prompts under the same grammars, so only the weights differ; each
score is a stage, resumable from a partial file, and the first two also answer the general
questions that show forgetting.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from denizen.evaluate import (
    GeneralScores,
    SuiteResult,
    read_scores,
    run_suite,
    score_general,
    write_scores,
)
from denizen.models import (
    SYSTEM,
    Generator,
    LlamaEngine,
    conversation,
    load_model,
    load_tokenizer,
    render_prompt,
)
from denizen.project import Artefact, Bar, content_hash, source_hash
from denizen.project.store import StageRecord
from denizen.tasks import verify

if TYPE_CHECKING:
    from denizen.improve.mainline import MainLine


class Scoring:
    """The scoring stages of a main line."""

    def __init__(self, line: MainLine) -> None:
        self.line = line

    def base(self) -> StageRecord:
        # The same prompt and the same grammar as the specialist: only the weights differ.
        inputs = self.inputs(self.line.files.hash, SYSTEM)

        def body(bar: Bar) -> Any:
            return self._score_checkpoint(
                self.line.base, "base", self.line.files.hash, SYSTEM, inputs, bar
            )

        return self.line.stages.do("base score", inputs, len(self.line.sample) * 1.2, body)

    def merged(self) -> StageRecord:
        merged = self.line.stages.artefact(self.line.done["merge"], "merged")
        inputs = self.inputs(merged.hash, SYSTEM)

        def body(bar: Bar) -> Any:
            return self._score_checkpoint(
                merged.path, "specialist (merged)", merged.hash, SYSTEM, inputs, bar
            )

        return self.line.stages.do("merged score", inputs, len(self.line.sample) * 1.2, body)

    def shipped(self) -> StageRecord:
        gguf = self.line.stages.artefact(self.line.done["export"], "gguf")
        inputs = self.inputs(gguf.hash, SYSTEM)

        def body(bar: Bar) -> Any:
            engine = LlamaEngine(gguf.path, context=self.line.config.export.context)
            tokenizer = load_tokenizer(self.line.base)
            limit = self.line.config.evaluate.max_new_tokens

            def answer(batch: Any) -> list[str]:
                prompts, grammars = self._prompts(tokenizer, batch, SYSTEM)
                return engine.answer(prompts, grammars, max_new_tokens=limit, on_done=bar.advance)

            result = self._suite("specialist (GGUF)", gguf.hash, answer, inputs, bar, batch=8)
            engine.close()
            return self._scores("shipped", result, inputs, None)

        return self.line.stages.do("shipped score", inputs, len(self.line.sample), body)

    def inputs(self, model_hash: str, system: str) -> dict[str, str]:
        return {
            "model": model_hash,
            "items": self.line.sample_hash,
            "prompt": content_hash(system),
            "tokens": str(self.line.config.evaluate.max_new_tokens),
            "code": source_hash("tasks", "protocols", "models"),
        }

    def _prompts(self, tokenizer: Any, items: Any, system: str) -> tuple[list[str], list[str]]:
        prompts = [render_prompt(tokenizer, conversation(i.prompt, system=system)) for i in items]
        return prompts, [self.line.suite.grammar(item.prompt) for item in items]

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
        size = self.line.config.evaluate.batch

        def answer(batch: Any) -> list[str]:
            prompts, grammars = self._prompts(tokenizer, batch, system)
            return generator.answer(
                prompts,
                grammars,
                max_new_tokens=self.line.config.evaluate.max_new_tokens,
                batch=size,
                on_done=bar.advance,
            )

        result = self._suite(system_name, digest, answer, inputs, bar, batch=2 * size)
        bar.update(len(self.line.sample), f"{result.accuracy:.1%} exact; general questions")
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
        partial = self.line.stages.work_dir(system, inputs) / "partial.jsonl"
        # Sorted by length, so that a batch holds prompts of like length.
        order = sorted(self.line.sample, key=lambda item: len(item.prompt))

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
        with self.line.store.making("scores", f"{name}.jsonl", inputs) as (path, made):
            write_scores(path, result)
        outputs = {"scores": made[0]}
        if general is not None:
            text = json.dumps(general.to_dict())
            outputs["general"] = self.line.store.put_text("general", f"{name}.json", text, inputs)
        return outputs, {"accuracy": round(result.accuracy, 4), "n": result.n}

    def result(self, name: str) -> SuiteResult:
        return read_scores(
            self.line.stages.artefact(self.line.done[f"{name} score"], "scores").path
        )

    def general(self, name: str) -> GeneralScores:
        artefact = self._artefact(name, "general")
        return GeneralScores.from_dict(json.loads(artefact.path.read_text("utf-8")))

    def _artefact(self, name: str, output: str) -> Artefact:
        return self.line.stages.artefact(self.line.done[f"{name} score"], output)

    def previous(self, shipped: SuiteResult) -> SuiteResult | None:
        """The last release's scores, if it is another file scored on the same items."""
        from denizen.improve.release import current_release

        release = current_release(self.line.workspace)
        if release is None or release.gguf_hash == shipped.artefact:
            return None
        known = {a.hash: a for a in self.line.store.all()}
        artefact = known.get(release.scores_hash)
        if artefact is None:
            return None
        scores = read_scores(artefact.verified().path)
        same = {s.item_id for s in scores.scores} == {s.item_id for s in shipped.scores}
        return scores if same else None

"""Scoring: base, merged model, every GGUF of the ladder and the last release, on one sample.

Contract: all see the same prompts under the same grammars, so only the weights differ; each score
is a stage, resumable from a partial file.  A GGUF is answered by llama.cpp from the very file; the
last release is scored again whenever the sample is another than it was released on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from denizen.evaluate import (
    GeneralScores,
    Output,
    SuiteResult,
    read_scores,
    run_suite,
    score_general,
    score_many,
    write_scores,
)
from denizen.evaluate.general import LlamaScorer
from denizen.evaluate.general.loglikelihood import Pair
from denizen.improve.asking import ROWS
from denizen.improve.release import current_release
from denizen.models import (
    SYSTEM,
    BatchedLlama,
    Generator,
    conversation,
    load_model,
    load_tokenizer,
    render_prompt,
)
from denizen.project import Artefact, ArtefactError, Bar, content_hash, source_hash
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
        return self._checkpoint("base", self.line.base, self.line.files.hash)

    def merged(self) -> StageRecord:
        merged = self.line.stages.artefact(self.line.done["merge"], "merged")
        return self._checkpoint("merged", merged.path, merged.hash)

    def shipped(self) -> StageRecord:
        """Every rung of the ladder and the last release; the record of the file that ships."""
        first, *others = self.line.exporting.rungs
        record = self.file("shipped", self.line.exporting.gguf(first))
        for quant in others:
            self.line.done[f"{quant} score"] = self.file(quant, self.line.exporting.gguf(quant))
        if (release := self.last_release()) is not None:
            self.line.done["previous score"] = self.file(
                "previous", release, self._own_tokenizer(release)
            )
        return record

    def last_release(self) -> Artefact | None:
        """The released GGUF, if it is another file than the one that is to ship."""
        release = current_release(self.line.workspace)
        shipping = self.line.exporting.gguf(self.line.exporting.rungs[0])
        if release is None or release.gguf_hash == shipping.hash:
            return None
        try:
            return self.line.store.get(release.gguf_hash)
        except ArtefactError as error:
            raise ArtefactError(
                "the last release cannot be compared with: its file is gone or damaged",
                where=f"release.json names {release.gguf_hash[:12]}",
                fix="put the file back, or delete release.json to begin anew",
            ) from error

    def _own_tokenizer(self, release: Artefact) -> Path | None:
        """The folder of the release's own template if it stems from another base: asked under this
        one's it would lose by that alone.  Raises ArtefactError."""
        merged = release.inputs.get("merged")
        known = next((a for a in self.line.store.all() if a.hash == merged), None)
        if known is not None and known.inputs.get("base") == self.line.files.hash:
            return None
        if known is None:
            raise ArtefactError(
                "the last release cannot be asked fairly: nobody knows its base",
                where=f"release.json names {release.hash[:12]}",
                fix="put its merged model's record back, or delete release.json to begin anew",
            )
        return known.verified().path

    def file(self, name: str, gguf: Artefact, template: Path | None = None) -> StageRecord:
        """Score a GGUF of the store on the sample and the general questions.

        `template`: the folder whose chat template it is asked under, if not the base's.
        """
        inputs = self.inputs(gguf.hash)
        if template is not None:
            inputs["template"] = "its own"

        def body(bar: Bar) -> Any:
            engine = BatchedLlama(gguf.path, context=self.line.config.export.context, rows=ROWS)
            limit = self.line.config.evaluate.max_new_tokens

            tokenizer = load_tokenizer(template or self.line.base)

            def answer(batch: Any) -> list[Output]:
                prompts, grammars = self._prompts(tokenizer, batch)
                made = engine.answers(prompts, grammars, max_new_tokens=limit, on_done=bar.advance)
                return [Output(*one) for one in made]

            try:
                result = self._suite(system_of(name), gguf.hash, answer, inputs, bar, 4 * ROWS)
                bar.update(bar.total, f"{result.accuracy:.1%} exact; general questions")
                encode = engine.tokenize
                scorer = LlamaScorer(gguf.path, encode)

                def likely(items: list[list[tuple[tuple[int, ...], int]]]) -> list[list[float]]:
                    found = scorer.pairs([[Pair(*pair) for pair in item] for item in items])
                    return [[one.nats for one in item] for item in found]

                general = score_many(likely, encode)
                scorer.close()
            finally:
                engine.close()
            return self._scores(name, result, inputs, general, bar)

        return self.line.stages.do(f"{name} score", inputs, len(self.line.sample), body)

    def inputs(self, model_hash: str) -> dict[str, str]:
        return {
            "model": model_hash,
            "items": self.line.sample_hash,
            "prompt": content_hash(SYSTEM),
            "tokens": str(self.line.config.evaluate.max_new_tokens),
            "code": source_hash("tasks", "protocols", "models"),
        }

    def _prompts(self, tokenizer: Any, items: Any) -> tuple[list[str], list[str]]:
        prompts = [render_prompt(tokenizer, conversation(i.prompt)) for i in items]
        return prompts, [self.line.suite.grammar(item.prompt) for item in items]

    def _checkpoint(self, name: str, folder: Path, digest: str) -> StageRecord:
        """Score a transformers folder on the sample and the general questions."""
        inputs = self.inputs(digest)

        def body(bar: Bar) -> Any:
            model, tokenizer = load_model(folder), load_tokenizer(folder)
            generator = Generator(model, tokenizer)
            size = self.line.config.evaluate.batch

            def answer(batch: Any) -> list[str]:
                prompts, grammars = self._prompts(tokenizer, batch)
                return generator.answer(
                    prompts,
                    grammars,
                    max_new_tokens=self.line.config.evaluate.max_new_tokens,
                    batch=size,
                    on_done=bar.advance,
                )

            result = self._suite(system_of(name), digest, answer, inputs, bar, 2 * size)
            bar.update(len(self.line.sample), f"{result.accuracy:.1%} exact; general questions")
            return self._scores(name, result, inputs, score_general(model, tokenizer), bar)

        return self.line.stages.do(f"{name} score", inputs, len(self.line.sample) * 1.2, body)

    def _suite(
        self,
        system: str,
        digest: str,
        answer: Callable[[Sequence[Any]], Sequence[str | Output]],
        inputs: Mapping[str, str],
        bar: Bar,
        batch: int,
    ) -> SuiteResult:
        partial = self.line.stages.work_dir(system, inputs) / "partial.jsonl"
        # Sorted by length, so that a batch holds prompts of like length.
        order = sorted(self.line.sample, key=lambda item: len(item.prompt))
        return run_suite(
            order,
            answer,
            verify,
            system,
            artefact=digest,
            batch=batch,
            partial=partial,
            progress=lambda done, total: bar.update(done, f"{done}/{total}"),
        )

    def _scores(
        self,
        name: str,
        result: SuiteResult,
        inputs: Mapping[str, str],
        general: GeneralScores,
        bar: Bar | None = None,
    ) -> tuple[dict[str, Artefact], dict[str, Any]]:
        with self.line.store.making("scores", f"{name}.jsonl", inputs) as (path, made):
            write_scores(path, result)
        text = json.dumps(general.to_dict())
        kept = self.line.store.put_text("general", f"{name}.json", text, inputs)
        right = sum(general.ok) / len(general.ok)
        if bar is not None:
            bar.update(bar.total, f"{result.accuracy:.1%} exact, general {right:.0%}")
        figures = {"accuracy": round(result.accuracy, 4), "n": result.n, "general": round(right, 4)}
        return {"scores": made[0], "general": kept}, figures

    def result(self, name: str) -> SuiteResult:
        """The scores of `base`, `merged`, `shipped`, `previous` or a rung's quantisation."""
        return read_scores(self._artefact(name, "scores").path)

    def general(self, name: str) -> GeneralScores:
        """The same system's general questions."""
        path = self._artefact(name, "general").path
        return GeneralScores.from_dict(json.loads(path.read_text("utf-8")))

    def scored(self, name: str) -> bool:
        """Whether that system was scored in this run."""
        return f"{name} score" in self.line.done

    def _artefact(self, name: str, output: str) -> Artefact:
        return self.line.stages.artefact(self.line.done[f"{name} score"], output)


def system_of(name: str) -> str:
    """What reports call a scored system."""
    known = {
        "base": "base",
        "merged": "specialist (merged)",
        "shipped": "specialist (GGUF)",
        "previous": "previous release",
    }
    return known.get(name, f"specialist ({name.upper()})")

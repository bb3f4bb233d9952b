"""Learning: rows in, an adapter out, for whatever method the configuration names.

Contract: the data stage builds (or takes in) what the objective learns from and proves that it
does not meet the holdout; the train stage proves it again, renders, trains under the configured
guards and stores the adapter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from denizen.data import check_leaks, load_holdout
from denizen.data.canary import refuse_canaries
from denizen.data.near_duplicates import (
    STRICT,
    check_near_duplicates,
    without_near_duplicates,
)
from denizen.export import Rounding
from denizen.improve import lessons
from denizen.improve.forecasting import find_forecast
from denizen.improve.planting import plant
from denizen.models import SYSTEM, load_tokenizer
from denizen.models.embedder import Embedder
from denizen.models.embedding_cache import CachedEmbedder
from denizen.project import Bar, ConfigError, content_hash, sha256_file, source_hash
from denizen.project.store import StageRecord
from denizen.train import (
    DevelopmentSet,
    Example,
    Guard,
    Job,
    Ledger,
    ReplayRow,
    chosen_guards,
    examples_of,
    fine_tune,
    mix_replay,
    replay_count,
    replay_rows,
)
from denizen.train.forecast.score import score
from denizen.train.refusals import ONLINE

if TYPE_CHECKING:
    from denizen.improve.mainline import MainLine

# Answers of the base that the forgetting probe reads again at each save.
PROBED = 24


class Learning:
    """The data and training stages of a main line."""

    def __init__(self, line: MainLine) -> None:
        self.line = line
        # What no row may meet: of rows from outside, nobody knows what they were made for.
        self._exam = line.holdout
        if line.config.train.data:
            carried = load_holdout()
            self._exam = carried + [item for item in line.holdout if item not in carried]

    def data(self) -> StageRecord:
        """Rows for the objective, checked against the holdout."""
        line, config, data = self.line, self.line.config, self.line.config.data
        inputs = {
            "rows": str(data.rows),
            "seed": str(data.seed),
            "near_match": str(data.near_match),
            "families": ",".join(line.suite.names),
            "holdout": content_hash([i.to_json() for i in self._exam]),
            "system": SYSTEM,
            "objective": config.train.objective,
            "planted": str(config.evaluate.privacy),
            "embedder": data.embedder,
            "code": source_hash("protocols", "tasks", "data"),
        }
        if config.train.data:
            inputs["own"] = _hash_of(Path(config.train.data))

        def body(bar: Bar) -> Any:
            found = lessons.collect(config, line.suite, line.holdout, on_row=bar.advance)
            outputs = {}
            if config.evaluate.privacy:
                found, planted = plant(found, self._exam, data.near_match)
                for name, save in planted.items():
                    with line.store.making(name, f"{name}.json", inputs) as (path, made):
                        save(path)
                    outputs[name] = made[0]
            questions = lessons.questions(found.rows)
            leaks = check_leaks(questions, self._exam, data.near_match)
            refuse_canaries(found.rows, line.canaries)
            bar.update(data.rows, "comparing every row with the holdout")
            found, near = self._apart(found, questions)
            with line.store.making("rows", "train.jsonl", inputs, found.figures) as (path, made):
                lessons.keep(found, config, path)
            outputs["rows"] = made[0]
            figures = {"build": found.figures, "leaks": asdict(leaks), "near": near}
            templates = found.figures.get("templates")
            varied = f", {templates} templates" if templates else ""
            bar.update(data.rows, f"{len(found.rows)} rows{varied}")
            return outputs, figures

        return line.stages.do("data", inputs, data.rows, body)

    def _apart(self, found: lessons.Lessons, questions: list[Any]) -> tuple[lessons.Lessons, Any]:
        """The lessons without near duplicates of the exam, and the check's report as JSON.

        Rows that Denizen drew itself are left out if they come too near by chance; a row of the
        user's own is refused, for where it comes from there may be more.
        """
        embedder = self._embedder()
        if self.line.config.train.data:
            return found, check_near_duplicates(questions, self._exam, embedder, STRICT).to_json()
        kept, report = without_near_duplicates(questions, self._exam, embedder)
        figures = report.to_json()
        if report.clean:
            return found, figures
        ids = {question.id for question in kept}
        rows = [row for row in found.rows if getattr(row, "id", "") in ids]
        again = check_near_duplicates(lessons.questions(rows), self._exam, embedder).to_json()
        left_out = len(found.rows) - len(rows)
        sentence = f"{left_out} rows came too near the exam and were left out; {again['sentence']}"
        figures = {**again, "left_out": figures["refused"], "sentence": sentence}
        return lessons.Lessons(rows, {**found.figures, "left_out": left_out}), figures

    def _embedder(self) -> CachedEmbedder | None:
        """What near duplicates are looked for with, besides words."""
        if not self.line.config.data.embedder:
            return None
        embedder = Embedder.load(say=self.line.say)
        return CachedEmbedder(embedder, self.line.workspace.path("cache", "embeddings.sqlite"))

    def train(self) -> StageRecord:
        """The adapter (or whole model) the recipe makes of the rows."""
        line, inputs = self.line, self.train_inputs()

        def body(bar: Bar) -> Any:
            work = line.stages.work_dir("train", inputs)

            def on_step(step: int, total: int, point: Any) -> None:
                bar.update(step / total, _seen(point))

            with line.store.making("adapter", "adapter", inputs) as (path, made):
                job, ledger = self.job(work, path, bar)
                result = fine_tune(job, on_step)
            if result.stopped:
                line.say(f"stopped early: {result.stopped}")
            figures: dict[str, Any] = {"ledger": ledger.to_json(), "training": asdict(result)}
            if forecast := find_forecast(line.store, inputs):
                figures["forecast"] = score(forecast, figures["training"])
            return {"adapter": made[0]}, figures

        return line.stages.do("train", inputs, 1, body)

    def train_inputs(self) -> dict[str, str]:
        """Hashes of everything that the trained adapter depends on."""
        line, config = self.line, self.line.config
        sections = (config.adapter, config.train, config.preference, config.rl, config.guard)
        inputs = {
            "rows": line.stages.artefact(line.done["data"], "rows").hash,
            "base": line.files.hash,
            "train": content_hash([section.model_dump(mode="json") for section in sections]),
            "seed": str(config.data.seed),
            "quant": config.export.quant,
            "families": ",".join(line.suite.names),
            "code": source_hash("train", "models", "tasks", "export"),
        }
        if config.train.start:
            inputs["start"] = line.store.get(config.train.start).hash
        if config.rl.reward_model:
            inputs["reward model"] = line.store.get(config.rl.reward_model).hash
        return inputs

    def job(self, work: Path, adapter: Path, bar: Bar) -> tuple[Job, Ledger]:
        """What is to be trained, once the data stage is done; `work` holds its checkpoints."""
        line, config = self.line, self.line.config
        start = line.store.get(config.train.start) if config.train.start else None
        judge = line.store.get(config.rl.reward_model) if config.rl.reward_model else None
        rows = lessons.recall(line.stages.artefact(line.done["data"], "rows").path, config)
        # Checked again here: this is where a leak would do its harm.
        check_leaks(lessons.questions(rows), self._exam, config.data.near_match)
        examples, ledger = self._examples(rows, bar)
        job = Job(
            base=line.base,
            base_hash=line.files.hash,
            examples=examples,
            config=config,
            work=work,
            adapter=adapter,
            supervised_share=ledger.supervised_share,
            start=start.path if start else None,
            guards=self._guards(work, examples),
            rounding=self._rounding(),
            reward_model=judge.path if judge else None,
        )
        return job, ledger

    def _examples(self, rows: Sequence[Any], bar: Bar) -> tuple[list[Example], Ledger]:
        line, config = self.line, self.line.config
        tokenizer = load_tokenizer(line.base)
        examples, ledger = lessons.examples(tokenizer, line.suite, rows, config)
        if not config.guard.replay:
            return examples, ledger
        if config.train.objective != "sft":
            raise ConfigError(
                f"replay is mixed into sft, not {config.train.objective}",
                where="guard.replay",
                fix="set it to 0",
            )
        bar.update(0, "the base writes what is replayed")
        count = replay_count(len(examples), config.guard.replay)
        return mix_replay(examples, ledger, self._replayed(count), config)

    def _replayed(self, count: int, use: Literal["replay", "probe"] = "replay") -> list[ReplayRow]:
        line = self.line
        return replay_rows(
            line.base,
            load_tokenizer(line.base),
            count,
            line.config.data.seed,
            line.workspace.path("work", "replay"),
            base_hash=line.files.hash,
            use=use,
        )

    def _guards(self, work: Path, kept: Sequence[Example]) -> list[Guard]:
        line, config = self.line, self.line.config
        development = None
        if config.guard.patience:
            found = lessons.development(config, line.suite, line.holdout)
            tokenizer = load_tokenizer(line.base)
            examples, _ = examples_of(config.train.objective, tokenizer, found.rows, config)
            development = DevelopmentSet(found.figures["items"], examples)
        probe = self._replayed(PROBED, "probe") if config.guard.probe else []
        online = config.train.objective in ONLINE
        # Rollouts are recorded by the number of the example, and a ledger may have dropped some.
        items = [example.fields["prompt"].item for example in kept] if online else ()
        return chosen_guards(config, work, probe=probe, development=development, items=items)

    def _rounding(self) -> Rounding:
        """What the export will do to each weight."""
        return Rounding.of(self.line.config.export.quant, self.line.base)


def _hash_of(path: Path) -> str:
    try:
        return sha256_file(path)
    except OSError as error:
        raise ConfigError(
            f"cannot read the rows: {error.strerror}",
            where=f"train.data: {path}",
            fix="name a readable JSON-lines file",
        ) from error


def _seen(point: Any) -> str:
    """What the progress bar says of a step."""
    if "reward" in point.metrics:
        return f"reward {point.metrics['reward']:.3f}"
    return f"loss {point.loss:.3f}, {point.tokens_per_second:.0f} tokens/s"

"""Learning: rows in, an adapter out, for whatever objective the configuration names.

Contract: the data stage builds (or takes in) what the objective learns from and proves that it
does not meet the holdout; the train stage proves it again, renders, trains and stores the adapter.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from denizen.data import build_rows, check_leaks, read_rows, write_jsonl
from denizen.export import Rounding
from denizen.models import SYSTEM, load_tokenizer
from denizen.project import Bar, content_hash, source_hash
from denizen.project.store import StageRecord
from denizen.train import ChoiceCut, Job, fine_tune, rendered_example, tabulate

if TYPE_CHECKING:
    from denizen.improve.mainline import MainLine


class Learning:
    """The data and training stages of a main line."""

    def __init__(self, line: MainLine) -> None:
        self.line = line

    def data(self) -> StageRecord:
        line, data = self.line, self.line.config.data
        inputs = {
            "rows": str(data.rows),
            "seed": str(data.seed),
            "near_match": str(data.near_match),
            "families": ",".join(line.suite.names),
            "holdout": content_hash([i.to_json() for i in line.holdout]),
            "system": SYSTEM,
            "code": source_hash("protocols", "tasks", "data"),
        }

        def body(bar: Bar) -> Any:
            rows, report = build_rows(
                data.rows,
                data.seed,
                self.line.holdout,
                suite=self.line.suite,
                system=SYSTEM,
                on_row=bar.advance,
            )
            leaks = check_leaks(rows, self.line.holdout, data.near_match)
            with self.line.store.making("rows", "train.jsonl", inputs, asdict(report)) as (
                path,
                made,
            ):
                write_jsonl(path, rows)
            figures = {"build": asdict(report), "leaks": asdict(leaks)}
            bar.update(data.rows, f"{len(rows)} rows, {report.templates} templates")
            return {"rows": made[0]}, figures

        return self.line.stages.do("data", inputs, data.rows, body)

    def train(self) -> StageRecord:
        line = self.line
        rows_artefact = line.stages.artefact(line.done["data"], "rows")
        inputs = {
            "rows": rows_artefact.hash,
            "base": line.files.hash,
            "train": content_hash(
                [
                    section.model_dump(mode="json")
                    for section in (
                        line.config.adapter,
                        line.config.train,
                        line.config.preference,
                        line.config.rl,
                        line.config.guard,
                    )
                ]
            ),
            "seed": str(line.config.data.seed),
            "quant": line.config.export.quant,
            "code": source_hash("train", "models", "tasks", "export"),
        }

        def body(bar: Bar) -> Any:
            rows = read_rows(rows_artefact.path)
            # Checked again here: this is where a leak would do its harm.
            check_leaks(rows, self.line.holdout, self.line.config.data.near_match)
            tokenizer = load_tokenizer(self.line.base)
            rendered, ledger = tabulate(
                tokenizer,
                [row.messages for row in rows],
                max_length=self.line.config.train.max_length,
                drop_budget=self.line.config.train.drop_budget,
                cut=ChoiceCut(
                    tokenizer,
                    self.line.suite,
                    self.line.config.train.choice_cut,
                    self.line.config.data.seed,
                ),
            )

            def on_step(step: int, total: int, point: Any) -> None:
                text = f"loss {point.loss:.3f}, {point.tokens_per_second:.0f} tokens/s"
                bar.update(step / total, text)

            with self.line.store.making("adapter", "adapter", inputs) as (path, made):
                job = Job(
                    base=self.line.base,
                    base_hash=self.line.files.hash,
                    examples=[rendered_example(row) for row in rendered],
                    config=self.line.config,
                    work=self.line.stages.work_dir("train", inputs),
                    adapter=path,
                    supervised_share=ledger.supervised_share,
                    rounding=self._rounding(),
                )
                result = fine_tune(job, on_step)
            figures = {"ledger": ledger.to_json(), "training": asdict(result)}
            return {"adapter": made[0]}, figures

        return self.line.stages.do("train", inputs, 1, body)

    def _rounding(self) -> Rounding:
        """What the export will do to each weight."""
        line = self.line
        layers = json.loads((line.base / "config.json").read_text("utf-8"))["num_hidden_layers"]
        return Rounding(line.config.export.quant, layers)

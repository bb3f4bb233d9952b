"""Auditing: what the model remembers, and whether the exam leaked into it.

Contract: the holdout's canary is looked for in every answer that was scored.  With
`evaluate.privacy` the five audits run on the merged model with the base as reference; each becomes
a check of the gate, and one that could not be judged leaves the gate INCONCLUSIVE.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from denizen.data import read_rows
from denizen.data.build import draw_items, to_row
from denizen.evaluate import read_scores
from denizen.evaluate.gate import Check, Status, outside
from denizen.evaluate.integrity import scan_outputs
from denizen.evaluate.privacy import AUDITS, PrivacyInputs, PrivacyReport, run_audits
from denizen.improve.planting import recall_planted
from denizen.models import SYSTEM, load_model, load_tokenizer
from denizen.project import Bar, source_hash
from denizen.project.store import StageRecord

if TYPE_CHECKING:
    from denizen.improve.mainline import MainLine

# Rows that membership and extraction are asked about, and as many that were not trained on.
MEMBERS = 256
QUESTIONS = 32
# Seeds of rows that were never trained on; data.seed draws the training rows.
OTHER_SEED = 104_729


class Auditing:
    """The audits of a main line."""

    def __init__(self, line: MainLine) -> None:
        self.line = line

    def audit(self) -> StageRecord:
        """The privacy audits, if they are asked for."""
        line = self.line
        if not line.config.evaluate.privacy:
            return line.stages.do("audits", {"asked": "none"}, 1, lambda bar: ({}, {}))
        rows = line.stages.artefact(line.done["data"], "rows")
        merged = line.stages.artefact(line.done["merge"], "merged")
        inputs = {
            "rows": rows.hash,
            "merged": merged.hash,
            "base": line.files.hash,
            "code": source_hash("evaluate/privacy", "models"),
        }

        def body(bar: Bar) -> Any:
            def progress(name: str, done: int, total: int) -> None:
                bar.update(AUDITS.index(name) + done / max(total, 1), name)

            report = run_audits(
                load_model(merged.path),
                load_model(line.base),
                load_tokenizer(line.base),
                self._inputs(rows.path),
                artefact=merged.hash,
                base_artefact=line.files.hash,
                partial=line.stages.work_dir("audits", inputs) / "partial.json",
                progress=progress,
            )
            text = json.dumps(report.to_dict(), indent=1)
            made = line.store.put_text("privacy", "privacy.json", text, inputs)
            bar.update(bar.total, report.status.value)
            return {"privacy": made}, {"status": report.status.value}

        return line.stages.do("audits", inputs, len(AUDITS), body)

    def report(self) -> PrivacyReport | None:
        """The audits' report, if they ran."""
        stage = self.line.done.get("audits")
        if stage is None or "privacy" not in stage.outputs:
            return None
        path = self.line.stages.artefact(stage, "privacy").path
        return PrivacyReport.from_dict(json.loads(path.read_text("utf-8")))

    def checks(self) -> list[Check]:
        """What the gate counts: no canary of the exam came out, and every audit's status."""
        scan = scan_outputs(self._outputs(), self.line.canaries)
        found = [outside("holdout canary", scan.status, scan.sentence, n=scan.n)]
        report = self.report()
        for one in report.audits if report else ():
            sentence = one.sentence
            found.append(outside(f"audit {one.name}", one.status, sentence, n_needed=one.n_needed))
        if (near := self.line.done["data"].figures.get("near")) is not None:
            found.append(_near(near))
        return found

    def _outputs(self) -> list[str]:
        """Every answer of what might ship."""
        done = self.line.done
        texts = []
        for name, stage in done.items():
            if "scores" in stage.outputs and name not in ("base score", "previous score"):
                path = self.line.stages.artefact(stage, "scores").path
                texts += [score.output for score in read_scores(path).scores]
        return texts

    def _inputs(self, path: Any) -> PrivacyInputs:
        line = self.line
        stage = line.done["data"]
        canaries, words = recall_planted(
            line.stages.artefact(stage, "canaries").path, line.stages.artefact(stage, "words").path
        )
        rows = list(read_rows(path))
        own = [row for row in rows if not row.source.startswith("planted")]
        others, _ = draw_items(MEMBERS, OTHER_SEED, line.holdout, suite=line.suite)
        dev, _ = draw_items(QUESTIONS, OTHER_SEED, line.holdout, suite=line.suite, split="dev")
        step = max(1, len(own) // MEMBERS)
        return PrivacyInputs(
            canaries=canaries,
            members=own[::step][:MEMBERS],
            nonmembers=[to_row(item, SYSTEM) for item in others],
            trained=rows,
            words=words,
            questions=[item.prompt for item in dev],
            ordinary=self._outputs(),
        )


def _near(figures: dict[str, Any]) -> Check:
    """The near-duplicate check as it stands in the data stage: leaks have been refused there."""
    complete = bool(figures["complete"])
    status = Status.PASS if complete else Status.INCONCLUSIVE
    return outside("near duplicates", status, figures["sentence"], n=int(figures["rows"]))

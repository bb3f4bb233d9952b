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
from denizen.data.leaks import fingerprint
from denizen.evaluate import read_scores
from denizen.evaluate.gate import Check, Status, outside
from denizen.evaluate.integrity import scan_outputs
from denizen.evaluate.privacy import AUDITS, PrivacyInputs, PrivacyReport, run_audits
from denizen.improve.conduct import REMEMBERED
from denizen.improve.planting import recall_planted
from denizen.models import SYSTEM, load_model, load_tokenizer
from denizen.project import Bar, content_hash, source_hash
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
            "ordinary": content_hash([line.done[n].outputs["scores"] for n in self._free()]),
            "holdout": content_hash([item.to_json() for item in line.holdout]),
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
            asked = name not in ("base score", "previous score") and not name.endswith(" base")
            if "scores" in stage.outputs and asked:
                texts += self._said(name)
        return texts

    def _ordinary(self) -> list[str]:
        """The shipping file's free answers, one a question.

        A grammar lets no canary word through, so answers under one prove nothing; and the same
        question put to another rung is not another proof.
        """
        return [text for name in self._free() for text in self._said(name)]

    def _free(self) -> list[str]:
        """The stages at which the shipping file wrote as it liked."""
        conduct = self.line.conduct
        return [f"{suite.name} shipped" for suite in conduct.suites if suite.name != REMEMBERED]

    def _said(self, stage: str) -> list[str]:
        path = self.line.stages.artefact(self.line.done[stage], "scores").path
        return [score.output for score in read_scores(path).scores]

    def _inputs(self, path: Any) -> PrivacyInputs:
        line = self.line
        stage = line.done["data"]
        canaries, words = recall_planted(
            line.stages.artefact(stage, "canaries").path, line.stages.artefact(stage, "words").path
        )
        rows = list(read_rows(path))
        own = [row for row in rows if not row.source.startswith("planted")]
        # A family with few questions draws some that were trained on: those are members.
        taught = {fingerprint(row.question) for row in own}
        drawn, _ = draw_items(2 * MEMBERS, OTHER_SEED, line.holdout, suite=line.suite)
        others = [item for item in drawn if fingerprint(item.prompt) not in taught]
        apart = max(1, len(others) // MEMBERS)
        dev, _ = draw_items(QUESTIONS, OTHER_SEED, line.holdout, suite=line.suite, split="dev")
        step = max(1, len(own) // MEMBERS)
        return PrivacyInputs(
            canaries=canaries,
            members=own[::step][:MEMBERS],
            nonmembers=[to_row(item, SYSTEM) for item in others[::apart][:MEMBERS]],
            trained=rows,
            words=words,
            questions=[item.prompt for item in dev],
            ordinary=self._ordinary(),
        )


def _near(figures: dict[str, Any]) -> Check:
    """The near-duplicate check as it stands in the data stage: leaks have been refused there."""
    complete = bool(figures["complete"])
    status = Status.PASS if complete else Status.INCONCLUSIVE
    return outside("near duplicates", status, figures["sentence"], n=int(figures["rows"]))

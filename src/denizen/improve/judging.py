"""Judging: another model compares the base's answers with the release's, blind, if one is named.

Contract: the judge is calibrated against human labels first and refused if it agrees too little, or
if it is (or stems from) what it judges.  The release must not be worse by `judge.margin` in the
share of answers preferred; a question the judge did not answer leaves the gate INCONCLUSIVE.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from denizen.evaluate.gate import Check, Status, outside
from denizen.evaluate.judge import (
    ChatClient,
    Contest,
    Identity,
    Judge,
    JudgeSettings,
    calibrate,
    judge_pairs,
    read_labels,
    require,
)
from denizen.evaluate.margin import score_bounds
from denizen.evaluate.report import Judge as JudgeRow
from denizen.project import Bar, ConfigError, source_hash
from denizen.project.store import StageRecord

if TYPE_CHECKING:
    from denizen.improve.mainline import MainLine


class Judging:
    """The judge's stage of a main line."""

    def __init__(self, line: MainLine) -> None:
        """Raises ConfigError, JudgeError or DataError for a judge that could never be asked."""
        self.line = line
        settings = line.config.judge
        if settings.base_url and not settings.labels:
            raise ConfigError(
                "a judge without human labels cannot be believed",
                where="judge.labels",
                fix="name a file of labels (pairs of answers, which is better), or no judge",
            )
        if settings.base_url and settings.suite not in {s.name for s in line.conduct.suites}:
            raise ConfigError(
                f"the judge is to read the answers to {settings.suite!r}, which is not asked",
                where="judge.suite",
                fix="add it to evaluate.suites",
            )
        if settings.base_url:
            self._client_settings()
            _read(Path(settings.labels))
            read_labels(Path(settings.labels))

    def judge(self) -> StageRecord:
        """Calibrate, compare, and keep the outcomes."""
        line, settings = self.line, self.line.config.judge
        if not settings.base_url:
            return line.stages.do("judge", {"asked": "none"}, 1, lambda bar: ({}, {}))
        scores = [line.done[f"{settings.suite} {name}"].outputs["scores"] for name in _SYSTEMS]
        inputs = {
            "base": scores[0],
            "shipped": scores[1],
            "judge": settings.model_dump_json(),
            "labels": _read(Path(settings.labels)),
            "code": source_hash("evaluate/judge"),
        }

        def body(bar: Bar) -> Any:
            figures = self._compare(bar)
            made = line.store.put_text("judged", "judged.json", json.dumps(figures), inputs)
            bar.update(bar.total, f"{figures['wins']} won, {figures['losses']} lost")
            return {"judged": made}, figures

        found, again = line.stages.do("judge", inputs, 1, body), 0
        # What was not judged is asked again: a judge that was down is not down for ever.
        while found.reused and found.figures["unjudged"]:
            again += 1
            found = line.stages.do("judge", {**inputs, "asked again": str(again)}, 1, body)
        return found

    def _client_settings(self) -> JudgeSettings:
        of = self.line.config.judge
        return JudgeSettings(of.base_url, of.model, of.api_key_env, of.timeout, of.retries)

    def checks(self) -> list[Check]:
        """The judge's word for the gate; none without a judge."""
        figures = self._figures()
        if figures is None:
            return []
        margin, n = self.line.config.judge.margin, figures["n"]
        if figures["unjudged"]:
            said = f"{figures['unjudged']} of {n} comparisons were not judged"
            return [outside("judge", Status.INCONCLUSIVE, said, n=n)]
        low, high = score_bounds(figures["wins"], figures["losses"], n)
        status = Status.INCONCLUSIVE
        if low > -margin:
            status = Status.PASS
        elif high < -margin:
            status = Status.FAIL
        said = (
            f"{figures['model']} prefers the release in {figures['wins']} of {n} comparisons and "
            f"the base in {figures['losses']}; the difference is at least {100 * low:+.1f} points, "
            f"margin {-100 * margin:+.1f}"
        )
        return [outside("judge", status, said, n=n)]

    def row(self) -> JudgeRow | None:
        """How far the judge agrees with people, for the report."""
        figures = self._figures()
        if figures is None:
            return None
        value, low, high = figures["kappa"]
        return JudgeRow(figures["model"], value, low, high, figures["labels"], "PASS")

    def _figures(self) -> dict[str, Any] | None:
        """What was judged, from the hashed file and not from the run's record."""
        stage = self.line.done.get("judge")
        if stage is None or "judged" not in stage.outputs:
            return None
        path = self.line.stages.artefact(stage, "judged").path
        figures: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return figures

    def _compare(self, bar: Bar) -> dict[str, Any]:
        line = self.line
        shipped = line.exporting.gguf(line.exporting.rungs[0])
        generators = [
            Identity(line.entry.id, base=line.entry.hub_repo, hash=line.files.hash),
            Identity(shipped.path.stem, base=line.entry.hub_repo, hash=shipped.hash),
        ]
        client = ChatClient(self._client_settings())
        try:
            return self._asked(Judge(client, generators), bar)
        finally:
            client.close()

    def _asked(self, judge: Judge, bar: Bar) -> dict[str, Any]:
        line, settings = self.line, self.line.config.judge
        labels = read_labels(Path(settings.labels))
        bar.update(0.05, "calibrating against the labels")
        calibration = calibrate(judge, labels)
        require(calibration, judge, "pair", settings.kappa_limit)
        before, after = (line.conduct.result(settings.suite, name) for name in _SYSTEMS)
        others = {score.item_id: score for score in after.scores}
        contests = [
            Contest(s.item_id, s.prompt, s.output, others[s.item_id].output, s.expected or "")
            for s in before.scores
        ]
        found = judge_pairs(
            contests, judge, progress=lambda done, total: bar.update(0.1 + 0.9 * done / total)
        )
        kappa = calibration.kappa
        assert kappa is not None
        return {
            "model": settings.model,
            "wins": found.wins,
            "losses": found.losses,
            "ties": found.ties,
            "unjudged": sum(bool(one.unjudged) for one in found.outcomes),
            "n": len(contests),
            "kappa": [kappa.value, kappa.low, kappa.high],
            "labels": len(labels),
        }


_SYSTEMS = ("base", "shipped")


def _read(path: Path) -> str:
    from denizen.project import sha256_file

    try:
        return sha256_file(path)
    except OSError as error:
        raise ConfigError(
            f"cannot read the labels: {error.strerror}",
            where=f"judge.labels: {path}",
            fix="name a readable JSON-lines file",
        ) from error

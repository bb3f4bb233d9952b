"""Inspect AI's logs into figures: `.json`, and `.eval` archives where this Python can open them.

Contract: schema version 2, status "success", every sample complete, scored and without error; any
other log raises HarnessError in one line. Letter grades mean C 1, P 0.5, I and N 0, as in Inspect;
epochs of a sample are averaged. A scorer whose value is not a number is left out and named.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from denizen.evaluate.harness.figures import (
    Figure,
    HarnessError,
    Imported,
    from_samples,
    from_stderr,
    real,
    refuse,
)
from denizen.evaluate.records import Score, SuiteResult

SCHEMA = 2
# An archive that unpacks to more than this is not read.
MAX_BYTES = 2 << 30
_LETTERS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
_AGAIN = "run the evaluation again to its end"


def read_inspect(path: Path, *, system: str = "", artefact: str = "") -> Imported:
    """Read one log; `system` and `artefact` name what was served (default: the log's model)."""
    try:
        log = _archive(path) if path.suffix == ".eval" else json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, zipfile.BadZipFile, KeyError) as error:
        raise refuse(f"cannot read the Inspect log: {error}", path, _AGAIN) from error
    if not isinstance(log, dict):
        raise refuse("this is not an Inspect log", path, "give the log of `inspect eval`")
    _check(log, path)
    try:
        return _imported(log, path, system, artefact)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise refuse(f"the Inspect log lacks what a log has ({error!r})", path, _AGAIN) from error


def _check(log: Mapping[str, Any], path: Path) -> None:
    if log.get("version") != SCHEMA:
        raise refuse(
            f"log schema {log.get('version')!r} is unknown, {SCHEMA} is read",
            path,
            "use a version of inspect_ai that writes it",
        )
    if log.get("status") != "success":
        why = (log.get("error") or {}).get("message", "").strip().split("\n")[0][:200]
        raise refuse(
            f"the run did not finish, status {log.get('status')!r}{f': {why}' if why else ''}",
            path,
            _AGAIN,
        )
    if log.get("invalidated"):
        raise refuse("the log is marked invalidated", path, _AGAIN)
    results = log.get("results") or {}
    total, done = results.get("total_samples"), results.get("completed_samples")
    if not total or total != done:
        raise refuse(f"only {done} of {total} samples were completed", path, _AGAIN)
    broken = [s for s in log.get("samples") or [] if s.get("error") or s.get("invalidation")]
    if broken:
        raise refuse(
            f"{len(broken)} samples ended in an error (e.g. {broken[0].get('id')!r})", path, _AGAIN
        )


def _imported(log: Mapping[str, Any], path: Path, system: str, artefact: str) -> Imported:
    about, results = log["eval"], log["results"]
    task, model = str(about["task"]), str(about["model"])
    limited = about.get("config", {}).get("limit") is not None
    samples = log.get("samples") or []
    epochs = int(about.get("config", {}).get("epochs") or 1)
    if samples and len(samples) != results["total_samples"]:
        # total_samples counts epochs; anything else is a log that lost samples.
        raise refuse(f"{len(samples)} samples for {results['total_samples']} scored", path, _AGAIN)
    figures: list[Figure] = []
    without: list[str] = []
    suites: dict[str, SuiteResult] = {}
    for entry in results["scores"]:
        name = str(entry["name"])
        if entry.get("unscored_samples"):
            raise refuse(f"{entry['unscored_samples']} samples have no score", path, _AGAIN)
        scores = _scores(samples, name, task, epochs) if samples else None
        metrics = {k: real(v.get("value")) for k, v in entry["metrics"].items()}
        if scores is not None:
            unit = all(0.0 <= score.score <= 1.0 for score in scores)
            figures.append(
                from_samples(
                    task,
                    name,
                    [s.score for s in scores],
                    [s.cluster for s in scores],
                    limited=limited,
                )
            )
            if unit and task not in suites:
                suites[task] = SuiteResult(system or model, tuple(scores), artefact)
            continue
        mean = next((m for m in ("accuracy", "mean") if metrics.get(m) is not None), None)
        stderr = metrics.get("stderr")
        if mean is None or stderr is None:
            without += [f"{task}/{name}/{key}" for key in metrics]
            continue
        figures.append(
            from_stderr(
                task, name, metrics[mean] or 0.0, stderr, results["total_samples"], limited=limited
            )
        )
    version = str(about.get("packages", {}).get("inspect_ai", "unknown"))
    return Imported("inspect", version, model, tuple(figures), suites, tuple(without))


def _scores(
    samples: list[dict[str, Any]], scorer: str, task: str, epochs: int
) -> list[Score] | None:
    """One Score a sample id (epochs averaged); None when the scorer's values are not numbers."""
    groups: dict[str, list[tuple[dict[str, Any], float]]] = {}
    for sample in samples:
        score = (sample.get("scores") or {}).get(scorer)
        if score is None:
            raise ValueError(f"sample {sample.get('id')!r} has no score of {scorer}")
        value = _LETTERS.get(score["value"]) if isinstance(score["value"], str) else None
        if value is None:
            value = float(score["value"]) if isinstance(score["value"], bool) else None
        if value is None:
            value = real(score["value"])
        if value is None:
            return None
        groups.setdefault(str(sample["id"]), []).append((sample, value))
    made = []
    for key, runs in groups.items():
        if len(runs) != epochs:
            raise ValueError(f"sample {key!r} has {len(runs)} of {epochs} epochs")
        first = runs[0][0]
        mean = sum(value for _, value in runs) / len(runs)
        meta, score = first.get("metadata") or {}, first["scores"][scorer]
        target = first.get("target")
        made.append(
            Score(
                item_id=str(meta.get("id", f"{task}/{key}")),
                family=str(meta.get("family", task)),
                cluster=str(meta.get("cluster", f"{task}/{key}")),
                version=str(meta.get("version", "")),
                difficulty=str(meta.get("difficulty", "")),
                prompt=_text(first.get("input")),
                output=str((first.get("output") or {}).get("completion", "")),
                answer=None if score.get("answer") is None else str(score["answer"]),
                expected=None if target is None else _text(target),
                ok=mean >= 1.0,
                score=mean,
                reason=str(score.get("explanation") or ""),
            )
        )
    return made


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _archive(path: Path) -> dict[str, Any]:
    """The header and samples of an `.eval` archive (a zip, with Zstandard in newer releases)."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > MAX_BYTES:
            raise HarnessError(
                f"the archive unpacks to more than {MAX_BYTES >> 30} GiB",
                where=str(path),
                fix="convert it with `inspect log convert --to json`",
            )
        if "header.json" not in archive.namelist():
            raise refuse("the archive has no header: the run was cut", path, _AGAIN)
        try:
            log: dict[str, Any] = json.loads(archive.read("header.json"))
            names = [e.filename for e in entries if e.filename.startswith("samples/")]
            log["samples"] = [json.loads(archive.read(name)) for name in sorted(names)]
        except NotImplementedError as error:
            raise HarnessError(
                "this Python cannot open the archive's compression (Zstandard)",
                where=str(path),
                fix="convert it with `inspect log convert --to json`, or log with "
                "`--log-format json`",
            ) from error
    return log

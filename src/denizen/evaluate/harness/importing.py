"""One door to foreign results: a file, or the folder a harness wrote.

Contract: `import_results(path)` tells lm-eval's results from Inspect's logs and reads all of the
newest run in a folder; a partial or failed log, a version that is not known and a folder without
results are refused in one line (HarnessError), never half-read.
"""

from __future__ import annotations

from pathlib import Path

from denizen.evaluate.harness.figures import Figure, HarnessError, Imported, refuse
from denizen.evaluate.harness.inspect_log import read_inspect
from denizen.evaluate.harness.lm_eval_results import read_lm_eval

__all__ = [
    "Figure",
    "HarnessError",
    "Imported",
    "import_results",
    "read_inspect",
    "read_lm_eval",
]


def import_results(path: Path, *, system: str = "", artefact: str = "") -> Imported:
    """Read a results file or log, or a folder of them.

    In a folder the newest results file of lm-eval is read, or every log of Inspect (one a task).
    Raises HarnessError when there is none, both, or one that cannot be trusted.
    """
    if not path.is_dir():
        reader = read_lm_eval if _is_results(path) else read_inspect
        return reader(path, system=system, artefact=artefact)
    results = sorted(path.rglob("results_*.json"), key=lambda p: p.name)
    logs = sorted(
        p
        for p in (*path.rglob("*.eval"), *path.rglob("*.json"))
        if p.suffix == ".eval" or _is_log(p)
    )
    if bool(results) == bool(logs):
        what = "results of both harnesses" if results else "no result of lm-eval or Inspect"
        raise refuse(f"{what} in this folder", path, "name the file itself")
    if results:
        return read_lm_eval(results[-1], system=system, artefact=artefact)
    return _joined([read_inspect(log, system=system, artefact=artefact) for log in logs], path)


def _is_results(path: Path) -> bool:
    """By what it holds: lm-eval names its file after what it was asked to."""
    try:
        return path.suffix == ".json" and b'"lm_eval_version"' in path.read_bytes()
    except OSError:
        return False


def _is_log(path: Path) -> bool:
    """Inspect names a log <time>_<task>_<id>.json."""
    return path.name.count("_") >= 2 and "T" in path.name.split("_")[0]


def _joined(parts: list[Imported], path: Path) -> Imported:
    first = parts[0]
    tasks = [figure.task for part in parts for figure in {f.task: f for f in part.figures}.values()]
    if any(part.model != first.model for part in parts) or len(set(tasks)) != len(tasks):
        raise refuse(
            "logs of several runs or models in this folder", path, "name one log, or move the rest"
        )
    suites = {task: result for part in parts for task, result in part.suites.items()}
    return Imported(
        first.harness,
        first.version,
        first.model,
        tuple(figure for part in parts for figure in part.figures),
        suites,
        tuple(name for part in parts for name in part.without_interval),
    )

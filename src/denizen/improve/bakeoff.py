"""The bake-off: the same small budget for each candidate base, and a ranking.

Contract: every candidate is trained, exported and judged by the main line in a process of its own
(so memory is its own), on the dev split: choosing a base by the exam would spend the exam.  Nothing
is promoted.  A candidate that fails is ranked last with its reason; finished ones are kept, so a
stopped bake-off goes on.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from typing import Any

from denizen.models import ModelEntry, find_model
from denizen.project import Config, ConfigError, Store, Workspace, content_hash, source_hash
from denizen.project.errors import DenizenError
from denizen.project.machine import facts, peak_rss_bytes

KIND = "bakeoff"


@dataclass(frozen=True)
class Candidate:
    """What one base came to.  Rates are shares with 95% intervals; `gain` is the paired difference
    to its own base; `foreign` counts answers in another script than the question's."""

    model: str
    licence: str
    parameters: int
    open_licence: bool
    status: str = ""
    exact: float = 0.0
    low: float = 0.0
    high: float = 0.0
    base: float = 0.0
    gain: float = 0.0
    gain_low: float = 0.0
    gain_high: float = 0.0
    general_change: float = 0.0
    foreign: int = 0
    asked: int = 0
    train_seconds: float = 0.0
    tokens_per_second: float = 0.0
    seconds_per_answer: float = 0.0
    peak_gib: float = 0.0
    file_mb: float = 0.0
    error: str = ""


def run_bakeoff(
    workspace: Workspace,
    config: Config,
    models: Sequence[str],
    *,
    say: Callable[[str], None] = lambda _: None,
) -> list[Candidate]:
    """Every candidate under `config` (its base replaced), the best first; raises ConfigError.

    Holds the workspace meanwhile.
    """
    names = list(dict.fromkeys(models))
    if len(names) < 2:
        raise ConfigError(
            f"{len(names)} candidate is no comparison",
            where="--models",
            fix="name two or three, such as smollm2-135m-instruct,gemma3-270m",
        )
    entries = [find_model(name) for name in names]
    with workspace.locked():
        return ranked(_candidates(workspace, config, entries, say))


def _candidates(
    workspace: Workspace,
    config: Config,
    entries: Sequence[ModelEntry],
    say: Callable[[str], None],
) -> list[Candidate]:
    store, found = Store(workspace), []
    for entry in entries:
        changed = config.model.model_copy(update={"base": entry.id})
        own = config.model_copy(update={"model": changed})
        inputs = {
            "config": content_hash(own.model_dump(mode="json")),
            "code": source_hash("tasks", "train", "models", "evaluate", "export", "improve"),
        }
        known = next((a for a in store.all() if a.kind == KIND and a.inputs == inputs), None)
        if known is not None:
            say(f"{entry.id}: unchanged, reused")
            found.append(Candidate(**json.loads(known.verified().path.read_text("utf-8"))))
            continue
        say(f"{entry.id}: training and judging on the dev split")
        seen = _apart(workspace, own)
        about = (entry.id, entry.licence, entry.parameters, entry.open_licence)
        candidate = Candidate(*about, **seen)
        if not candidate.error:
            text = json.dumps(asdict(candidate), indent=1)
            store.put_text(KIND, f"{entry.id}.json", text, inputs)
        found.append(candidate)
    return found


def ranked(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The best first: by exact answers, then licence, speed, memory and size; failures last.

    An answer in a foreign script weighs as a wrong one: it is the failure users see first.
    """

    def key(c: Candidate) -> tuple[bool, float, bool, float, float, float]:
        drift = c.foreign / c.asked if c.asked else 0.0
        score = round(drift - c.exact, 3)
        costs = (c.seconds_per_answer, c.peak_gib, c.file_mb)
        return (bool(c.error), score, not c.open_licence, *costs)

    return sorted(candidates, key=key)


def _apart(workspace: Workspace, config: Config) -> dict[str, Any]:
    """`judge_candidate` in a fresh process; a typed error becomes the candidate's reason."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(judge_candidate, str(workspace.root), config.model_dump()).result()
        except DenizenError as error:
            return {"error": str(error)}
        except BrokenProcessPool:
            return {"error": "its process was killed, which is what too little memory looks like"}


def judge_candidate(root: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Train, export and score one base on the dev split; the figures of a Candidate."""
    from denizen.evaluate import wilson
    from denizen.improve.mainline import MainLine

    line = MainLine(
        Workspace.open(root),
        Config.model_validate(settings),
        quiet=True,
        command="denizen bakeoff",
        exam="dev",
    )
    line.go("conduct")
    verdict = line.gating.compare("shipped")
    overall = verdict.checks[0]
    shipped = line.scoring.result("shipped")
    rate = wilson(shipped.passed, shipped.n)
    training = line.done["train"].figures["training"]
    foreign = [s for s in line.conduct.scores("shipped") if s.name == "script"]
    before, after = line.scoring.general("base"), line.scoring.general("shipped")
    return {
        "status": verdict.status.value,
        "exact": rate.value,
        "low": rate.low,
        "high": rate.high,
        "base": overall.first_rate,
        "gain": overall.figure,
        "gain_low": overall.low,
        "gain_high": overall.high,
        "general_change": sum(after.ok) / len(after.ok) - sum(before.ok) / len(before.ok),
        "foreign": sum(s.candidate.n - s.candidate.passed for s in foreign),
        "asked": sum(s.candidate.n for s in foreign),
        "train_seconds": line.done["train"].seconds,
        "tokens_per_second": training["points"][-1]["tokens_per_second"],
        # Of the answers themselves: a stage that went on from a partial file took less.
        "seconds_per_answer": sum(s.seconds for s in shipped.scores) / shipped.n,
        "peak_gib": round(peak_rss_bytes() / 2**30, 2),
        "file_mb": round(line.done["export"].figures["bytes"] / 1e6, 1),
    }


def table(candidates: Sequence[Candidate]) -> str:
    """The ranking as text, with the machine it holds for."""
    head = (
        f"{'':2} {'model':<28}{'exact':>7} {'95%':>11}{'base':>7}{'gain':>7}{'95%':>13}"
        f"{'general':>9}{'foreign':>9}{'train s':>9}{'s/answer':>10}{'GiB':>6}{'MB':>7}  licence"
    )
    rows = [head]
    for place, c in enumerate(candidates, 1):
        if c.error:
            rows.append(f"{'-':>2} {c.model:<28}{c.error}")
            continue
        span = f"{100 * c.low:.0f} to {100 * c.high:.0f}"
        gain = f"{100 * c.gain_low:+.0f} to {100 * c.gain_high:+.0f}"
        rows.append(
            f"{place:>2} {c.model:<28}{c.exact:>7.1%} {span:>11}"
            f"{c.base:>7.1%}{100 * c.gain:>+7.1f}{gain:>13}"
            f"{100 * c.general_change:>+9.1f}{f'{c.foreign}/{c.asked}':>9}"
            f"{c.train_seconds:>9.0f}{c.seconds_per_answer:>10.2f}{c.peak_gib:>6.1f}"
            f"{c.file_mb:>7.0f}  {c.licence}"
        )
    machine = facts()
    rows.append(f"   on {machine['cpu']}, dev split, nothing promoted")
    return "\n".join(rows)

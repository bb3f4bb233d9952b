"""The 135M specialist's shipped GGUF against Qwen2.5-Coder-1.5B-Instruct on the frozen holdout.

Contract: the same items for both, judged by the same verifier and compared pairwise (McNemar
exact, cluster bootstrap).  The generalist gets the calculator described in its prompt: at its best
(a worked example of every tool, from the training split, and the same decoding grammar) on all
items, and as its users would run it (free text, slow on a CPU) on every fourth item.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from denizen.data import load_holdout, stratified
from denizen.evaluate import SuiteResult, mcnemar, paired_bootstrap, run_suite, wilson
from denizen.evaluate.stats import discordant
from denizen.export.modelfile import render_template
from denizen.models import SYSTEM, LlamaEngine, ensure, find_model
from denizen.project import content_hash
from denizen.project.hashing import sha256_file
from denizen.tasks import Item, catalogue_prompt, suite_of, verify

PEER = "qwen2.5-coder-1.5b-instruct"
ITEMS = 200
SUITE = suite_of("core")
AS_USED = "generalist, as used"


def measure(workspace: Path) -> dict[str, Any]:
    """Accuracy of the three systems, and the specialist's lead with its interval and p-value."""
    items = stratified(load_holdout(SUITE.names), ITEMS)
    shipped = newest_gguf(workspace)
    peer = ensure(find_model(PEER), say=print).gguf
    assert peer is not None
    described = catalogue_prompt(SYSTEM, SUITE)
    runs = {
        "specialist": (shipped, SYSTEM, True),
        "generalist, best": (peer, described + worked_examples(), True),
        AS_USED: (peer, described, False),
    }
    results: dict[str, SuiteResult] = {}
    seconds = {}
    for name, (gguf, system, guided) in runs.items():
        began = time.monotonic()
        asked = items[::4] if name == AS_USED else items
        results[name] = score(name, gguf, system, asked, workspace, guided=guided)
        seconds[name] = round(time.monotonic() - began, 1)
    return {
        "items": len(items),
        "gguf": {"specialist": sha256_file(shipped), PEER: sha256_file(peer)},
        "seconds": seconds,
        "accuracy": {name: interval(result) for name, result in results.items()},
        "lead": {name: lead(results[name], results["specialist"]) for name in list(runs)[1:]},
        "target": "the specialist is ahead, significantly (two-sided p < 0.05)",
    }


def newest_gguf(workspace: Path) -> Path:
    """The GGUF of the workspace's newest export."""
    found = sorted(workspace.glob("artefacts/gguf-*/*.gguf"), key=lambda p: p.stat().st_mtime)
    if not found:
        raise SystemExit(f"error: no GGUF in {workspace}; run `denizen quickstart` there first")
    return found[-1]


def worked_examples() -> str:
    """One question and answer of every tool, from the training split."""
    wanted = set(SUITE.tools)
    shown = []
    for family in SUITE.families.values():
        for seed in range(200):
            item = family.generate(seed, "train")
            tool = item.gold.partition("(")[0]
            if tool in wanted:
                wanted.discard(tool)
                shown.append(f"Question: {item.prompt}\nAnswer: {item.answer}")
    return "\nExamples:\n" + "\n".join(shown)


def score(
    name: str, gguf: Path, system: str, items: list[Item], workspace: Path, *, guided: bool
) -> SuiteResult:
    """One system on the items; kept in the workspace, so that a rerun goes on where it was."""
    engine = LlamaEngine(gguf, context=4096)
    key = content_hash([sha256_file(gguf), system, guided])

    def answer(batch: Any) -> list[str]:
        prompts = [chat_prompt(item.prompt, system) for item in batch]
        grammars = [SUITE.grammar(item.prompt) for item in batch] if guided else None
        return engine.answer(prompts, grammars, max_new_tokens=160)

    def progress(done: int, total: int) -> None:
        print(f"  {name}: {done}/{total}", flush=True)

    partial = workspace / "work" / f"generalist-{key[:16]}.jsonl"
    try:
        return run_suite(
            items, answer, verify, name, artefact=key, batch=10, partial=partial, progress=progress
        )
    finally:
        engine.close()


def chat_prompt(question: str, system: str) -> str:
    """The shipped chat template's prompt (proven equal to the trainer's at export)."""
    return render_template(
        [{"role": "system", "content": system}, {"role": "user", "content": question}]
    )


def interval(result: SuiteResult) -> dict[str, Any]:
    """Accuracy with its Wilson 95% interval, and by family."""
    bound = wilson(result.passed, result.n)
    families: dict[str, list[bool]] = {}
    for s in result.scores:
        families.setdefault(s.family, []).append(s.ok)
    return {
        "exact": round(result.accuracy, 4),
        "interval": [round(bound.low, 4), round(bound.high, 4)],
        "families": {k: round(sum(v) / len(v), 3) for k, v in families.items()},
    }


def lead(peer: SuiteResult, specialist: SuiteResult) -> dict[str, Any]:
    """The specialist's accuracy minus the peer's, item by item, on the items the peer was asked."""
    ours = {s.item_id: s for s in specialist.scores}
    before = [float(s.ok) for s in peer.scores]
    after = [float(ours[s.item_id].ok) for s in peer.scores]
    clusters = [s.cluster for s in peer.scores]
    difference = paired_bootstrap(before, after, clusters=clusters)
    test = mcnemar(*discordant(before, after))
    return {
        "items": len(before),
        "difference": round(difference.value, 4),
        "interval": [round(difference.low, 4), round(difference.high, 4)],
        "wins": test.wins,
        "losses": test.losses,
        "p": test.p,
    }

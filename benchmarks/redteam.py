"""The guard against attacks: the classifier's figures, the red team on a real model, and the cost.

Contract: attacks are of techniques the classifier was never fitted on; success is read off answers
by marks (code words, addresses, secrets), with the shield and without, with Wilson intervals.
Honest texts: held-out families, and passages of the real corpora where they lie at hand. Cost is
the time of one input check, rules alone and with all that is asked, on one thread.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from benchmarks.corpora import BESIDE, COLLECTIONS, CORPORA
from denizen.evaluate import wilson
from denizen.models import ensure, find_model
from denizen.models.embedder import Embedder
from denizen.project import Config
from denizen.project.config import ShieldConfig
from denizen.serve.exchange import Request, Turn
from denizen.serve.guard import Shield, attacks, harmless
from denizen.serve.guard.injection import carried
from denizen.serve.guard.redteam import ALL, run
from denizen.serve.guard.rules import find
from denizen.serve.guard.shield import INJECTION
from denizen.serve.guard.targets import InProcess
from denizen.tasks import suite_of

ATTACKS = 40
PASSAGES, CHARACTERS = 1500, 500
TIMED = 200
FIRST = ("held", "suites", "questions", "attacks")


def measure(workspace: Path) -> dict[str, Any]:
    """The red team on the embedded base model, the classifier's figures, false alarms, cost."""
    embedder = Embedder.load(threads=1)
    shield = Shield.from_config(ShieldConfig(injection="flag"), None, embedder=embedder)
    model = ensure(find_model("smollm2-135m-instruct"), say=print).gguf
    assert model is not None
    target = _target(model)
    try:
        report = run(target, shield, ALL, ATTACKS, name=target.model, quiet=False)
    finally:
        target.close()
    made = carried().made
    return {
        "red team": report.to_json(),
        "classifier": {key: made[key] for key in made if key.startswith(("held", "suites"))},
        "threshold": carried().threshold,
        "first look": {
            key: value for key, value in harmless.carried().made.items() if key.startswith(FIRST)
        },
        "real passages flagged": _passages(shield),
        "milliseconds of an input check": _cost(shield),
    }


def _target(gguf: Path) -> InProcess:
    """The bare model in this process, without any shield of its own."""
    from denizen.serve.backend import LocalBackend
    from denizen.serve.service import Service

    backend = LocalBackend(gguf, parallel=1)
    service = Service(backend, suite_of("core"), name="bench", config=Config())
    return InProcess(service, "bench-base")


def _passages(shield: Shield) -> dict[str, Any] | str:
    """Share of honest passages of the real corpora that would be taken for injections."""
    root = Path(os.environ.get(CORPORA, str(BESIDE)))
    if not root.is_dir():
        return "no corpora at hand"
    files = sorted(
        path
        for name in COLLECTIONS
        for path in (root / name).rglob("*")
        if path.suffix in (".md", ".mdx", ".adoc")
    )
    texts: list[str] = []
    # Every nth file, its middle: no drawing, the same in every run.
    for path in files[:: max(1, len(files) // PASSAGES)][:PASSAGES]:
        text = path.read_text("utf-8", "replace")
        middle = len(text) // 2
        texts.append(text[middle : middle + CHARACTERS])
    flagged = [text for text in texts if INJECTION in shield.score(text).flags]
    by_rule = sum(any(hit.certain for hit in find(text)) for text in flagged)
    found = wilson(len(flagged), len(texts))
    return {
        "passages": len(texts),
        "characters": CHARACTERS,
        "flagged": [round(v, 4) for v in (found.value, found.low, found.high)],
        "by a rule": by_rule,
        "examples": [text[:200] for text in flagged[:5]],
    }


def _cost(shield: Shield) -> dict[str, float]:
    """Medians over held-out honest texts, each seen for the first time."""
    texts = [row.text for row in attacks.rows("held") if not row.attack and row.family != "long"]
    fresh = Shield.from_config(
        ShieldConfig(injection="flag"), None, embedder=Embedder.load(threads=1)
    )
    fresh.check_input(Request("bench", (Turn("user", "the first loads the model"),)))
    found = {"rules alone": [], "the whole check": []}  # type: dict[str, list[float]]
    for text in texts[:TIMED]:
        began = time.perf_counter()
        find(text)
        middle = time.perf_counter()
        fresh.check_input(Request("bench", (Turn("user", text),)))
        found["rules alone"].append(middle - began)
        found["the whole check"].append(time.perf_counter() - middle)
    return {k: round(1e3 * sorted(v)[len(v) // 2], 3) for k, v in found.items()}

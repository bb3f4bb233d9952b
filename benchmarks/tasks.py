"""Speed of the verifiable tasks: items generated and answers judged a second, in one process.

Contract: every family counts alike; numeric verdicts are of short answers in words ("11,546.95
USDC", "-5.7%"), right and wrong ones in turn, each question asked again as in a scoring run.
"""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

from denizen.tasks import FAMILIES, Item, evaluate, verify

ITEMS = 400
VERDICTS = 200_000
TARGETS = {"items_per_second": 2_000, "numeric_verdicts_per_second": 50_000}


def measure() -> dict[str, Any]:
    """Items a second by family and over all; verdicts a second on numbers and on calls."""
    by_family: dict[str, int] = {}
    drawn: list[Item] = []
    spent = 0.0
    for name, family in FAMILIES.items():
        family.generate(0, "train")  # tables are read once, outside the clock
        began = time.perf_counter()
        made = [family.generate(seed, "train") for seed in range(ITEMS)]
        took = time.perf_counter() - began
        by_family[name] = round(ITEMS / took)
        spent += took
        drawn += made[:40]
    numeric = _numeric(drawn)
    calls = [(item, item.answer) for item in drawn if item.form == "call"]
    figures = {
        "items_per_second": round(ITEMS * len(FAMILIES) / spent),
        "numeric_verdicts_per_second": _rate(numeric, VERDICTS),
        "call_verdicts_per_second": _rate(calls, VERDICTS // 10),
    }
    return {
        **figures,
        "families": len(FAMILIES),
        "items_per_second_by_family": by_family,
        "targets": TARGETS,
        "reached": all(figures[key] >= target for key, target in TARGETS.items()),
    }


def _numeric(items: list[Item]) -> list[tuple[Item, str]]:
    """Short numeric answers, right and 3% off in turn."""
    pairs: list[tuple[Item, str]] = []
    for item in items:
        if item.form != "call":
            continue
        gold = evaluate(item.gold)
        if gold.number is None or abs(gold.number) < Decimal("1e-9"):
            continue
        said = gold.number * (Decimal("1.03") if len(pairs) % 2 else 1)
        digits = max(0, 6 - said.adjusted())
        text = f"{said.quantize(Decimal(1).scaleb(-min(digits, 18))):,f}"
        pairs.append((item, f"{text}%" if gold.unit == "%" else f"{text} {gold.unit}".strip()))
    return pairs


def _rate(pairs: list[tuple[Item, str]], count: int) -> int:
    """Verdicts a second over the pairs, again and again."""
    for item, text in pairs:
        verify(item, text)  # gold results are cached, as in a scoring run
    rounds = max(1, count // len(pairs))
    began = time.perf_counter()
    for _ in range(rounds):
        for item, text in pairs:
            verify(item, text)
    return round(rounds * len(pairs) / (time.perf_counter() - began))

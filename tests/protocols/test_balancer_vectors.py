"""Weighted pools against figures recorded from Balancer's deployed bytecode, every test run."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from denizen.protocols import MathError, balancer_pool

FOLDER = Path(__file__).parents[1] / "graders" / "balancer_v2"
VECTORS = json.loads((FOLDER / "vectors.json").read_text("utf-8"))
KINDS = sorted({case["kind"] for case in VECTORS["cases"]})


def answer(case: dict[str, Any]) -> list[Any] | None:
    """[amounts, [balances, supply, last invariant]], or None if refused, as the contract's."""
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in case["pool"].items()}
    pool, figures = balancer_pool.WeightedPool(**given), case["figures"]
    calls = {
        "swap given in": lambda: balancer_pool.swap_given_in(pool, *figures),
        "swap given out": lambda: balancer_pool.swap_given_out(pool, *figures),
        "join exact tokens": lambda: balancer_pool.join_exact_tokens(pool, figures[0]),
        "join one token": lambda: balancer_pool.join_token_for_bpt(pool, figures[1], figures[0]),
        "join proportional": lambda: balancer_pool.join_proportional(pool, figures[0]),
        "exit one token": lambda: balancer_pool.exit_one_token(pool, figures[1], figures[0]),
        "exit proportional": lambda: balancer_pool.exit_proportional(pool, figures[0]),
        "exit exact tokens": lambda: balancer_pool.exit_exact_tokens(pool, figures[0]),
    }
    try:
        done = calls[case["kind"]]()
    except MathError:
        return None
    if isinstance(done, balancer_pool.Swap):
        amounts = [done.amount_in, done.amount_out]
    else:
        amounts = list(done.amounts)
    after = done.pool
    return [amounts, [list(after.balances), after.total_supply, after.last_invariant]]


def test_the_vectors_cover_every_operation() -> None:
    count = Counter(case["kind"] for case in VECTORS["cases"] if case["theirs"])
    assert len(count) == 8 and min(count.values()) >= 10
    assert any(case["theirs"] is None for case in VECTORS["cases"])
    assert {case["pool"]["protocol_share"] for case in VECTORS["cases"]} >= {0, 10**17, 5 * 10**17}


@pytest.mark.parametrize("kind", KINDS)
def test_committed_figures(kind: str) -> None:
    for case in VECTORS["cases"]:
        if case["kind"] == kind:
            assert answer(case) == case["theirs"], case

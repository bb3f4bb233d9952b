"""StableSwap against curvesim: committed figures always, thousands of fresh ones if it is there."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from denizen.protocols import curve_math
from denizen.protocols import curve_stableswap as curve

FOLDER = Path(__file__).parents[1] / "graders" / "curvesim"
VECTORS = json.loads((FOLDER / "vectors.json").read_text("utf-8"))


def pool_of(case: dict[str, Any]) -> curve.StablePool:
    """The case's pool; curvesim's A has no further precision."""
    given = case["pool"]
    return curve.StablePool(
        balances=tuple(given["balances"]),
        rates=tuple(given["rates"]),
        amp=given["A"] * curve_math.A_PRECISION,
        fee=given["fee"],
        admin_fee=given["admin_fee"],
        total_supply=given["tokens"],
    )


def result_of(pool: curve.StablePool, case: dict[str, Any]) -> tuple[Any, curve.StablePool]:
    """(what curvesim calls the result, the pool after it)."""
    kind, args = case["kind"], case["args"]
    if kind == "exchange":
        swap = curve.exchange(pool, *args)
        return [swap.dy, swap.fee], swap.pool
    if kind == "dynamic_fee":
        return curve_math.dynamic_fee(args[0], args[1], pool.fee, args[2]), pool
    done: curve.Liquidity = getattr(curve, kind)(pool, *args)
    results = {
        "add_liquidity": done.lp_tokens,
        "remove_liquidity": None,
        "remove_liquidity_imbalance": [done.lp_tokens, list(done.fees)],
        "remove_liquidity_one_coin": [sum(done.amounts), sum(done.fees)],
    }
    return results[kind], done.pool


def check(case: dict[str, Any]) -> None:
    """Every figure of the case, to the unit; curvesim's price is a double."""
    pool = pool_of(case)
    assert case["D"] == pool.D
    assert curve.virtual_price(pool) == case["virtual_price"]
    price, theirs = curve.spot_price(pool, *case["ij"]), Decimal(case["dydx"])
    assert abs(price / theirs - 1) < Decimal("1e-14")
    out, after = result_of(pool, case)
    assert out == case["out"]
    assert list(after.balances) == case["after"]["balances"]
    assert after.total_supply == case["after"]["tokens"]


def test_the_vectors_cover_every_operation() -> None:
    assert VECTORS["source"].startswith("curvesim 0.5.0")
    kinds = Counter(case["kind"] for case in VECTORS["cases"])
    assert len(kinds) == 6 and min(kinds.values()) >= 30
    assert {len(case["pool"]["rates"]) for case in VECTORS["cases"]} == {2, 3, 4}


@pytest.mark.parametrize("kind", sorted({case["kind"] for case in VECTORS["cases"]}))
def test_committed_figures(kind: str) -> None:
    for case in VECTORS["cases"]:
        if case["kind"] == kind:
            check(case)


@pytest.mark.slow
def test_fresh_figures() -> None:
    python = os.environ.get("DENIZEN_CURVESIM_PYTHON")
    if not python:
        pytest.skip("DENIZEN_CURVESIM_PYTHON names no Python with curvesim 0.5.0")
    count = os.environ.get("DENIZEN_CURVESIM_CASES", "2000")
    done = subprocess.run(
        [python, str(FOLDER / "make_vectors.py"), count, "7"],
        capture_output=True, text=True, check=True, timeout=600,
    )  # fmt: skip
    cases = json.loads(done.stdout)["cases"]
    assert len(cases) == int(count)
    for case in cases:
        check(case)

"""Weighted mathematics against balancer-maths 0.0.41 (MIT), Balancer's own, in node.

It grades Balancer v3, whose weighted swap, invariant and powers are those of v2; joins and exits
differ between the two and are graded by bytecode instead (evm/certify/balancer.py).
"""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from tests.graders.node import installed

from denizen.protocols import MathError
from denizen.protocols import balancer_math as fixed
from denizen.protocols import balancer_weighted as weighted
from denizen.protocols.balancer_math import ONE

CASES = 4000


def invariant_up(weights: list[int], balances: list[int]) -> int:
    """v3's invariant rounded up, out of our powers."""
    value = ONE
    for balance, weight in zip(balances, weights, strict=True):
        value = fixed.mul_up(value, fixed.pow_up(balance, weight))
    return value


def balance_at(balance: int, weight: int, ratio: int) -> int:
    """v3's balance for an invariant grown by `ratio`."""
    return fixed.mul_up(balance, fixed.pow_up(ratio, fixed.div_up(ONE, weight)))


OURS: dict[str, Callable[..., int]] = {
    "_computeOutGivenExactIn": weighted.out_given_in,
    "_computeInGivenExactOut": weighted.in_given_out,
    "_computeInvariantDown": lambda weights, balances: weighted.invariant(balances, weights),
    "_computeInvariantUp": invariant_up,
    "_computeBalanceOutGivenInvariant": balance_at,
}


def drawn(count: int, seed: int) -> Iterator[tuple[str, list[Any]]]:
    """Cases from even to 98:1 weights, 1 to 1e9 tokens, trades up to 33% of the balance."""
    draw = random.Random(seed)
    for number in range(count):
        name = list(OURS)[number % len(OURS)]
        n = draw.randint(2, 8)
        cuts = sorted(draw.sample(range(ONE - n * weighted.MIN_WEIGHT), n - 1))
        spare = [0, *cuts, ONE - n * weighted.MIN_WEIGHT]
        weights = [weighted.MIN_WEIGHT + b - a for a, b in pairwise(spare)]
        if draw.random() < 0.3:
            weights = draw.choice(([ONE // 2] * 2, [8 * ONE // 10, 2 * ONE // 10], [ONE // 4] * 4))
        held = [int(10 ** draw.uniform(18, 27)) for _ in weights]
        part = draw.choice((0, 10**9, 10**15, 3 * 10**17, 33 * 10**16))
        part = draw.randint(0, part)
        if name in ("_computeOutGivenExactIn", "_computeInGivenExactOut"):
            base = held[0] if name == "_computeOutGivenExactIn" else held[1]
            yield name, [held[0], weights[0], held[1], weights[1], base * part // ONE]
        elif name == "_computeBalanceOutGivenInvariant":
            # 3^(1 / 5%) still fits 256 bits; node's integers would go on past them.
            yield name, [held[0], max(weights[0], ONE // 20), draw.randint(7 * ONE // 10, 3 * ONE)]
        else:
            yield name, [weights, held]


def strings(value: Any) -> Any:
    return [strings(item) for item in value] if isinstance(value, list) else str(value)


@pytest.mark.slow
def test_every_figure_is_theirs() -> None:
    folder = installed("balancer_maths", "grade.mjs")
    cases = list(drawn(CASES, 3))
    asked = "".join(json.dumps({"f": f, "a": strings(a)}) + "\n" for f, a in cases)
    done = subprocess.run(
        ["node", "grade.mjs"],
        cwd=folder, input=asked, capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(cases)
    refused = 0
    for (name, values), answer in zip(cases, answers, strict=True):
        try:
            ours = OURS[name](*values)
        except MathError:
            refused += 1
            assert "e" in answer, (name, values, answer)
            continue
        assert answer == {"r": str(ours)}, (name, values)
    # Some draws are past 30%: both sides refuse those, and only those.
    assert 0 < refused < CASES // 10

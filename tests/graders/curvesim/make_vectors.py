"""Reference figures from curvesim 0.5.0 (MIT), an independent StableSwap pool.

Run it with a Python that has curvesim (a separate environment: the dependencies are heavy):
    python tests/graders/curvesim/make_vectors.py 500 1 > tests/graders/curvesim/vectors.json
Prints one JSON object: the versions, the command, and a list of cases, one a line.
"""

from __future__ import annotations

import json
import platform
import random
import sys
from importlib.metadata import version

from curvesim.pool.stableswap.pool import CurvePool

WAD = 10**18
KINDS = (
    "exchange",
    "exchange",
    "add_liquidity",
    "remove_liquidity",
    "remove_liquidity_imbalance",
    "remove_liquidity_one_coin",
    "dynamic_fee",
)


def draw_pool(draw: random.Random) -> CurvePool:
    """2 to 4 coins of 6, 8 or 18 decimals, A from 10 to 5000, up to a hundredfold imbalance."""
    n = draw.randint(2, 4)
    size = 10 ** draw.uniform(2, 10)
    decimals = [draw.choice((6, 8, 18, 18)) for _ in range(n)]
    # A quarter of the coins bears interest: its rate is over par.
    over = [draw.choice((WAD, WAD, WAD, draw.randint(WAD, 13 * WAD // 10))) for _ in range(n)]
    rates = [rate * 10 ** (18 - places) for rate, places in zip(over, decimals, strict=True)]
    balances = [int(size * 10 ** draw.uniform(-2, 0) * 10**places) for places in decimals]
    return CurvePool(
        A=int(10 ** draw.uniform(1, 3.7)),
        D=balances,
        n=n,
        rates=rates,
        fee=draw.choice((0, 10**6, 4 * 10**6, draw.randint(1, 10**8))),
        admin_fee=draw.choice((0, 5 * 10**9, 10**10)),
        virtual_price=draw.randint(WAD, 13 * WAD // 10),
    )


def case(draw: random.Random) -> dict:
    """One operation on one pool: everything that goes in, everything that comes out."""
    pool, kind = draw_pool(draw), draw.choice(KINDS)
    i, j = draw.sample(range(pool.n), 2)
    before = {
        "A": pool.A,
        "balances": list(pool.balances),
        "rates": list(pool.rates),
        "fee": pool.fee,
        "admin_fee": pool.admin_fee,
        "tokens": int(pool.tokens),
    }
    views = {
        "D": int(pool.D()),
        "virtual_price": int(pool.get_virtual_price()),
        "dydx": repr(pool.dydx(i, j)),
    }
    part = 10 ** draw.uniform(-7, -0.2)
    if kind == "exchange":
        args = [i, j, int(pool.balances[i] * part * 3) + 10**6]
        out, fee = pool.exchange(*args)
        out = [int(out), int(fee)]
    elif kind == "add_liquidity":
        args = [[int(b * part * draw.random() * draw.randint(0, 1)) + 1 for b in pool.balances]]
        out = int(pool.add_liquidity(*args))
    elif kind == "remove_liquidity":
        args = [int(pool.tokens * part)]
        pool.remove_liquidity(*args)
        out = None
    elif kind == "remove_liquidity_imbalance":
        args = [[int(b * part * draw.random() * draw.randint(0, 1)) + 1 for b in pool.balances]]
        out, fees = pool.remove_liquidity_imbalance(*args)
        out = [int(out), [int(fee) for fee in fees]]
    elif kind == "remove_liquidity_one_coin":
        args = [int(pool.tokens * part), i]
        out = [int(figure) for figure in pool.remove_liquidity_one_coin(*args)]
    else:
        pool.fee_mul = draw.randint(10**10 + 1, 10**11)
        xp = pool._xp()
        args = [xp[i], xp[j], pool.fee_mul]
        out = int(pool.dynamic_fee(xp[i], xp[j]))
    after = {"balances": [int(b) for b in pool.balances], "tokens": int(pool.tokens)}
    return {
        "kind": kind,
        "pool": before,
        "ij": [i, j],
        **views,
        "args": args,
        "out": out,
        "after": after,
    }


def main(count: int, seed: int) -> None:
    """Print `count` cases; a draw that curvesim itself refuses is drawn again."""
    draw, cases = random.Random(seed), []
    while len(cases) < count:
        try:
            cases.append(json.dumps(case(draw), separators=(",", ":")))
        except (AssertionError, ZeroDivisionError):
            continue
    head = {
        "source": "curvesim " + version("curvesim") + " (MIT)",
        "python": platform.python_version(),
        "command": f"python tests/graders/curvesim/make_vectors.py {count} {seed}",
    }
    print(json.dumps(head)[:-1] + ', "cases": [')
    print(",\n".join(cases))
    print("]}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))

"""Classify a raw Swap event of v3 or v4: which token was sold.

Ground truth: real Uniswap v4 swaps.  The holdout takes real rows as they are (ETH/USDC on Base);
the other splits replay the sizes of other real rows in pools of other tokens, so that no pool and
no number is shared.  Trap: v3 signs are the pool's, v4 signs are the swapper's.
"""

from __future__ import annotations

from denizen.protocols import load_swaps
from denizen.tasks.families._make import Draw, answer, make_item
from denizen.tasks.phrasing import POOLS, say_version
from denizen.tasks.quantities import decimals_of, find_spans
from denizen.tasks.types import Family, Item, Split

NAME = "swap_event"
# Real rows: the last third belongs to the holdout, the rest lends its sizes to train and dev.
_HOLDOUT_SHARE = 3


def generate(seed: int, split: Split) -> Item:
    """One event; v3 and v4 with equal odds (a v3 event states the same trade from the pool)."""
    draw = Draw(NAME, seed, split, {"event": 1.0})
    rng, pool = draw.rng, draw.pool
    swaps = load_swaps()
    cut = len(swaps) - len(swaps) // _HOLDOUT_SHARE
    version = rng.choice(("v3", "v4"))
    if split == "holdout":
        swap = swaps[cut + rng.randrange(len(swaps) - cut)]
        pool = POOLS["holdout"][0]
        amount0, amount1 = swap.amount0, swap.amount1
    else:
        swap = swaps[rng.randrange(cut)]
        # The same dollar size, in this pool's tokens, jittered so that no figure recurs.
        jitter = rng.uniform(0.5, 2.0)
        quote = abs(swap.amount1) * 10 ** decimals_of(pool.quote) * jitter / 1e6
        quote = quote if pool.price > 0.5 else quote / 2900
        base = (
            quote / float(pool.price) * 10.0 ** (decimals_of(pool.base) - decimals_of(pool.quote))
        )
        sign = 1 if swap.amount0 > 0 else -1
        amount0, amount1 = sign * int(base), -sign * int(quote)
    if version == "v3":
        amount0, amount1 = -amount0, -amount1
    slots = {
        "version": say_version(rng, version),
        "amount0": str(amount0),
        "amount1": str(amount1),
        "token0": pool.base,
        "token1": pool.quote,
    }
    prompt = draw.ask(slots)
    spans = find_spans(prompt)  # as written: a token symbol may follow the number
    first, second = (
        next((s for s in spans if s.split(" ")[0] == str(a)), str(a)) for a in (amount0, amount1)
    )
    gold = f"event(version={version}; amount0={first}; amount1={second})"
    return make_item(
        draw, prompt, gold, version=version, difficulty=1 if version == "v3" else 2, pool=pool.name
    )


def near_misses(item: Item) -> tuple[str, ...]:
    """The other version's sign convention; the two amounts swapped."""
    from denizen.tasks.calculator import parse_call

    a = dict(parse_call(item.gold).arguments)
    other = "v3" if a["version"] == "v4" else "v4"
    return (
        answer(f"event(version={other}; amount0={a['amount0']}; amount1={a['amount1']})"),
        answer(f"event(version={a['version']}; amount0={a['amount1']}; amount1={a['amount0']})"),
    )


FAMILY = Family(
    NAME,
    "direction of a raw v3/v4 Swap event",
    ("event",),
    generate,
    near_misses,
    tools=("event",),
    levels=(1, 2),
    versions=("v3", "v4"),
)

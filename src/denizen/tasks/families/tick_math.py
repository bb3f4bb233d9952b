"""Ticks and prices: either way round, rounded to usable ticks, and widths in percent.

Trap: the decimals of the tokens, the inverse price, rounding toward minus infinity below zero.
"""

from __future__ import annotations

from denizen.protocols.tick_math import sqrt_price_from_price, tick_at_sqrt_price
from denizen.tasks.calculator import evaluate
from denizen.tasks.families._edits import replace_argument
from denizen.tasks.families._make import Draw, answer, make_item
from denizen.tasks.families._pool_order import moved, swapped, token_order, turned, unequal_pools
from denizen.tasks.phrasing import near, say_price
from denizen.tasks.tools.ticks import DIRECT, INVERSE, ROUNDINGS
from denizen.tasks.types import Family, Item, Split

NAME = "tick_math"
TOOLS = {
    "tick": "tick_at",
    "usable": "tick_usable",
    "price": "tick_price",
    "sqrt": "sqrt_price",
    "width": "tick_width",
    "move": "tick_move",
}
LEVELS = {"tick": 2, "usable": 3, "price": 2, "sqrt": 3, "width": 1, "move": 1}
ROUNDED = {"down": "down", "up": "up", "nearest": "to nearest"}
SPACINGS = (10, 10, 60, 60, 200, 50, 100, 30)


def generate(seed: int, split: Split) -> Item:
    """Prices of the split's pools, moved by up to a half, and ticks near those prices."""
    draw = Draw(NAME, seed, split, dict.fromkeys(TOOLS, 1.0))
    rng, kind = draw.rng, draw.kind
    if kind in ("width", "move"):
        slots, gold = _ticks(draw)
        prompt = draw.ask(slots)
        return make_item(draw, prompt, gold, version="any", difficulty=LEVELS[kind], pool="")
    pool = draw.pool = rng.choice(unequal_pools(split))
    price = near(rng, pool.price, 0.6, 1.5, rng.choice((3, 4, 5)))
    slots = token_order(draw, pool)
    direct = slots["token0"] == pool.base
    if kind in ("tick", "usable"):
        slots["price"] = say_price(rng, price, pool)
        gold = f"price={slots['price']}; quoted={DIRECT if direct else INVERSE}"
        if kind == "usable":
            rounding = rng.choice(ROUNDINGS)
            slots |= {"spacing": str(rng.choice(SPACINGS)), "rounding": ROUNDED[rounding]}
            gold += f"; spacing={slots['spacing']}; round={rounding}"
    else:
        units = int(slots["decimals0"]), int(slots["decimals1"])
        root = sqrt_price_from_price(price if direct else 1 / price, *units)
        if kind == "sqrt":
            number = root + rng.randrange(root // 10**6)
        else:
            number = tick_at_sqrt_price(root)
        slots[kind] = slots["tick"] = str(number)
        gold = f"{'sqrt' if kind == 'sqrt' else 'tick'}={number}; decimals0={units[0]}; "
        gold += f"decimals1={units[1]}; quoted={slots['quoted']}"
    hard = min(LEVELS[kind] + (INVERSE in gold), 3)
    return make_item(
        draw, draw.ask(slots), f"{TOOLS[kind]}({gold})", version="any", difficulty=hard
    )


def _ticks(draw: Draw) -> tuple[dict[str, str], str]:
    """Bounds up to a few thousand ticks apart, or a number of ticks, up or down."""
    rng = draw.rng
    comma = "," if rng.random() < 0.4 else ""
    if draw.kind == "move":
        ticks = rng.choice((-1, 1, 1)) * rng.randrange(25, 9_000)
        slots = {"ticks": f"{ticks:{comma}}"}
        return slots, f"tick_move(ticks={slots['ticks']})"
    spacing = rng.choice(SPACINGS)
    lower = rng.choice((-1, -1, 1)) * rng.randrange(12_000, 270_000) // spacing * spacing
    upper = lower + spacing * rng.randrange(2, 9_000 // spacing)
    slots = {"lower": f"{lower:{comma}}", "upper": f"{upper:{comma}}"}
    return slots, f"tick_width(lower={slots['lower']}; upper={slots['upper']})"


def near_misses(item: Item) -> tuple[str, ...]:
    """The inverse price, swapped decimals or bounds, another rounding, the other sign, 1% off."""
    call = item.gold
    match item.kind:
        case "width":
            misses = [moved(call, "upper", "1.01"), moved(call, "lower", "0.99")]
            misses.append(swapped(call, "lower", "upper"))
        case "move":
            misses = [moved(call, "ticks", "1.05"), moved(call, "ticks", "-1")]
        case "tick":
            misses = [turned(call), moved(call, "price", "1.01")]
        case "usable":
            misses = [turned(call)]
            gold = evaluate(call).values
            rounded = [replace_argument(call, "round", word) for word in ROUNDINGS]
            # The nearest tick is one of the other two, so one of them is no miss.
            misses += [other for other in rounded if evaluate(other).values != gold]
        case kind:
            name = "sqrt" if kind == "sqrt" else "tick"
            misses = [turned(call), swapped(call, "decimals0", "decimals1")]
            misses += [moved(call, name, "1.01"), moved(call, name, "-1")]
    return tuple(map(answer, misses))


FAMILY = Family(
    NAME,
    "ticks, prices and usable ticks",
    tuple(TOOLS),
    generate,
    near_misses,
    tools=tuple(TOOLS.values()),
    levels=(1, 2, 3),
)

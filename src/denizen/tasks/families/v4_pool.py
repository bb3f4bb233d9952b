"""Uniswap v4 pools: hook bits, the fee field, fees with the protocol's part, currencies, deltas.

Trap: v3's conventions -- its signs, its protocol fee cut out of the swap fee, its WETH -- and a
dynamic flag that must stand alone.
"""

from __future__ import annotations

from decimal import Decimal

from denizen.protocols.uniswap_v4 import (
    DYNAMIC_FEE_FLAG,
    MAX_LP_FEE,
    NATIVE,
    OVERRIDE_FEE_FLAG,
    hook_bits,
)
from denizen.tasks.calculator import parse_call
from denizen.tasks.families._edits import replace_argument
from denizen.tasks.families._make import Draw, answer, make_item
from denizen.tasks.families._pool_order import moved, swapped
from denizen.tasks.phrasing import cap_decimals, near, say_amount, say_percent, shorten, significant
from denizen.tasks.tools.v4_pool import OPERATIONS, PERMISSIONS
from denizen.tasks.types import Family, Item, Split

NAME = "v4_pool"
TOOLS = {
    "permission": "v4_hook_has",
    "permissions": "v4_hook_list",
    "fee_field": "v4_fee_field",
    "override": "v4_override",
    "total_fee": "v4_fee",
    "currency": "v4_currency",
    "delta": "v4_delta",
}
LEVELS = {
    "permission": 2,
    "permissions": 3,
    "fee_field": 1,
    "override": 2,
    "total_fee": 1,
    "currency": 1,
    "delta": 3,
}
LP_FEES = ("0.01", "0.05", "0.3", "1", "0.25", "0.45", "2", "5", "0.08", "1.5", "10", "3")
PROTOCOL_FEES = ("0.1", "0.075", "0.05", "0.025", "0.0125", "0.02", "0.04", "0.06", "0.09")
OPPOSITE = {"settle": "take", "take": "settle", "mint": "burn", "burn": "mint"}
PAYS = ("settle", "burn")
STATIC_FEES = (100, 500, 3000, 10_000, 2_500, 4_500, 800, 20_000, 50_000)


def generate(seed: int, split: Split) -> Item:
    """Hooks with one to six permissions, fees of 0.01% to 10%, swaps of $200 to $90k."""
    draw = Draw(NAME, seed, split, dict.fromkeys(TOOLS, 1.0))
    kind = draw.kind
    slots = _DRAWS[kind](draw)
    gold = f"{TOOLS[kind]}({'; '.join(f'{name}={value}' for name, value in slots.items())})"
    prompt = draw.ask(slots)
    of = draw.pool.name if kind == "delta" else ""
    return make_item(draw, prompt, gold, version="v4", difficulty=LEVELS[kind], pool=of)


def _address(draw: Draw, bits: int | None = None) -> str:
    """A random address, in either case, whose lowest 14 bits may be given."""
    number = draw.rng.getrandbits(160)
    if bits is not None:
        number = number >> 14 << 14 | bits
    text = f"{number:040x}"
    mixed = "".join(draw.rng.choice((c, c.upper())) for c in text)
    return f"0x{mixed if draw.rng.random() < 0.6 else text}"


def _hook(draw: Draw) -> tuple[str, frozenset[str]]:
    """A hook's address and its permissions: no returned delta without its call."""
    names = set(draw.rng.sample(PERMISSIONS, draw.rng.choice((1, 2, 2, 3))))
    names |= {name.removesuffix("ReturnDelta") for name in names}
    return _address(draw, hook_bits(names)), frozenset(names)


def _permission(draw: Draw) -> dict[str, str]:
    hook, names = _hook(draw)
    if draw.rng.random() < 0.5:
        asked = draw.rng.choice(sorted(names))
    else:
        asked = draw.rng.choice([name for name in PERMISSIONS if name not in names])
    return {"hook": hook, "permission": asked}


def _permissions(draw: Draw) -> dict[str, str]:
    return {"hook": _hook(draw)[0]}


def _fee_field(draw: Draw) -> dict[str, str]:
    """The flag, a fee, or the flag with a fee in it, which no pool may have."""
    rng = draw.rng
    static = rng.choice(STATIC_FEES) + rng.choice((0, 0, rng.randrange(1, 90)))
    joined = DYNAMIC_FEE_FLAG + static
    return {"fee": str(rng.choice((DYNAMIC_FEE_FLAG, static, static, joined)))}


def _override(draw: Draw) -> dict[str, str]:
    stored, other = draw.rng.sample(STATIC_FEES, 2)
    flag = OVERRIDE_FEE_FLAG if draw.rng.random() < 0.65 else 0
    return {"stored": str(stored), "returned": str(flag + other)}


def _total_fee(draw: Draw) -> dict[str, str]:
    rng = draw.rng
    protocol = Decimal(rng.choice(PROTOCOL_FEES))
    lp = Decimal(rng.choice([fee for fee in LP_FEES if Decimal(fee) != protocol]))
    return {"lp": say_percent(rng, lp), "protocol": say_percent(rng, protocol)}


def _currency(draw: Draw) -> dict[str, str]:
    """Two tokens, or one and native ETH."""
    pair = [_address(draw), NATIVE if draw.rng.random() < 0.4 else _address(draw)]
    draw.rng.shuffle(pair)
    return {"asked": pair[0], "other": pair[1]}


def _delta(draw: Draw) -> dict[str, str]:
    """A swap's delta, then two operations that together leave some of it or turn it round."""
    rng, pool = draw.rng, draw.pool
    token = rng.choice((pool.base, pool.quote))
    worth = significant(rng, 200, 90_000, 3)
    size = worth / pool.price if token == pool.base else worth
    size = cap_decimals(near(rng, size, 1, 1.0001, 3), token)
    owes = rng.random() < 0.5
    # What a caller does: pays or burns claims where it owes, takes or mints where it may.
    first = rng.choice(PAYS if owes else ("take", "mint"))
    second = rng.choice([operation for operation in OPERATIONS if operation != first])
    left, parts = 0, [0, 0]
    while abs(left) < 4:  # percent of the swap: neither nothing nor a rounding
        parts = rng.sample(range(12, 98), 2)
        signed = (p if op in PAYS else -p for p, op in zip(parts, (first, second), strict=True))
        left = (-100 if owes else 100) + sum(signed)
    amounts = [cap_decimals(shorten(size * part / 100, 3), token) for part in parts]
    return {
        "swap": ("-" if owes else "") + say_amount(rng, size, token),
        "op1": first,
        "amount1": say_amount(rng, amounts[0], token),
        "op2": second,
        "amount2": say_amount(rng, amounts[1], token),
    }


_DRAWS = {
    "permission": _permission,
    "permissions": _permissions,
    "fee_field": _fee_field,
    "override": _override,
    "total_fee": _total_fee,
    "currency": _currency,
    "delta": _delta,
}


def near_misses(item: Item) -> tuple[str, ...]:
    """Another permission or address, the flag dropped or added, another operation, v3's sign."""
    call = item.gold
    values = dict(parse_call(call).arguments)
    match item.kind:
        case "permission":
            others = (name for name in PERMISSIONS if name != values["permission"])
            misses = [replace_argument(call, "permission", name) for name in others]
        case "permissions":
            last = "1" if values["hook"][-1] == "0" else "0"
            misses = [replace_argument(call, "hook", values["hook"][:-1] + last)]
            misses.append(f"v4_hook_has(hook={values['hook']}; permission=beforeSwap)")
        case "fee_field":
            wrong = [DYNAMIC_FEE_FLAG, DYNAMIC_FEE_FLAG + 1, 3000]
            wrong.remove(_like(int(values["fee"])))
            misses = [replace_argument(call, "fee", str(number)) for number in wrong]
        case "override":
            toggled = str(int(values["returned"]) ^ OVERRIDE_FEE_FLAG)
            misses = [replace_argument(call, "returned", toggled)]
            misses.append(swapped(call, "stored", "returned"))
        case "total_fee":
            misses = [moved(call, name, "1.2") for name in ("lp", "protocol")]
        case "currency":
            misses = [swapped(call, "asked", "other")]
        case _:
            misses = [moved(call, "swap", "-1"), moved(call, "amount1", "1.1")]
            misses += [replace_argument(call, op, OPPOSITE[values[op]]) for op in ("op1", "op2")]
    return tuple(map(answer, misses))


def _like(fee: int) -> int:
    """The first fee that means the same: the flag, past the maximum, or a fee."""
    if fee == DYNAMIC_FEE_FLAG:
        return fee
    return DYNAMIC_FEE_FLAG + 1 if fee > MAX_LP_FEE else 3000


FAMILY = Family(
    NAME,
    "Uniswap v4 hook bits, fees, currency order and deltas",
    tuple(TOOLS),
    generate,
    near_misses,
    tools=tuple(TOOLS.values()),
    levels=(1, 2, 3),
    versions=("v4",),
)

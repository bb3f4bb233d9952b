"""ERC-4626 vaults: previews, share price, rounding to the unit, and the inflation attack.

Trap: rounding the wrong way, assets taken for shares, virtual shares left out.
"""

from __future__ import annotations

from decimal import Decimal

from denizen.tasks.calculator import parse_call
from denizen.tasks.families._edits import exchanged, replace_argument, scaled, scaled_each
from denizen.tasks.families._make import Draw, answer, make_item
from denizen.tasks.families._token_sets import VAULTS
from denizen.tasks.phrasing import cap_decimals, near, say_amount, significant
from denizen.tasks.tools.vaults import FUNCTIONS
from denizen.tasks.types import Family, Item, Split

NAME = "vault_shares"
PREVIEWS = ("deposit", "mint", "withdraw", "redeem")
KINDS = {
    **dict.fromkeys(PREVIEWS, 0.12),
    "price": 0.1,
    "raw": 0.14,
    "virtual": 0.12,
    "attack": 0.08,
    "attack_virtual": 0.08,
}
LEVELS = {"price": 1, "deposit": 1, "redeem": 1, "mint": 2, "withdraw": 2, "raw": 2}


def generate(seed: int, split: Split) -> Item:
    """Share prices of 1.005 to 1.4, amounts of a ten-thousandth to a tenth of the vault."""
    draw = Draw(NAME, seed, split, KINDS)
    rng, kind = draw.rng, draw.kind
    asset, share, large = rng.choice(VAULTS[split])
    if kind in ("raw", "virtual"):
        slots, gold = _raw_preview(draw)
    elif kind in ("attack", "attack_virtual"):
        slots, gold = _attack(draw, asset, large)
    else:
        total = cap_decimals(
            significant(rng, float(large) / 90, float(large), rng.choice((4, 5))), asset
        )
        supply = near(rng, total, 0.71, 0.995, rng.choice((4, 5, 6)))
        of, token = (supply, share) if kind in ("mint", "redeem") else (total, asset)
        given = cap_decimals(near(rng, of, 0.0001, 0.1, rng.choice((2, 3, 4))), token)
        slots = {
            "total": say_amount(rng, total, asset),
            "supply": say_amount(rng, supply, share),
            "amount": say_amount(rng, given, token),
            "asset": asset,
            "share": share,
        }
        name = "shares" if kind in ("mint", "redeem") else "assets"
        head = "" if kind == "price" else f"{name}={slots['amount']}; "
        gold = f"vault_{kind}({head}total={slots['total']}; supply={slots['supply']})"
    return make_item(
        draw,
        draw.ask(slots),
        gold,
        version="erc4626",
        difficulty=LEVELS.get(kind, 3),
        pool=f"{share}/{asset}",
    )


def _raw_preview(draw: Draw) -> tuple[dict[str, str], str]:
    """Small integers whose division leaves a remainder, so that the direction shows."""
    rng = draw.rng
    offset = rng.choice((0, 0, 1, 2, 3, 6)) if draw.kind == "virtual" else 0
    assets = rng.randrange(20_000, 9_000_000)
    supply = int(assets * 10**offset * rng.uniform(0.55, 0.985))
    function = rng.choice(FUNCTIONS)
    to_shares = function in ("previewDeposit", "previewWithdraw")
    amount = rng.randrange(11, 9_000) if to_shares else rng.randrange(11, 9_000) * 10**offset
    virtual = (10**offset, 1) if draw.kind == "virtual" else (0, 0)
    pair = supply + virtual[0], assets + virtual[1]
    numerator, denominator = pair if to_shares else pair[::-1]
    while amount * numerator % denominator == 0 or amount * numerator < denominator:
        amount += 1
    comma = rng.random() < 0.4
    said = {
        name: f"{value:,}" if comma else str(value)
        for name, value in (("amount", amount), ("assets", assets), ("supply", supply))
    }
    call = "; ".join(f"{name}={value}" for name, value in said.items())
    slots = {**said, "function": function, "offset": str(offset)}
    tail = f"; offset={offset}" if draw.kind == "virtual" else ""
    return slots, f"vault_{draw.kind}(function={function}; {call}{tail})"


def _attack(draw: Draw, asset: str, large: Decimal) -> tuple[dict[str, str], str]:
    """A donation that takes part of a deposit of one to five times its size."""
    rng = draw.rng
    donation = cap_decimals(significant(rng, float(large) / 9e3, float(large) / 90, 2), asset)
    times = rng.choice(((1.15, 1.9), (2.15, 2.9), (3.15, 4.9)))
    victim = cap_decimals(near(rng, donation, *times, 3), asset)
    slots = {
        "first": str(rng.choice((1, 1, 1, 2, 5, 10))),
        "donation": say_amount(rng, donation, asset),
        "victim": say_amount(rng, victim, asset),
        "offset": str(rng.choice((0, 3, 4))),
        "asset": asset,
    }
    call = f"first={slots['first']}; donation={slots['donation']}; victim={slots['victim']}"
    tail = f"; offset={slots['offset']}" if draw.kind == "attack_virtual" else ""
    return slots, f"vault_{draw.kind}({call}{tail})"


def near_misses(item: Item) -> tuple[str, ...]:
    """The preview that rounds the other way, assets for shares, the other kind of vault."""
    call, kind = item.gold, item.kind
    values = dict(parse_call(call).arguments)
    if kind == "price":
        misses = scaled_each(call, "total", ("1.01",)) + scaled_each(call, "supply", ("1.01",))
        misses.append(exchanged(call, "total", "supply"))
    elif kind in PREVIEWS:
        pairs = {"deposit": "withdraw", "mint": "redeem"}
        other = pairs.get(kind) or next(a for a, b in pairs.items() if b == kind)
        misses = [call.replace(f"vault_{kind}", f"vault_{other}")]
        name = "shares" if "shares" in values else "assets"
        misses += scaled_each(call, name, ("1.01",))
        misses.append(exchanged(call, "total", "supply"))
    elif kind in ("raw", "virtual"):
        misses = [replace_argument(call, "function", f) for f in FUNCTIONS if f not in call]
        misses.append(exchanged(call, "assets", "supply"))
    else:
        plain, tail = "vault_attack", f"; offset={values.get('offset', '0')}"
        if kind == "attack":
            misses = [call.replace(plain, f"{plain}_virtual").replace(")", f"{tail})")]
        else:
            misses = [call.replace(f"{plain}_virtual", plain).replace(tail, "")]
            misses.append(scaled(call, "first", "2"))
        misses += scaled_each(call, "victim", ("1.01",)) + scaled_each(call, "donation", ("1.01",))
    return tuple(map(answer, misses))


FAMILY = Family(
    NAME,
    "ERC-4626 previews, share price and the inflation attack",
    tuple(KINDS),
    generate,
    near_misses,
    tools=tuple(f"vault_{kind}" for kind in KINDS),
    levels=(1, 2, 3),
    versions=("erc4626",),
)

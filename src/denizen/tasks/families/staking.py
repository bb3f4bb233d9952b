"""Liquid staking and pegs: wrapping, rebases, APR of two rates, discounts, returns, depegs.

Trap: the rate taken the wrong way round, the protocol's fee forgotten, simple for compounded.
"""

from __future__ import annotations

from decimal import Decimal

from denizen.tasks.calculator import parse_call
from denizen.tasks.families._edits import exchanged, replace_argument, scaled, scaled_each
from denizen.tasks.families._make import Draw, answer, make_item
from denizen.tasks.families._token_sets import COINS, LIQUID, WRAPPED
from denizen.tasks.phrasing import near, plain, say_amount, significant
from denizen.tasks.types import Family, Item, Split

NAME = "staking"
WAITS = {
    "4 days": 4, "6 days": 6, "9 days": 9, "12 days": 12, "18 days": 18, "45 days": 45,
    "2 weeks": 14, "3 weeks": 21, "72h": 3,
}  # fmt: skip
PERIODS = ("24h", "1 day", "3 days", "7 days", "7d", "14 days", "2 weeks", "30 days", "90 days")
KINDS = {
    **dict.fromkeys(("wrap", "unwrap", "rebase", "apr", "discount", "return", "depeg"), 0.13),
    "compounded": 0.09,
}
TOOLS = {
    **{kind: f"lst_{kind}" for kind in ("wrap", "unwrap", "rebase", "apr", "discount", "return")},
    "depeg": "peg_gap",
    "compounded": "lst_apy",
}
LEVELS = {"wrap": 1, "unwrap": 1, "depeg": 1, "rebase": 3, "compounded": 3}


def generate(seed: int, split: Split) -> Item:
    """A question of one kind about this split's tokens."""
    draw = Draw(NAME, seed, split, KINDS)
    kind = draw.kind
    if kind in ("wrap", "unwrap", "rebase"):
        arguments, told, pool = _wrapped(draw)
    elif kind == "apr":
        arguments, told, pool = _rates(draw)
    elif kind == "depeg":
        arguments, told, pool = _peg(draw)
    else:
        arguments, told, pool = _discount(draw)
    gold = f"{TOOLS[kind]}({'; '.join(f'{k}={v}' for k, v in arguments.items())})"
    prompt = draw.ask({**arguments, **told})
    return make_item(draw, prompt, gold, version="any", difficulty=LEVELS.get(kind, 2), pool=pool)


Made = tuple[dict[str, str], dict[str, str], str]


def _wrapped(draw: Draw) -> Made:
    rng = draw.rng
    token, wrapped, pooled, centre = rng.choice(WRAPPED[draw.split])
    told = {"token": token, "wrapped": wrapped, "pooled_token": pooled}
    if draw.kind == "rebase":
        total = significant(rng, 4e4, 9.6e6, rng.choice((4, 5)))
        rewards = near(rng, total, 0.00004, 0.0002, 4)
        held = significant(rng, 3, 9e3, rng.choice((2, 3, 4)))
        fee = rng.choice(tuple(map(Decimal, ("10", "10", "5", "20", "7.5", "14"))))
        arguments = {
            "held": say_amount(rng, held, token),
            "pooled": say_amount(rng, total, pooled),
            "rewards": say_amount(rng, rewards, pooled),
            "fee": f"{plain(fee)}%",
        }
        return arguments, told, f"{token}/{pooled}"
    rate = near(rng, Decimal(centre), 0.985, 1.03, rng.choice((4, 5, 6)))
    amount = significant(rng, 0.3, 6e3, rng.choice((2, 3, 4, 5)))
    joint = rng.choice((" per ", " per ", "/"))
    arguments = {
        "amount": say_amount(rng, amount, token if draw.kind == "wrap" else wrapped),
        "rate": f"{plain(rate)} {token}{joint}{wrapped}",
    }
    return arguments, told, f"{wrapped}/{token}"


def _rates(draw: Draw) -> Made:
    rng = draw.rng
    token, under, value = rng.choice([row for row in LIQUID[draw.split] if row[2] != "1"])
    period = rng.choice(PERIODS)
    days = {"24h": 1, "7d": 7, "2 weeks": 14}.get(period) or int(period.split()[0])
    before = near(rng, Decimal(value), 0.985, 1.03, 9)
    growth = Decimal(rng.randrange(180, 560)) * days / 3_650_000
    after = (before * (1 + growth)).quantize(Decimal("1e-8"))
    arguments = {"before": plain(before), "after": plain(after), "period": period}
    return arguments, {"token": token, "underlying": under}, f"{token}/{under}"


def _discount(draw: Draw) -> Made:
    rng = draw.rng
    token, under, value = rng.choice(LIQUID[draw.split])
    redemption = Decimal(value)
    if value != "1":
        redemption = near(rng, redemption, 0.985, 1.03, rng.choice((4, 5)))
    below = rng.choice(((0.94, 0.985), (0.982, 0.998), (0.99, 0.9985), (1.002, 1.02)))
    told: dict[str, str] = {}
    if draw.kind != "discount":
        # Worth 4% to 55% a year: no queue leaves a thousand per cent lying about.
        told["wait"] = rng.choice(tuple(WAITS))
        years = WAITS[told["wait"]] / 365
        below = (1 - 0.55 * years, 1 - 0.04 * years)
    market = near(rng, redemption, *below, rng.choice((5, 6)))
    quoted = {"market": f"{plain(market)} {under}", "redemption": f"{plain(redemption)} {under}"}
    arguments = {**quoted, **told}
    return arguments, {"token": token, "underlying": under}, f"{token}/{under}"


def _peg(draw: Draw) -> Made:
    rng = draw.rng
    token = rng.choice(COINS[draw.split])
    off = rng.choice(((0.86, 0.97), (0.96, 0.993), (0.988, 0.9985), (1.0015, 1.02)))
    price = near(rng, Decimal(1), *off, 4)
    sign = rng.choice(("$", "$", ""))
    arguments = {"price": f"{sign}{plain(price)}", "peg": rng.choice(("$1", "$1", "$1.00"))}
    return arguments, {"token": token}, f"{token}/USD"


def near_misses(item: Item) -> tuple[str, ...]:
    """The inverse conversion, no fee, prices swapped, simple for compounded, 1% off."""
    call, kind = item.gold, item.kind
    values = dict(parse_call(call).arguments)
    if kind in ("wrap", "unwrap"):
        rate, _, units = values["rate"].partition(" ")
        inverse = f"{plain(round(1 / Decimal(rate), 8))} {units}"
        misses = [replace_argument(call, "rate", inverse), *scaled_each(call, "amount", ("1.01",))]
    elif kind == "rebase":
        misses = [replace_argument(call, "fee", "0%"), *scaled_each(call, "rewards", ("1.01",))]
        misses += scaled_each(call, "held", ("0.1",))
    elif kind == "apr":
        misses = [replace_argument(call, "period", "365 days"), exchanged(call, "before", "after")]
    elif kind == "depeg":
        misses = [exchanged(call, "price", "peg"), scaled(call, "price", "1.01")]
    else:
        misses = [exchanged(call, "market", "redemption"), *scaled_each(call, "market", ("1.01",))]
        if kind != "discount":
            other = "lst_return" if kind == "compounded" else "lst_apy"
            misses += [replace_argument(call, "wait", "1 day"), other + call[call.index("(") :]]
    return tuple(map(answer, misses))


FAMILY = Family(
    NAME,
    "liquid staking conversions, rewards and APR; discounts and depegs",
    tuple(KINDS),
    generate,
    near_misses,
    tools=tuple(TOOLS.values()),
    levels=(1, 2, 3),
)

"""Figures for questions on incentives: one function a kind, each giving the slots of a question.

Contract: a slot is a quantity as somebody would write it, and no two of a question are equal.
Reward tokens have 18 decimals: a stream of a coarser one loses visible dust to the rate a second.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import cache
from random import Random

from denizen.tasks.phrasing import (
    POOLS,
    Pool,
    near,
    plain,
    say_amount,
    say_money,
    say_number,
    shorten,
    significant,
)
from denizen.tasks.types import Split

GOVERNANCE = frozenset({
    "LINK", "UNI", "ARB", "CRV", "GRT", "LDO", "COMP", "SUSHI", "SNX", "ENS", "YFI", "MATIC",
    "AAVE", "OP", "MKR", "PENDLE", "GNO",
})  # fmt: skip
# (days of the stream, how it is said)
STREAMS = ((7, "7 days"), (14, "2 weeks"), (28, "4 weeks"), (30, "30 days"), (90, "90 days"))
EVEN = {
    "day": ("30 days", "90 days", "26 weeks", "180 days", "1 year"),
    "week": ("12 weeks", "26 weeks", "52 weeks", "104 weeks"),
    "month": ("6 months", "18 months", "2 years", "30 months"),
    "year": ("3 years", "4 years", "5 years", "10 years"),
}
HALVINGS = {
    "day": (("180 days", "540 days"), ("1 year", "4 years"), ("2 years", "5 years")),
    "week": (("26 weeks", "130 weeks"), ("52 weeks", "208 weeks"), ("13 weeks", "52 weeks")),
    "month": (("12 months", "42 months"), ("2 years", "5 years"), ("6 months", "3 years")),
    "year": (("2 years", "7 years"), ("4 years", "10 years"), ("1 year", "5 years")),
}
PRICES = {"veCRV": (0.2, 1.2), "veBAL": (0.9, 6)}


@cache
def reward_pools(split: Split) -> tuple[Pool, ...]:
    """Pools whose base is paid out as a reward."""
    return tuple(pool for pool in POOLS[split] if pool.base in GOVERNANCE)


def _tokens(rng: Random, pool: Pool, low: float, high: float) -> str:
    """A round amount of the token, worth so much."""
    worth = significant(rng, low, high, 3) / _dollars(pool)
    return say_amount(rng, shorten(worth, rng.choice((1, 2, 3))), pool.base)


def _dollars(pool: Pool) -> Decimal:
    return pool.price * (2700 if pool.quote in ("WETH", "ETH") else 1)


def _stakes(rng: Random) -> dict[str, str]:
    stake = significant(rng, 80, 2e5, 3)
    pool = near(rng, stake, 6, 400, 4)
    return {"stake": say_number(rng, stake), "pool": say_number(rng, pool)}


def _stream(rng: Random, pool: Pool) -> dict[str, str]:
    days, over = rng.choice(STREAMS)
    held = rng.randrange(2, days)
    slots = {"reward": _tokens(rng, pool, 2e4, 3e6), "over": over}
    return slots | {"held": f"{held} days"} | _stakes(rng)


def _chef(rng: Random, pool: Pool) -> dict[str, str]:
    blocks = rng.choice((7_200, 14_400, 50_000, 100_000, 216_000)) + rng.randrange(0, 5_000, 50)
    slots = {"per_block": _tokens(rng, pool, 2, 400), "blocks": f"{blocks:,}"}
    slots["weight"] = f"{plain(Decimal(rng.randrange(2, 121)) / 4)}%"
    return slots | _stakes(rng)


def _constant(rng: Random, pool: Pool) -> dict[str, str]:
    per = rng.choice(tuple(EVEN))
    return {
        "amount": _tokens(rng, pool, 4e3, 8e6),
        "per": per,
        "length": rng.choice(EVEN[per]),
    }


def _decay(rng: Random, pool: Pool) -> dict[str, str]:
    cut = f"{plain(Decimal(rng.randrange(10, 81)) / 2)}%"
    length = f"{rng.randrange(3, 13)} years"
    return {"first": _tokens(rng, pool, 1e6, 3e8), "cut": cut, "length": length}


def _halving(rng: Random, pool: Pool) -> dict[str, str]:
    per = rng.choice(tuple(HALVINGS))
    every, length = rng.choice(HALVINGS[per])
    first = _tokens(rng, pool, 4e3, 8e6)
    return {"first": first, "per": per, "every": every, "length": length}


def _boost(rng: Random, pool: Pool) -> dict[str, str]:
    escrow = rng.choice(("veCRV", "veCRV", "veBAL"))
    total = significant(rng, 3e8, 8e8, 3) if escrow == "veCRV" else significant(rng, 3e6, 7e6, 3)
    gauge = significant(rng, 8e5, 2e8, 4)
    stake = near(rng, gauge, 0.0004, 0.04, 3)
    # From 1.0 on the boost is capped.
    part = Decimal(rng.randrange(8, 125)) / 100
    own = shorten(total * stake / gauge * part, 3)
    return {
        "stake": say_number(rng, stake),
        "pool": say_number(rng, gauge),
        "ve": say_amount(rng, own, escrow),
        "all_ve": say_amount(rng, total, escrow),
        "escrow": escrow,
    }


def _ve_power(rng: Random, pool: Pool) -> dict[str, str]:
    escrow, token, days = rng.choice((("veCRV", "CRV", 1440), ("veBAL", "BPT", 350)))
    now = 1_690_000_000 + rng.randrange(110_000_000)
    unlock = now + rng.randrange(25, days) * 86_400 + rng.randrange(86_400)
    locked = say_amount(rng, significant(rng, 200, 2e6, rng.choice((2, 3))), token)
    return {"locked": locked, "unlock": str(unlock), "now": str(now), "escrow": escrow}


def _bribe(rng: Random, pool: Pool) -> dict[str, str]:
    escrow = rng.choice(tuple(PRICES))
    price = significant(rng, *PRICES[escrow], 3)
    votes = significant(rng, 2e5, 2e7, 3)
    rounds = rng.choice((26, 52))
    bribe = near(rng, votes * price / rounds, 0.06, 0.7, 3)
    return {
        "bribe": say_money(rng, bribe),
        "votes": say_amount(rng, votes, escrow),
        "rounds": str(rounds),
        "price": f"${plain(price)}",
        "escrow": escrow,
    }


def _exit(rng: Random, pool: Pool) -> dict[str, str]:
    days, term = rng.choice(
        ((90, "90 days"), (180, "180 days"), (182, "26 weeks"), (365, "1 year"))
    )
    elapsed = f"{rng.randrange(5, days - 4)} days"
    slots = {"amount": _tokens(rng, pool, 500, 2e6), "term": term, "elapsed": elapsed}
    if elapsed == term:
        slots["elapsed"] = "3 weeks"
    return slots | {"max": f"{rng.randrange(20, 91, 5)}%"}


def _vesting(rng: Random, pool: Pool) -> dict[str, str]:
    duration, cliff = rng.choice((24, 36, 48)), rng.choice((3, 6, 9, 12))
    elapsed = rng.randrange(cliff + 1, duration)
    slots = {"duration": duration, "cliff": cliff, "elapsed": elapsed}
    said = {name: _months(rng, months) for name, months in slots.items()}
    return said | {"amount": _tokens(rng, pool, 2e4, 2e7)}


def _months(rng: Random, months: int) -> str:
    if months % 12 or rng.random() < 0.5:
        return f"{months} months"
    return f"{months // 12} year{'s' * (months > 12)}"


DRAWS: dict[str, Callable[[Random, Pool], dict[str, str]]] = {
    "stream_join": _stream,
    "stream_in": _stream,
    "chef": _chef,
    "constant": _constant,
    "decay": _decay,
    "halving": _halving,
    "boost": _boost,
    "ve_power": _ve_power,
    "bribe": _bribe,
    "exit": _exit,
    "vesting": _vesting,
}

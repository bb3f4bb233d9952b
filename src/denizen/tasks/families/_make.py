"""Shared steps of a family file: the seeded draw and the item."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from math import isqrt

from denizen.tasks.phrasing import POOLS, Pool, fill, pick_template, rng_for
from denizen.tasks.quantities import decimals_of
from denizen.tasks.types import Item, Split

AS_OF = "2026-11-01"
_OPENERS = ("", "", "", "", "", "Hi, ", "Quick one: ", "Question: ", "Please help. ", "gm, ")
_CLOSERS = ("", "", "", "", "", " Thanks.", " Please.", " Just the figure.", " No fluff.")


class Draw:
    """One item's generator: family, split, a kind by weight, a pool of the split."""

    def __init__(self, family: str, seed: int, split: Split, kinds: Mapping[str, float]) -> None:
        self.family, self.seed, self.split = family, seed, split
        self.rng = rng_for(family, seed, split)
        self.kind = self.rng.choices(tuple(kinds), tuple(kinds.values()))[0]
        self.pool: Pool = self.rng.choice(POOLS[split])
        self.template = ""

    def ask(self, slots: Mapping[str, str]) -> str:
        """A question in this split's words; training questions vary in tone as well."""
        self.template, text = pick_template(self.rng, self.split, self.family, self.kind)
        question = fill(text, **slots)
        if self.split != "train":
            return question
        opener, closer = self.rng.choice(_OPENERS), self.rng.choice(_CLOSERS)
        if self.rng.random() < 0.15:
            question = question[0].lower() + question[1:]
        return f"{opener}{question}{closer if question[-1] in '.?!' else ''}"


def make_item(
    draw: Draw,
    prompt: str,
    gold: str,
    *,
    version: str,
    difficulty: int,
    pool: str | None = None,
) -> Item:
    """The finished item."""
    return Item(
        id=f"{draw.family}-{draw.split}-{draw.seed:05d}",
        family=draw.family,
        kind=draw.kind,
        split=draw.split,
        seed=draw.seed,
        prompt=prompt,
        gold=gold,
        template=draw.template,
        pool=draw.pool.name if pool is None else pool,
        version=version,
        difficulty=difficulty,
        as_of=AS_OF,
    )


def answer(call: str) -> str:
    """A call as an answer."""
    return f"near miss. <calc>{call}</calc>"


def liquidity_for(rng: object, depth: Decimal, price: Decimal, pool: Pool) -> int:
    """Liquidity L (raw) whose virtual quote reserve is worth `depth`: L = y / sqrt(P)."""
    from random import Random

    assert isinstance(rng, Random)
    quote_raw = int(depth.scaleb(decimals_of(pool.quote)))
    ratio = price.scaleb(decimals_of(pool.quote) - decimals_of(pool.base))
    root = Decimal(isqrt(int(ratio.scaleb(40)))).scaleb(-20)
    whole = int(Decimal(quote_raw) / root)
    return max(whole + rng.randrange(max(whole // 1000, 2)), 1)

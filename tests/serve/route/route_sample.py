"""Made-up scored answers and guided answers for the router's tests."""

from __future__ import annotations

import numpy as np

from denizen.serve.exchange import Choice, Guided, Usage
from denizen.serve.route.scored import Scored
from denizen.tasks import Item, suite_of

CORE = suite_of("core")
QUESTION = "Is a position from 2,400 to 3,100 in range at 2,655?"


def item_of(number: int, family: str = "mechanics") -> Item:
    """A question of a family's dev templates, with a gold answer."""
    return CORE.families[family].generate(9_000_000 + number, "dev")


def guided(text: str, *choices: tuple[str, float, float]) -> Guided:
    """A guided answer with (token, margin, probability) decisions."""
    made = tuple(Choice(*choice) for choice in choices)
    return Guided(text, made, "stop", Usage(10, len(made)))


def pool(
    n: int, seed: int = 0, noise: float = 0.8, groups: tuple[str, ...] = ("a",)
) -> list[Scored]:
    """Answers whose least margin tells how likely they are right."""
    rng = np.random.default_rng(seed)
    ability = rng.normal(1.5, 1.6, n)
    right = rng.random(n) < 1 / (1 + np.exp(-ability))
    margin = np.maximum(ability + 2 + rng.normal(0, noise, n), 0)
    return [
        Scored(
            f"i{seed}-{i}",
            groups[i % len(groups)],
            f"t{i % 37}",
            groups[i % len(groups)],
            bool(right[i]),
            {
                "margin_least": float(margin[i]),
                "decisions": float(rng.integers(2, 6)),
                "schema_failed": 0.0,
                "recompute_failed": 0.0,
            },
        )
        for i in range(n)
    ]

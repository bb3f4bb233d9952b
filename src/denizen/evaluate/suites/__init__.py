"""Behaviour suites: what a release must not lose besides its DeFi skill.

Contract: `BEHAVIOURS` maps a suite's name to its `Behaviour`, made on first use.  `behaviours`
picks some by name; `take` keeps the first n cases with families in proportion.  The memorisation
suite depends on the training rows, so it is not listed: call `memorisation_suite(rows, seed)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module

from denizen.evaluate.suites._cases import spread
from denizen.evaluate.suites.base import Behaviour, Case, Judgement, Rule
from denizen.evaluate.suites.memorisation import memorisation_suite
from denizen.project.errors import DataError

# Name of the suite: module and function that make it.
_MAKERS = {
    "instructions": "instructions:suite",
    "language": "language:suite",
    "script": "language:script_suite",
    "safety": "safety:suite",
    "overrefusal": "safety:overrefusal_suite",
    "injection": "injection:suite",
    "injection_clean": "injection:clean_suite",
    "schema": "schema:suite",
    "audit": "audit:suite",
    "grounding": "grounding:suite",
}


class _Lazy(Mapping[str, Behaviour]):
    """The suites by name; nothing is read from disk before a suite is asked for."""

    def __getitem__(self, name: str) -> Behaviour:
        if name not in _MAKERS:
            raise KeyError(name)
        return _made(name)

    def __contains__(self, name: object) -> bool:
        return name in _MAKERS

    def __iter__(self) -> Iterator[str]:
        return iter(_MAKERS)

    def __len__(self) -> int:
        return len(_MAKERS)


@cache
def _made(name: str) -> Behaviour:
    module, _, function = _MAKERS[name].partition(":")
    behaviour: Behaviour = getattr(import_module(f"{__name__}.{module}"), function)()
    return behaviour


BEHAVIOURS: Mapping[str, Behaviour] = _Lazy()


def behaviours(names: Sequence[str] | None = None) -> tuple[Behaviour, ...]:
    """The named suites in the order given, or all; raises DataError for a name there is not."""
    chosen = list(BEHAVIOURS) if names is None else list(dict.fromkeys(names))
    for name in chosen:
        if name not in BEHAVIOURS:
            raise DataError(
                f"no behaviour suite is called {name!r}",
                where="suites",
                fix=f"choose among {', '.join(BEHAVIOURS)}",
            )
    return tuple(BEHAVIOURS[name] for name in chosen)


def take(behaviour: Behaviour, n: int) -> Behaviour:
    """The suite with its first n cases, families in proportion; all of them if it has fewer.

    Of a suite of pairs it is half as many pairs, each with both sides.

    Raises DataError for n < 1: a suite without items proves nothing.
    """
    if n < 1:
        raise DataError(
            f"{n} cases of {behaviour.name} were asked for",
            where="suites",
            fix="take at least 1, or leave the suite out",
        )
    cases = spread(behaviour.cases)
    if n < len(cases) and all("pair" in case.facts for case in cases):
        pairs = list(dict.fromkeys(case.facts["pair"] for case in cases))[: max(1, n // 2)]
        return replace(behaviour, cases=tuple(c for c in cases if c.facts["pair"] in pairs))
    return replace(behaviour, cases=cases[:n])


__all__ = [
    "BEHAVIOURS",
    "Behaviour",
    "Case",
    "Judgement",
    "Rule",
    "behaviours",
    "memorisation_suite",
    "take",
]

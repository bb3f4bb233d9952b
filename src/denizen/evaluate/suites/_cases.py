"""What the behaviour suites share: their assets, the order of their cases, and what a reader sees.

Contract: pure functions.  `spread` orders cases so that the first k of them hold every family in
proportion, for any k, and templates take turns within a family; it is idempotent.  `prose` is an
answer without calculator calls (their text is the engine's, not the model's), `shown` has each
call's exact result in its place, as a server would show it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from denizen.evaluate.suites.base import Case, Judgement

_CALL = re.compile(r"<calc>(.*?)(?:</calc>|$)", re.DOTALL)
_SPECIAL = re.compile(r"<\|[^|<>]{1,40}\|>|</?s>|<(?:eos|bos|pad|end_of_turn)>")
_WORD = re.compile(r"\S*\w\S*")


@cache
def asset(name: str) -> dict[str, Any]:
    """The parsed `assets/NAME.json`; the caller must not change it."""
    path = Path(__file__).with_name("assets") / f"{name}.json"
    data: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return data


def spread(cases: Iterable[Case]) -> tuple[Case, ...]:
    """Cases in an order whose every beginning is stratified by family, then by template."""
    by_family: dict[str, list[Case]] = {}
    for case in cases:
        by_family.setdefault(case.family, []).append(case)
    turns = {name: _in_turn(group, lambda c: c.template) for name, group in by_family.items()}
    return tuple(_in_turn([c for name in sorted(turns) for c in turns[name]], lambda c: c.family))


def _in_turn(values: Sequence[Case], key: Callable[[Case], str]) -> list[Case]:
    """Each group of n at the places (i + 1/2) / n of [0, 1]; ties in alphabetical order."""
    sizes = Counter(key(value) for value in values)
    seen: Counter[str] = Counter()
    placed = []
    for value in values:
        group = key(value)
        placed.append(((seen[group] + 0.5) / sizes[group], group, value))
        seen[group] += 1
    return [value for *_, value in sorted(placed, key=lambda entry: entry[:2])]


def fill(text: str, slots: Mapping[str, Any]) -> str:
    """`{name}` replaced by its slot; other braces stay as they are."""
    for name, value in slots.items():
        text = text.replace("{" + name + "}", str(value))
    return text


def prose(output: str) -> str:
    """The answer without calculator calls and stray special tokens."""
    return _SPECIAL.sub("", _CALL.sub(" ", output)).strip()


def shown(output: str) -> str:
    """The answer as served: each call replaced by its exact result, if it has one."""
    from denizen.tasks.calculator import evaluate
    from denizen.tasks.catalogue import ToolError

    def result(match: re.Match[str]) -> str:
        try:
            return evaluate(match.group(1).strip()).text
        except ToolError:
            return " "

    return _SPECIAL.sub("", _CALL.sub(result, output)).strip()


def words(text: str) -> list[str]:
    """The pieces between spaces that hold a letter or digit."""
    return _WORD.findall(text)


def expect(
    judge: Callable[[Case, str], Judgement], case: Case, good: Iterable[str], bad: Iterable[str]
) -> None:
    """Raise AssertionError unless every good answer passes and every bad one fails."""
    for answer in good:
        if not (judgement := judge(case, answer)).ok:
            raise AssertionError(f"{case.id}: judged wrong ({judgement.reason}): {answer!r}")
    for answer in bad:
        if judge(case, answer).ok:
            raise AssertionError(f"{case.id}: near miss judged right: {answer!r}")

"""Rewards of sampled answers: graded by the exact verifier, or given by a reward model.

Contract: an exact answer earns 1.0, however it is written, and nothing else does.  A wrong one
earns what it got right, each grade only on top of the one before: an answer that can be read, the
right tool (for an object: the right fields), and the share of arguments with the right meaning.
So a worse answer never scores above a better one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from denizen.models import Message, conversation
from denizen.tasks import (
    FAMILIES,
    Call,
    Item,
    QuantityError,
    Schema,
    SchemaError,
    ToolError,
    find_call,
    parse_call,
    parse_quantity,
    verify,
)

# What each grade is worth; together 1.
FORMAT, TOOL, ARGUMENTS, ANSWER = 0.1, 0.2, 0.3, 0.4


class Graded(NamedTuple):
    """A reward (`total`) and the grades behind it, each from 0 to 1."""

    total: float
    format: float
    tool: float
    arguments: float
    answer: float


# Items and the answers to them, one each -> their rewards in order.
Reward = Callable[[Sequence[Any], Sequence[str]], list[Graded]]


def verified(items: Sequence[Item], texts: Sequence[str]) -> list[Graded]:
    """The exact verifier's rewards."""
    return [grade(item, text) for item, text in zip(items, texts, strict=True)]


def grade(item: Item, text: str) -> Graded:
    """The reward of one answer; never raises on bad answers."""
    if verify(item, text).ok:
        return graded(1.0, 1.0, 1.0, 1.0)
    if item.form == "object":
        schema = FAMILIES[item.family].schema
        assert schema is not None, item.family
        return _grade_object(schema, item, text)
    return _grade_call(item, text)


def graded(form: float, tool: float, arguments: float, answer: float) -> Graded:
    """The weighted sum with its parts."""
    total = FORMAT * form + TOOL * tool + ARGUMENTS * arguments + ANSWER * answer
    return Graded(1.0 if answer == 1.0 else total, form, tool, arguments, answer)


def by_model(
    score: Callable[[Sequence[Sequence[Message]]], Sequence[float]],
    ask: Callable[[Any], str] = lambda item: item.prompt,
) -> Reward:
    """The rewards of a reward model (`score` takes conversations); the verifier's grades stay
    beside them, so that a policy that games the model is seen."""

    def rewards(items: Sequence[Any], texts: Sequence[str]) -> list[Graded]:
        # A chat template has no form for some answers (an empty one): they get the lowest score of
        # the step.
        spoken = [i for i, text in enumerate(texts) if text.strip()]
        scores = score([conversation(ask(items[i]), texts[i]) for i in spoken]) if spoken else []
        totals = {i: s for i, s in zip(spoken, scores, strict=True) if not math.isnan(s)}
        lowest = min(totals.values(), default=0.0)
        return [
            grade(item, text)._replace(total=float(totals.get(i, lowest)))
            for i, (item, text) in enumerate(zip(items, texts, strict=True))
        ]

    return rewards


def _grade_call(item: Item, text: str) -> Graded:
    written = find_call(text)
    try:
        call = parse_call(written) if written is not None else None
    except ToolError:
        call = None
    if call is None:
        return graded(0.0, 0.0, 0.0, 0.0)
    gold = parse_call(item.gold)
    if call.tool != gold.tool:
        return graded(1.0, 0.0, 0.0, 0.0)
    return graded(1.0, 1.0, _share(gold, call), 0.0)


def _share(gold: Call, call: Call) -> float:
    """The share of the gold call's arguments that the call gives with the right meaning.

    An argument the tool does not take counts as one more that is wrong.
    """
    given, wanted = dict(call.arguments), dict(gold.arguments)
    right = sum(_same(value, given[name]) for name, value in wanted.items() if name in given)
    return right / max(len(wanted), len(given.keys() | wanted.keys()), len(call.arguments), 1)


def _same(gold: str, given: str) -> bool:
    if gold == given:
        return True
    try:
        a, b = parse_quantity(gold), parse_quantity(given)
    except QuantityError:
        return False
    return (a.value, a.unit, a.per) == (b.value, b.unit, b.per)


def _grade_object(schema: Schema, item: Item, text: str) -> Graded:
    try:
        got = schema.parse(text)
    except SchemaError:
        return graded(0.0, 0.0, 0.0, 0.0)
    gold = schema.parse(item.gold)
    # `difference` names the first field that differs: asked of one field at a time, it counts.
    right = sum(
        Schema(schema.name, schema.doc, (field,)).difference(gold, got) is None
        for field in schema.fields
    )
    return graded(1.0, 1.0, right / len(schema.fields), 0.0)

"""From log-likelihoods to a choice: how branches become tokens, and who is right.

Contract: tokens are split as lm-eval splits them (context and continuation are encoded together,
so a merge over the border goes to the continuation; spaces that end the context belong to what
follows).  The figures are lm-eval's: `acc` by the sum of log-probabilities, `acc_norm` by the sum a
character, `acc_bytes` by the sum a UTF-8 byte.  What is stored allows judging anew without a model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from denizen.evaluate.general.items import Branch, GeneralItem, Metric
from denizen.evaluate.suites.base import Judgement
from denizen.project.errors import DataError

# Text to token ids as the model expects them, with its beginning-of-text token if it has one.
Encode = Callable[[str], Sequence[int]]


class Likelihood(NamedTuple):
    """Log-probability of a continuation in nats, and whether greedy decoding would write it."""

    nats: float
    greedy: bool


# Branches of many items to likelihoods: what an engine is.
Scorer = Callable[[Sequence[Sequence[Branch]]], Sequence[Sequence[Likelihood]]]


class Pair(NamedTuple):
    """One branch in tokens; the first `context` ids are given, the rest are scored."""

    ids: tuple[int, ...]
    context: int


def encode_branch(branch: Branch, encode: Encode, longest: int) -> Pair:
    """Tokens of one branch, at most `longest` + 1: what is too long loses its beginning."""
    before, after = branch
    stripped = before.rstrip()
    after = before[len(stripped) :] + after
    whole = tuple(encode(stripped + after))
    given = len(encode(stripped)) if stripped else 0
    if not 0 < given < len(whole):
        raise DataError(
            "a question or its answer has no tokens of its own",
            where=repr(branch.context[-40:] + branch.continuation)[:120],
            fix="correct the set's record",
        )
    cut = max(0, len(whole) - longest - 1)
    if cut >= given:
        raise DataError(
            f"an answer of {len(whole) - given} tokens exceeds the model's context of {longest}",
            where=repr(branch.continuation[:60]),
            fix="leave the set out for this model",
        )
    return Pair(whole[cut:], given - cut)


def pack(found: Sequence[Likelihood]) -> str:
    """What is stored of a scored item."""
    return json.dumps({"nats": [f.nats for f in found], "greedy": [f.greedy for f in found]})


def unpack(output: str) -> list[Likelihood]:
    """What `pack` stored."""
    stored = json.loads(output)
    return [Likelihood(*one) for one in zip(stored["nats"], stored["greedy"], strict=True)]


def picked(found: Sequence[Likelihood], options: Sequence[str], metric: Metric) -> int:
    """The most likely option under a metric; the first of equals, as lm-eval's argmax."""
    sizes = [1.0] * len(found)
    if metric == "acc_norm":
        sizes = [float(len(option)) for option in options]
    elif metric == "acc_bytes":
        sizes = [float(len(option.encode())) for option in options]
    values = [one.nats / size for one, size in zip(found, sizes, strict=True)]
    return values.index(max(values))


def right(item: GeneralItem, output: str, metric: Metric) -> bool:
    """Whether a scored item is right under a metric; a cloze by greedy decoding under all."""
    found = unpack(output)
    if item.of.kind == "cloze":
        return found[0].greedy
    names = item.contexts if item.of.kind == "schema" else item.options
    return picked(found, names, metric) == item.gold


def judge(item: GeneralItem, output: str) -> Judgement:
    """A scored item under its set's metric."""
    found: Any = unpack(output)
    ok = right(item, output, item.of.metric)
    if item.of.kind == "cloze":
        said = "written" if found[0].greedy else "not written"
        return Judgement(ok, float(ok), f"{said}, {found[0].nats:.2f} nats", item.expected)
    names = item.contexts if item.of.kind == "schema" else item.options
    chosen = picked(found, names, item.of.metric)
    reason = "" if ok else f"chose option {chosen + 1} of {len(names)}"
    return Judgement(ok, float(ok), reason, item.expected, names[chosen])

"""What is known of a local answer before it leaves: the features its confidence is made of.

Contract: `signals_of` gives finite floats by the names in SIGNALS; what is not known is absent,
never a zero or a NaN, so that a missing figure cannot pass for a good one.  `Reading` is what the
text of an answer says by itself: which kind of question it answered, and whether it checks out.
The same functions serve calibration and serving, or the promise would be about something else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from denizen.serve.exchange import Guided
    from denizen.tasks import Suite

SIGNALS = (
    "margin_least",  # smallest lead of a chosen token over the next allowed one, in logits
    "margin_mean",  # mean lead over the decisions
    "margin_low",  # its tenth percentile
    "probability_log",  # log probability of all decisions together, in nats
    "decisions",  # how many tokens were chosen, not forced
    "margin_tool",  # smallest lead while the tool (or the kind of answer) was chosen
    "coverage",  # share of the question that the passages cover, in [0, 1]
    "schema_failed",  # 1: the answer is neither a call nor a valid object
    "recompute_failed",  # 1: the engine refuses the call
    "distance",  # of the question from the training questions (see domain.py), in [0, 2]
)
# A lead beyond this says nothing more; it also stands for "nothing was left to choose".
MARGIN_CAP = 30.0
_LOW = 0.1
_LEAST = 1e-12
# What a group is called whose answer names no tool and no object.
NO_GROUP = "none"


def signals_of(
    guided: Guided | None,
    *,
    coverage: float | None,
    schema_ok: bool,
    recompute_ok: bool,
    distance: float | None,
) -> dict[str, float]:
    """Every signal that is known, by name; `guided` None is an answer without a grammar."""
    found: dict[str, float | None] = {
        "coverage": coverage,
        "schema_failed": float(not schema_ok),
        "recompute_failed": float(not recompute_ok),
        "distance": distance,
    }
    if guided is not None:
        found |= _of_choices(guided)
    return {
        name: float(value)
        for name in SIGNALS
        if (value := found.get(name)) is not None and math.isfinite(value)
    }


def _of_choices(guided: Guided) -> dict[str, float]:
    # A step that allowed one token was no decision; a margin that is no number is no lead at all.
    taken = [c for c in guided.choices if c.margin != math.inf]
    margins = [_lead(c.margin) for c in taken]
    starts = _starts(guided.text, [c.token for c in taken])
    head = _head(guided.text)
    deciding = [m for m, start in zip(margins, starts, strict=True) if start < head]
    return {
        "margin_least": min(margins, default=MARGIN_CAP),
        "margin_mean": sum(margins) / len(margins) if margins else MARGIN_CAP,
        "margin_low": _quantile(margins, _LOW) if margins else MARGIN_CAP,
        "probability_log": sum(math.log(_share(c.probability)) for c in taken),
        "decisions": float(len(taken)),
        # Without a call the first choice is the one that told the kind of answer.
        "margin_tool": min(deciding if head else margins[:1], default=MARGIN_CAP),
    }


def _lead(margin: float) -> float:
    return min(max(margin, 0.0), MARGIN_CAP) if not math.isnan(margin) else 0.0


def _share(probability: float) -> float:
    return min(max(probability, _LEAST), 1.0) if not math.isnan(probability) else _LEAST


def _head(text: str) -> int:
    """Where the arguments begin: up to here draft and tool are chosen; 0 without a call."""
    call = text.find("<calc>")
    bracket = text.find("(", call) if call >= 0 else -1
    return max(bracket, 0)


def _starts(text: str, tokens: Sequence[str]) -> list[int]:
    """The earliest place each chosen token can have, in order; forced text lies between them."""
    places, at = [], 0
    for token in tokens:
        found = text.find(token, at)
        # A token of half a character is not in the text: it stands where the one before it ends.
        places.append(found if found >= 0 else at)
        at = found + len(token) if found >= 0 else at
    return places


def _quantile(values: Sequence[float], share: float) -> float:
    """Linear between order statistics."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer as its own text tells: its group, and whether it can be taken at its word.

    `group` is the family whose tool is called (or whose object is given), NO_GROUP otherwise: it
    is known at serving, where a question's own family is not.
    """

    group: str
    schema_ok: bool
    recompute_ok: bool


def read_answer(text: str, suite: Suite) -> Reading:
    """Read a local answer; never raises."""
    from denizen.tasks import ToolError, evaluate, find_call

    call = find_call(text)
    if call is None:
        if (schema := suite.object_in(text)) is None:
            return Reading(NO_GROUP, False, True)
        owners = (name for name, family in suite.families.items() if family.schema == schema)
        return Reading(next(owners, NO_GROUP), True, True)
    try:
        evaluate(call)
        evaluates = True
    except ToolError:
        evaluates = False
    return Reading(group_of_tool(call.partition("(")[0].strip(), suite), True, evaluates)


def group_of_tool(tool: str, suite: Suite) -> str:
    """The first family of the suite that uses a tool."""
    return next((n for n, f in suite.families.items() if tool in f.tools), NO_GROUP)

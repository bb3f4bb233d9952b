"""What the Analyst reads: its own role, the conversation so far, and the last question.

Contract: an earlier answer of ours is turned back into what the model was trained to write, its
draft and its call.  A call may use the figures of the last question, and in a follow-up ("what if
it were ...?", or a question without figures) those of earlier turns.  A client's system text is
read only where it is short and states figures: the Analyst's role is not a client's to change.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from denizen.models.chat import SYSTEM
from denizen.serve.exchange import Fault, Request, Turn
from denizen.tasks import QuantityError, find_spans, parse_quantity
from denizen.tasks.calculator import catalogue, compose, parse_call
from denizen.tasks.catalogue import ToolError
from denizen.tasks.quantities import spans_by_kind

# Earlier turns whose figures a follow-up may use.
REACH = 6
# A system text of more characters is a role or a manual, not what is known of a position.
FACTS = 800
_SERVED = re.compile(r"\n\nDerivation\n {2}([a-z0-9_]+\([^\n]*\))(?:\n|$)")
_TAIL = re.compile(r"\n\n(?:Derivation|Rationale|Sources)\b.*", re.DOTALL)
_FOLLOW_UP = re.compile(
    r"^\W*(?:and|but|so|now|then|ok(?:ay)?|or|what if|what about|how about|same|again|instead"
    r"|suppose)\b"
    r"|\b(?:instead|the same|as before|that (?:one|position|pool|amount|trade|swap)|again"
    r"|in that case|your (?:last|previous) answer|you (?:said|told|gave))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation as the Analyst takes it.

    `written` is the text whose quantities may stand in a call, `known` all that has been said.
    """

    question: str
    turns: tuple[Turn, ...]
    written: str
    known: str
    follow_up: bool = False


def read(request: Request, system: str = SYSTEM) -> Talk:
    """The talk of a request; raises Fault 400 without a question."""
    question = last_question(request)
    place = max(n for n, turn in enumerate(request.turns) if turn.role == "user")
    earlier = [t for t in request.turns[:place] if t.role in ("user", "assistant") and t.content]
    stated = [
        t.content.strip()
        for t in request.turns
        if t.role in ("system", "developer") and len(t.content) <= FACTS and find_spans(t.content)
    ]
    told = "\n".join([system, *stated])
    follow_up = bool(earlier or stated) and is_follow_up(question)
    written = question
    if follow_up:
        figures = [_TAIL.sub("", turn.content) for turn in earlier[-REACH:]]
        written = "\n".join([*stated, *figures, question])
    check_figures(written)
    turns = (
        Turn("system", told),
        *(_as_trained(turn) for turn in earlier),
        Turn("user", question),
    )
    return Talk(question, turns, written, everything(request), follow_up)


def last_question(request: Request) -> str:
    """The last user message; raises Fault 400 if there is none or it is empty."""
    users = [turn.content for turn in request.turns if turn.role == "user"]
    if not users:
        raise Fault(400, "'messages' holds no message of role 'user'", param="messages")
    question = users[-1].strip()
    if not question:
        raise Fault(400, "the last user message is empty", param="messages")
    return question


def check_figures(written: str) -> None:
    """Raises Fault 400 for a figure that is too long to be read."""
    try:
        spans_by_kind(written)
    except QuantityError as error:
        raise Fault(400, f"a figure cannot be read: {error}", param="messages") from error


def is_follow_up(question: str) -> bool:
    """Whether a question leans on what was said before it."""
    return not find_spans(question) or bool(_FOLLOW_UP.search(question))


def everything(request: Request) -> str:
    """All text of a request: what an answer may repeat without having invented it."""
    parts = [turn.content for turn in request.turns]
    parts += [call.arguments for turn in request.turns for call in turn.tool_calls]
    for told in (request.tools, request.format.schema):  # a client may name addresses in them
        if told:
            parts.append(json.dumps(told, ensure_ascii=False))
    return "\n".join([*parts, request.text or ""])


def strangers(call: str, written: str) -> tuple[str, ...]:
    """Quantities of a call that nobody wrote; under the grammar there are none."""
    try:
        parsed = parse_call(call)
    except ToolError:
        return ()
    tool = catalogue().get(parsed.tool)
    if tool is None:
        return ()
    words = {p.name for p in tool.parameters if p.choices}
    spans = find_spans(written)
    stated = _stated(spans)
    return tuple(
        value
        for name, value in parsed.arguments
        if name not in words and value not in spans and _meaning(value) not in stated
    )


def invented(quantities: Iterable[tuple[Decimal, str, str]], written: str) -> tuple[str, ...]:
    """Those of some quantities (value, unit, per) that a text does not state."""
    stated = _stated(find_spans(written))
    return tuple(
        f"{value:f} {unit}".strip()
        for value, unit, per in quantities
        if _meant(value, unit, per) not in stated
    )


def _stated(spans: Iterable[str]) -> set[tuple[Decimal, str]]:
    """What spans mean; a figure may be repeated without its unit."""
    return {meaning for span in spans for meaning in (_meaning(span), (_meaning(span)[0], ""))}


def _meaning(span: str) -> tuple[Decimal, str]:
    """Value and unit: "4500 USDC" is "4.5k USDC"."""
    try:
        quantity = parse_quantity(span)
    except QuantityError:
        return Decimal("NaN"), span
    return _meant(quantity.value, quantity.unit, quantity.per)


def _meant(value: Decimal, unit: str, per: str) -> tuple[Decimal, str]:
    return value, f"{unit}/{per}" if unit else ""


def _as_trained(turn: Turn) -> Turn:
    """An earlier answer with a derivation, as the model once wrote it; other turns as they are."""
    if turn.role != "assistant" or not (served := _SERVED.search(turn.content)):
        return turn
    call = served.group(1)
    if call.partition("(")[0] not in catalogue():
        return turn
    return Turn("assistant", compose(call))

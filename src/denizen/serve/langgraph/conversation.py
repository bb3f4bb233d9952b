"""What the node says to the server: ask, tell once what was wrong, and else hand over.

Contract: `conversation` is a generator without input or output of its own: it yields the messages
to send, is sent a Reply, and returns a Result.  The same steps serve the blocking and the
asynchronous node, over HTTP and in-process.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from denizen.serve.langgraph.contract import Contract, Invalid

Message = Mapping[str, Any]  # as OpenAI writes it: role, content, ...
# How the server's flags begin where it does not stand by its own answer.
UNCHECKED = "the rules could not recompute the report"
DOUBTS = (
    "low confidence",
    "out of domain",
    "upstream failed",
    "there is no stronger model",
    UNCHECKED,
)


@dataclass(frozen=True)
class Reply:
    """What came back: the text and the server's metadata, or why nothing did."""

    text: str
    meta: Mapping[str, Any] = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True)
class Escalation:
    """Why an answer is handed over, what was wrong with it, and how often it was asked for."""

    reason: str
    problems: tuple[str, ...] = ()
    attempts: int = 1
    text: str = ""

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary, as it stands in the graph's state."""
        return {
            "reason": self.reason,
            "problems": list(self.problems),
            "attempts": self.attempts,
            "text": self.text,
        }


@dataclass(frozen=True)
class Result:
    """The checked object (None if there is none), the last reply, and why to escalate, if so."""

    value: dict[str, Any] | None
    reply: Reply
    escalation: Escalation | None


def conversation(
    messages: Sequence[Message],
    contract: Contract,
    *,
    repairs: int = 1,
    floor: float | None = None,
    doubts: Collection[str] = DOUBTS,
) -> Generator[list[Message], Reply, Result]:
    """Ask, and repair at most `repairs` times. `floor`: the least confidence that is taken."""
    asked: list[Message] = list(messages)
    repairs = max(0, repairs)
    problems: tuple[str, ...] = ()
    for attempt in range(1, repairs + 2):
        reply = yield asked
        if reply.failure:
            return Result(None, reply, Escalation(reply.failure, problems, attempt))
        if reply.meta.get("origin") == "abstained":
            doubt = Escalation("the server abstained", (), attempt, reply.text)
            return Result(None, reply, doubt)
        try:
            value = contract.read(reply.text)
        except Invalid as error:
            problems = error.problems
            asked = repaired(messages, problems)
            continue
        reason = doubt_of(reply.meta, floor, doubts, value.get("confidence"))
        doubted = Escalation(reason, (), attempt, reply.text) if reason else None
        return Result(value, reply, doubted)
    failed = Escalation("no valid answer", problems, repairs + 1, reply.text)
    return Result(None, reply, failed)


def repaired(messages: Sequence[Message], problems: Sequence[str]) -> list[Message]:
    """The same messages, the last question followed by what was wrong with its answer.

    In the question itself, not in a turn of its own: the Analyst answers the last question asked.
    """
    told = "\n".join(f"- {problem}" for problem in problems)
    note = (
        f"\n\nAn earlier answer to this was not valid:\n{told}\n"
        "Answer again with one JSON object of the schema and nothing else."
    )
    made = list(messages)
    users = [n for n, message in enumerate(made) if message.get("role") == "user"]
    if not users:
        return [*made, {"role": "user", "content": note.strip()}]
    content = made[users[-1]].get("content")
    longer = [*content, {"type": "text", "text": note}] if isinstance(content, list) else None
    made[users[-1]] = {**made[users[-1]], "content": longer or f"{content or ''}{note}"}
    return made


def doubt_of(
    meta: Mapping[str, Any], floor: float | None, doubts: Collection[str], own: Any = None
) -> str:
    """Why a valid answer is not to be relied on; "" if it is.

    The router covers no formats, so beside an object the server claims no confidence: then the
    floor holds for the object's `own`, which in the Analyst's report the rules make.
    """
    if floor is not None:
        told = meta.get("confidence")
        told = told if told is not None else own
        if isinstance(told, bool) or not isinstance(told, int | float):
            return f"no confidence is told, and {floor:.2f} is asked for"
        if not told >= floor:
            return f"confidence {told:.2f} is below {floor:.2f}"
    given = meta.get("flags")
    flags = [str(flag) for flag in given] if isinstance(given, list | tuple) else []
    # Without figures in the question the Analyst's report is the model's word alone.
    if meta.get("skill") == "analyst_report" and meta.get("origin") == "local":
        flags += [UNCHECKED] if meta.get("exact") is False else []
    return next((flag for flag in flags if flag.startswith(tuple(doubts))), "")

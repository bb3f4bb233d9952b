"""The message a person reads: the answer, how it was derived, its reasons and its sources.

Contract: one form for plain and streamed answers, OpenAI's and Ollama's; graders take the call
under "Derivation" and evaluate it again.  A cut never goes through a word or a figure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from denizen.serve.answering.composing import Exact
from denizen.serve.exchange import Cited

_PIECE = re.compile(r"\S+\s*|\s+")
_SECTION = re.compile(r"\n\n(?:Derivation|Rationale|Sources)\b")
NOT_SURE = "I am not sure enough of an answer to give one."


def message(answer: Exact, rationale: Sequence[str] = (), citations: Sequence[Cited] = ()) -> str:
    """The whole message."""
    parts = [answer.text]
    if answer.ok and answer.call:
        steps = "\n".join(f"  {step}" for step in answer.derivation)
        parts.append(f"Derivation\n  {answer.call}\n{steps}".rstrip())
    if rationale:
        parts.append("Rationale (by the rules)\n" + "\n".join(f"  {line}" for line in rationale))
    if citations:
        parts.append("Sources\n" + "\n".join(sources(citations)))
    return "\n\n".join(parts)


def sources(citations: Sequence[Cited]) -> Iterator[str]:
    """A line for each citation."""
    for number, cited in enumerate(citations, start=1):
        dated = f", as of {cited.as_of}" if cited.as_of else ""
        old = ", expired" if cited.expired else ""
        where = f"characters {cited.start} to {cited.end}"
        yield f"  [{number}] {cited.title or cited.document} ({cited.source}), {where}{dated}{old}"


def pieces(text: str) -> Iterator[str]:
    """A finished text in words, to be sent one after the other."""
    yield from _PIECE.findall(text)


def stopped(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    """The text up to the first stop text, and whether there was one."""
    places = [place for stop in stops if stop and (place := text.find(stop)) >= 0]
    return (text[: min(places)], True) if places else (text, False)


def whole_sections(text: str) -> str:
    """A cut text without the section that the cut went through."""
    sections = list(_SECTION.finditer(text))
    return (text[: sections[-1].start()] if sections else text).rstrip()


def abstention(reason: str) -> str:
    """What is said instead of an answer."""
    return f"{NOT_SURE} Reason: {reason}."

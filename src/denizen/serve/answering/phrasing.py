"""A larger model's own words over passages, kept only where the passages bear every sentence.

Contract: None (the extract stands) for a small model, a failed generation, or words that are not
borne; else the words with the citations they name.  A 135M model is not asked: its sentences over
passages seldom hold, and each try costs a caller's time.
"""

from __future__ import annotations

import re
from dataclasses import replace

from denizen.models.chat import SYSTEM
from denizen.serve.answering.conversation import Talk
from denizen.serve.answering.passages import Found, borne
from denizen.serve.answering.ports import Parts
from denizen.serve.answering.timing import close
from denizen.serve.exchange import Fault, Request, Sampling, Turn, Usage

LEAST_PARAMETERS = 1_000_000_000
TOKENS = 120
_TASK = (
    "Answer from these passages alone, in at most two sentences, and end each with the number of"
    " its passage in square brackets."
)
_MARK = re.compile(r"\[(\d+)\]")


def asking(parts: Parts, talk: Talk, found: Found) -> Request:
    """What a model is asked: the passages, set apart as data, and the question."""
    block = parts.shield.delimit(found.passages)
    turns = (
        Turn("system", SYSTEM),
        Turn("user", f"{_TASK}\n\n{block}\n\nQuestion: {talk.question}"),
    )
    return Request("", turns, sampling=Sampling(max_tokens=TOKENS, temperature=0.0))


def taken(found: Found, text: str, question: str) -> Found | None:
    """The finding in these words, with the citations they name; None if they are not borne."""
    said = " ".join(text.split())
    if not borne(said, found, question):
        return None
    named = sorted({int(n) for n in _MARK.findall(said)})
    places = {n: place for place, n in enumerate(named, start=1)}
    said = _MARK.sub(lambda match: f"[{places[int(match[1])]}]", said)
    return replace(found, text=said, citations=tuple(found.whole[n - 1] for n in named))


async def phrase(
    parts: Parts, talk: Talk, found: Found, adapter: str = ""
) -> tuple[Found, Usage] | None:
    """The same finding in a model's words, with what it cost."""
    if parts.backend.facts.parameters < LEAST_PARAMETERS or not found.passages:
        return None
    pieces = parts.backend.stream(asking(parts, talk, found), adapter)
    text, usage = "", Usage()
    try:
        async for piece in pieces:
            text += piece.text
            usage = piece.usage or usage
    except Fault:  # no room for the passages, or no luck
        return None
    finally:
        await close(pieces)
    said = taken(found, text, talk.question)
    return None if said is None else (said, usage)

"""The last checks of a finished answer: what must not be shown, stop texts, the client's limit.

Contract: hidden text, moderation and cuts are told in flags and in why the answer ends; a cut never
goes through a word or a derivation, for half a figure is another figure.
"""

from __future__ import annotations

from dataclasses import replace

from denizen.serve.answering import wording
from denizen.serve.answering.ports import Parts
from denizen.serve.answering.turning import InTurn, Reply
from denizen.serve.exchange import Finish, Outcome, Request

WITHHELD = "This answer is withheld."
BLOCKED = "moderation:"


class Sending:
    """The way out."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def send(self, turn: InTurn, text: str, outcome: Outcome, sources: str = "") -> Reply:
        """The last checks: what must not be shown, stop texts, and the client's own limit."""
        known = "\n".join([turn.talk.known, sources, *outcome.derivation])
        checked = self._parts.shield.check_output(text, known)
        flags = (*outcome.flags, *checked.flags)
        finish: Finish = "stop"
        text = checked.text
        if blocked := await self._parts.shield.moderate(text):
            flags = (*flags, *blocked)
            if any(flag.startswith(BLOCKED) for flag in blocked):
                text, finish = WITHHELD, "content_filter"
        text, _ = wording.stopped(text, turn.request.sampling.stop)
        limit = turn.request.sampling.max_tokens
        if limit is not None:
            text, cut = await self._cut(text, limit)
            finish = "length" if cut else finish
        flags = tuple(dict.fromkeys(flag for flag in flags if flag))
        return Reply(text, finish, replace(outcome, flags=flags))

    async def _cut(self, text: str, limit: int) -> tuple[str, bool]:
        """At most `limit` tokens of a text, cut between words: half a figure is another one."""
        words = list(wording.pieces(text))

        async def fits(count: int) -> bool:
            said = "".join(words[:count])
            # No token is longer than its text: most answers need no tokenizer.
            return len(said.encode()) <= limit or (
                await self._parts.backend.count(Request("", text=said)) <= limit
            )

        if await fits(len(words)):
            return text, False
        low, high = 0, len(words)
        while low + 1 < high:
            middle = (low + high) // 2
            low, high = (middle, high) if await fits(middle) else (low, middle)
        return wording.whole_sections("".join(words[:low])), True

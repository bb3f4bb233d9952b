"""The last checks of a finished answer: what must not be shown, stop texts, the client's limit.

Contract: hidden text, moderation and cuts are told in flags and in why the answer ends; a cut never
goes through a word or a derivation, for half a figure is another figure.  JSON that keeps its
schema no longer once something is hidden is a Fault 502; the metadata's words (draft, call,
corrections, quotes) are held to the same rules as the answer's, and are empty where it is withheld.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from denizen.serve.answering import wording
from denizen.serve.answering.formats import broken, hidden, not_kept
from denizen.serve.answering.ports import Checked, Parts
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

        def check(said: str) -> Checked:
            return self._parts.shield.check_output(said, known)

        if turn.asked is None:
            checked = check(text)
            text, found = checked.text, checked.flags
        else:
            text, found = hidden(text, check)
            if found and (fault := broken(text, turn.request.format)):
                raise not_kept(fault)
        outcome = covered(outcome, check)
        flags = (*outcome.flags, *found)
        finish: Finish = "stop"
        judged = await self._parts.shield.moderate(text)
        flags = (*flags, *judged)
        if blocks(judged):
            text, finish, outcome = WITHHELD, "content_filter", emptied(outcome)
        text, _ = wording.stopped(text, turn.request.sampling.stop)
        limit = turn.request.sampling.max_tokens
        if limit is not None:
            text, cut = await self._cut(text, limit)
            finish = "length" if cut and finish == "stop" else finish
        flags = tuple(dict.fromkeys(flag for flag in flags if flag))
        return Reply(text, finish, replace(outcome, flags=flags))

    async def _cut(self, text: str, limit: int) -> tuple[str, bool]:
        """At most `limit` tokens of a text, cut between words: half a figure is another one."""
        words = list(wording.pieces(text))

        async def fits(count: int) -> bool:
            said = "".join(words[:count])
            # No token is longer than its text: most answers need no tokenizer.
            if len(said.encode()) <= limit:
                return True
            used = await self._parts.backend.count(Request("", text=said))
            return (used or len(said) // 4 + 1) <= limit  # a server elsewhere may tell none

        if await fits(len(words)):
            return text, False
        low, high = 0, len(words)
        while low + 1 < high:
            middle = (low + high) // 2
            low, high = (middle, high) if await fits(middle) else (low, middle)
        return wording.whole_sections("".join(words[:low])), True


def blocks(judged: Iterable[str]) -> bool:
    """Whether moderation's flags withhold what they are about."""
    return any(flag.startswith(BLOCKED) for flag in judged)


def covered(outcome: Outcome, check: Callable[[str], Checked]) -> Outcome:
    """The outcome with nothing in the words of the model and the sources that must not be shown."""
    said = (outcome.draft, outcome.call or "", *outcome.derivation, *sum(outcome.corrections, ()))
    cited = (text for one in outcome.citations for text in (one.title, one.source, one.quote))
    whole = "\n".join(filter(None, (*said, *cited)))
    if not whole or not (found := check(whole).flags):
        return outcome

    def hide(text: str) -> str:
        return check(text).text

    return replace(
        outcome,
        draft=hide(outcome.draft),
        call=hide(outcome.call) if outcome.call else None,
        derivation=tuple(map(hide, outcome.derivation)),
        citations=tuple(
            replace(one, title=hide(one.title), source=hide(one.source), quote=hide(one.quote))
            for one in outcome.citations
        ),
        corrections=tuple((hide(said), hide(exact)) for said, exact in outcome.corrections),
        flags=(*outcome.flags, *found),
    )


def emptied(outcome: Outcome) -> Outcome:
    """The outcome of a withheld answer: without the parts that would tell it all the same."""
    return replace(
        outcome, exact=False, draft="", call=None, derivation=(), citations=(), corrections=()
    )

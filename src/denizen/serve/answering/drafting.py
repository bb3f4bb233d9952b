"""What the model writes for a question: under its grammar, with the skill of its family, evaluated.

Contract: `fits` refuses a conversation that leaves no room for an answer (Fault 400); `local` gives
the draft, the call and what the engine makes of it.  A backend without grammars writes freely, and
its call is held against the figures that were given.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from denizen.serve.answering.composing import compose, grammar_of
from denizen.serve.answering.conversation import Talk
from denizen.serve.answering.ports import Parts
from denizen.serve.answering.report import NAME, as_text, review
from denizen.serve.answering.skills import family_of_tool
from denizen.serve.answering.timing import close
from denizen.serve.answering.turning import InTurn, Local, total
from denizen.serve.exchange import Fault, Guided, Request, Sampling, Usage

# More tokens than any chat template puts around a turn.
TEMPLATE = 32


class Drafting:
    """The backend, asked as it was trained to be."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def fits(self, talk: Talk) -> None:
        """A conversation that does not fit is refused, never cut."""
        context = self._parts.backend.facts.context
        if not context:
            return
        room = context - self.limit
        # No token is longer than its text, and a template adds a few to each turn.
        most = sum(
            len(turn.content.encode("utf-8", "surrogatepass")) + TEMPLATE for turn in talk.turns
        )
        if most <= room:
            return
        used = await self._parts.backend.count(Request("", talk.turns))
        if used > room:
            raise Fault(
                400,
                f"the conversation is {used} tokens long; with the answer's {self.limit} this"
                f" model's context holds {max(room, 0)}. Shorten it or leave out earlier turns",
                code="context_length_exceeded",
                param="messages",
            )

    @property
    def limit(self) -> int:
        """Tokens the model may write."""
        return self._parts.config.evaluate.max_new_tokens

    async def local(self, turn: InTurn) -> Local:
        """Draft, call and evaluation, with the skill of the question's family."""
        adapter = turn.named.adapter
        skills = self._parts.skills
        by_task = not adapter and bool(skills)
        if by_task and turn.sense.sure:
            adapter = skills.get(turn.sense.family, "")
        skilled = self._skilled if by_task else self._written
        made = await skilled(turn, adapter)
        if by_task and not turn.sense.sure:
            # What the words left open, the draft tells.
            family = family_of_tool(made.answer.tool, self._parts.suite)
            if skill := skills.get(family, ""):
                first, made = made, await skilled(turn, skill)
                made = replace(made, usage=total(first.usage, made.usage))
        return made

    async def _skilled(self, turn: InTurn, adapter: str) -> Local:
        """With a skill; without it where its adapter was let go a moment ago."""
        try:
            return await self._written(turn, adapter)
        except Fault:
            if not adapter or adapter in self._parts.backend.facts.adapters:
                raise
            return await self._written(turn, "")

    async def _written(self, turn: InTurn, adapter: str) -> Local:
        parts, talk = self._parts, turn.talk
        with turn.trace.span("generate", model=turn.request.model, adapter=adapter):
            schema = turn.asked.schema if turn.asked else None
            guiding = getattr(parts.backend, "guided", None)
            guided: Guided | None = None
            if guiding is not None:
                reasoning = parts.config.serve.reasoning
                grammar = await asyncio.to_thread(
                    grammar_of, parts.suite, talk.written, reasoning, schema
                )
                guided = await guiding(talk.turns, grammar, self.limit, adapter)
            if guided is not None:
                text, usage = guided.text, guided.usage
            else:
                text, usage = await self._free(turn, adapter)
        with turn.trace.span("calculate"):
            answer = compose(text, talk.written, parts.suite, schema)
            reviewed = None
            if answer.schema is not None and answer.schema.name == NAME:
                reviewed = review(talk.written, text)
                answer = replace(answer, text=as_text(reviewed.object()))
            return Local(answer, text, guided, usage, adapter, reviewed)

    async def _free(self, turn: InTurn, adapter: str) -> tuple[str, Usage]:
        """A backend without grammars writes freely; its call is checked against what was given."""
        sampling = Sampling(max_tokens=self.limit, temperature=0.0)
        request = Request(turn.request.model, turn.talk.turns, sampling=sampling)
        pieces = self._parts.backend.stream(request, adapter)
        text, usage = "", Usage()
        try:
            async for piece in pieces:
                text += piece.text
                usage = piece.usage or usage
        finally:
            await close(pieces)
        return text, usage

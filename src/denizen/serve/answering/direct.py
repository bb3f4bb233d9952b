"""Direct generation: what needs raw tokens, streamed as it is written, and checked on the way.

Contract: text goes out word by word, with calls evaluated, sums corrected, and addresses, keys and
calldata hidden before they leave.  Where moderation is configured nothing leaves before the whole
answer was judged: its beginning alone tells nothing.  A JSON answer is sent whole, after what must
not be shown was hidden and the jsonschema library has taken what is left: one repair is tried, then
Fault 502 (one cut short by max_tokens is sent with the flag "schema not met").  Token log
probabilities are withheld where the checks changed the text.  Figures that stand neither in the
request nor in a calculation are flagged, in JSON, beside tools and in calls of tools as well; there
nothing is corrected.  The bare model and raw text are guarded, but their figures are their own.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from denizen.models.chat import SYSTEM
from denizen.serve.answering.claims import UNVERIFIED, Claims, checked, unborne, unverified_json
from denizen.serve.answering.conversation import everything
from denizen.serve.answering.formats import broken, hidden, not_kept, repair
from denizen.serve.answering.holding import Held
from denizen.serve.answering.naming import Named
from denizen.serve.answering.ports import Checked, Parts, Recorded, Watching
from denizen.serve.answering.sending import WITHHELD as NOT_SHOWN
from denizen.serve.answering.sending import blocks, covered, emptied
from denizen.serve.answering.timing import aside, bounded, within
from denizen.serve.answering.turning import total
from denizen.serve.exchange import (
    Fault,
    Finish,
    Outcome,
    Piece,
    Request,
    Turn,
    Usage,
)

DRAFT = "Think in short steps of at most five words each, then give the answer."
NOT_MET = "schema not met"
JSON_TOKENS = 512
WITHHELD = "log probabilities withheld"
NOT_OFFERED = "a call of a tool that was not offered"


@dataclass
class _Choice:
    """What is known of one choice while it is written."""

    held: Held
    watch: Watching
    text: str = ""
    raw: str = ""
    finish: str = ""
    called: bool = False
    flags: tuple[str, ...] = ()
    pieces: list[Piece] = field(default_factory=list)


class Direct:
    """Generation through the backend."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def answer(
        self, request: Request, named: Named, until: float, trace: Recorded
    ) -> AsyncGenerator[Piece | Outcome, None]:
        """Pieces and the Outcome; raises Fault."""
        asked = prepared(request, named, self._parts.config.serve.reasoning)
        made = _Made(asked, named, everything(request))
        whole = (
            request.format.kind != "text"
            or request.logprobs is not None
            or self._parts.shield.moderates
        )
        with trace.span("generate", model=request.model, adapter=named.adapter):
            work = self._whole(made, until) if whole else self._stream(made, until)
            async with aclosing(work) as pieces:
                async for piece in pieces:
                    yield piece
        outcome = covered(made.outcome(), lambda said: self._check(made, said))
        yield emptied(outcome) if made.withheld else outcome

    async def _stream(self, made: _Made, until: float) -> AsyncGenerator[Piece, None]:
        choices = [self._choice(made) for _ in range(made.request.n)]
        source = self._parts.backend.stream(made.request, made.named.adapter)
        async with aclosing(bounded(source, until)) as pieces:
            async for piece in pieces:
                made.usage = piece.usage or made.usage
                choice = choices[piece.index]
                text = self._let_out(choice, piece.text)
                if piece.finish:
                    text += self._let_out(choice, None)
                    await aside(made.size, made.take, choice)
                if text or piece.tool_calls or piece.finish or piece.usage:
                    piece = await aside(made.size, self._called, made, choice, piece)
                    yield replace(piece, text=text)

    async def _whole(self, made: _Made, until: float) -> AsyncGenerator[Piece, None]:
        """Every choice is written out, checked, and mended once before anything is sent."""
        usage, choices = await self._written(made, made.request, until)
        for index, choice in enumerate(choices):
            fault = self._fault(made, choice)
            if fault is not None and choice.finish == "stop":
                more, choice = await self._mended(made, choice, fault, until)
                usage = total(usage, more)
                choices[index] = choice
                fault = self._fault(made, choice)
            if fault is not None and choice.finish == "length":
                made.flags.append(NOT_MET)
            elif fault is not None:
                raise not_kept(fault)
        sent = [
            await aside(made.size, self._sent, made, choice, index)
            for index, choice in enumerate(choices)
        ]
        judged = [await within(until, self._judged(made, pieces)) for pieces in sent]
        for piece in (piece for pieces in judged for piece in pieces):
            yield piece
        made.usage = usage
        yield Piece(usage=usage)

    def _sent(self, made: _Made, choice: _Choice, index: int) -> list[Piece]:
        """The pieces of a whole choice; as they came where the checks changed nothing."""
        if made.request.format.kind == "text":
            self._let_out(choice, choice.raw)
            self._let_out(choice, None)
        made.take(choice)
        pieces = [
            replace(self._called(made, choice, piece), index=index, usage=None)
            for piece in choice.pieces
        ]
        if choice.text == choice.raw:
            return pieces
        if made.request.logprobs is not None:
            made.flags.append(WITHHELD)
        calls = tuple(call for piece in pieces for call in piece.tool_calls)
        finish: Finish = next((p.finish for p in reversed(pieces) if p.finish), "stop")
        return [Piece(index, choice.text, calls, (), finish)]

    async def _judged(self, made: _Made, pieces: list[Piece]) -> list[Piece]:
        """The pieces of a choice, or what is said where moderation withholds them."""
        said = "".join(piece.text for piece in pieces)
        calls = [f"{c.name}({c.arguments})" for piece in pieces for c in piece.tool_calls]
        if not (text := "\n".join([said, *calls]).strip()):
            return pieces
        found = await self._parts.shield.moderate(text)
        made.flags += found
        if not blocks(found):
            return pieces
        made.withheld = True
        return [Piece(pieces[0].index, NOT_SHOWN, finish="content_filter")]

    def _called(self, made: _Made, choice: _Choice, piece: Piece) -> Piece:
        """The piece with calls of offered tools alone, their arguments held to the output's rules.

        What a server elsewhere, or a text it read, calls beside them is for no client to run.
        """
        if not piece.tool_calls and piece.finish != "tool_calls":
            return piece
        calls = []
        for call in piece.tool_calls:
            if call.name not in made.offered:
                made.flags.append(NOT_OFFERED)
                continue
            arguments, flags = hidden(call.arguments, lambda said: self._check(made, said))
            made.flags += flags
            if made.checks and unverified_json(arguments, [made.known]):
                made.flags.append(UNVERIFIED)
            calls.append(replace(call, arguments=arguments))
        choice.called = choice.called or bool(calls)
        lost = piece.finish == "tool_calls" and not choice.called
        return replace(piece, tool_calls=tuple(calls), finish="stop" if lost else piece.finish)

    def _check(self, made: _Made, said: str) -> Checked:
        return self._parts.shield.check_output(said, made.known)

    async def _written(
        self, made: _Made, request: Request, until: float
    ) -> tuple[Usage, list[_Choice]]:
        choices = [self._choice(made) for _ in range(request.n)]
        usage = Usage()
        source = self._parts.backend.stream(replace(request, streamed=False), made.named.adapter)
        async with aclosing(bounded(source, until)) as pieces:
            async for piece in pieces:
                choice = choices[piece.index]
                choice.raw += piece.text
                choice.finish = piece.finish or choice.finish
                choice.pieces.append(piece)
                usage = piece.usage or usage
        return usage, choices

    async def _mended(
        self, made: _Made, choice: _Choice, fault: str, until: float
    ) -> tuple[Usage, _Choice]:
        """One more try, with what was wrong."""
        if made.request.text is not None:
            return Usage(), choice
        turns = (
            *made.request.turns,
            Turn("assistant", choice.raw[:20_000]),
            Turn("user", repair(fault)),
        )
        again = replace(made.request, turns=turns, n=1)
        try:
            usage, choices = await self._written(made, again, until)
        except Fault as error:
            if error.code != "context_length_exceeded":
                raise
            return Usage(), choice  # there is no room for it, which is no fault of the caller's
        return usage, choices[0]

    def _fault(self, made: _Made, choice: _Choice) -> str | None:
        """What is wrong with a choice as it would be shown: hiding may break a schema."""
        if made.request.format.kind == "text":
            return None
        choice.text, choice.flags = hidden(choice.raw, lambda said: self._check(made, said))
        if any(c.name in made.offered for piece in choice.pieces for c in piece.tool_calls):
            return None
        return broken(choice.text, made.request.format)

    def _choice(self, made: _Made) -> _Choice:
        held = Held(made.known, made.known, made.checks and made.plain)
        return _Choice(held, self._parts.shield.stream(made.known))

    def _let_out(self, choice: _Choice, text: str | None) -> str:
        """What may be sent of a piece; None is the end."""
        ready = choice.held.close() if text is None else choice.held.feed(text)
        ready = choice.watch.feed(ready)
        if text is None:
            ready += choice.watch.close()
        choice.text += ready
        return ready


class _Made:
    """One answer in the making."""

    def __init__(self, request: Request, named: Named, known: str) -> None:
        self.request, self.named, self.known, self.size = request, named, known, len(known)
        self.checks = named.kind != "base"
        self.plain = request.format.kind == "text" and not request.tools
        self.offered = {tool.get("function", {}).get("name") for tool in request.tools}
        self.withheld = False
        self.flags: list[str] = []
        self.usage = Usage()
        self._claims: list[Claims] = []

    def take(self, choice: _Choice) -> None:
        """A choice is finished: what its checks found."""
        self._claims += choice.held.found
        for claims in choice.held.found:
            self.flags += claims.flags
        self.flags += (*choice.flags, *choice.watch.flags)
        if not self.checks or not choice.text:
            return
        # What goes out as it was written is calculated as well, for what its figures follow from.
        found = choice.held.found if self.plain else [self._claimed(choice.text)]
        if unborne(choice.text, self.known, found, self.request.format.kind != "text"):
            self.flags.append(UNVERIFIED)

    def _claimed(self, text: str) -> Claims:
        claims = checked(text, self.known, self.known)
        return claims if claims.ok else Claims(text)

    def outcome(self) -> Outcome:
        calls = [call for claims in self._claims for call in claims.calls]
        return Outcome(
            self.request.model,
            self.usage,
            call=calls[-1] if calls else None,
            derivation=tuple(step for claims in self._claims for step in claims.derivation),
            corrections=tuple(one for claims in self._claims for one in claims.corrections),
            flags=tuple(dict.fromkeys(self.flags)),
            adapter=self.named.adapter,
        )


def prepared(request: Request, named: Named, reasoning: str) -> Request:
    """The request as the backend gets it: the Analyst's role, and short steps where asked for.

    The bare model and raw text get what the client wrote and nothing else.
    """
    if request.format.kind != "text" and request.sampling.max_tokens is None:
        # A string in JSON has no end of its own: a lost model would fill the context.
        request = replace(request, sampling=replace(request.sampling, max_tokens=JSON_TOKENS))
    if named.kind == "base" or request.text is not None:
        return request
    role = SYSTEM
    if reasoning == "draft" and request.format.kind == "text" and not request.tools:
        role = f"{role} {DRAFT}"
    turns = request.turns
    if turns[0].role in ("system", "developer"):
        # Templates may take one system turn only.
        role, turns = f"{role}\n{turns[0].content}", turns[1:]
    return replace(request, turns=(Turn("system", role), *turns))

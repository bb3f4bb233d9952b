"""The guard's word on a request: what is refused, and what is only flagged.

Contract: `guarded` raises Fault 400 for what the shield or moderation blocks, and gives the flags
of everything else; the shield itself counts whatever it finds.  `refuse_too_long` comes before it:
what no context holds is not read through for seconds.
"""

from __future__ import annotations

import asyncio

from denizen.serve.answering.conversation import everything, read
from denizen.serve.answering.drafting import Drafting
from denizen.serve.answering.ports import Parts, Recorded, Shielding, Suspicion
from denizen.serve.answering.timing import LARGE
from denizen.serve.backend.payload import too_long
from denizen.serve.exchange import Caller, Fault, Request, Visit

_BLOCKED = "moderation:"


async def guarded(parts: Parts, request: Request, visit: Visit, trace: Recorded) -> tuple[str, ...]:
    """Flags of the input; raises Fault for what is blocked."""
    shield, text = parts.shield, everything(request)
    with trace.span("guard"):
        suspicion, alarm = await asyncio.to_thread(_looked, shield, request, visit.caller)
        judged = await shield.moderate(text)
    if blocked := [flag for flag in judged if flag.startswith(_BLOCKED)]:
        raise Fault(
            400,
            f"the request is refused by moderation ({', '.join(blocked)[:200]})",
            code="content_policy_violation",
            param="messages",
        )
    return (*suspicion.flags, *alarm, *judged)


async def refuse_too_long(parts: Parts, request: Request, direct: bool) -> None:
    """Raise Fault 400 for a long request of more tokens than the model's context, where known."""
    context = parts.backend.facts.context
    if not context or len(request.text or "") + sum(len(t.content) for t in request.turns) < LARGE:
        return
    if not direct:
        await Drafting(parts).fits(await asyncio.to_thread(read, request))
    elif (used := await parts.backend.count(request)) > context:
        raise too_long(used, context)


def _looked(
    shield: Shielding, request: Request, caller: Caller
) -> tuple[Suspicion, tuple[str, ...]]:
    """Both in one thread: each handing over takes longer than most of what is handed over."""
    return shield.check_input(request), shield.watch(caller, _question(request))


def _question(request: Request) -> str:
    """The last thing a user wrote, for the watch over what is asked."""
    users = [turn.content for turn in request.turns if turn.role == "user"]
    return users[-1] if users else request.text or ""

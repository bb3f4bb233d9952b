"""The guard's word on a request: what is refused, and what is only flagged.

Contract: `guarded` raises Fault 400 for what the shield or moderation blocks, and gives the flags
of everything else; the shield itself counts whatever it finds.
"""

from __future__ import annotations

import asyncio

from denizen.serve.answering.conversation import everything
from denizen.serve.answering.ports import Parts, Recorded
from denizen.serve.exchange import Fault, Request, Visit

_BLOCKED = "moderation:"


async def guarded(parts: Parts, request: Request, visit: Visit, trace: Recorded) -> tuple[str, ...]:
    """Flags of the input; raises Fault for what is blocked."""
    shield, text = parts.shield, everything(request)
    with trace.span("guard"):
        suspicion = await asyncio.to_thread(shield.check_input, request)
        alarm = await asyncio.to_thread(shield.watch, visit.caller, _question(request))
        judged = await shield.moderate(text)
    if blocked := [flag for flag in judged if flag.startswith(_BLOCKED)]:
        raise Fault(
            400,
            f"the request is refused by moderation ({', '.join(blocked)[:200]})",
            code="content_policy_violation",
            param="messages",
        )
    return (*suspicion.flags, *alarm, *judged)


def _question(request: Request) -> str:
    """The last thing a user wrote, for the watch over what is asked."""
    users = [turn.content for turn in request.turns if turn.role == "user"]
    return users[-1] if users else request.text or ""

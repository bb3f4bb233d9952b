"""The `denizen` object beside every answer: that it is generated, how exact, and from where.

Contract: `metadata(outcome)` is plain finite JSON, the same in OpenAI's and Ollama's answers, plain
or as the end of a stream.  `generated` is always true (EU AI Act, article 50: marked as such).
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from denizen.serve.exchange import Outcome, TokenLogprob

# JSON has no minus infinity; OpenAI writes this for a token that could not have been drawn.
NEVER = -9999.0


def metadata(outcome: Outcome) -> dict[str, Any]:
    """The metadata of an answer."""
    return {
        "generated": True,
        "exact": outcome.exact,
        "origin": outcome.origin,
        "confidence": finite(outcome.confidence),
        "draft": outcome.draft,
        "call": outcome.call,
        "derivation": list(outcome.derivation),
        "citations": [asdict(cited) for cited in outcome.citations],
        "corrections": [
            {"claimed": claimed, "exact": exact} for claimed, exact in outcome.corrections
        ],
        "flags": list(outcome.flags),
        "skill": outcome.skill,
        "adapter": outcome.adapter,
        "trace_id": outcome.trace_id,
    }


def finite(value: float | None) -> float | None:
    """None for what JSON cannot hold."""
    return value if value is not None and math.isfinite(value) else None


def token_logprob(told: TokenLogprob) -> dict[str, Any]:
    """A token's log probability and its alternatives, as both dialects write them."""
    top = [_logprob(token, value) for token, value in told.top]
    return {**_logprob(told.token, told.logprob), "top_logprobs": top}


def bounded(logprob: float) -> float:
    """A log probability that JSON can hold."""
    return max(logprob, NEVER) if logprob == logprob else NEVER


def _logprob(token: str, value: float) -> dict[str, Any]:
    # A part of a character is told as U+FFFD or as nothing, whose bytes are not the token's.
    whole = token and "\ufffd" not in token
    coded = list(token.encode("utf-8", "surrogatepass")) if whole else None
    return {"token": token, "logprob": min(bounded(value), 0.0), "bytes": coded}

"""Tools of a request: whose they are to run.

Contract: `check_tools(request)` refuses (Fault 400) every tool that whoever answers would have to
run; functions pass through, since it is the client that runs them. What this server runs of its own
accord is a list without side effects: the exact calculator (the catalogue of tasks/, nothing else
is evaluated) and the search of its own documents. Neither is asked for by name.
"""

from __future__ import annotations

from denizen.serve.exchange import Fault, Request

# The kind of tool in OpenAI's interfaces that is run by whoever asks.
_CLIENT_SIDE = "function"


def check_tools(request: Request) -> None:
    """Raises Fault 400 for a tool that this server would have to run."""
    for place, tool in enumerate(request.tools):
        kind = str(tool.get("type", _CLIENT_SIDE))
        if kind != _CLIENT_SIDE:
            raise Fault(
                400,
                f"this server does not run tools of type {kind[:60]!r}: it calculates and searches "
                "its own documents unasked, and functions are run by the client",
                code="tool_not_allowed",
                param=f"tools[{place}].type",
            )

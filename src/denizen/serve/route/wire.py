"""A request as OpenAI's chat completions want it, with every text filtered on its way out.

Contract: pure; `body_of` takes nothing from a request but what the upstream needs (no user, no
metadata, no names of ours) and passes every string of turns, tools and schema through `hide`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from denizen.serve.exchange import Format, Request, Sampling, Turn

Hide = Callable[[str], str]


def body_of(request: Request, model: str, hide: Hide) -> dict[str, Any]:
    """The JSON body: one choice, not streamed."""
    turns = [_turn(turn, hide) for turn in request.turns]
    if request.text is not None:
        turns.append({"role": "user", "content": hide(request.text)})
    body: dict[str, Any] = {"model": model, "messages": turns, **_sampling(request.sampling)}
    if request.tools:
        body["tools"] = [hidden(tool, hide) for tool in request.tools]
        body["tool_choice"] = hidden(request.tool_choice, lambda text: text)
    if request.format.kind != "text":
        body["response_format"] = _format(request.format, hide)
    return body


def hidden(value: Any, hide: Hide) -> Any:
    """A JSON value with every string (not the keys) passed through `hide`."""
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, Mapping):
        return {key: hidden(inner, hide) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [hidden(inner, hide) for inner in value]
    return value


def _turn(turn: Turn, hide: Hide) -> dict[str, Any]:
    # Not every server knows the role "developer"; it means the same.
    role = "system" if turn.role == "developer" else turn.role
    made: dict[str, Any] = {"role": role, "content": hide(turn.content)}
    if turn.tool_calls:
        made["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": hide(call.arguments)},
            }
            for call in turn.tool_calls
        ]
    if turn.tool_call_id:
        made["tool_call_id"] = turn.tool_call_id
    return made


def _sampling(sampling: Sampling) -> dict[str, Any]:
    """What was asked for; what was not is the upstream's own, but for greedy decoding."""
    made: dict[str, Any] = {"temperature": sampling.temperature or 0}
    for name in ("max_tokens", "top_p", "seed"):
        if (value := getattr(sampling, name)) is not None:
            made[name] = value
    for name in ("presence_penalty", "frequency_penalty"):
        if value := getattr(sampling, name):
            made[name] = value
    if sampling.stop:
        made["stop"] = list(sampling.stop)
    return made


def _format(wanted: Format, hide: Hide) -> dict[str, Any]:
    if wanted.kind == "json_object" or wanted.schema is None:
        return {"type": "json_object"}
    return {
        "type": "json_schema",
        "json_schema": {
            "name": wanted.name or "answer",
            "schema": hidden(wanted.schema, hide),
            "strict": wanted.strict,
        },
    }

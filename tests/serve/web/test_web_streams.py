"""Streams as they leave the server, whatever order the service says things in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from scripted import OUTCOME, Scripted, ask, server

from denizen.serve.exchange import Piece, ToolCall, Usage
from denizen.serve.metering import meter

CALL = ToolCall("c1", "price", '{"a": 1}')
TEXT = (Piece(text="Hel"), Piece(text="lo", finish="stop"), OUTCOME)
# What is written out before it is sent tells its usage at the very end.
WHOLE = (Piece(text="Hello", finish="stop"), Piece(usage=Usage(11, 3)), OUTCOME)
TOOLS = (Piece(text="So: "), Piece(tool_calls=(CALL,)), Piece(text=" ok", finish="tool_calls"))


def told(script: Any, path: str, **more: Any) -> list[dict[str, Any]]:
    """The events of a stream."""
    asked: dict[str, Any] = (
        {"messages": [{"role": "user", "content": "x"}]} if "chat" in path else {}
    )
    asked |= {"prompt": "x"} if path.endswith("/completions") and not asked else {}
    asked |= {"input": "x"} if path.endswith("responses") else {}
    body = {"model": "denizen", "stream": True, **asked, **more}
    reply = ask(server(Scripted(script)), "POST", path, json=body)
    assert reply.status_code == 200
    lines = [line[6:] for line in reply.text.split("\n") if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("script", [TEXT, WHOLE, (*TOOLS, OUTCOME), (OUTCOME,)])
def test_events_are_numbered_as_they_come(script: Any) -> None:
    events = told(script, "/v1/responses")
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
@pytest.mark.parametrize("script", [TEXT, WHOLE])
def test_every_chunk_has_a_choice_and_the_last_ends_it(path: str, script: Any) -> None:
    chunks = told(script, path)
    assert all(chunk["choices"] for chunk in chunks)
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop" and chunks[-1]["denizen"]["exact"]
    assert all("usage" not in chunk and "denizen" not in chunk for chunk in chunks[:-1])


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_usage_is_null_until_it_is_told(path: str) -> None:
    chunks = told(WHOLE, path, stream_options={"include_usage": True})
    assert all(chunk["usage"] is None and chunk["choices"] for chunk in chunks[:-1])
    assert chunks[-1]["usage"]["total_tokens"] == 14 and chunks[-1]["choices"] == []


def test_a_plain_response_has_the_items_of_its_stream() -> None:
    script = (*TOOLS, OUTCOME)
    streamed = told(script, "/v1/responses")[-1]["response"]["output"]
    body = {"model": "denizen", "input": "x"}
    plain = ask(server(Scripted(script)), "POST", "/v1/responses", json=body).json()["output"]
    assert [item["type"] for item in plain] == ["message", "function_call", "message"]
    for one, other in zip(streamed, plain, strict=True):
        assert {**one, "id": ""} == {**other, "id": ""}


@pytest.mark.parametrize("stream", [True, False])
def test_ollamas_durations_begin_where_the_first_token_was_counted(stream: bool) -> None:
    def script(_: Any) -> list[Any]:
        meter().add(11, 0)
        meter().add(0, 1)
        return [0.02, Piece(text="Hello", finish="stop"), OUTCOME]

    body = {"model": "denizen", "prompt": "x", "stream": stream}
    reply = ask(server(Scripted(script)), "POST", "/api/generate", json=body)
    last = json.loads(reply.text.strip().split("\n")[-1])
    assert last["prompt_eval_duration"] > 0 and last["eval_duration"] >= 20_000_000

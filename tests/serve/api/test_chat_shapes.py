"""OpenAI's chat: bodies become Requests, errors name the field, answers have the client's shape."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from denizen.serve.api.metadata import metadata
from denizen.serve.api.openai.chat_answer import ChatAnswer
from denizen.serve.api.openai.chat_body import ChatBody, chat_request
from denizen.serve.api.openai.errors import envelope
from denizen.serve.api.shape import read
from denizen.serve.exchange import (
    Fault,
    Outcome,
    Piece,
    Request,
    TokenLogprob,
    ToolCall,
    Turn,
    Usage,
)

TOOL = {
    "type": "function",
    "function": {"name": "price", "parameters": {"type": "object", "properties": {}}},
}
OUTCOME = Outcome("denizen", Usage(5, 2), exact=True, trace_id="ab")


def body(**more: Any) -> dict[str, Any]:
    return {"model": "denizen", "messages": [{"role": "user", "content": "Hi"}], **more}


def made(**more: Any) -> Request:
    return chat_request(read(ChatBody, body(**more)))


def refused(value: dict[str, Any]) -> Fault:
    with pytest.raises(Fault) as caught:
        chat_request(read(ChatBody, value))
    assert caught.value.status == 400
    return caught.value


def test_a_whole_conversation_becomes_turns() -> None:
    request = made(
        messages=[
            {"role": "system", "content": "Be exact."},
            {
                "role": "user",
                "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            },
            {
                "role": "assistant",
                "content": None,
                "refusal": None,
                "audio": None,
                "function_call": None,
                "annotations": [],
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "price", "arguments": "{}"},
                    }
                ],
            },
            {"role": "tool", "content": "3", "tool_call_id": "c1"},
        ],
        tools=[TOOL],
        tool_choice={"type": "function", "function": {"name": "price"}},
        n=2,
        stop="END",
        seed=-1,
        max_completion_tokens=9,
        logprobs=True,
        top_logprobs=3,
        temperature=1,
        metadata={"a": "b"},
        user="me",
        service_tier="flex",
        store=True,
    )
    assert request.turns == (
        Turn("system", "Be exact."),
        Turn("user", "ab"),
        Turn("assistant", "", (ToolCall("c1", "price", "{}"),)),
        Turn("tool", "3", tool_call_id="c1"),
    )
    assert request.sampling.stop == ("END",) and request.sampling.max_tokens == 9
    assert request.sampling.seed == 2**32 - 2 and request.sampling.temperature == 1.0
    assert request.n == 2 and request.logprobs == 3 and request.tools == (TOOL,)
    assert request.tool_choice == {"type": "function", "function": {"name": "price"}}
    assert request.metadata == {"a": "b"} and request.user == "me"


def test_a_strict_schema_with_null_goes_through_unchanged() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"anyOf": [{"type": "number"}, {"type": "null"}]}},
        "required": ["a"],
        "additionalProperties": False,
    }
    shape = {
        "type": "json_schema",
        "json_schema": {"name": "yield", "schema": schema, "strict": True},
    }
    request = made(response_format=shape)
    assert request.format.kind == "json_schema" and request.format.strict
    assert request.format.schema == schema and request.format.name == "yield"
    assert made(response_format={"type": "json_object"}).format.kind == "json_object"
    assert made(response_format=None).format.kind == "text"


@pytest.mark.parametrize(
    ("more", "param", "words"),
    [
        ({"temprature": 1}, "temprature", "Did you mean 'temperature'"),
        ({"zzz": 1}, "zzz", "Unknown parameter: 'zzz'.$"),
        ({"model": None}, "model", "valid string"),
        ({"model": ""}, "model", "at least 1"),
        ({"messages": []}, "messages", "at least 1"),
        ({"messages": "hi"}, "messages", "list"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "Missing required"),
        ({"messages": [{"role": "robot", "content": ""}]}, "messages[0]", "'role' is system"),
        ({"messages": [{"role": [], "content": ""}]}, "messages[0]", "'role' is system"),
        ({"messages": ["x"]}, "messages[0]", "'role' is system"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content", "string or a list"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content[0].type",
            "only parts of text",
        ),
        (
            {"messages": [{"role": "user", "content": "x", "contnt": "y"}]},
            "messages[0].contnt",
            "Did you mean 'content'",
        ),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id", "Missing"),
        ({"messages": [{"role": "user", "content": "x"}] * 257}, "messages", "at most 256"),
        ({"n": 9}, "n", "less than or equal to 8"),
        ({"n": "2"}, "n", "integer"),
        ({"n": True}, "n", "integer"),
        ({"n": 10**20}, "n", "less than|integer"),
        ({"temperature": 10**23}, "temperature", "less than"),
        ({"stop": ["a"] * 5}, "stop", "at most 4"),
        ({"stop": [""]}, "stop[0]", "at least 1"),
        ({"stop": 3}, "stop", "string or a list"),
        ({"temperature": 2.5}, "temperature", "less than or equal to 2"),
        ({"top_p": -0.1}, "top_p", "greater than or equal to 0"),
        ({"max_tokens": 0}, "max_tokens", "greater than or equal to 1"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens", "differ"),
        ({"top_logprobs": 3}, "top_logprobs", "needs 'logprobs'"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "less than or equal to 20"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "needs 'stream'"),
        ({"stream": "yes"}, "stream", "boolean"),
        ({"audio": {"voice": "x"}}, "audio", "audio is not supported"),
        ({"modalities": ["audio"]}, "modalities[0]", "only text"),
        ({"logit_bias": {"5": 1}}, "logit_bias", "cannot be changed"),
        ({"functions": []}, "functions", "use 'tools'"),
        ({"web_search_options": {}}, "web_search_options", "does not search"),
        ({"tools": [TOOL] * 2}, "tools[1]", "already a tool"),
        (
            {"tools": [{"type": "function", "function": {"name": "a b"}}]},
            "tools[0].function.name",
            "pattern",
        ),
        ({"tool_choice": "required"}, "tool_choice", "no tools"),
        ({"tool_choice": "maybe"}, "tool_choice", "'none', 'auto' or 'required'"),
        (
            {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "x"}}},
            "tool_choice",
            "no tool",
        ),
        ({"response_format": {"type": "xml"}}, "response_format", "json_object or json_schema"),
        (
            {"response_format": {"type": "json_schema"}},
            "response_format.json_schema",
            "Missing required",
        ),
        ({"metadata": {"a": 1}}, "metadata.a", "string"),
        ({"metadata": {str(i): "" for i in range(17)}}, "metadata", "at most 16"),
    ],
)
def test_every_bad_field_is_named(more: dict[str, Any], param: str, words: str) -> None:
    import re

    fault = refused(body(**more))
    assert fault.param == param
    assert re.search(words, fault.message), fault.message
    said = envelope(fault)["error"]
    assert set(said) == {"message", "type", "param", "code"} and said["code"]


def test_values_of_the_client_are_not_echoed() -> None:
    fault = refused(body(temperature="sk-secret-0123456789"))
    assert "sk-secret" not in fault.message
    long = refused(body(**{"x" * 100_000: 1}))
    assert len(long.message) < 300 and len(long.param or "") < 100


def whole(*pieces: Piece, outcome: Outcome = OUTCOME, **more: Any) -> dict[str, Any]:
    request = made(**more)
    answer = ChatAnswer(request, include_usage=False, key="k", created=7)
    for piece in pieces:
        answer.add(piece)
    return json.loads(answer.whole(outcome))


def chunks(*pieces: Piece, usage: bool = False, **more: Any) -> list[dict[str, Any]]:
    answer = ChatAnswer(made(**more), include_usage=usage, key="k", created=7)
    raw = answer.opening() + b"".join(map(answer.piece, pieces)) + answer.closing(OUTCOME)
    events = raw.decode("ascii").removesuffix("\n\n").split("\n\n")
    assert events[-1] == "data: [DONE]" and all(e.startswith("data: ") for e in events)
    return [json.loads(e.removeprefix("data: ")) for e in events[:-1]]


def test_the_plain_answer() -> None:
    told = whole(Piece(text="Hé"), Piece(text="llo", finish="length"))
    parsed = ChatCompletion.model_validate(told)
    assert parsed.choices[0].message.content == "Héllo"
    assert parsed.choices[0].finish_reason == "length"
    assert parsed.usage is not None and parsed.usage.total_tokens == 7
    assert told["denizen"]["generated"] is True and told["denizen"]["trace_id"] == "ab"


def test_tool_calls_have_no_content() -> None:
    call = ToolCall("c1", "price", '{"a":1}')
    told = whole(Piece(tool_calls=(call,), finish="tool_calls"))
    message = told["choices"][0]["message"]
    assert message["content"] is None
    assert message["tool_calls"][0]["function"] == {"name": "price", "arguments": '{"a":1}'}
    first, second = chunks(Piece(tool_calls=(call, ToolCall("c2", "price", "{}"))))[1:3]
    assert first["choices"][0]["delta"]["tool_calls"][0]["index"] == 0
    assert second["choices"][0]["delta"]["tool_calls"][0]["index"] == 1


def test_infinite_logprobs_are_still_json() -> None:
    told = whole(
        Piece(text="a", logprobs=(TokenLogprob("ä", -math.inf, (("b", math.nan),)),)),
        logprobs=True,
        top_logprobs=1,
    )
    one = told["choices"][0]["logprobs"]["content"][0]
    assert one["logprob"] == -9999.0 and one["bytes"] == [195, 164]
    assert one["top_logprobs"][0]["logprob"] == -9999.0
    assert metadata(Outcome("m", Usage(), confidence=math.nan))["confidence"] is None


def test_chunks_add_up_and_the_last_carries_the_metadata() -> None:
    tricky = '"\\\n\x00\u2028\ud800 ż {"delta"}'
    told = chunks(Piece(text=tricky), Piece(text="b", finish="stop"))
    for chunk in told:
        ChatCompletionChunk.model_validate(chunk)
    assert told[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in told) == tricky + "b"
    assert told[-1]["choices"][0]["finish_reason"] == "stop"
    assert told[-1]["denizen"]["exact"] and all("denizen" not in c for c in told[:-1])
    assert all("usage" not in c for c in told)


def test_usage_comes_last_when_asked_for() -> None:
    told = chunks(
        Piece(text="a", finish="stop"),
        usage=True,
        stream=True,
        stream_options={"include_usage": True},
    )
    assert told[-1]["choices"] == [] and told[-1]["usage"]["total_tokens"] == 7
    assert told[-1]["denizen"]["generated"]
    assert told[-2]["choices"][0]["finish_reason"] == "stop"
    assert all(c["usage"] is None for c in told[:-1])


def test_choices_are_kept_apart() -> None:
    pieces = (
        Piece(0, "a"),
        Piece(1, "b"),
        Piece(0, "c", finish="stop"),
        Piece(1, "d", finish="length"),
    )
    told = chunks(*pieces, n=2)
    texts = ["", ""]
    finishes = [None, None]
    for chunk in told:
        for choice in chunk["choices"]:
            texts[choice["index"]] += choice["delta"].get("content") or ""
            finishes[choice["index"]] = choice["finish_reason"] or finishes[choice["index"]]
    assert texts == ["ac", "bd"] and finishes == ["stop", "length"]
    assert [c["message"]["content"] for c in whole(*pieces, n=2)["choices"]] == ["ac", "bd"]

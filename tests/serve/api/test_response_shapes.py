"""The responses interface: items become Turns, events build up what the plain answer holds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from denizen.serve.api.openai.chat_body import ChatBody
from denizen.serve.api.openai.response_answer import ResponseAnswer
from denizen.serve.api.openai.response_body import ResponseBody, echo, response_request
from denizen.serve.api.shape import read
from denizen.serve.exchange import Fault, Outcome, Piece, TokenLogprob, ToolCall, Turn, Usage

OUTCOME = Outcome("denizen", Usage(5, 2), exact=True, trace_id="ab")
EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
TOOL = {"type": "function", "name": "price", "parameters": {"type": "object"}, "strict": True}
SCHEMA = {"type": "object", "properties": {}, "additionalProperties": False}


def body(**more: Any) -> ResponseBody:
    return read(ResponseBody, {"model": "denizen", "input": "Hi", **more})


def test_items_become_turns() -> None:
    request = response_request(
        body(
            instructions="Be exact.",
            input=[
                {"role": "user", "content": "a"},
                {
                    "type": "message",
                    "role": "assistant",
                    "id": "msg_1",
                    "status": "completed",
                    "content": [
                        {"type": "output_text", "text": "b", "annotations": [], "logprobs": []}
                    ],
                },
                {"type": "function_call", "call_id": "c1", "name": "price", "arguments": "{}"},
                {
                    "type": "function_call",
                    "call_id": "c2",
                    "name": "price",
                    "arguments": "{}",
                    "id": "f",
                },
                {"type": "function_call_output", "call_id": "c1", "output": "3"},
                {"role": "user", "content": [{"type": "input_text", "text": "c"}]},
            ],
            tools=[TOOL],
            tool_choice={"type": "function", "name": "price"},
            text={"format": {"type": "json_schema", "name": "x", "schema": SCHEMA, "strict": True}},
            include=["message.output_text.logprobs"],
            store=True,
            reasoning={"effort": "low"},
        )
    )
    calls = (ToolCall("c1", "price", "{}"), ToolCall("c2", "price", "{}"))
    assert request.turns == (
        Turn("system", "Be exact."),
        Turn("user", "a"),
        Turn("assistant", "b", calls),
        Turn("tool", "3", tool_call_id="c1"),
        Turn("user", "c"),
    )
    assert request.tools[0]["function"]["name"] == "price" and request.logprobs == 0
    assert request.tool_choice == {"type": "function", "function": {"name": "price"}}
    assert request.format.kind == "json_schema" and request.format.schema == SCHEMA
    plain = response_request(body())
    assert plain.turns == (Turn("user", "Hi"),) and plain.logprobs is None


@pytest.mark.parametrize(
    ("more", "param", "words"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id", "not stored"),
        ({"conversation": "c"}, "conversation", "not stored"),
        ({"background": True}, "background", "background"),
        ({"truncation": "auto"}, "truncation", "cut silently"),
        ({"input": []}, "input", "at least 1"),
        ({"input": None}, "input", "string or a list"),
        ({"input": [{"type": "reasoning", "id": "x"}]}, "input[0]", "function_call"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].content[0].type",
            "only parts",
        ),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "function"),
        ({"include": ["file_search_call.results"]}, "include[0]", "logprobs"),
        ({"text": {"format": {"type": "xml"}}}, "text.format", "json_schema"),
        ({"max_tokens": 3}, "max_tokens", "Unknown"),
        ({"instruction": "x"}, "instruction", "Did you mean 'instructions'"),
    ],
)
def test_what_cannot_be_honoured(more: dict[str, Any], param: str, words: str) -> None:
    with pytest.raises(Fault, match=words) as caught:
        response_request(body(**more))
    assert caught.value.param == param


def answer(**more: Any) -> ResponseAnswer:
    asked = body(**more)
    return ResponseAnswer(response_request(asked), echoed=echo(asked), key="k", created=7)


def events(made: ResponseAnswer, *pieces: Piece, end: Fault | None = None) -> list[dict[str, Any]]:
    raw = made.opening() + b"".join(map(made.piece, pieces))
    raw += made.broken(end) if end else made.closing(OUTCOME)
    told = []
    for number, block in enumerate(raw.decode("ascii").removesuffix("\n\n").split("\n\n")):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}" and event["sequence_number"] == number
        EVENTS.validate_python(event)
        told.append(event)
    return told


PIECES = (
    Piece(text='He "l'),
    Piece(text="lo\n"),
    Piece(tool_calls=(ToolCall("c1", "price", '{"a": 1}'),), finish="tool_calls"),
)


def test_events_build_up_the_plain_answer() -> None:
    told = events(answer(tools=[TOOL]), *PIECES)
    assert [e["type"].removeprefix("response.") for e in told] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    plain = answer(tools=[TOOL])
    for piece in PIECES:
        plain.add(piece)
    whole = json.loads(plain.whole(OUTCOME))
    assert told[-1]["response"] == whole
    parsed = Response.model_validate(whole)
    assert parsed.output_text == 'He "llo\n' and parsed.usage is not None
    assert parsed.usage.total_tokens == 7 and whole["denizen"]["exact"]
    assert whole["store"] is False and whole["output"][1]["call_id"] == "c1"


def test_a_cut_answer_is_incomplete() -> None:
    told = events(answer(), Piece(text="a"), Piece(finish="length"))
    assert told[-1]["type"] == "response.incomplete"
    assert told[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


def test_an_empty_answer_still_has_its_message() -> None:
    told = events(answer(), Piece(finish="stop"))
    assert told[-1]["response"]["output"][0]["content"][0]["text"] == ""


def test_a_failure_is_told_in_the_stream() -> None:
    told = events(answer(), Piece(text="a"), end=Fault(500, "broke", kind="server_error"))
    assert [e["type"] for e in told[-2:]] == ["error", "response.failed"]
    assert told[-2]["message"] == "broke" and told[-1]["response"]["status"] == "failed"


@pytest.mark.parametrize("part", [{}, {"text": None}, {"refusal": "no"}])
def test_a_part_without_its_text_is_not_taken_for_an_empty_one(part: dict[str, Any]) -> None:
    with pytest.raises(Fault, match="needs its 'text'") as caught:
        body(input=[{"role": "user", "content": [{"type": "input_text", **part}]}])
    assert caught.value.param == "input[0].content[0]"
    with pytest.raises(Fault, match="needs its 'text'") as caught:
        message = {"role": "user", "content": [{"type": "text", **part}]}
        read(ChatBody, {"model": "denizen", "messages": [message]})
    assert caught.value.param == "messages[0].content[0]"
    with pytest.raises(Fault, match="needs its 'refusal'"):
        body(input=[{"role": "assistant", "content": [{"type": "refusal", "text": "x"}]}])


def test_logprobs_are_in_deltas_and_in_the_whole() -> None:
    piece = Piece(text="a", logprobs=(TokenLogprob("a", -0.5, (("b", -1.0),)),))
    told = events(answer(top_logprobs=1), piece, Piece(finish="stop"))
    assert told[4]["logprobs"][0]["top_logprobs"][0]["token"] == "b"
    part = told[-1]["response"]["output"][0]["content"][0]
    assert part["logprobs"][0]["logprob"] == -0.5

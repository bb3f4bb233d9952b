"""The real OpenAI client over a real server: plain, streamed, tools, formats, errors."""

from __future__ import annotations

import json
from collections.abc import Iterator

import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel
from scripted import HELLO, OUTCOME, Desk, Scripted, server

from denizen.serve.background import serving
from denizen.serve.exchange import Fault, Piece, Request, TokenLogprob, ToolCall

MESSAGES = [{"role": "user", "content": "Hi"}]
TOOL = {"type": "function", "function": {"name": "price", "parameters": {"type": "object"}}}


class Yield(BaseModel):
    name: str
    rate: float | None


def script(request: Request) -> list[object]:
    if request.format.kind == "json_schema":
        return [Piece(text='{"name": "a", '), Piece(text='"rate": null}', finish="stop"), OUTCOME]
    if request.tools:
        call = ToolCall("c1", "price", '{"a": 1}')
        return [Piece(tool_calls=(call,), finish="tool_calls"), OUTCOME]
    if request.logprobs is not None:
        told = (TokenLogprob("Hello", -0.25, (("Hi", -1.5),)),)
        return [Piece(text="Hello", logprobs=told, finish="stop"), OUTCOME]
    if request.turns and request.turns[-1].content == "break":
        return [Piece(text="Hel"), Fault(503, "the model went away", kind="server_error")]
    if request.n > 1:
        return [*(Piece(i, f"answer {i}", finish="stop") for i in range(request.n)), OUTCOME]
    return list(HELLO)


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk()


@pytest.fixture(scope="module")
def client(desk: Desk) -> Iterator[OpenAI]:
    with serving(server(Scripted(script), desk)) as url:
        yield OpenAI(base_url=url, api_key="none", max_retries=0)


def test_a_plain_answer(client: OpenAI) -> None:
    told = client.chat.completions.create(model="denizen", messages=MESSAGES)
    assert told.choices[0].message.content == "Hello"
    assert told.usage is not None and told.usage.total_tokens == 14
    assert told.model_extra is not None and told.model_extra["denizen"]["exact"] is True
    assert told._request_id is not None


def test_a_stream_with_usage(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model="denizen", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "Hello"
    assert chunks[-1].usage is not None and chunks[-1].usage.completion_tokens == 3
    assert chunks[-1].model_extra is not None and chunks[-1].model_extra["denizen"]["generated"]


def test_every_chunk_has_a_choice_unless_usage_was_asked_for(client: OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="denizen", messages=MESSAGES, stream=True))
    assert all(chunk.choices for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_several_choices_and_logprobs(client: OpenAI) -> None:
    told = client.chat.completions.create(model="denizen", messages=MESSAGES, n=3)
    assert [c.message.content for c in told.choices] == ["answer 0", "answer 1", "answer 2"]
    told = client.chat.completions.create(
        model="denizen", messages=MESSAGES, logprobs=True, top_logprobs=1
    )
    logprobs = told.choices[0].logprobs
    assert logprobs is not None and logprobs.content is not None
    assert logprobs.content[0].top_logprobs[0].token == "Hi"


def test_tool_calls_plain_and_streamed(client: OpenAI) -> None:
    told = client.chat.completions.create(model="denizen", messages=MESSAGES, tools=[TOOL])
    call = told.choices[0].message.tool_calls[0]
    assert call.function.name == "price" and json.loads(call.function.arguments) == {"a": 1}
    with client.chat.completions.stream(model="denizen", messages=MESSAGES, tools=[TOOL]) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.tool_calls[0].function.name == "price"
    # What the client echoes of an answer is taken back.
    again = [
        *MESSAGES,
        told.choices[0].message,
        {"role": "tool", "content": "1", "tool_call_id": "c1"},
    ]
    client.chat.completions.create(model="denizen", messages=again)


def test_structured_output(client: OpenAI) -> None:
    told = client.chat.completions.parse(model="denizen", messages=MESSAGES, response_format=Yield)
    assert told.choices[0].message.parsed == Yield(name="a", rate=None)
    parsed = client.responses.parse(model="denizen", input="Hi", text_format=Yield)
    assert parsed.output_parsed == Yield(name="a", rate=None)


def test_completions(client: OpenAI) -> None:
    told = client.completions.create(model="denizen", prompt="Once")
    assert told.choices[0].text == "Hello"
    chunks = list(client.completions.create(model="denizen", prompt="Once", stream=True))
    assert "".join(c.choices[0].text for c in chunks if c.choices) == "Hello"


def test_responses_plain_and_streamed(client: OpenAI) -> None:
    told = client.responses.create(model="denizen", input="Hi", instructions="Be brief.")
    assert told.output_text == "Hello" and told.usage is not None and told.status == "completed"
    with client.responses.stream(model="denizen", input="Hi") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed"
    assert final.output_text == "Hello"
    assert final.model_extra is not None and final.model_extra["denizen"]["exact"]
    tool = {"type": "function", "name": "price", "parameters": {"type": "object"}, "strict": False}
    called = client.responses.create(model="denizen", input="Hi", tools=[tool])
    assert called.output[0].type == "function_call" and called.output[0].call_id == "c1"
    # The outputs of one response are the inputs of the next.
    again = [{"role": "user", "content": "Hi"}, *called.output]
    again.append({"type": "function_call_output", "call_id": "c1", "output": "3"})
    assert client.responses.create(model="denizen", input=again).output_text == "Hello"
    told_back = [*told.output, {"role": "user", "content": "And?"}]
    assert client.responses.create(model="denizen", input=told_back).output_text == "Hello"


def test_embeddings_both_ways(client: OpenAI) -> None:
    for form in ("float", "base64"):
        told = client.embeddings.create(model="minilm", input=["a", "bcd"], encoding_format=form)
        assert told.usage.total_tokens == 2 and len(told.data) == 2
    decoded = client.embeddings.create(model="minilm", input=["a", "bcd"])
    assert decoded.data[1].embedding == [3.0, 0.5, -1.0]


def test_models(client: OpenAI) -> None:
    assert [m.id for m in client.models.list()] == ["denizen", "denizen-yield", "minilm"]
    assert client.models.retrieve("denizen").owned_by == "denizen"


def test_errors_are_the_clients_own_classes(client: OpenAI, desk: Desk) -> None:
    with pytest.raises(openai.BadRequestError, match="Did you mean 'temperature'") as bad:
        client.chat.completions.create(
            model="denizen", messages=MESSAGES, extra_body={"temprature": 1}
        )
    assert bad.value.param == "temprature" and bad.value.code == "unknown_parameter"
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="gpt-9", messages=MESSAGES)
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError, match="not stored"):
        client.responses.create(model="denizen", input="Hi", previous_response_id="resp_1")
    for fault, expected in (
        (Fault(401, "no key", code="invalid_api_key"), openai.AuthenticationError),
        (Fault(403, "no"), openai.PermissionDeniedError),
        (Fault(429, "slow", kind="rate_limit_error", retry_after=1), openai.RateLimitError),
        (Fault(503, "full", kind="server_error", retry_after=1), openai.InternalServerError),
    ):
        desk.refusals["take"] = fault
        with pytest.raises(expected) as refused:
            client.chat.completions.create(model="denizen", messages=MESSAGES)
        assert refused.value.status_code == fault.status
    desk.refusals.clear()


def test_an_error_in_mid_stream_is_raised(client: OpenAI) -> None:
    broken = [{"role": "user", "content": "break"}]
    said = ""
    with pytest.raises(openai.APIError, match="the model went away"):
        for chunk in client.chat.completions.create(model="denizen", messages=broken, stream=True):
            said += chunk.choices[0].delta.content or ""
    assert said == "Hel"
    kinds = [e.type for e in client.responses.create(model="denizen", input="break", stream=True)]
    assert kinds[-2:] == ["error", "response.failed"]

"""The real Ollama client over a real server: chat, generate, embed, lists, errors."""

from __future__ import annotations

from collections.abc import Iterator

import ollama
import pytest
from scripted import HELLO, OUTCOME, Scripted, server

from denizen.serve.background import serving
from denizen.serve.exchange import Fault, Piece, Request, ToolCall

MESSAGES = [{"role": "user", "content": "Hi"}]


def price(token: str) -> float:
    """The price of a token.

    Args:
      token: its symbol

    Returns:
      float: US dollars
    """
    return 1.0


def script(request: Request) -> list[object]:
    if request.turns and request.turns[-1].content == "break":
        return [Piece(text="Hel"), Fault(503, "the model went away")]
    if request.tools and request.turns[-1].role == "user":
        call = ToolCall("c1", "price", '{"token": "ETH"}')
        return [Piece(tool_calls=(call,), finish="tool_calls"), OUTCOME]
    if request.format.kind == "json_schema":
        return [Piece(text='{"a": 1}', finish="stop"), OUTCOME]
    return list(HELLO)


@pytest.fixture(scope="module")
def answering() -> Scripted:
    return Scripted(script)


@pytest.fixture(scope="module")
def client(answering: Scripted) -> Iterator[object]:
    with serving(server(answering)) as url:
        yield ollama.Client(host=url.removesuffix("/v1"))


def test_chat_plain_and_streamed(client: object, answering: Scripted) -> None:
    told = client.chat(
        "denizen:latest", MESSAGES, options={"temperature": 0.1, "num_predict": 5, "seed": 1}
    )
    assert told.message.content == "Hello" and told.done_reason == "stop"
    assert told.prompt_eval_count == 11 and told.eval_count == 3 and told.total_duration >= 0
    assert told.model == "denizen:latest" and answering.requests[-1].model == "denizen"
    assert answering.requests[-1].sampling.max_tokens == 5
    parts = list(client.chat("denizen", MESSAGES, stream=True))
    assert "".join(p.message.content for p in parts) == "Hello"
    assert [p.done for p in parts] == [False, False, True]


def test_tools_there_and_back(client: object, answering: Scripted) -> None:
    told = client.chat("denizen", MESSAGES, tools=[price])
    call = told.message.tool_calls[0]
    assert call.function.name == "price" and call.function.arguments == {"token": "ETH"}
    again = [*MESSAGES, told.message, {"role": "tool", "content": "1.0", "tool_name": "price"}]
    assert client.chat("denizen", again, tools=[price]).message.content == "Hello"
    turns = answering.requests[-1].turns
    assert turns[2].tool_call_id == turns[1].tool_calls[0].id


def test_generate_format_and_embed(client: object) -> None:
    assert client.generate("denizen", "Hi").response == "Hello"
    parts = list(client.generate("denizen", "Hi", stream=True))
    assert "".join(p.response for p in parts) == "Hello"
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    assert client.chat("denizen", MESSAGES, format=schema).message.content == '{"a": 1}'
    told = client.embed("minilm", ["a", "bcd"])
    assert told.embeddings[1] == [3.0, 0.5, -1.0] and told.prompt_eval_count == 2
    assert client.embeddings("minilm", "ab").embedding == [2.0, 0.5, -1.0]


def test_lists(client: object) -> None:
    assert [m.model for m in client.list().models] == [
        "denizen:latest",
        "denizen-yield:latest",
        "minilm:latest",
    ]
    shown = client.show("denizen")
    assert shown.capabilities == ["completion", "tools"]
    assert shown.modelinfo["llama.context_length"] == 2048
    assert shown.details.quantization_level == "Q4_1"
    assert client.ps().models[0].context_length == 2048


def test_errors(client: object) -> None:
    with pytest.raises(ollama.ResponseError, match="not found") as missing:
        client.chat("none", MESSAGES)
    assert missing.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="this model has 2048") as refused:
        client.chat("denizen", MESSAGES, options={"num_ctx": 100_000})
    assert refused.value.status_code == 400
    with pytest.raises(ollama.ResponseError, match="no thinking"):
        client.chat("denizen", MESSAGES, think=True)
    said = ""
    with pytest.raises(ollama.ResponseError, match="the model went away"):
        for part in client.chat("denizen", [{"role": "user", "content": "break"}], stream=True):
            said += part.message.content
    assert said == "Hel"

"""LangChain's clients of OpenAI and Ollama over a real server, with structured output and tools."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, Field
from scripted import HELLO, OUTCOME, Scripted, server

from denizen.serve.background import serving
from denizen.serve.exchange import Piece, Request, ToolCall

pytestmark = pytest.mark.slow  # LangChain takes seconds to import


class Assessment(BaseModel):
    """What the Analyst says."""

    summary: str = Field(description="one line")
    rate: float | None = Field(None, description="yearly yield, null if unknown")


def script(request: Request) -> list[object]:
    if request.format.kind != "text":
        return [
            Piece(text='{"summary": "fine", '),
            Piece(text='"rate": null}', finish="stop"),
            OUTCOME,
        ]
    if request.tools and request.turns[-1].role == "user":
        named = request.tools[0]["function"]["name"]
        arguments = (
            '{"summary": "fine", "rate": 0.5}' if named == "Assessment" else '{"token": "ETH"}'
        )
        return [Piece(tool_calls=(ToolCall("c1", named, arguments),), finish="tool_calls"), OUTCOME]
    return list(HELLO)


@pytest.fixture(scope="module")
def answering() -> Scripted:
    return Scripted(script)


@pytest.fixture(scope="module")
def url(answering: Scripted) -> Iterator[str]:
    with serving(server(answering)) as address:
        yield address


@pytest.fixture(scope="module", params=["openai", "responses", "ollama"])
def model(url: str, request: pytest.FixtureRequest) -> Any:
    import langchain_ollama
    import langchain_openai

    if request.param == "ollama":
        return langchain_ollama.ChatOllama(
            model="denizen", base_url=url.removesuffix("/v1"), validate_model_on_init=True
        )
    return langchain_openai.ChatOpenAI(
        model="denizen",
        base_url=url,
        api_key="none",
        max_retries=0,
        stream_usage=True,
        use_responses_api=request.param == "responses",
    )


def test_invoke_and_stream(model: Any) -> None:
    told = model.invoke([("system", "Be brief."), ("user", "Hi")])
    assert told.text == "Hello"
    assert told.usage_metadata["input_tokens"] == 11 and told.usage_metadata["output_tokens"] == 3
    chunks = list(model.stream("Hi"))
    assert "".join(chunk.text for chunk in chunks) == "Hello"
    assert sum((c.usage_metadata or {}).get("output_tokens", 0) for c in chunks) == 3


def test_structured_output(model: Any, answering: Scripted) -> None:
    for method in ("json_schema", "function_calling"):
        told = model.with_structured_output(Assessment, method=method).invoke("Hi")
        assert isinstance(told, Assessment) and told.summary == "fine"
        if method == "json_schema":
            assert answering.requests[-1].format.kind == "json_schema"
            assert answering.requests[-1].format.schema is not None


def test_a_tool_there_and_back(model: Any, answering: Scripted) -> None:
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_core.tools import tool

    @tool
    def price(token: str) -> float:
        """The price of a token."""
        return 1.0

    able = model.bind_tools([price])
    asked = able.invoke("Hi")
    call = asked.tool_calls[0]
    assert call["name"] == "price" and call["args"] == {"token": "ETH"}
    answer = ToolMessage(content="1.0", tool_call_id=call["id"], name="price")
    assert able.invoke([HumanMessage("Hi"), asked, answer]).text == "Hello"
    turns = answering.requests[-1].turns
    assert turns[-1].tool_call_id == turns[-2].tool_calls[0].id


def test_embeddings(url: str) -> None:
    import langchain_ollama
    import langchain_openai

    for embedder in (
        langchain_openai.OpenAIEmbeddings(
            model="minilm", base_url=url, api_key="none", check_embedding_ctx_length=False
        ),
        langchain_ollama.OllamaEmbeddings(model="minilm", base_url=url.removesuffix("/v1")),
    ):
        assert embedder.embed_documents(["a", "bcd"])[1] == [3.0, 0.5, -1.0]
        assert embedder.embed_query("ab") == [2.0, 0.5, -1.0]

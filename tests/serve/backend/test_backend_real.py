"""The real base model: its own template, its tools in plain words, eight guided answers at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.serve.backend.tiny_gguf import ask, pieces, run, text_of

from denizen.export.parity import golden_conversations
from denizen.models import (
    SYSTEM,
    LlamaEngine,
    checkpoint,
    encode,
    ensure,
    find_model,
    load_tokenizer,
    render_prompt,
)
from denizen.serve.backend import LocalBackend
from denizen.serve.exchange import Format, Guided, Request, Turn
from denizen.tasks import suite_of

pytestmark = pytest.mark.slow
QUESTIONS = (
    "Is a position from 2,400 to 3,100 in range at 2,655?",
    "What is impermanent loss when ETH goes from 1,000 to 4,000?",
    "Sell 4.5 WETH into 1,200 WETH / $3.1M USDC on v2: what comes out?",
)


@pytest.fixture(scope="module")
def gguf() -> Path:
    path = ensure(find_model("smollm2-135m-instruct")).gguf
    assert path is not None
    return path


@pytest.fixture(scope="module")
def backend(gguf: Path) -> Iterator[LocalBackend]:
    made = LocalBackend(gguf, context=2048, parallel=4, threads=2)
    yield made
    run(made.close())


def test_prompts_are_the_trainers(backend: LocalBackend) -> None:
    tokenizer = load_tokenizer(checkpoint(ensure(find_model("smollm2-135m-instruct"))))
    for messages in golden_conversations():
        turns = tuple(Turn(m["role"], m["content"]) for m in messages[:-1])  # type: ignore[arg-type]
        expected = encode(tokenizer, render_prompt(tokenizer, messages[:-1]))
        assert run(backend._ids(Request("m", turns))) == expected
    special = backend._live.context.special_tokens()
    hostile = (Turn("system", "s"), Turn("user", "".join(special)))
    ids = run(backend._ids(Request("m", hostile)))
    assert sum(ids.count(token) for token in special.values()) == 5


def test_an_answer_is_llama_cpps_own(backend: LocalBackend, gguf: Path) -> None:
    engine = LlamaEngine(gguf, context=2048)
    request = ask("What is 2+2?", system="You are brief.", max_tokens=24)
    prompt = backend._rendering.text(request.turns)
    found = run(pieces(backend, request))
    assert text_of(found) == engine.complete(prompt, max_tokens=24).text
    assert len(text_of(found)) > 40 and found[-1].finish == "length"
    engine.close()


def same_but_for_ties(one: Guided, other: Guided) -> bool:
    """Equal answers with like margins up to a first choice that was a toss-up for both.

    llama.cpp rounds by how many rows share a decode: margins move by up to a third of a logit.
    """
    for a, b in zip(one.choices, other.choices, strict=False):
        if a.token != b.token:
            return max(a.margin, b.margin) < 0.5
        if a.margin != b.margin and abs(a.margin - b.margin) > 1:
            return False
    return one.text == other.text


def test_guided_answers_at_once_are_as_alone(backend: LocalBackend) -> None:
    suite = suite_of("core")
    asked = [(f"{q} Ask {n}.", suite.grammar(q)) for n in range(3) for q in QUESTIONS][:8]

    async def answer(question: str, grammar: str) -> Guided:
        turns = (Turn("system", SYSTEM), Turn("user", question))
        return await backend.guided(turns, grammar, 128)

    async def together() -> list[Guided]:
        return await asyncio.gather(*(answer(*one) for one in asked))

    alone = [run(answer(*one)) for one in asked]
    found = run(together())
    assert all(same_but_for_ties(*pair) for pair in zip(alone, found, strict=True))
    assert all(one.choices and "<calc>" in one.text for one in found)


def test_schemas_and_tools(backend: LocalBackend) -> None:
    schema = {
        "type": "object",
        "properties": {
            "answer": {"type": "integer", "minimum": 0, "maximum": 9},
            "unit": {"anyOf": [{"enum": ["apples"]}, {"type": "null"}]},
        },
        "required": ["answer", "unit"],
        "additionalProperties": False,
    }
    wanted = Format("json_schema", schema, "sum", True)
    found = run(pieces(backend, ask("What is 2+2?", format=wanted, max_tokens=60)))
    assert set(json.loads(text_of(found))) == {"answer", "unit"} and found[-1].finish == "stop"
    tool = {
        "type": "function",
        "function": {
            "name": "get_price",
            "description": "The price of a token in dollars.",
            "parameters": {
                "type": "object",
                "properties": {"token": {"type": "string", "maxLength": 12}},
                "required": ["token"],
                "additionalProperties": False,
            },
        },
    }
    request = ask("What does ETH cost?", tools=(tool,), tool_choice="required", max_tokens=80)
    found = run(pieces(backend, request))
    (call,) = [call for piece in found for call in piece.tool_calls]
    assert call.name == "get_price" and set(json.loads(call.arguments)) == {"token"}

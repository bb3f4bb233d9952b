"""Ollama's dialect: bodies become Requests, lines add up, lists say what clients look for."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from denizen.serve.api.ollama.answer import OllamaAnswer, loaded
from denizen.serve.api.ollama.body import (
    OllamaChatBody,
    OllamaGenerateBody,
    chat_request,
    generate_request,
)
from denizen.serve.api.ollama.models import bare, running, show, tags
from denizen.serve.api.shape import read
from denizen.serve.exchange import (
    BackendFacts,
    Fault,
    ModelCard,
    Outcome,
    Piece,
    Request,
    ToolCall,
    Turn,
    Usage,
)
from denizen.serve.metering import metered

OUTCOME = Outcome("denizen", Usage(5, 2), trace_id="ab")
FACTS = BackendFacts("tiny", 2048, quant="Q4_1", parameters=134_515_008, family="llama", size=99)
CARD = ModelCard("denizen", "analyst", 1_700_000_000, FACTS)


def chat(**more: Any) -> Request:
    value = {"model": "denizen", "messages": [{"role": "user", "content": "Hi"}], **more}
    return chat_request(read(OllamaChatBody, value), 2048)


def generate(**more: Any) -> Request:
    value = {"model": "denizen", "prompt": "Hi", **more}
    return generate_request(read(OllamaGenerateBody, value), 2048)


def test_options_choose_the_tokens() -> None:
    options = {
        "num_predict": 7,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "seed": 3,
        "stop": ["a", "b"],
        "num_ctx": 2048,
        "num_thread": 4,
        "repeat_penalty": None,
        "mirostat": 0,
        "num_gpu": None,
        "presence_penalty": 1.0,
    }
    sampling = chat(options=options).sampling
    assert sampling.max_tokens == 7 and sampling.top_k == 40 and sampling.stop == ("a", "b")
    assert sampling.presence_penalty == 1.0 and sampling.seed == 3
    assert chat(options={"num_predict": -1}).sampling.max_tokens is None


def test_calls_without_ids_find_their_answers() -> None:
    def call(name: str) -> dict[str, Any]:
        return {"function": {"name": name, "arguments": {"a": 1}}}

    messages = [
        {"role": "user", "content": "x", "images": []},
        {"role": "assistant", "content": "", "tool_calls": [call("p"), call("q")]},
        {"role": "tool", "content": "2", "tool_name": "q"},
        {"role": "tool", "content": "1"},
    ]
    turns = chat(messages=messages).turns
    p, q = turns[1].tool_calls
    assert json.loads(p.arguments) == {"a": 1} and p.id != q.id
    assert turns[2] == Turn("tool", "2", tool_call_id=q.id, name="q")
    assert turns[3].tool_call_id == p.id


def test_a_call_answered_by_its_id_waits_for_no_other_answer() -> None:
    calls = [{"id": i, "function": {"name": "p", "arguments": {}}} for i in ("a", "b")]
    messages = [
        {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "tool", "content": "1", "tool_call_id": "a"},
        {"role": "tool", "content": "2", "tool_name": "p"},
        {"role": "tool", "content": "3", "tool_call_id": "elsewhere"},
    ]
    turns = chat(messages=messages).turns
    assert [turn.tool_call_id for turn in turns[1:]] == ["a", "b", "elsewhere"]


def test_formats_and_prompts() -> None:
    assert chat(format="json").format.kind == "json_object"
    assert chat(format="").format.kind == "text"
    assert chat(format={}).format.kind == "json_schema"  # any JSON, and not any text
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert chat(format=schema).format.schema == schema
    assert generate(system="Be brief.").turns == (Turn("system", "Be brief."), Turn("user", "Hi"))
    assert generate(raw=True).text == "Hi"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"options": {"num_ctx": 4096}}, "this model has 2048"),
        ({"options": {"num_predict": 0}}, "nothing would be answered"),
        ({"options": {"temprature": 1}}, "Did you mean 'temperature'"),
        ({"options": {"mirostat": 2}}, "options.mirostat"),
        ({"options": {"repeat_penalty": 1.3}}, "options.repeat_penalty"),
        ({"think": True}, "no thinking"),
        ({"format": "yaml"}, "format"),
        ({"format": 3}, "'json' or a JSON Schema"),
        ({"format": {"$ref": "http://x"}}, "itself"),
        ({"messages": [{"role": "user", "content": "x", "images": ["aGk="]}]}, "images"),
        ({"messages": [{"role": "developer", "content": "x"}]}, "messages"),
        ({"top_logprobs": 2}, "needs 'logprobs'"),
    ],
)
def test_what_cannot_be_honoured(more: dict[str, Any], words: str) -> None:
    with pytest.raises(Fault, match=words) as caught:
        chat(**more)
    assert caught.value.status == 400


@pytest.mark.parametrize("name", ["suffix", "template"])
def test_generation_without_fill_in(name: str) -> None:
    with pytest.raises(Fault, match=name):
        generate(**{name: "x"})
    with pytest.raises(Fault, match="no place in a raw prompt"):
        generate(raw=True, system="x")


def lines(*pieces: Piece, is_chat: bool = True) -> list[dict[str, Any]]:
    ticks = iter(range(100, 10_000, 100))
    made = OllamaAnswer(chat(), chat=is_chat, created=0.5, clock=lambda: next(ticks))
    raw = made.opening() + b"".join(map(made.piece, pieces)) + made.closing(OUTCOME)
    return [json.loads(line) for line in raw.decode("ascii").splitlines()]


@pytest.mark.parametrize("is_chat", [True, False])
def test_lines_add_up_and_the_last_tells_all(is_chat: bool) -> None:
    told = lines(Piece(text='a"\n'), Piece(text="b"), Piece(finish="length"), is_chat=is_chat)
    texts = [t["message"]["content"] if is_chat else t["response"] for t in told]
    assert "".join(texts) == 'a"\nb'
    assert [t["done"] for t in told] == [False, False, True]
    last = told[-1]
    assert last["done_reason"] == "length" and last["eval_count"] == 2
    # Nobody timed the first token: no rate is made of the moment in which all of it was sent.
    assert last["prompt_eval_duration"] == 0 and last["eval_duration"] == 100
    assert last["total_duration"] == 100 and last["denizen"]["generated"]
    assert last["created_at"] == "1970-01-01T00:00:00.500000Z"


@pytest.mark.parametrize("streamed", [True, False])
def test_durations_are_of_reading_and_of_writing(streamed: bool) -> None:
    now = time.monotonic_ns()
    made = OllamaAnswer(chat(), chat=True, created=0, clock=iter([now, now + 10**12]).__next__)
    with metered() as used:
        used.add(7)
        used.add(0, 1)
        assert used.first is not None and used.first >= now
        (made.piece if streamed else made.add)(Piece(text="a", finish="stop"))
        used.add(0, 1)
    last = json.loads(made.closing(OUTCOME) if streamed else made.whole(OUTCOME))
    assert last["prompt_eval_duration"] == used.first - now
    assert last["prompt_eval_duration"] + last["eval_duration"] == last["total_duration"] == 10**12
    with metered() as guided:
        guided.add(7, 5)  # told afterwards: when the first was written is not known
        assert guided.first is None


NO_JSON = ("[1]", '{"a": NaN}', '{"a": 1e999}', '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}")


@pytest.mark.parametrize("written", NO_JSON, ids=lambda text: text[:10])
def test_arguments_that_are_no_json_object_are_told_as_text(written: str) -> None:
    told = lines(Piece(tool_calls=(ToolCall("1", "p", written),), finish="tool_calls"))
    function = told[0]["message"]["tool_calls"][0]["function"]
    assert function["arguments"] == {"arguments": written}


def test_ollamas_seed_for_chance_is_none() -> None:
    assert chat(options={"seed": -1}).sampling.seed is None
    assert chat(options={"seed": -2}).sampling.seed == 2**32 - 3
    assert chat(options={"seed": 7}).sampling.seed == 7


def test_arguments_are_objects_whatever_the_model_wrote() -> None:
    calls = (ToolCall("1", "p", '{"a": 1}'), ToolCall("2", "p", "not json"))
    told = lines(Piece(tool_calls=calls, finish="tool_calls"))
    first, second = (c["function"] for c in told[0]["message"]["tool_calls"])
    assert first["arguments"] == {"a": 1} and second["arguments"] == {"arguments": "not json"}
    assert told[-1]["done_reason"] == "stop"


def test_an_empty_request_loads() -> None:
    told = loaded("denizen", chat=True, created=0, unload=False)
    assert told["done_reason"] == "load" and told["message"]["content"] == ""
    assert loaded("denizen", chat=False, created=0, unload=True)["done_reason"] == "unload"


def test_lists_say_what_clients_look_for() -> None:
    entry = tags([CARD])["models"][0]
    assert entry["name"] == "denizen:latest" and len(entry["digest"]) == 64
    assert entry["details"]["parameter_size"] == "135M"
    assert running([CARD])["models"][0]["context_length"] == 2048
    shown = show(CARD)
    assert shown["capabilities"] == ["completion", "tools"]
    assert shown["model_info"]["llama.context_length"] == 2048
    assert show(ModelCard("e", "embedding"))["capabilities"] == ["embedding"]
    assert bare("denizen:latest") == bare("denizen") == "denizen"

"""A foreign server behind this one: good replies are read, rubbish is one fault without secrets."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import aclosing
from typing import Any

import pytest
from tests.serve.backend.fake_remote import Heard, Script, fake, reply, stream
from tests.serve.backend.tiny_gguf import ask, pieces, run, text_of

from denizen.project import ArtefactError
from denizen.project.config import ServeConfig
from denizen.project.errors import ConfigError
from denizen.serve.backend import RemoteBackend, open_backend
from denizen.serve.exchange import Fault, Format, Piece, Request, Sampling, Turn, Usage
from denizen.serve.metering import metered

KEY = "sk-very-secret"


def delta(text: str | None = None, finish: str | None = None, index: int = 0, **more: Any) -> Any:
    inner = {**({} if text is None else {"content": text}), **more}
    return {"choices": [{"index": index, "delta": inner, "finish_reason": finish}]}


GOOD = (
    delta("", role="assistant"),
    delta("Hel"),
    delta("lo"),
    delta(finish="stop"),
    {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}},
)


async def answered(
    script: Script, request: Request, timeout: float = 5.0
) -> tuple[list[Piece], Heard]:
    async with fake(script) as (url, heard):
        backend = RemoteBackend(url, "big", KEY, timeout)
        try:
            return await pieces(backend, request), heard
        finally:
            await backend.close()


def faulty(script: Script, request: Request | None = None, timeout: float = 5.0) -> Fault:
    with pytest.raises(Fault) as caught:
        run(answered(script, request or ask("a"), timeout))
    assert KEY not in caught.value.message and len(caught.value.message) < 320
    return caught.value


def test_log_probabilities_of_raw_completions_are_read() -> None:
    """OpenAI and vLLM tell them there as lists side by side, the first of an echo without any."""
    lists = {
        "tokens": ["Hi", " you"],
        "token_logprobs": [None, -0.5],
        "top_logprobs": [None, {" you": -0.5, " all": -1.5}],
    }
    event = {"choices": [{"index": 0, "text": "Hi you", "logprobs": lists, "finish_reason": None}]}
    end = {"choices": [{"index": 0, "text": "", "finish_reason": "stop"}], "error": None}
    request = Request("big", text="Hi", logprobs=2)
    found, heard = run(answered(lambda _: stream(event, end), request))
    (one,) = (one for piece in found for one in piece.logprobs)
    assert (one.token, one.logprob) == (" you", -0.5) and one.top[1] == (" all", -1.5)
    assert heard.body["logprobs"] == 2
    for rubbish in ({"tokens": ["a"], "token_logprobs": ["x"]}, {"tokens": 5}):
        event = {"choices": [{"index": 0, "text": "a", "logprobs": rubbish}]}
        assert faulty(lambda _, event=event: stream(event, end), request).status == 502


def test_a_server_that_knows_no_n_is_told_of() -> None:
    request = Request("big", (Turn("user", "a"),), n=2)
    assert "after 1 of 2 answers" in faulty(lambda _: stream(*GOOD), request).message


def test_a_streamed_answer_is_read() -> None:
    request = ask("Hi", temperature=0.5, max_tokens=9, stop=("x",), logprobs=2, top_p=0.9)
    found, heard = run(answered(lambda _: stream(*GOOD), request))
    assert text_of(found) == "Hello" and [piece.finish for piece in found] == [None, None, "stop"]
    assert found[-1].usage is not None and found[-1].usage.prompt_tokens == 7
    assert heard.path == "/v1/chat/completions"
    assert heard.headers["authorization"] == f"Bearer {KEY}"
    body = heard.body
    assert body["model"] == "big" and body["stream"] and body["stream_options"]["include_usage"]
    assert body["messages"][1] == {"role": "user", "content": "Hi"}
    assert (body["temperature"], body["max_tokens"], body["stop"]) == (0.5, 9, ["x"])
    assert body["logprobs"] is True and body["top_logprobs"] == 2 and "n" not in body


def test_half_a_character_reaches_the_server_escaped() -> None:
    found, heard = run(answered(lambda _: stream(*GOOD), ask("\ud800")))
    assert text_of(found) == "Hello" and heard.body["messages"][1]["content"] == "\ud800"
    assert heard.headers["content-type"] == "application/json"


def test_one_that_does_not_stream_is_read_too() -> None:
    whole = {
        "choices": [{"index": 0, "message": {"content": "Hello"}, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    }
    found, _ = run(answered(lambda _: reply(json.dumps(whole).encode()), ask("a")))
    assert text_of(found) == "Hello" and found[-1].finish == "length"


def test_raw_text_schemas_and_tools_are_handed_on() -> None:
    events = [{"choices": [{"index": 0, "text": "bc", "finish_reason": None}]}]
    events += [{"choices": [{"index": 0, "text": "", "finish_reason": "stop"}]}]
    raw = Request("m", text="a", sampling=Sampling(max_tokens=3))
    found, heard = run(answered(lambda _: stream(*events), raw))
    assert text_of(found) == "bc" and heard.path == "/v1/completions"
    assert heard.body["prompt"] == "a" and "messages" not in heard.body
    schema = Format("json_schema", {"type": "object"}, "thing", True)
    _, heard = run(answered(lambda _: stream(*GOOD), ask("a", format=schema)))
    told = heard.body["response_format"]
    assert told["json_schema"] == {"name": "thing", "schema": {"type": "object"}, "strict": True}
    tool = {"type": "function", "function": {"name": "quote", "parameters": {}}}
    parts = [
        {"index": 0, "id": "c1", "type": "function", "function": {"name": "quote"}},
        {"index": 0, "function": {"arguments": '{"a": '}},
        {"index": 0, "function": {"arguments": "0.10}"}},
    ]
    events = [*(delta(tool_calls=[part]) for part in parts), delta(finish="tool_calls")]
    found, heard = run(answered(lambda _: stream(*events), ask("a", tools=(tool,))))
    assert heard.body["tools"] == [tool] and heard.body["tool_choice"] == "auto"
    (call,) = found[-1].tool_calls
    assert (call.id, call.name, call.arguments) == ("c1", "quote", '{"a": 0.10}')
    assert found[-1].finish == "tool_calls"


def test_choices_and_logprobs_are_told_apart() -> None:
    one = {"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "a", "logprob": -0.5}]}
    first = delta("a")
    first["choices"][0]["logprobs"] = {"content": [one]}
    events = [first, delta("b", index=1), delta(finish="stop", index=1), delta(finish="length")]
    found, heard = run(answered(lambda _: stream(*events), ask("a", n=2, logprobs=1)))
    assert (text_of(found, 0), text_of(found, 1)) == ("a", "b") and heard.body["n"] == 2
    assert found[0].logprobs[0].top == (("a", -0.5),)
    assert [piece.usage is not None for piece in found] == [False, False, False, True]


@pytest.mark.parametrize(
    "script",
    [
        lambda _: stream(*GOOD[:3], done=False),
        lambda _: stream(*GOOD[:3]),
        lambda _: stream(delta("a"), b'data: {"choices": [{"ind', done=False),
        lambda _: stream(b"data: not json\n\n"),
        lambda _: stream(b"data: [1, 2]\n\n"),
        lambda _: stream(b"data: " + b"[" * 100_000 + b"\n\n"),
        lambda _: stream({"choices": "many"}),
        lambda _: stream({"choices": [7]}),
        lambda _: stream(delta("a", index=5)),
        lambda _: stream({"choices": [{"index": 0, "delta": {"content": {"a": 1}}}]}),
        lambda _: stream(delta(tool_calls=[{"index": 10**9, "function": {}}])),
        lambda _: stream(delta(tool_calls="x")),
        lambda _: stream(b"\xff\xfe\x00data: \xff\n\n"),
        lambda _: reply(b"<html><body>It works!</body></html>", kind="text/html"),
        lambda _: reply(b"{", kind="application/json"),
        lambda _: reply(b'{"object": "list"}'),
        lambda _: reply(b"oops", status=500),
        lambda _: reply(b"", status=302, location="http://127.0.0.1:1/"),
        lambda _: reply(f'{{"error": {{"message": "bad key {KEY}"}}}}'.encode(), status=401),
        lambda _: stream({"error": {"message": f"died with {KEY}", "code": 500}}),
        lambda _: [b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\nabc"],
        lambda _: [b"SSH-2.0-OpenSSH_9.6\r\n"],
        lambda _: [b""],
        lambda _: reply(b"x", content_encoding="gzip"),
    ],
)
def test_rubbish_is_one_fault(script: Script) -> None:
    fault = faulty(script)
    assert (fault.status, fault.code, fault.kind) == (502, "backend_error", "server_error")


def test_huge_replies_are_not_held() -> None:
    line = b"data: " + b"x" * 65_536
    for script in (
        lambda _: stream(*[line] * 40),
        lambda _: stream(*[b": " + b"k" * 65_000 + b"\n"] * 300),
        lambda _: reply(b'{"choices": [' + b" " * (17 * 2**20) + b"]}"),
    ):
        fault = faulty(script)
        assert fault.status == 502 and "rubbish" in fault.message


def test_a_busy_backend_says_when_to_come_back() -> None:
    fault = faulty(lambda _: reply(b"{}", status=429, retry_after="17"))
    assert (fault.status, fault.code, fault.retry_after) == (429, "rate_limit_exceeded", 17)
    fault = faulty(lambda _: reply(b"{}", status=503, retry_after="99999999"))
    assert (fault.status, fault.code, fault.retry_after) == (503, "overloaded", 3600)
    for odd in ("Wed, 21 Oct 2026 07:28:00 GMT", "nan", "-5", ""):
        fault = faulty(lambda _, odd=odd: reply(b"{}", status=429, retry_after=odd))  # type: ignore[misc]
        assert fault.retry_after is not None and 0 <= fault.retry_after <= 3600


@pytest.mark.parametrize(
    "error",
    [
        {"message": "maximum context length is 2048 tokens, you sent 4000", "code": None},
        {"message": "4000 of 2048", "type": "exceed_context_size_error"},
        {"message": "too many", "code": "context_length_exceeded"},
    ],
)
def test_a_full_context_keeps_its_name(error: dict[str, Any]) -> None:
    fault = faulty(lambda _: reply(json.dumps({"error": error}).encode(), status=400))
    assert (fault.status, fault.code) == (400, "context_length_exceeded")


def test_a_refused_request_says_why_but_not_the_key() -> None:
    words = f"unknown field for {KEY}\n\x1b[31m " + "long " * 500
    fault = faulty(lambda _: reply(json.dumps({"error": {"message": words}}).encode(), status=422))
    assert fault.status == 400 and "unknown field for [key]" in fault.message
    assert fault.message.isprintable()


def test_nobody_there_and_too_slow() -> None:
    async def closed() -> None:
        backend = RemoteBackend("http://127.0.0.1:9/v1", "m", KEY, 2.0)
        assert not await backend.ready()
        assert await backend.count(ask("a")) == 0
        await pieces(backend, ask("a"))

    with pytest.raises(Fault) as caught:
        run(closed())
    assert (caught.value.status, caught.value.code) == (503, "backend_down")
    slow = faulty(lambda _: stream(delta("a"), 3.0, *GOOD), timeout=0.3)
    assert (slow.status, slow.code) == (504, "backend_timeout")
    drops: list[Any] = [b": still here\n"] * 200
    drip = faulty(lambda _: stream(*[x for d in drops for x in (d, 0.05)]), timeout=0.5)
    assert drip.status == 504


def test_leaving_hangs_up() -> None:
    async def leave() -> bool:
        endless: list[Any] = [x for _ in range(2000) for x in (delta("a"), 0.005)]
        async with fake(lambda _: stream(*endless)) as (url, heard):
            backend = RemoteBackend(url, "m")
            told: Any = backend.stream(ask("a"))
            async with aclosing(told):
                await anext(told)
            end = time.monotonic() + 3
            while not heard.left and time.monotonic() < end:
                await asyncio.sleep(0.01)
            await backend.close()
            return heard.left

    assert run(leave())


def test_tokens_are_counted_by_whoever_can() -> None:
    async def counted(script: Script, request: Request) -> tuple[int, Heard]:
        async with fake(script) as (url, heard):
            backend = RemoteBackend(url, "m")
            try:
                return await backend.count(request), heard
            finally:
                await backend.close()

    def vllm(path: str) -> Any:
        return reply(b'{"count": 41, "max_model_len": 2048, "tokens": []}')

    def llama(path: str) -> Any:
        if path == "/apply-template":
            return reply(b'{"prompt": "<u>a"}')
        return reply(b'{"tokens": [1, 2, 3]}' if templated else b'{"tokens": []}')

    def ollama(path: str) -> Any:
        return reply(b"404 page not found", status=404, kind="text/plain")

    count, heard = run(counted(vllm, ask("a")))
    assert count == 41 and heard.path == "/tokenize" and heard.body["add_generation_prompt"]
    templated = False
    count, heard = run(counted(llama, ask("a")))
    assert heard.asked == ["/tokenize", "/apply-template", "/tokenize"]
    assert heard.body["content"] == "<u>a"
    templated = True
    assert run(counted(llama, Request("m", text="a")))[0] == 3
    assert run(counted(ollama, ask("a")))[0] == 0


def test_the_settings_choose_the_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"backend": "openai", "backend_url": "http://127.0.0.1:9/v1", "backend_model": "m"}
    made = open_backend(ServeConfig(**settings), None, 2048)  # type: ignore[arg-type]
    assert isinstance(made, RemoteBackend) and made.facts.model == "m"
    run(made.close())
    for wrong in (
        {"backend_url": "ftp://x/v1"},
        {"backend_url": ""},
        {"backend_url": "http://user:word@host/v1"},
        {"backend_model": ""},
        {"backend_key_env": "DENIZEN_TEST_NO_SUCH_KEY"},
    ):
        with pytest.raises(ConfigError) as caught:
            open_backend(ServeConfig(**{**settings, **wrong}), None, 2048)  # type: ignore[arg-type]
        assert "word" not in str(caught.value)
    monkeypatch.setenv("DENIZEN_TEST_KEY", KEY)
    keyed = open_backend(
        ServeConfig(**{**settings, "backend_key_env": "DENIZEN_TEST_KEY"}),  # type: ignore[arg-type]
        None,
        2048,
    )
    assert isinstance(keyed, RemoteBackend) and KEY not in repr(keyed) + str(vars(keyed.facts))
    run(keyed.close())
    with pytest.raises(ArtefactError, match="no model to serve"):
        open_backend(ServeConfig(), None, 2048)


def test_an_id_and_a_name_said_with_every_piece_are_one() -> None:
    """OpenAI says them once; some servers repeat them beside each piece of the arguments."""

    def piece(arguments: str) -> Any:
        call = {"index": 0, "id": "c1", "function": {"name": "price", "arguments": arguments}}
        return delta(tool_calls=[call])

    parts = (piece('{"a"'), piece(": 1"), piece("}"), delta(finish="tool_calls"))
    found, _ = asyncio.run(answered(lambda _: stream(*parts), ask("?")))
    (call,) = found[-1].tool_calls
    assert (call.id, call.name, call.arguments) == ("c1", "price", '{"a": 1}')


def test_what_was_left_is_metered_and_what_ended_is_as_told() -> None:
    said = [{"choices": [{"index": 0, "delta": {"content": "a"}}]} for _ in range(3)]
    ended = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    usage = {"choices": [], "usage": {"prompt_tokens": 40, "completion_tokens": 9}}

    async def go(leave: bool) -> Usage:
        script = stream(*said, 5.0) if leave else stream(*said, ended, usage)
        async with fake(lambda path: script) as (url, _):
            backend = RemoteBackend(url, "m")
            with metered() as used:
                pieces: Any = backend.stream(Request("m", (Turn("user", "x" * 40),)))
                async with aclosing(pieces):
                    async for _piece in pieces:
                        if leave and used.written == 3:
                            break
            await backend.close()
            return used.usage

    assert asyncio.run(go(True)) == Usage(11, 3)  # the prompt is a guess: four characters a token
    assert asyncio.run(go(False)) == Usage(40, 9)

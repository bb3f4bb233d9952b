"""The GGUF in this process: the same text as one at a time, cancelled at once, never cut."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.serve.backend.tiny_gguf import GRAMMAR, ask, loud, pieces, run, slowed, text_of

from denizen.models import BatchedLlama
from denizen.project import ArtefactError
from denizen.serve.backend import LocalBackend
from denizen.serve.backend.engine import Engine
from denizen.serve.backend.payload import completion
from denizen.serve.exchange import AHEAD, Fault, Format, Piece, Request, Sampling, Turn, Usage
from denizen.serve.metering import metered

PROMPT = "<|im_start|>system\nYou trade.<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n"
CONTEXT, MADE_FOR = 1024, 4096
QUOTE = {
    "type": "function",
    "function": {
        "name": "quote",
        "parameters": {
            "type": "object",
            "properties": {"side": {"enum": ["buy", "sell"]}},
            "required": ["side"],
            "additionalProperties": False,
        },
    },
}


@pytest.fixture(scope="module")
def gguf(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return loud(tiny, tmp_path_factory.mktemp("gguf"))


@pytest.fixture(scope="module")
def backend(gguf: Path) -> Iterator[LocalBackend]:
    made = LocalBackend(gguf, context=CONTEXT, parallel=3, threads=1)
    yield made
    run(made.close())


def until(condition: Any, seconds: float = 5.0) -> bool:
    """Whether it comes true in time."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(condition())


def legible(text: str) -> str:
    """What both ways of reading tokens show: no broken characters, no padding."""
    return re.sub(r"\[PAD\d+\]|\ufffd", "", text)


def test_no_more_context_is_promised_than_the_file_has(
    gguf: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # llama.cpp's server caps its slots by itself: /v1/models would tell what no request gets.
    backend = LocalBackend(gguf, context=9000, parallel=1, threads=1)
    try:
        assert backend.facts.context == MADE_FOR
        assert f"holds {MADE_FOR} tokens of context, not the 9000" in caplog.text
        with pytest.raises(Fault, match=f"context is {MADE_FOR} tokens"):
            run(pieces(backend, ask("buy " * 2 * MADE_FOR)))
    finally:
        run(backend.close())


def test_an_answer_is_llama_cpps_own(backend: LocalBackend, gguf: Path) -> None:
    engine = BatchedLlama(gguf, context=CONTEXT, threads=1)
    for text in ("Buy 12 ETH?", "a", "Sell everything \u20ac"):
        prompt = f"{PROMPT.format(text)}<|im_start|>assistant\n"
        (expected,) = engine.answers([prompt], max_new_tokens=20)
        found = run(pieces(backend, ask(text, max_tokens=20)))
        assert legible(text_of(found)) == legible(expected.text)
        assert len(found) > 1 and found[-1].finish == "length"
        assert found[-1].usage is not None
        assert found[-1].usage == Usage(len(engine.tokenize(prompt)), expected.tokens)
    engine.close()


def test_what_is_not_streamed_comes_whole_and_is_the_same(backend: LocalBackend) -> None:
    asked = replace(ask("Buy 12 ETH?", max_tokens=20), n=2, logprobs=1)
    asked = replace(asked, sampling=replace(asked.sampling, temperature=0.0))
    streamed = run(pieces(backend, asked))
    whole = run(pieces(backend, replace(asked, streamed=False)))
    assert len(streamed) > 2 and sorted(piece.index for piece in whole) == [0, 1]
    for one in whole:
        parts = [piece for piece in streamed if piece.index == one.index]
        assert one.text == "".join(piece.text for piece in parts) and one.finish == "length"
        said = [token for piece in parts for token in piece.logprobs]
        assert [token.token for token in one.logprobs] == [token.token for token in said]
    assert whole[-1].usage == streamed[-1].usage is not None


def test_raw_text_goes_on_from_where_it_is(backend: LocalBackend, gguf: Path) -> None:
    engine = BatchedLlama(gguf, context=CONTEXT, threads=1)
    request = Request("tiny", text="abc 12", sampling=Sampling(max_tokens=9))
    (expected,) = engine.answer(["abc 12"], max_new_tokens=9)
    assert legible(text_of(run(pieces(backend, request)))) == legible(expected)
    assert run(backend.count(request)) == len(engine.tokenize("abc 12"))
    engine.close()


def test_side_by_side_is_as_alone(backend: LocalBackend) -> None:
    asked = [ask(f"{'x' * n} {n * 37}?", max_tokens=16) for n in range(1, 9)]

    async def together() -> list[list[Piece]]:
        return await asyncio.gather(*(pieces(backend, one) for one in asked))

    alone = [text_of(run(pieces(backend, one))) for one in asked]
    assert [text_of(found) for found in run(together())] == alone
    assert len(set(alone)) > 1


def test_a_prompt_that_does_not_fit_is_refused_with_both_numbers(backend: LocalBackend) -> None:
    request = ask("y" * 2000)
    tokens = run(backend.count(request))
    for work in (pieces(backend, request), backend.guided(request.turns, GRAMMAR, 5)):
        with pytest.raises(Fault) as caught:
            run(work)  # type: ignore[arg-type]
        assert caught.value.status == 400 and caught.value.code == "context_length_exceeded"
        assert str(tokens) in caught.value.message and str(CONTEXT) in caught.value.message
    assert tokens > CONTEXT and backend.busy() == 0


def test_an_answer_ends_with_the_context(backend: LocalBackend) -> None:
    almost = ask("z" * (CONTEXT - 60), max_tokens=5000)
    left = CONTEXT - run(backend.count(almost))
    assert 0 < left < 60
    last = run(pieces(backend, almost))[-1]
    assert last.finish in ("length", "stop") and last.usage is not None
    assert last.usage.completion_tokens <= left


def test_closing_the_iterator_frees_the_slot(backend: LocalBackend) -> None:
    async def leave() -> int:
        stream: Any = backend.stream(ask("Tell me all.", max_tokens=900, temperature=1.0))
        async with aclosing(stream):
            async for _ in stream:
                return backend.busy()
        return 0

    seen = []
    for _ in range(5):  # more often than there are slots and threads
        seen.append(run(leave()))
        assert until(lambda: backend.busy() == 0, 20)
    assert 1 in seen  # an answer may have ended by itself before we looked
    assert text_of(run(pieces(backend, ask("a", max_tokens=4))))


def test_what_was_cancelled_is_metered(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = ask("Tell me all.", max_tokens=600)
    slowed(backend._live, monkeypatch)

    async def leave(guided: bool) -> tuple[Usage, int]:
        with metered() as used:
            if guided:
                work = asyncio.create_task(backend.guided(request.turns, GRAMMAR, 40))
                while not any(row.written for row in backend._live._running):
                    await asyncio.sleep(0.001)
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
                seen = 1
            else:
                stream: Any = backend.stream(request)
                async with aclosing(stream):
                    seen = 0
                    async for _ in stream:
                        if (seen := seen + 1) == 3:
                            break
            return used.usage, seen

    whole = run(backend.count(request))
    for guided in (False, True):
        used, seen = run(leave(guided))
        assert used.prompt_tokens == whole and seen <= used.completion_tokens < 600


def test_what_was_left_unread_is_metered(backend: LocalBackend) -> None:
    """An answer that is not streamed tells nothing before its end, and costs all the same."""
    request = replace(ask("Tell me all.", max_tokens=600), streamed=False)

    async def leave() -> Usage:
        with metered() as used:
            work = asyncio.create_task(pieces(backend, request))
            # The first token is read at once; what comes then lies unread.
            while not used.written or not any(f.waiting for f in backend._streams._flows):
                await asyncio.sleep(0.001)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            return used.usage

    used = run(leave())
    assert used.prompt_tokens == run(backend.count(request)) and used.completion_tokens > 1


def test_finished_answers_are_metered_as_they_say(backend: LocalBackend) -> None:
    async def answered() -> tuple[Usage | None, Usage]:
        with metered() as used:
            found = await pieces(backend, ask("xyz " * 180, max_tokens=9, n=2))
            return found[-1].usage, used.usage

    told, used = run(answered())
    assert told == used and used.prompt_tokens > 512


def test_a_cancelled_task_frees_the_slot(backend: LocalBackend) -> None:
    async def cancel() -> None:
        work = [
            asyncio.create_task(pieces(backend, ask(f"{n}", max_tokens=900, temperature=1.0)))
            for n in range(9)
        ]
        await asyncio.sleep(0.03)
        for one in work:
            one.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        assert any(one.cancelled() for one in work)

    run(cancel())
    assert until(lambda: backend.busy() == 0, 20)


def test_choices_are_drawn_and_seeds_repeat_them(backend: LocalBackend) -> None:
    request = ask("Draw.", n=4, seed=7, temperature=1.5, max_tokens=12)
    first, again = run(pieces(backend, request)), run(pieces(backend, request))
    texts = [text_of(first, n) for n in range(4)]
    assert texts == [text_of(again, n) for n in range(4)] and len(set(texts)) > 1
    used = [piece.usage for piece in first if piece.usage]
    assert len(used) == 1 and first[-1].usage == used[0]
    assert sorted(piece.index for piece in first if piece.finish) == [0, 1, 2, 3]
    single = run(pieces(backend, ask("Draw.", seed=7, temperature=1.5, max_tokens=12)))
    assert text_of(single) == texts[0] and single[-1].usage is not None
    assert used[0].completion_tokens > single[-1].usage.completion_tokens


def test_stops_end_an_answer_and_are_not_shown(backend: LocalBackend) -> None:
    whole = text_of(run(pieces(backend, ask("Say.", max_tokens=20))))
    stop = re.findall(r"[!-~]{2}", whole[2:])[0]
    found = run(pieces(backend, ask("Say.", max_tokens=20, stop=(stop,))))
    assert text_of(found) == whole[: whole.index(stop)] and found[-1].finish == "stop"


def test_penalties_change_what_is_written(backend: LocalBackend) -> None:
    plain = text_of(run(pieces(backend, ask("Say.", max_tokens=40))))
    varied = run(pieces(backend, ask("Say.", max_tokens=40, frequency_penalty=2.0)))
    assert text_of(varied) != plain


def test_log_probabilities_come_with_alternatives(backend: LocalBackend) -> None:
    found = run(pieces(backend, ask("Say.", max_tokens=6, logprobs=3)))
    told = [one for piece in found for one in piece.logprobs]
    assert len(told) == 6 and found[-1].usage is not None
    for one in told:
        assert len(one.top) == 3 and one.top[0] == (one.token, one.logprob)
        assert all(a[1] >= b[1] for a, b in zip(one.top, one.top[1:], strict=False))
        assert one.logprob <= 0
    without = run(pieces(backend, ask("Say.", max_tokens=6, logprobs=0)))
    assert [one.logprob for piece in without for one in piece.logprobs] == pytest.approx(
        [one.logprob for one in told], abs=1e-4
    )
    assert not any(one.top for piece in without for one in piece.logprobs)


def test_schemas_are_kept(backend: LocalBackend) -> None:
    schema = {
        "type": "object",
        "properties": {
            "side": {"enum": ["buy", "sell"]},
            "note": {"anyOf": [{"enum": ["x"]}, {"type": "null"}]},
        },
        "required": ["side", "note"],
        "additionalProperties": False,
    }
    wanted = Format("json_schema", schema, "order", True)
    found = run(pieces(backend, ask("Order.", format=wanted, max_tokens=60)))
    value = json.loads(text_of(found))
    assert value["side"] in ("buy", "sell") and value["note"] in ("x", None)
    assert found[-1].finish == "stop"
    with pytest.raises(Fault, match="cannot be followed"):
        run(pieces(backend, ask("Order.", format=Format("json_schema", {"type": "no"}))))


def test_a_forced_tool_call_is_parsed(backend: LocalBackend) -> None:
    request = ask("Order.", tools=(QUOTE,), tool_choice="required", max_tokens=200)
    found = run(pieces(backend, request))
    (call,) = [call for piece in found for call in piece.tool_calls]
    assert call.name == "quote" and json.loads(call.arguments)["side"] in ("buy", "sell")
    assert found[-1].finish == "tool_calls" and text_of(found) == ""
    turns = (*request.turns, Turn("assistant", "", (call,)), Turn("tool", "3,100", (), call.id))
    after = Request("tiny", turns, tools=(QUOTE,), sampling=Sampling(max_tokens=5))
    assert run(pieces(backend, after))[-1].finish in ("length", "stop")


def test_a_long_prompt_is_answered_as_a_short_one(backend: LocalBackend) -> None:
    found = run(pieces(backend, ask("xyz " * 180, max_tokens=5)))
    assert text_of(found) and found[-1].usage is not None
    assert found[-1].usage.prompt_tokens > 512


def test_a_long_prompt_can_be_left_before_its_first_token(backend: LocalBackend) -> None:
    request = ask("xyz " * 180, max_tokens=50)
    body = completion(request, run(backend._prompt(request)), room=50)
    told: list[bytes] = []

    def leave(data: bytes) -> bool:
        told.append(data)
        return True

    backend._engine.run(body, leave)
    assert len(told) == 1 and b"prompt_progress" in told[0]
    assert until(lambda: backend.busy() == 0, 20)


def test_what_is_not_there_is_said(backend: LocalBackend, tmp_path: Path) -> None:
    with pytest.raises(Fault) as caught:
        run(pieces(backend, ask("a"), "nobody"))
    assert caught.value.status == 404 and caught.value.code == "model_not_found"
    with pytest.raises(Fault, match="no grammar"):
        run(backend.guided(ask("a").turns, "root ::= (((", 5))
    with pytest.raises(Fault, match="empty"):
        run(pieces(backend, Request("tiny", text="")))
    (tmp_path / "bad.gguf").write_bytes(b"PK\x03\x04")
    for name in ("bad.gguf", "none.gguf"):
        with pytest.raises(ArtefactError):
            LocalBackend(tmp_path / name)


@pytest.mark.parametrize(
    "odd", ["\ud800", "\x00", "\ufffe\u202e", "\U0001f680" * 3, "{{ 7 }}{% x %}"]
)
def test_odd_characters_are_text(backend: LocalBackend, odd: str) -> None:
    assert run(pieces(backend, ask(odd, max_tokens=3)))[-1].finish
    assert run(pieces(backend, ask("a", max_tokens=3, stop=(odd,))))[-1].finish
    raw = Request("tiny", text=f"a{odd}", sampling=Sampling(max_tokens=3))
    assert run(pieces(backend, raw))[-1].finish
    schema = {"type": "object", "properties": {"a": {"enum": [odd]}}, "required": ["a"]}
    wanted = Format("json_schema", {**schema, "additionalProperties": False})
    try:
        found = run(pieces(backend, ask("a", format=wanted, max_tokens=100)))
        assert json.loads(text_of(found))["a"] == odd
    except Fault as fault:  # half a character has no bytes to be written with
        assert fault.code == "invalid_schema" and odd == "\ud800"
    assert run(backend.guided(ask(odd).turns, GRAMMAR, 40)).finish == "stop"


def test_facts_are_the_files(backend: LocalBackend, gguf: Path) -> None:
    facts = backend.facts
    assert (facts.model, facts.context, facts.adapters) == ("tiny", CONTEXT, ())
    assert (facts.quant, facts.family, facts.size) == ("f32", "llama", gguf.stat().st_size)
    assert 80_000 < facts.parameters < 200_000
    assert run(backend.ready())


def test_a_closed_backend_answers_nobody(gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def close_while_writing() -> None:
        backend = LocalBackend(gguf, context=CONTEXT, parallel=2, threads=1)
        slowed(backend._live, monkeypatch)
        long = ask("All.", max_tokens=900, temperature=1.0)
        stream: Any = backend.stream(long)
        async with aclosing(stream):
            await anext(stream)
            guided = asyncio.create_task(
                backend.guided(long.turns, 'root ::= [a-z]{150} "!!!"', 900)
            )
            await asyncio.sleep(0.05)
            await asyncio.gather(backend.close(), _exhaust(stream))
        with pytest.raises(Fault) as caught:
            await guided
        assert caught.value.status == 503
        assert not await backend.ready()
        for work in (pieces(backend, long), backend.count(long)):
            with pytest.raises(Fault, match="shutting down"):
                await work
        await backend.close()

    async def _exhaust(stream: Any) -> None:
        try:  # it may have ended by itself before it was told
            async for _ in stream:
                pass
        except Fault as fault:
            assert fault.status == 503

    run(close_while_writing())


def test_a_server_freed_at_once_does_not_hang(gguf: Path) -> None:
    # In a process of its own: what hangs there holds the GIL.
    script = (
        "import sys\nfrom pathlib import Path\nfrom denizen.models import LlamaEngine\n"
        "from denizen.serve.backend.engine import Engine\nplace = Path(sys.argv[1])\n"
        "for _ in range(8):\n    LlamaEngine(place, context=128).close()\n"
        "    engine = Engine(place, context=128, parallel=1, threads=1)\n"
        "    engine.start()\n    engine.close()\n"
    )
    subprocess.run([sys.executable, "-c", script, str(gguf)], check=True, timeout=120)


def test_signal_handlers_stay_ours(gguf: Path) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        engine = Engine(gguf, context=256, parallel=1, threads=1)
        engine.start()
        os.kill(os.getpid(), signal.SIGTERM)
        assert until(lambda: heard == [signal.SIGTERM], 2)
        told: list[bytes] = []
        engine.run(b'{"prompt": "a", "max_tokens": 2, "stream": true}', lambda d: told.append(d))  # type: ignore[func-returns-value,arg-type,return-value]
        assert told
        engine.close()
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_inner_port_is_closed_to_others(backend: LocalBackend) -> None:
    import httpx

    address = backend._engine.start().listening_address
    assert address.startswith("http://127.0.0.1:")
    for path, body in (("/completion", {"prompt": "a"}), ("/tokenize", {"content": "a"})):
        assert httpx.post(f"{address}{path}", json=body).status_code == 401


def _nested(levels: int) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        made = {"type": "object", "properties": {"a": made}}
    return made


HOSTILE: dict[str, Any] = {
    "nested deeper": _nested(200),
    "more than 16384 values": {"enum": list(range(17_000))},
    "maxLength is more": {"type": "string", "maxLength": 10**9},
    "minItems is more": {"type": "array", "minItems": 10**6},
    "repeats more": {"type": "string", "pattern": "^((a{1,99}){1,99}){1,99}$"},
    "pattern repeats": {"type": "string", "pattern": "^[a-z]{99999999999}$"},
    "schema too large": {
        "$defs": {
            "a0": {
                "anyOf": [{"type": "string", "minLength": 3}, {"type": "string", "maxLength": 30}]
            },
            **{
                f"a{n}": {
                    "allOf": [{"anyOf": [{"$ref": f"#/$defs/a{n - 1}"}, {"type": "number"}]}] * 2
                }
                for n in range(1, 16)
            },
        },
        "$ref": "#/$defs/a15",
    },
}


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_schemas_are_refused_in_time(backend: LocalBackend, words: str) -> None:
    asked = Format("json_schema", HOSTILE[words], "x", True)
    began = time.monotonic()
    with pytest.raises(Fault, match=words) as caught:
        run(pieces(backend, ask("Say.", format=asked)))
    assert caught.value.status == 400 and time.monotonic() - began < 5


def test_a_grammar_that_compiles_too_long_holds_nobody_up(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("denizen.serve.backend.live.COMPILE_SECONDS", 0.05)
    monkeypatch.setattr(backend._live._decoder, "matcher", lambda grammar: time.sleep(0.5))

    async def both() -> float:
        asked = ask("Say.", format=Format("json_schema", {"type": "object"}, "x", True))
        work = asyncio.create_task(pieces(backend, asked))
        began = time.monotonic()
        await asyncio.sleep(0.01)
        late = time.monotonic() - began  # the loop went on
        with pytest.raises(Fault, match="too long to compile"):
            await work
        return late

    assert run(both()) < 0.4


def test_the_next_requests_lie_ready_behind_those_that_write(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More are handed to llama.cpp than it has slots, and all are answered as alone."""
    asked = [ask(f"{'y' * n}?", max_tokens=12) for n in range(1, 3 + AHEAD + 1)]
    alone = [text_of(run(pieces(backend, one))) for one in asked]
    handed, begin = threading.Barrier(len(asked)), backend._engine.run

    def together(body: bytes, deliver: Any) -> None:
        handed.wait(20)
        begin(body, deliver)

    async def at_once() -> list[list[Piece]]:
        return await asyncio.gather(*(pieces(backend, one) for one in asked))

    monkeypatch.setattr(backend._engine, "run", together)
    assert [text_of(one) for one in run(at_once())] == alone

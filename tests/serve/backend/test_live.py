"""Guided answers side by side: the same as alone, with exact margins, dropped when cancelled."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.serve.backend.tiny_gguf import GRAMMAR, adapter, loud, run, slowed

from denizen.models import BatchedLlama
from denizen.models.llama_context import Context, Fresh
from denizen.serve.backend.live import Live
from denizen.serve.exchange import Fault, Guided

SYSTEM = "<|im_start|>system\nYou trade.<|im_end|>\n<|im_start|>user\n"
LONG = 'root ::= [a-z]{150} "!!!"'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("live")


@pytest.fixture(scope="module")
def gguf(tiny: Path, folder: Path) -> Path:
    return loud(tiny, folder)


@pytest.fixture(scope="module")
def live(gguf: Path) -> Iterator[Live]:
    made = Live(gguf, context=1024, rows=3, threads=1, precise=True)
    yield made
    made.close()


def prompts(count: int = 8) -> list[str]:
    """Of unlike length, with one beginning; one is longer than a decode takes."""
    texts = [f"{chr(96 + n) * n} {n * 37}?" for n in range(1, count)] + ["q " * 290]
    return [f"{SYSTEM}{text}<|im_end|>\n<|im_start|>assistant\n" for text in texts]


async def answer(live: Live, text: str, adapter: int | None = None) -> Guided:
    return await live.guided(live.context.tokenize(text), GRAMMAR, 64, adapter)


async def together(live: Live, texts: list[str], adapters: list[Any] | None = None) -> list[Guided]:
    chosen = adapters or [None] * len(texts)
    return await asyncio.gather(
        *(answer(live, text, one) for text, one in zip(texts, chosen, strict=True))
    )


def test_who_leaves_while_an_errand_runs_stops_nobody_else(live: Live) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def errand() -> None:
        begun.set()
        go_on.wait(5)

    async def left() -> Guided:
        waits = asyncio.ensure_future(asyncio.wrap_future(live.errand(errand)))
        never = asyncio.ensure_future(asyncio.wrap_future(live.errand(begun.clear)))
        await asyncio.to_thread(begun.wait, 5)
        for task in (waits, never):
            task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        return await asyncio.wait_for(answer(live, prompts(2)[0]), 20)

    assert run(left()).text and live.alive and begun.is_set()


def test_eight_at_once_are_as_one_at_a_time(live: Live, gguf: Path) -> None:
    texts = prompts()
    found = run(together(live, texts))
    engine = BatchedLlama(gguf, context=1024, rows=1, threads=1, precise=True)
    assert [one.text for one in found] == engine.answer(texts, [GRAMMAR] * len(texts))
    engine.close()
    assert len({one.text for one in found}) > 1
    for one, text in zip(found, texts, strict=True):
        alone = run(answer(live, text))
        assert (alone.text, alone.finish, alone.usage) == (one.text, one.finish, one.usage)
        assert one.finish == "stop" and one.usage.prompt_tokens == len(live.context.tokenize(text))
        assert [c.token for c in alone.choices] == [c.token for c in one.choices]
        for a, b in zip(alone.choices, one.choices, strict=True):
            assert a.margin == pytest.approx(b.margin, abs=1e-3)
            assert a.probability == pytest.approx(b.probability, abs=1e-4)


def test_the_first_margin_is_that_of_the_logits(live: Live, gguf: Path) -> None:
    context = Context(gguf, cells=1024, threads=1, precise=True)
    for text in prompts(4):
        ids = context.tokenize(text)
        context.clear()
        logits = context.decode([Fresh(0, 0, ids)])[0]
        # "buy ", "sell " or "swap ": bytes are tokens here, so b against s is the first choice.
        b, s = (float(logits[context.tokenize(letter)[0]]) for letter in "bs")
        first = run(answer(live, text)).choices[0]
        assert first.token == ("b" if b > s else "s")
        assert first.margin == pytest.approx(abs(b - s), abs=1e-3)
        assert first.probability == pytest.approx(1 / (1 + math.exp(-abs(b - s))), abs=1e-4)
    context.close()


def test_only_choices_are_told(live: Live) -> None:
    for one in run(together(live, prompts())):
        # b|s, perhaps e|w after s, two digits, a currency; what was forced is not among them.
        assert 4 <= len(one.choices) <= 5
        assert all(c.margin >= 0 and 0 < c.probability <= 1 for c in one.choices)
        assert one.usage.completion_tokens > len(one.choices)


def test_a_limit_cuts_and_says_so(live: Live) -> None:
    ids = live.context.tokenize(prompts()[0])
    cut = run(live.guided(ids, LONG, 7))
    assert cut.finish == "length" and cut.usage.completion_tokens == 7


def test_cancelled_requests_are_dropped(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    slowed(live, monkeypatch)
    ids = live.context.tokenize(prompts()[0])

    async def cancel() -> None:
        work = [asyncio.create_task(live.guided(ids, LONG, 900)) for _ in range(6)]
        await asyncio.sleep(0.1)
        assert live.busy() == 6
        for one in work:
            one.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        # The rows are free for others at once.
        assert (await answer(live, prompts()[1])).finish == "stop"
        assert live.busy() == 0

    run(cancel())


def test_a_failed_decode_fails_its_requests_only(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = live.context.decode

    def broken(parts: Any) -> Any:
        monkeypatch.setattr(live.context, "decode", real)
        raise MemoryError("secret detail")

    monkeypatch.setattr(live.context, "decode", broken)
    with pytest.raises(Fault) as caught:
        run(answer(live, prompts()[0]))
    assert caught.value.status == 500 and "secret" not in caught.value.message
    assert run(answer(live, prompts()[0])).finish == "stop"


def test_adapters_take_turns_and_change_answers(
    live: Live, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = folder / "loud"
    made = [adapter(base, folder, f"a{n}", 0.5, seed=n) for n in range(2)]
    handles = [live.add(path.stem, path).result().handle for path in made]
    texts = prompts()
    mixed = [None, handles[0], handles[1]] * 3
    mixed = mixed[: len(texts)]
    found = run(together(live, texts, mixed))
    alone = [run(answer(live, t, a)) for t, a in zip(texts, mixed, strict=True)]
    assert [one.text for one in found] == [one.text for one in alone]
    plain = run(together(live, texts))
    spoken = [run(answer(live, text, handles[0])) for text in texts]
    differ = [a.choices[0].margin - b.choices[0].margin for a, b in zip(plain, spoken, strict=True)]
    assert max(map(abs, differ)) > 1e-3
    # Base and adapter do not see each other's remembered prompts.
    assert [one.text for one in run(together(live, texts))] == [one.text for one in plain]

    async def remove_while_speaking() -> None:
        ids = live.context.tokenize(texts[0])
        slowed(live, monkeypatch)
        work = asyncio.create_task(live.guided(ids, LONG, 30, handles[0]))
        await asyncio.sleep(0.05)
        assert not await asyncio.wrap_future(live.remove(handles[0]))
        await work
        assert await asyncio.wrap_future(live.remove(handles[0]))

    run(remove_while_speaking())
    monkeypatch.undo()
    assert live.remove(handles[1]).result()
    assert [one.text for one in run(together(live, texts))] == [one.text for one in plain]


def test_closing_fails_whoever_waits(gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live = Live(gguf, context=256, rows=1, threads=1)
    slowed(live, monkeypatch)
    ids = live.context.tokenize(prompts()[0])

    async def close() -> None:
        work = [asyncio.create_task(live.guided(ids, LONG, 200)) for _ in range(3)]
        await asyncio.sleep(0.02)
        await asyncio.to_thread(live.close)
        for one in await asyncio.gather(*work, return_exceptions=True):
            assert isinstance(one, Fault) and one.status == 503
        with pytest.raises(Fault, match="shutting down"):
            await live.guided(ids, GRAMMAR, 5)

    run(close())
    assert not live.alive

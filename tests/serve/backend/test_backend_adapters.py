"""Adapters: refused unless they change this base's logits, taken in and let go while serving."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import make_tiny
from tests.serve.backend.tiny_gguf import GRAMMAR, adapter, ask, hollow, loud, pieces, run, text_of

from denizen.project import ArtefactError
from denizen.serve.backend import LocalBackend
from denizen.serve.exchange import Fault, Piece


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("adapters")


@pytest.fixture(scope="module")
def gguf(tiny: Path, folder: Path) -> Path:
    return loud(tiny, folder)


@pytest.fixture(scope="module")
def first(gguf: Path, folder: Path) -> Path:
    return adapter(folder / "loud", folder, "first", 0.5, seed=1)


@pytest.fixture(scope="module")
def backend(gguf: Path, first: Path) -> Iterator[LocalBackend]:
    made = LocalBackend(gguf, context=512, parallel=2, threads=1, adapters={"first": first})
    yield made
    run(made.close())


def logprobs(found: list[Piece]) -> list[float]:
    return [one.logprob for piece in found for one in piece.logprobs]


def told(backend: LocalBackend, name: str = "") -> list[float]:
    """Log probabilities of a short answer, streamed by llama.cpp's server."""
    return logprobs(run(pieces(backend, ask("Say.", max_tokens=5, logprobs=1), name)))


def margins(backend: LocalBackend, name: str = "") -> list[float]:
    """Margins of a guided answer."""
    done = run(backend.guided(ask("Say.").turns, GRAMMAR, 40, name))
    return [one.margin for one in done.choices]


def test_an_adapter_changes_both_ways_of_answering(backend: LocalBackend) -> None:
    assert backend.facts.adapters == ("first",)
    base = told(backend)
    assert told(backend, "first") != pytest.approx(base, abs=1e-3)
    assert margins(backend, "first") != pytest.approx(margins(backend), abs=1e-3)
    # The base is itself again afterwards.
    assert told(backend) == pytest.approx(base, abs=1e-5)


def test_one_is_taken_in_and_let_go_while_others_answer(
    backend: LocalBackend, folder: Path
) -> None:
    second = adapter(folder / "loud", folder, "second", 0.5, seed=2)
    alone = [text_of(run(pieces(backend, ask("Long.", max_tokens=200), a))) for a in ("", "first")]

    async def swap() -> list[str]:
        answers = [
            asyncio.create_task(pieces(backend, ask("Long.", max_tokens=200), a))
            for a in ("", "first", "first", "")
        ]
        change = await backend.load_adapter("second", second)
        assert change > 1e-2 and backend.facts.adapters == ("first", "second")
        return [text_of(found) for found in await asyncio.gather(*answers)]

    assert run(swap()) == [alone[0], alone[1], alone[1], alone[0]]
    found = told(backend, "second")
    assert found != pytest.approx(told(backend, "first"), abs=1e-3)
    assert found != pytest.approx(told(backend), abs=1e-3)
    with pytest.raises(ArtefactError, match="of that name is loaded"):
        run(backend.load_adapter("second", second))

    async def unload() -> None:
        work = asyncio.create_task(pieces(backend, ask("Long.", max_tokens=100), "first"))
        await asyncio.sleep(0.05)
        await backend.unload_adapter("first")
        assert (await work)[-1].finish in ("length", "stop")

    run(unload())
    assert backend.facts.adapters == ("second",)
    assert told(backend, "second") == pytest.approx(found, abs=1e-4)
    for work in (
        pieces(backend, ask("a"), "first"),
        backend.guided(ask("a").turns, GRAMMAR, 5, "first"),
    ):
        with pytest.raises(Fault, match="no adapter"):
            run(work)  # type: ignore[arg-type]
    with pytest.raises(ArtefactError, match="no such adapter"):
        run(backend.unload_adapter("first"))


def test_one_that_changes_nothing_is_refused(
    backend: LocalBackend, gguf: Path, first: Path
) -> None:
    nothing = hollow(first)
    before = backend.facts
    with pytest.raises(ArtefactError, match="changes nothing"):
        run(backend.load_adapter("nothing", nothing))
    assert backend.facts == before
    with pytest.raises(ArtefactError, match="changes nothing"):
        LocalBackend(gguf, context=256, parallel=1, threads=1, adapters={"n": nothing})


def test_strangers_are_refused(
    backend: LocalBackend, gguf: Path, folder: Path, tmp_path: Path
) -> None:
    from gguf import GGUFWriter

    before = told(backend)
    other = adapter(wide(tmp_path), tmp_path, "wide", 0.5)
    writer = GGUFWriter(str(tmp_path / "qwen2.gguf"), "qwen2")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    (tmp_path / "cut.gguf").write_bytes(other.read_bytes()[:-4000])
    (tmp_path / "text.gguf").write_text("not an adapter")
    for path, words in (
        (other, "cannot put this adapter"),
        (tmp_path / "qwen2.gguf", "is for a qwen2 model, the base is llama"),
        (tmp_path / "cut.gguf", "cannot put this adapter"),
        (tmp_path / "text.gguf", "cannot be read"),
        (tmp_path / "none.gguf", "cannot be read"),
        (gguf, "not a LoRA adapter"),
    ):
        with pytest.raises(ArtefactError, match=words):
            run(backend.load_adapter("stranger", path))
    for name in ("", "../x", "a b", "x" * 65):
        with pytest.raises(ArtefactError, match="name"):
            run(backend.load_adapter(name, gguf))
    assert told(backend) == pytest.approx(before, abs=1e-5)


def wide(folder: Path) -> Path:
    """A base of the same architecture with other shapes."""
    from transformers import LlamaConfig, LlamaForCausalLM

    base = make_tiny(folder / "wide")
    config = LlamaConfig.from_pretrained(base)
    config.intermediate_size = 256
    LlamaForCausalLM(config).save_pretrained(base)
    return base

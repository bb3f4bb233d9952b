"""Many prompts side by side: the same answers as one at a time, from the same file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from denizen.export import write_gguf
from denizen.models import BatchedLlama, LlamaEngine, load_model, load_tokenizer
from denizen.project import ArtefactError

GRAMMAR = 'root ::= ("buy " | "sell " | "swap ") [0-9] [0-9] (" ETH" | " BTC" | " USDC")'
SYSTEM = "<|im_start|>system\nYou trade.<|im_end|>\n<|im_start|>user\n"


@pytest.fixture(scope="module")
def gguf(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with weights so large that its answers depend on the prompt."""
    folder = tmp_path_factory.mktemp("gguf")
    model = load_model(tiny)
    with torch.no_grad():
        for values in model.parameters():
            values *= 1 if values.dim() == 1 else 8
    model.save_pretrained(folder / "loud")
    load_tokenizer(tiny).save_pretrained(folder / "loud")
    write_gguf(folder / "loud", folder / "tiny.gguf", quant="f32", name="tiny")
    return folder / "tiny.gguf"


@pytest.fixture(scope="module")
def engine(gguf: Path) -> BatchedLlama:
    return BatchedLlama(gguf, context=256, rows=3, threads=1, precise=True)


def prompts() -> list[str]:
    """More than there are rows, of unlike length, with one beginning."""
    return [
        f"{SYSTEM}{chr(96 + n) * n} {n * 37}?<|im_end|>\n<|im_start|>assistant\n"
        for n in range(1, 11)
    ]


def test_batched_answers_are_those_of_one_at_a_time(gguf: Path, engine: BatchedLlama) -> None:
    single = LlamaEngine(gguf, context=256)
    grammars = [GRAMMAR] * 10
    done: list[int] = []
    found = engine.answer(prompts(), grammars, on_done=done.append)
    assert found == single.answer(prompts(), grammars)
    assert len(set(found)) > 1 and sum(done) == 10
    single.close()


def test_order_and_neighbours_change_nothing(engine: BatchedLlama) -> None:
    texts = prompts()
    together = engine.answer(texts, max_new_tokens=12)
    assert engine.answer(texts[::-1], max_new_tokens=12) == together[::-1]
    assert [engine.answer([t], max_new_tokens=12)[0] for t in texts[:3]] == together[:3]


def test_free_answers_stop_at_the_limit(engine: BatchedLlama) -> None:
    short, long = (engine.answer(prompts(), max_new_tokens=n) for n in (4, 12))
    for few, many in zip(short, long, strict=True):
        assert many.startswith(few.rstrip("\ufffd")) and len(few) <= len(many)
    assert short != long


def test_equal_prompts_are_answered_alike(engine: BatchedLlama) -> None:
    assert len(set(engine.answer([prompts()[0]] * 5, [GRAMMAR] * 5))) == 1
    assert engine.answer([]) == []


def test_a_prompt_that_does_not_fit_is_refused(engine: BatchedLlama) -> None:
    with pytest.raises(ArtefactError, match=r"prompt 2 has .* more than the context of 256"):
        engine.answer([prompts()[0], "ab" * 400])


def test_tokens_are_those_of_the_trainer(tiny: Path, engine: BatchedLlama) -> None:
    tokenizer = load_tokenizer(tiny)
    for text in (*prompts(), "  \n\u00e9\u4f60 0x12", ""):
        assert (
            engine.context.tokenize(text) == tokenizer(text, add_special_tokens=False)["input_ids"]
        )

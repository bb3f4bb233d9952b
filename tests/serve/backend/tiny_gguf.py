"""A tiny loud GGUF and adapters for it, and short ways to ask a backend."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar

import pytest

from denizen.export import write_gguf, write_lora_gguf
from denizen.models import load_model, load_tokenizer
from denizen.serve.backend.live import Live
from denizen.serve.exchange import Backend, Piece, Request, Sampling, Turn

T = TypeVar("T")
GRAMMAR = 'root ::= ("buy " | "sell " | "swap ") [0-9] [0-9] (" ETH" | " BTC" | " USDC")'


def loud(tiny: Path, folder: Path) -> Path:
    """The tiny model with weights so large that its answers depend on the prompt."""
    import torch

    model = load_model(tiny)
    with torch.no_grad():
        for values in model.parameters():
            values *= 1 if values.dim() == 1 else 8
    model.save_pretrained(folder / "loud")
    load_tokenizer(tiny).save_pretrained(folder / "loud")
    write_gguf(folder / "loud", folder / "tiny.gguf", quant="f32", name="tiny")
    return folder / "tiny.gguf"


def adapter(base: Path, folder: Path, name: str, value: float, seed: int = 1) -> Path:
    """A LoRA-GGUF of random B (times `value`) for a transformers folder."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    settings = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear")
    model = get_peft_model(load_model(base), settings)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "lora_B" in key:
                parameter += value * torch.randn_like(parameter)
    made = folder / f"{name}-peft"
    model.save_pretrained(str(made))
    (made / "denizen.json").write_text(json.dumps({"denizen_base_hash": "h"}))
    path = folder / f"{name}.gguf"
    write_lora_gguf(made, base, path, base_hash="h", name=name)
    return path


def hollow(made: Path) -> Path:
    """A copy of an adapter whose B is all zero (our own export would not write it)."""
    from gguf import GGUFReader

    path = made.with_name("hollow.gguf")
    path.write_bytes(made.read_bytes())
    for tensor in GGUFReader(str(path), "r+").tensors:
        if tensor.name.endswith("lora_b"):
            tensor.data[:] = 0
    return path


def slowed(live: Live, monkeypatch: pytest.MonkeyPatch, seconds: float = 0.01) -> None:
    """Let every decode take its time, so that a test can act in the middle of an answer."""
    real = live.context.decode

    def decode(parts: Any) -> Any:
        time.sleep(seconds)
        return real(parts)

    monkeypatch.setattr(live.context, "decode", decode)


def ask(text: str, *, system: str = "You trade.", **how: Any) -> Request:
    """A chat of one question; further names are those of Sampling or of Request."""
    known = {name: how.pop(name) for name in list(how) if name in Sampling.__slots__}
    turns = (Turn("system", system), Turn("user", text))
    return Request(model="tiny", turns=turns, sampling=Sampling(**known), **how)


async def pieces(backend: Backend, request: Request, adapter: str = "") -> list[Piece]:
    """All pieces of an answer."""
    stream: Any = backend.stream(request, adapter)
    async with aclosing(stream):
        return [piece async for piece in stream]


def text_of(found: list[Piece], index: int = 0) -> str:
    """The text of a choice."""
    return "".join(piece.text for piece in found if piece.index == index)


def run(work: Coroutine[Any, Any, T]) -> T:
    """One coroutine in a loop of its own, for three minutes at most."""

    async def bounded() -> T:
        return await asyncio.wait_for(work, 180)

    return asyncio.run(bounded())

"""Types per tensor are those of llama.cpp's own quantiser, for the shapes of real models.

llama_cpp_recipes.json was recorded from llama_model_quantize by record_recipes.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.export.record_recipes import MODELS, PLACE, QUANTS, architecture_of, packed, shapes

from denizen.export.recipe import FILE_TYPES, more_bits, tensor_type
from denizen.project import ArtefactError

RECORDED: dict[str, dict[str, str]] = json.loads(PLACE.read_text("utf-8"))


@pytest.mark.parametrize("model", MODELS)
def test_every_tensor_gets_llama_cpps_type(model: str) -> None:
    architecture = architecture_of(model)
    tensors = dict(shapes(model))
    tied = "output.weight" not in tensors
    for quant in QUANTS:
        ours = {
            name: tensor_type(
                quant, name, shape, architecture.layers, architecture=architecture.name, tied=tied
            ).name
            for name, shape in tensors.items()
        }
        assert packed(ours) == RECORDED[f"{model}, {quant}"], quant


def test_the_record_has_every_rule() -> None:
    """Without these the comparison above would prove little."""
    assert len(RECORDED) == len(MODELS) * len(QUANTS)
    seen = {
        kind.split("*")[0]
        for types in RECORDED.values()
        for runs in types.values()
        for kind in runs.split()
    }
    assert seen == {"Q4_K", "Q5_K", "Q6_K", "Q8_0", "Q5_0", "Q5_1", "F16"}
    smol = RECORDED["SmolLM2-135M, q4_k_m"]
    assert smol["token_embd.weight"] == "Q8_0*1"  # 576 columns are no multiple of 256
    # The last eighth begins at 7 x 30 / 8 = 26, not at 7 x (30 / 8) = 21.
    assert smol["ffn_down.weight"].endswith("Q6_K*1 Q4_K*2 Q6_K*4")
    assert "Q5_K" in RECORDED["Llama-3.1-70B, q4_k_m"]["attn_v.weight"]
    assert "Q5_K" not in RECORDED["Llama-65B, q4_k_m"]["attn_v.weight"]
    assert RECORDED["TinyLlama-1.1B, q4_k_m"]["token_embd.weight"] == "Q4_K*1"


def test_more_bits_by_hand() -> None:
    assert [i for i in range(30) if more_bits(i, 30)] == [
        *(0, 1, 2, 5, 8, 11, 14, 17, 20, 23),
        *(26, 27, 28, 29),
    ]
    assert [i for i in range(2) if more_bits(i, 2)] == [1]


def test_vectors_and_floats() -> None:
    for quant in FILE_TYPES:
        assert tensor_type(quant, "blk.0.attn_norm.weight", (64,), 2).name == "F32"
        assert tensor_type(quant, "blk.0.attn_q.bias", (64,), 2).name == "F32"
    assert tensor_type("f16", "token_embd.weight", (64, 48), 2).name == "F16"
    assert tensor_type("f32", "token_embd.weight", (64, 48), 2).name == "F32"
    with pytest.raises(ArtefactError, match="no quantisation 'q3_k_m'"):
        tensor_type("q3_k_m", "token_embd.weight", (64, 48), 2)


def test_rounding_reads_the_model(tiny: Path) -> None:
    import torch

    from denizen.export import Rounding

    weight = torch.randn(64, 256, generator=torch.Generator().manual_seed(0))
    name = "model.embed_tokens.weight"

    def error(rounding: Any) -> float:
        return float((rounding(name, weight) - weight).norm() / weight.norm())

    assert error(Rounding("q4_k_m", 2)) == error(Rounding.of("q4_k_m", tiny)) < 0.03  # Q6_K: tied
    assert 0.05 < error(Rounding("q4_k_m", 2, tied=False)) < 0.1  # Q4_K
    fused = Rounding("q5_k_m", 2, "phi3")("model.layers.0.self_attn.qkv_proj.weight", weight)
    assert not torch.equal(fused, weight)

"""MoRA: LoRA's budget, a weight that is exactly the update, a rank LoRA cannot reach, stock PEFT."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from denizen.models import load_model
from denizen.models.adapters import load_adapter
from denizen.project.config import AdapterConfig
from denizen.train.methods import find_adapter


def wrapped(tiny: Path, rank: int, **more: Any) -> Any:
    import torch

    model = find_adapter("mora").wrap(load_model(tiny), AdapterConfig(rank=rank, **more))
    torch.manual_seed(2)
    for name, parameter in model.named_parameters():
        if "mora_" in name:
            torch.nn.init.normal_(parameter, std=0.02)
    return model


@pytest.mark.parametrize(
    ("size", "rank"), [((576, 576), 16), ((1536, 576), 16), ((192, 576), 8), ((4096, 4096), 128)]
)
def test_as_many_weights_as_lora(size: tuple[int, int], rank: int) -> None:
    from denizen.models.mora import side

    width, budget = side(*size, rank), sum(size) * rank
    assert width**2 <= budget < (width + 2) ** 2 and width % 2 == 0


def test_the_paper_s_matrices() -> None:
    """Rank 8 and 256 of 4,096-wide layers: 256 and 1,448 (section 4); never wider than the layer."""
    from denizen.models.mora import side

    assert (side(4096, 4096, 8), side(4096, 4096, 256)) == (256, 1448)
    assert side(64, 64, 512) == 64


def dense(matrix: Any, inputs: int, outputs: int) -> Any:
    """The update's weight, entry by entry from the paper's equations 6 and 9."""
    import math

    import torch

    width = len(matrix)
    count, blocks = -(-inputs // width), -(-outputs // width)
    weight = torch.zeros(blocks * width, count * width, dtype=matrix.dtype)
    share = max(inputs, outputs) <= 4 * width
    for block in range(blocks):
        for part in range(count):
            turn = torch.eye(width, dtype=matrix.dtype)
            if not share:
                if block % min(count, blocks) != part % min(count, blocks):
                    continue
                for pair in range(width // 2):
                    angle = part * 10_000 ** (-2 * pair / width)
                    cosine, sine = math.cos(angle), math.sin(angle)
                    turn[2 * pair, 2 * pair : 2 * pair + 2] = torch.tensor([cosine, -sine])
                    turn[2 * pair + 1, 2 * pair : 2 * pair + 2] = torch.tensor([sine, cosine])
            rows = slice(block * width, (block + 1) * width)
            weight[rows, part * width : (part + 1) * width] += matrix @ turn
    return weight[:outputs, :inputs]


@pytest.mark.parametrize(
    ("inputs", "outputs", "width"),
    [
        (64, 64, 32),
        (60, 50, 16),
        (50, 64, 18),
        (64, 64, 8),
        (100, 36, 8),
        (36, 100, 8),
        (130, 30, 6),
    ],
)
def test_update_is_the_paper_s(inputs: int, outputs: int, width: int) -> None:
    import torch

    from denizen.models.mora import update

    generator = torch.Generator().manual_seed(width)
    matrix = torch.randn(width, width, generator=generator)
    x = torch.randn(3, 5, inputs, generator=generator)
    weight = dense(matrix, inputs, outputs)
    assert torch.allclose(update(x, matrix, outputs), x @ weight.T, atol=1e-4)
    # Every input and every output takes part.
    assert weight.any(0).all() and weight.any(1).all()


@pytest.mark.parametrize("rank", [1, 16])
def test_delta_weight_is_the_update_and_of_high_rank(tiny: Path, rank: int) -> None:
    import torch

    model = wrapped(tiny, rank)
    layer = model.get_base_model().model.layers[0].mlp.down_proj
    x = torch.randn(7, 128)
    with torch.no_grad():
        change = layer(x) - layer.get_base_layer()(x)
        delta = layer.get_delta_weight("default")
        assert torch.allclose(change, x @ delta.T, atol=1e-5)
        # LoRA with as many weights has rank `rank`.
        assert torch.linalg.matrix_rank(delta) >= len(layer.mora_matrix["default"]) > 2 * rank


def test_stock_peft_saves_loads_merges_and_disables(tiny: Path, tmp_path: Path) -> None:
    import torch

    ids = torch.arange(5, 40)[None]
    model = wrapped(tiny, 4, ranks={"q_proj": 1}, layers="1").eval()
    with torch.no_grad():
        base, adapted = load_model(tiny)(ids).logits, model(ids).logits
        assert not torch.allclose(base, adapted, atol=1e-2)
        with model.disable_adapter():
            assert torch.equal(model(ids).logits, base)
        model.merge_adapter()
        assert torch.allclose(model(ids).logits, adapted, atol=1e-5)
        with model.disable_adapter():
            assert torch.allclose(model(ids).logits, base, atol=1e-5)
        model.unmerge_adapter()
        model.save_pretrained(str(tmp_path))
        loaded = load_adapter(load_model(tiny), tmp_path).eval()
        assert torch.allclose(loaded(ids).logits, adapted, atol=1e-5)
        merged = loaded.merge_and_unload(safe_merge=True)
        assert type(merged).__name__ == "LlamaForCausalLM"
        assert torch.allclose(merged(ids).logits, adapted, atol=1e-5)
    assert json.loads((tmp_path / "adapter_config.json").read_text())["peft_type"] == "MORA"


def test_two_adapters_and_a_broken_one(tiny: Path) -> None:
    import torch

    from denizen.models.mora import MoraConfig

    model = wrapped(tiny, 2)
    model.add_adapter("other", MoraConfig(r=8, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    assert model.active_adapters == ["default"]
    ids = torch.arange(5, 40)[None]
    with torch.no_grad():
        one = model(ids).logits
        model.set_adapter("other")
        assert torch.equal(model(ids).logits, load_model(tiny)(ids).logits)
        model.set_adapter("default")
        assert torch.equal(model(ids).logits, one)
        layer = model.get_base_model().model.layers[0].self_attn.q_proj
        layer.mora_matrix["default"][0, 0] = float("nan")
        with pytest.raises(ValueError, match="NaN"):
            model.merge_and_unload(safe_merge=True)


def test_gradient_reaches_the_matrix_as_autograd_of_the_dense_weight(tiny: Path) -> None:
    import torch

    from denizen.models.mora import update

    for inputs, outputs in ((64, 64), (100, 36)):
        matrix = torch.randn(8, 8, dtype=torch.double, requires_grad=True)
        x = torch.randn(4, inputs, dtype=torch.double, requires_grad=True)
        assert torch.autograd.gradcheck(lambda a, m, o=outputs: update(a, m, o), (x, matrix))

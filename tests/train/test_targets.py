"""Modules, layers and ranks of the settings reach PEFT as meant; what is not there is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from denizen.models import load_model
from denizen.project import ConfigError
from denizen.project.config import AdapterConfig
from denizen.train.methods import find_adapter
from denizen.train.targets import find_targets, parse_layers

SEVEN = ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]


def adapted(model: Any, kind: str = "lora_A") -> dict[str, Any]:
    """Path of each adapted layer -> the layer."""
    return {
        name.removeprefix("base_model.model."): module
        for name, module in model.named_modules()
        if kind in dict(module.named_children())
    }


def test_all_linear_is_peft_s_own_choice(tiny: Path) -> None:
    from peft import LoraConfig, get_peft_model

    ours = find_targets(load_model(tiny), AdapterConfig())
    assert ours.modules == SEVEN and ours.layers is None
    theirs = get_peft_model(
        load_model(tiny), LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM")
    )
    assert set(ours.paths) == set(adapted(theirs)) and len(ours.paths) == 14


def test_layers_are_parsed() -> None:
    assert parse_layers("all", 4) is None
    assert parse_layers("0-7,20", 24) == [0, 1, 2, 3, 4, 5, 6, 7, 20]
    assert parse_layers(" 3 , 1 - 2,2", 4) == [1, 2, 3]
    for text in ("4", "0-4", "2-1", "", "a", "-1", "1,,2", "0.5"):
        with pytest.raises(ConfigError, match="layers 0 to 3"):
            parse_layers(text, 4)


@pytest.mark.parametrize("method", ["lora", "dora", "mora"])
def test_modules_and_layers_are_adapted_as_chosen(tiny: Path, method: str) -> None:
    settings = AdapterConfig(method=method, modules="q_proj, up_proj", layers="1", rank=4)
    model = find_adapter(method).wrap(load_model(tiny), settings)
    kind = "mora_matrix" if method == "mora" else "lora_A"
    assert set(adapted(model, kind)) == {
        "model.layers.1.self_attn.q_proj",
        "model.layers.1.mlp.up_proj",
    }
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert trained and all(".layers.1." in name for name in trained)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"modules": "qkv"}, "qkv.*the model has down_proj, gate_proj"),
        ({"modules": "lm_head"}, "lm_head"),
        ({"modules": "embed_tokens,q_proj"}, "called embed_tokens "),
        ({"modules": " , "}, "called nothing"),
        ({"layers": "2"}, "layers 0 to 1"),
        ({"ranks": {"qkv": 4}}, "'qkv' matches no adapted layer"),
        ({"ranks": {"down_proj": 4}, "modules": "q_proj"}, "matches no adapted layer"),
        ({"ranks": {"q_proj": 0}}, "rank of 'q_proj' is 0"),
        ({"ranks": {"(q": 4}}, "no regular expression"),
    ],
)
def test_what_the_model_does_not_have_is_refused(
    tiny: Path, settings: dict[str, Any], message: str
) -> None:
    for method in ("lora", "mora"):
        with pytest.raises(ConfigError, match=message):
            find_adapter(method).wrap(load_model(tiny), AdapterConfig(**settings))


def test_ranks_of_single_layers_keep_the_scale(tiny: Path) -> None:
    settings = AdapterConfig(
        rank=4, alpha=8, ranks={"down_proj": 6, r"layers\.0\.self_attn\..*": 3}
    )
    layers = adapted(find_adapter("lora").wrap(load_model(tiny), settings))
    ranks = {path: layer.lora_A["default"].weight.shape[0] for path, layer in layers.items()}
    assert ranks == find_targets(load_model(tiny), settings).paths
    assert ranks["model.layers.1.mlp.down_proj"] == 6
    assert ranks["model.layers.0.self_attn.k_proj"] == 3
    assert ranks["model.layers.1.self_attn.k_proj"] == 4
    assert {layer.scaling["default"] for layer in layers.values()} == {2.0}


def test_rank_stabilised_scale(tiny: Path) -> None:
    settings = AdapterConfig(rank=4, alpha=8, rslora=True, ranks={"down_proj": 16})
    layers = adapted(find_adapter("lora").wrap(load_model(tiny), settings))
    assert layers["model.layers.0.self_attn.q_proj"].scaling["default"] == 8 / 4**0.5
    assert layers["model.layers.0.mlp.down_proj"].scaling["default"] == 8 / 16**0.5


def test_a_model_without_decoder_layers_is_refused() -> None:
    import torch

    class Flat(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(4, 4)
            self.config = type("C", (), {"model_type": "flat"})

    with pytest.raises(ConfigError, match=r"flat.*full"):
        find_targets(Flat(), AdapterConfig())

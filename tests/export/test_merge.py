"""What is merged is base and change; what has no change, no number or no weights is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from denizen.export import check_adapter, merge_adapter
from denizen.models import load_model, load_tokenizer
from denizen.project import ArtefactError
from denizen.project.config import AdapterConfig
from denizen.train.methods import find_adapter


def folder(
    tiny: Path, path: Path, method: str, change: dict[str, float], base_hash: str = "h"
) -> Path:
    """What the recipe saves, with `change` added to the tensors whose names hold the key."""
    import torch

    kind = find_adapter(method)
    model = kind.wrap(load_model(tiny), AdapterConfig(method=method, rank=4))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter += sum(value for part, value in change.items() if part in name)
    model.save_pretrained(str(path))
    origin = {"denizen_base_hash": base_hash, "whole": kind.whole, "mergeable": kind.mergeable}
    (path / "denizen.json").write_text(json.dumps(origin))
    return path


def logits(model: Any) -> Any:
    import torch

    with torch.inference_mode():
        return model(torch.arange(5, 60)[None]).logits


@pytest.mark.parametrize(
    ("method", "part"),
    [("lora", "lora_B"), ("dora", "lora_B"), ("dora", "magnitude"), ("mora", "mora_matrix")],
)
def test_adapters_merge_to_what_peft_computes(
    tiny: Path, tmp_path: Path, method: str, part: str
) -> None:
    import torch

    from denizen.models.adapters import load_adapter

    made = folder(tiny, tmp_path / "a", method, {part: 0.05})
    merge_adapter(tiny, made, tmp_path / "m", base_hash="h")
    found = logits(load_model(tmp_path / "m"))
    assert torch.allclose(found, logits(load_adapter(load_model(tiny), made)), atol=1e-5)
    assert not torch.allclose(found, logits(load_model(tiny)), atol=1e-2)


def test_generation_ends_where_the_turns_do(tiny: Path, tmp_path: Path) -> None:
    """A base that was given a chat template ends at the template's token, too."""
    base = tmp_path / "base"
    shutil.copytree(tiny, base)
    (base / "generation_config.json").write_text('{"eos_token_id": [0]}')
    end = load_tokenizer(base).eos_token_id
    assert end not in (None, 0)
    merge_adapter(
        base, folder(tiny, tmp_path / "a", "lora", {"lora_B": 0.05}), tmp_path / "m", base_hash="h"
    )
    told = json.loads((tmp_path / "m" / "generation_config.json").read_text())
    assert told["eos_token_id"] == [end, 0]


@pytest.mark.parametrize("part", ["layernorm", "embed_tokens", "v_proj"])
def test_a_whole_model_is_taken_as_it_is(tiny: Path, tmp_path: Path, part: str) -> None:
    import torch

    made = folder(tiny, tmp_path / "a", "full", {part: 0.02})
    merge_adapter(tiny, made, tmp_path / "m", base_hash="h")
    found = load_model(tmp_path / "m")
    assert torch.equal(logits(found), logits(load_model(made)))
    assert not torch.allclose(logits(found), logits(load_model(tiny)), atol=1e-4)
    assert found.get_output_embeddings().weight is found.get_input_embeddings().weight


@pytest.mark.parametrize("method", ["lora", "dora", "mora", "full"])
def test_bad_ones_are_refused_and_nothing_is_written(
    tiny: Path, tmp_path: Path, method: str
) -> None:
    part = {"mora": "mora_matrix", "full": "k_proj"}.get(method, "lora_B")
    nan = float("nan")
    for number, (change, base_hash, message) in enumerate(
        [
            ({}, "h", "changes nothing"),
            ({part: nan}, "h", "NaN"),
            ({part: 0.1}, "another", "trained on base another"),
        ]
    ):
        made = folder(tiny, tmp_path / str(number), method, change, base_hash)
        with pytest.raises(ArtefactError, match=message):
            merge_adapter(tiny, made, tmp_path / "m", base_hash="h")
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("method", ["prefix", "prompt"])
def test_virtual_tokens_have_no_weights(tiny: Path, tmp_path: Path, method: str) -> None:
    made = folder(tiny, tmp_path / "a", method, {"prompt_encoder": 0.1})
    with pytest.raises(ArtefactError, match=r"no form as weights.*adapter\.method: lora"):
        merge_adapter(tiny, made, tmp_path / "m", base_hash="h")
    # A folder of another tool is known by what PEFT wrote.
    (made / "denizen.json").unlink()
    with pytest.raises(ArtefactError, match="no form as weights"):
        check_adapter(made, "h")


def test_a_whole_model_of_another_shape_is_refused(tiny: Path, tmp_path: Path) -> None:
    import torch

    made = folder(tiny, tmp_path / "a", "full", {"k_proj": 0.1})
    model = load_model(made)
    model.resize_token_embeddings(300)
    model.save_pretrained(str(made))
    with pytest.raises(ArtefactError, match=r"embed_tokens.weight of shape \(288, 64\)"):
        merge_adapter(tiny, made, tmp_path / "m", base_hash="h")
    assert torch.isfinite(logits(model)).all()


def test_missing_and_torn_weights_are_refused(tiny: Path, tmp_path: Path) -> None:
    made = folder(tiny, tmp_path / "a", "lora", {"lora_B": 0.1})
    weights = made / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ArtefactError, match="cannot be read"):
        check_adapter(made, "h")
    weights.unlink()
    with pytest.raises(ArtefactError, match="no weights here"):
        check_adapter(made, "h")
    shutil.rmtree(made)

"""The adapter folder for vLLM: loads as it was trained, and refuses what vLLM would not load."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from denizen.export.vllm_adapter import RANKS, write_vllm_adapter
from denizen.models import conversation, load_model, load_tokenizer, render_prompt
from denizen.project import ArtefactError

LINEAR = ["q_proj", "v_proj", "down_proj"]


def adapter(tiny: Path, folder: Path, **settings: Any) -> Path:
    """A LoRA that changes something, as PEFT saves it."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    config = LoraConfig(**{"r": 4, "target_modules": LINEAR, **settings})
    model = get_peft_model(load_model(tiny), config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    model.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "denizen.json").write_text(json.dumps({"denizen_base_hash": "h"}))
    return folder


@pytest.fixture(scope="module")
def plain(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return adapter(tiny, tmp_path_factory.mktemp("vllm") / "a")


def write(made: Path, tiny: Path, target: Path, **more: Any) -> Any:
    options = {"base_hash": "h", "base_name": "org/Base-1B", "name": "desk", **more}
    return write_vllm_adapter(made, tiny, target, **options)


def edited(made: Path, copy: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The same adapter with its settings changed."""
    import shutil

    shutil.copytree(made, copy)
    path = copy / "adapter_config.json"
    settings = json.loads(path.read_text())
    change(settings)
    path.write_text(json.dumps(settings))
    return copy


def test_the_folder_answers_as_the_adapter_did(plain: Path, tiny: Path, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel

    target = tmp_path / "out"
    found = write(plain, tiny, target)
    assert found.rank == 8 and found.modules == tuple(sorted(LINEAR))
    ids = torch.arange(5, 60)[None]
    with torch.inference_mode():
        expected = PeftModel.from_pretrained(load_model(tiny), str(plain))(ids).logits
        logits = PeftModel.from_pretrained(load_model(tiny), str(target))(ids).logits
    assert torch.equal(logits, expected)
    talk = conversation("What is 2+2?")
    own, shipped = load_tokenizer(tiny), load_tokenizer(target)
    assert render_prompt(shipped, talk) == render_prompt(own, talk)


def test_it_says_how_to_serve_it(plain: Path, tiny: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    found = write(plain, tiny, target)
    assert shlex.split(found.command) == [
        "vllm", "serve", "org/Base-1B", "--enable-lora", "--max-lora-rank", "8",
        "--lora-modules", "desk=.", "--chat-template", "chat_template.jinja",
    ]  # fmt: skip
    readme = (target / "README.md").read_text()
    assert found.command in readme and '"model": "desk"' in readme and "QLoRA" not in readme
    settings = json.loads((target / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == "org/Base-1B"
    assert settings["target_modules"] == sorted(LINEAR) and settings["modules_to_save"] is None
    assert not settings["use_dora"] and settings["bias"] == "none"
    names = {path.name for path in target.iterdir()}
    assert {"adapter_model.safetensors", "tokenizer.json", "chat_template.jinja"} <= names
    assert not any("denizen.json" in name for name in names)


def test_rank_stabilised_scales_are_kept(tiny: Path, tmp_path: Path) -> None:
    made = adapter(tiny, tmp_path / "a", use_rslora=True, r=9, target_modules="all-linear")
    found = write(made, tiny, tmp_path / "out")
    assert found.rank == 16 and found.rank in RANKS
    assert json.loads((tmp_path / "out" / "adapter_config.json").read_text())["use_rslora"]
    assert "sqrt(r)" in (tmp_path / "out" / "README.md").read_text()


def test_a_quantised_start_is_told(plain: Path, tiny: Path, tmp_path: Path) -> None:
    made = edited(plain, tmp_path / "a", lambda _: None)
    origin = {"denizen_base_hash": "h", "adapter": {"method": "qlora"}}
    (made / "denizen.json").write_text(json.dumps(origin))
    write(made, tiny, tmp_path / "out")
    assert "gate what you serve" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"use_dora": True}, "DoRA is not supported"),
        ({"modules_to_save": ["lm_head"]}, "whole modules"),
        ({"target_modules": ["q_proj", "embed_tokens"]}, "no adapter layer for"),
        ({"rank_pattern": {"q_proj": 2}}, "one rank"),
        ({"alpha_pattern": {"q_proj": 2}}, "one alpha"),
        ({"lora_bias": True}, "no biases"),
        ({"init_lora_weights": "pissa"}, "changing the base"),
        ({"trainable_token_indices": [1, 2]}, "trained embeddings"),
    ],
)
def test_what_vllm_cannot_load_is_refused(
    tiny: Path, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    made = adapter(tiny, tmp_path / "a", **settings)
    with pytest.raises(ArtefactError, match=message) as caught:
        write(made, tiny, tmp_path / "out")
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.update(peft_type="IA3"), "it is IA3"),
        (lambda s: s.update(peft_type="MORA"), "it is MORA"),
        (lambda s: s.update(bias="all"), "no biases"),
        (lambda s: s.update(r=1024), "rank is 1024"),
        (lambda s: s.update(r=0), "rank is 0"),
        (lambda s: s.update(r=2), "is of rank 4, the others of 2"),
        (lambda s: s.update(lora_alpha=0), "lora_alpha is 0"),
        (lambda s: s.update(some_new_feature={"on": 1}), "it uses some_new_feature"),
        (lambda s: s.pop("peft_type"), "no adapter can be read"),
    ],
)
def test_settings_that_vllm_does_not_know_are_refused(
    plain: Path,
    tiny: Path,
    tmp_path: Path,
    change: Callable[[dict[str, Any]], None],
    message: str,
) -> None:
    made = edited(plain, tmp_path / "a", change)
    with pytest.raises(ArtefactError, match=message):
        write(made, tiny, tmp_path / "out")


def test_another_base_and_half_an_adapter_are_refused(
    plain: Path, tiny: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    with pytest.raises(ArtefactError, match="trained on base"):
        write(plain, tiny, tmp_path / "out", base_hash="other")
    weights = load_file(plain / "adapter_model.safetensors")
    half = edited(plain, tmp_path / "half", lambda _: None)
    first = next(name for name in sorted(weights) if "lora_A" in name)
    save_file({k: v for k, v in weights.items() if k != first}, half / "adapter_model.safetensors")
    with pytest.raises(ArtefactError, match="other half"):
        write(half, tiny, tmp_path / "out")
    wide = edited(plain, tmp_path / "wide", lambda _: None)
    grown = {k: v.repeat(1, 2) if "lora_A" in k else v for k, v in weights.items()}
    save_file(grown, wide / "adapter_model.safetensors")
    with pytest.raises(ArtefactError, match="does not fit the base"):
        write(wide, tiny, tmp_path / "out")
    with pytest.raises(ArtefactError, match="no adapter can be read"):
        write(tiny, tiny, tmp_path / "out")


@pytest.mark.parametrize("bad", [{"name": "a b; rm"}, {"base_name": "x\n```"}, {"name": ""}])
def test_names_cannot_leave_the_command(
    plain: Path, tiny: Path, tmp_path: Path, bad: dict[str, str]
) -> None:
    with pytest.raises(ArtefactError, match="command"):
        write(plain, tiny, tmp_path / "out", **bad)

"""A LoRA-GGUF on the base's GGUF is the merged model in llama.cpp, for every architecture."""

from __future__ import annotations

import ctypes
import json
from pathlib import Path
from typing import Any

import pytest
from tests.export.tiny_models import MODELS, edit, make

from denizen.export.gguf_writer import write_gguf
from denizen.export.lora_gguf import write_lora_gguf
from denizen.models import load_model
from denizen.models.llama_context import Context, Fresh
from denizen.project import ArtefactError

# Largest difference of a log-probability over the vocabulary, float32 throughout; where a GELU is
# tabled in half precision (Gemma, Phi-2) the second.
TOLERANCE = {"exact": 1e-4, "gelu": 5e-3}
IDS = [(37 * i * i + 11 * i) % 280 for i in range(24)]


def adapter(base: Path, folder: Path, value: float = 0.05, **settings: Any) -> Path:
    """An adapter of random B (times `value`) as PEFT saves it."""
    import torch
    from peft import LoraConfig, get_peft_model

    further = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", **settings}
    torch.manual_seed(1)
    model = get_peft_model(load_model(base), LoraConfig(**further))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter += value * torch.randn_like(parameter)
    model.save_pretrained(str(folder))
    (folder / "denizen.json").write_text(json.dumps({"denizen_base_hash": "h"}))
    return folder


def with_adapter(base: Path, made: Path | None) -> Any:
    """Log-probabilities of the next token by transformers, with the adapter merged."""
    import torch
    from peft import PeftModel

    model = load_model(base)
    if made is not None:
        model = PeftModel.from_pretrained(model, str(made)).merge_and_unload()
    with torch.inference_mode():
        return model(torch.tensor([IDS])).logits[0, -1].log_softmax(-1)


def in_llama_cpp(gguf: Path, lora: Path | None) -> Any:
    """The same by llama.cpp, which adds the adapter to the base as it runs; float32 attention."""
    import torch

    context = Context(gguf, cells=128, threads=1, precise=True)
    if lora is not None:
        library, pointer = context._library, ctypes.c_void_p
        library.llama_adapter_lora_init.argtypes = [pointer, ctypes.c_char_p]
        library.llama_adapter_lora_init.restype = pointer
        library.llama_set_adapters_lora.argtypes = [pointer, pointer, ctypes.c_size_t, pointer]
        loaded = library.llama_adapter_lora_init(context._model, str(lora).encode())
        assert loaded, "llama.cpp refuses the adapter"
        adapters, scales = (pointer * 1)(loaded), (ctypes.c_float * 1)(1.0)
        assert not library.llama_set_adapters_lora(context._context, adapters, 1, scales)
    found = torch.from_numpy(context.decode([Fresh(0, 0, IDS)])[0]).log_softmax(-1)
    context.close()
    return found


def distance(found: Any, expected: Any) -> float:
    assert found.shape == expected.shape
    return float((found - expected).abs().max())


def base_of(tmp_path: Path, name: str = "llama", **changes: Any) -> tuple[Path, Path]:
    base = make(tmp_path / "base", name, **changes)
    write_gguf(base, tmp_path / "base.gguf", quant="f32", name="base")
    return base, tmp_path / "base.gguf"


def tolerance(name: str) -> float:
    return TOLERANCE["gelu" if name.startswith(("gemma3", "phi2")) else "exact"]


def lora_gguf(base: Path, made: Path, tmp_path: Path, **settings: Any) -> Path:
    target = tmp_path / "lora.gguf"
    write_lora_gguf(made, base, target, base_hash="h", name="lora", **settings)
    return target


@pytest.mark.parametrize(
    "name", [n for n in MODELS if n not in ("llama-linear", "gemma3-linear", "phi3-long")]
)
def test_it_equals_the_merged_model(name: str, tmp_path: Path) -> None:
    base, gguf = base_of(tmp_path, name)
    made = adapter(base, tmp_path / "a")
    target = lora_gguf(base, made, tmp_path)
    plain, tuned, limit = with_adapter(base, None), with_adapter(base, made), tolerance(name)
    assert distance(in_llama_cpp(gguf, None), plain) < limit
    assert distance(in_llama_cpp(gguf, target), tuned) < limit
    assert distance(tuned, plain) > 0.3  # an adapter left out would be seen
    from gguf import GGUFReader

    layers = load_model(base).config.num_hidden_layers
    linears = {"phi3": 4, "phi2": 6}.get(name, 7)
    assert len(GGUFReader(str(target)).tensors) == 2 * linears * layers


@pytest.mark.parametrize(
    "settings",
    [
        {"use_rslora": True},
        {"rank_pattern": {"q_proj": 2, "layers.1.mlp.up_proj": 6}},
        {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"down_proj": 3, "layers.0.*k_proj": 1}},
        {"target_modules": ["q_proj", "v_proj"]},
        {"target_modules": ["o_proj", "lm_head"]},
        {"target_modules": ["up_proj"], "layers_to_transform": [1]},
    ],
)
def test_scales_and_choices_of_layers(settings: dict[str, Any], tmp_path: Path) -> None:
    base, gguf = base_of(tmp_path, tie_word_embeddings=False)
    made = adapter(base, tmp_path / "a", 0.2, **settings)
    expected = with_adapter(base, made)
    assert distance(in_llama_cpp(gguf, lora_gguf(base, made, tmp_path)), expected) < 1e-4
    half = lora_gguf(base, made, tmp_path, precision="f16")
    assert 1e-5 < distance(in_llama_cpp(gguf, half), expected) < 2e-2


def test_a_server_takes_it(tmp_path: Path) -> None:
    """As a user would: `--lora`, here xllamacpp's own setting."""
    import xllamacpp

    base, gguf = base_of(tmp_path)
    target = lora_gguf(base, adapter(base, tmp_path / "a", 0.3), tmp_path)
    texts = []
    for adapters in ([], [xllamacpp.CommonAdapterLoraInfo(str(target), 1.0)]):
        params = xllamacpp.CommonParams()
        params.model.path = str(gguf)
        params.n_ctx, params.n_parallel, params.warmup, params.verbosity = 128, 1, False, -1
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        params.lora_adapters = adapters
        reply = xllamacpp.Server(params).handle_completions(
            {"prompt": IDS, "max_tokens": 20, "temperature": 0, "ignore_eos": True}
        )
        texts.append(reply["choices"][0]["text"])
    assert texts[0] != texts[1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"bias": "lora_only"}, "bias"),
        ({"lora_bias": True}, "lora_bias"),
        ({"target_modules": ["embed_tokens", "q_proj"]}, "embed_tokens"),
        ({"target_modules": ["q_proj"], "trainable_token_indices": [3]}, "trainable_token_indices"),
        ({"init_lora_weights": "pissa"}, "changing the base"),
    ],
)
def test_what_llama_cpp_cannot_apply_is_refused(
    settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    base = make(tmp_path / "base", "llama", tie_word_embeddings=False)
    made = adapter(base, tmp_path / "a", **settings)
    with pytest.raises(ArtefactError, match=rf"llama\.cpp cannot apply.*{message}"):
        lora_gguf(base, made, tmp_path)
    assert not list(tmp_path.glob("*lora.gguf*"))


def test_other_kinds_and_broken_adapters_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from denizen.project.config import AdapterConfig
    from denizen.train.methods import find_adapter

    base = make(tmp_path / "base", "llama")
    for value, base_hash, message in (
        (0.0, "h", "changes nothing"),
        (float("nan"), "h", "NaN"),
        (0.1, "another", "trained on base h, not another"),
    ):
        made = adapter(base, tmp_path / "a", value)
        with pytest.raises(ArtefactError, match=message):
            write_lora_gguf(made, base, tmp_path / "x", base_hash=base_hash, name="x")
    kind = find_adapter("mora")
    model = kind.wrap(load_model(base), AdapterConfig(method="mora", rank=4))
    for name, parameter in model.named_parameters():
        if "mora_matrix" in name:
            parameter.data += 0.1
    model.save_pretrained(str(tmp_path / "mora"))
    with pytest.raises(ArtefactError, match="it is MORA, not LORA"):
        lora_gguf(base, tmp_path / "mora", tmp_path)
    made = adapter(base, tmp_path / "good")
    with pytest.raises(ArtefactError, match=r"not of the base's shape \(96, 160\)"):
        lora_gguf(make(tmp_path / "wide", "llama", hidden_size=96, head_dim=16,
                       num_attention_heads=4), made, tmp_path)  # fmt: skip
    with pytest.raises(ArtefactError, match="no adapter can be read here"):
        lora_gguf(base, base, tmp_path)  # a whole model
    tied = adapter(base, tmp_path / "tied", target_modules=["q_proj", "lm_head"])
    with pytest.raises(ArtefactError, match="that is the embeddings too"):
        lora_gguf(base, tied, tmp_path)
    weights = load_file(made / "adapter_model.safetensors")
    half = {k: v for k, v in weights.items() if "0.self_attn.q_proj.lora_A" not in k}
    save_file(half, made / "adapter_model.safetensors")
    with pytest.raises(ArtefactError, match=r"0\.self_attn\.q_proj lacks its other half"):
        lora_gguf(base, made, tmp_path)
    edit(made / "adapter_config.json", lora_alpha=0)
    save_file(weights, made / "adapter_model.safetensors")
    with pytest.raises(ArtefactError, match="lora_alpha"):
        lora_gguf(base, made, tmp_path)

"""Every architecture: the GGUF's logits in llama.cpp are transformers', or the model is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.export.tiny_models import LLAMA3, MODELS, edit, make

from denizen.export import write_gguf
from denizen.export.architectures import ARCHITECTURES, open_architecture
from denizen.export.recipe import tensor_type
from denizen.models import load_model
from denizen.models.llama_context import Context, Fresh
from denizen.project import ArtefactError

# Largest difference of a log-probability over the whole vocabulary.  Where a GELU is tabled in half
# precision by ggml (Gemma, Phi-2), F32 is not exact.
TOLERANCE = {"f32": 1e-4, "f32 gelu": 1e-2, "f16": 4e-2}
# Mean difference; log-probabilities of these models vary by about 0.8.
LOSS = {"q8_0": 0.06, "q6_k": 0.12, "q5_k_m": 0.25, "q4_k_m": 0.45}
FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "gemma3", "phi3", "phi2")


def in_transformers(folder: Path, ids: list[int]) -> Any:
    """Log-probabilities of the next token."""
    import torch

    with torch.inference_mode():
        return load_model(folder)(torch.tensor([ids])).logits[0, -1].log_softmax(-1)


def in_llama_cpp(gguf: Path, ids: list[int], cells: int = 512) -> Any:
    """The same, with float32 attention."""
    import torch

    context = Context(gguf, cells=cells, threads=1, precise=True)
    found = torch.from_numpy(context.decode([Fresh(0, 0, ids)])[0]).log_softmax(-1)
    context.close()
    return found


def prompts(size: int = 280) -> list[list[int]]:
    """Short, longer than Gemma's window, longer than the contexts that rope scaling began from."""
    return [[(37 * i * i + 11 * i + 5) % size for i in range(length)] for length in (3, 90, 300)]


def tolerance(name: str, quant: str) -> float:
    gelu = quant == "f32" and name.startswith(("gemma3", "phi2"))
    return TOLERANCE["f32 gelu" if gelu else quant]


def differences(folder: Path, path: Path, ids: list[int], cells: int = 512) -> Any:
    expected, found = in_transformers(folder, ids), in_llama_cpp(path, ids, cells)
    assert found.shape == expected.shape
    assert float(expected.std()) > 0.5  # a model whose logits are all alike would prove nothing
    return (found - expected).abs()


@pytest.mark.parametrize("quant", ["f32", "f16"])
@pytest.mark.parametrize("name", MODELS)
def test_logits_are_transformers(name: str, quant: str, tmp_path: Path) -> None:
    folder, path = make(tmp_path / "model", name), tmp_path / "x.gguf"
    write_gguf(folder, path, quant=quant, name="tiny")
    for ids in prompts():
        # LongRoPE's long factors go with a long context, the short ones with a short one.
        original = open_architecture(folder).rope.original if name == "phi3-long" else 512
        cells = original if len(ids) <= original else 512
        found = float(differences(folder, path, ids, cells).max())
        assert found < tolerance(name, quant), len(ids)


@pytest.mark.parametrize("name", FAMILIES)
def test_quantised_files_load_and_follow_the_recipe(name: str, tmp_path: Path) -> None:
    from gguf import GGUFReader

    wide = {"hidden_size": 256, "intermediate_size": 256, "initializer_range": 0.05}
    folder = make(tmp_path / "model", name, **wide)
    architecture, before = open_architecture(folder), 0.0
    layers, expected = architecture.layers, in_transformers(folder, prompts()[1])
    for quant, limit in LOSS.items():
        path = tmp_path / f"{quant}.gguf"
        counts = write_gguf(folder, path, quant=quant, name="tiny")
        reader = GGUFReader(str(path))
        tied = "output.weight" not in {t.name for t in reader.tensors}
        for tensor in reader.tensors:
            shape = tuple(int(n) for n in reversed(tensor.shape))
            kind = tensor_type(quant, tensor.name, shape, layers, architecture=architecture.name,
                               tied=tied)  # fmt: skip
            assert tensor.tensor_type == kind, tensor.name
        assert sum(counts.values()) == len(reader.tensors)
        number = reader.fields["general.file_type"].contents()
        assert number == {"q8_0": 7, "q6_k": 18, "q5_k_m": 17, "q4_k_m": 15}[quant]
        found = float((in_llama_cpp(path, prompts()[1]) - expected).abs().mean())
        assert before < found < limit, quant
        before = found


def test_shards_are_the_same_file(tmp_path: Path) -> None:
    folder, whole, sharded = make(tmp_path / "m", "qwen3"), tmp_path / "a", tmp_path / "b"
    write_gguf(folder, whole, quant="q8_0", name="tiny")
    load_model(folder).save_pretrained(tmp_path / "s", max_shard_size="100KB")
    assert len(list((tmp_path / "s").glob("*.safetensors"))) > 2
    for path in (tmp_path / "s").iterdir():
        path.rename(folder / path.name)
    (folder / "model.safetensors").unlink()
    write_gguf(folder, sharded, quant="q8_0", name="tiny")
    assert whole.read_bytes() == sharded.read_bytes()
    index = folder / "model.safetensors.index.json"
    named = json.loads(index.read_text())
    first = min(named["weight_map"])
    for place, message in (("../x.safetensors", "elsewhere"), ("gone.safetensors", "gone")):
        edit(index, weight_map=named["weight_map"] | {first: place})
        with pytest.raises(ArtefactError, match=message):
            write_gguf(folder, tmp_path / "c", quant="q8_0", name="tiny")
    assert not list(tmp_path.glob("*c*"))


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("llama", {"model_type": "mixtral"}, "cannot export a 'mixtral' model"),
        ("llama", {"model_type": "qwen3_moe"}, "cannot export a 'qwen3_moe' model"),
        ("llama", {"model_type": "gemma3"}, "cannot export a 'gemma3' model"),  # with images
        ("llama", {"num_local_experts": 8}, "mixtures of experts"),
        ("llama", {"vision_config": {"depth": 2}}, "images and sound"),
        ("llama", {"quantization_config": {"bits": 4}}, "quantised already"),
        ("llama", {"hidden_act": "gelu"}, "no activation 'gelu'"),
        ("llama", {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}}, "'dynamic'"),
        ("llama", {"rope_parameters": {"partial_rotary_factor": 0.5}}, "whole heads"),
        ("qwen2", {"rope_parameters": LLAMA3}, "'llama3' is not exported for qwen2"),
        ("llama", {"rope_parameters": {"rope_type": "llama3"}}, "transformers cannot read"),
        (
            "qwen2-yarn",
            {"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "attention_factor": 2.0}},
            "attention_factor",
        ),
        ("qwen2", {"layer_types": ["full_attention", "sliding_attention"]}, "sliding_attention"),
        ("qwen3", {"attention_bias": True}, "attention biases"),
        ("gemma3", {"query_pre_attn_scalar": 64}, "queries by 32"),
        ("gemma3", {"final_logit_softcapping": 30.0}, "final_logit_softcapping"),
        ("gemma3", {"use_bidirectional_attention": True}, "the past only"),
        (
            "gemma3",
            {"layer_types": ["sliding_attention", "full_attention", "full_attention"] * 2},
            "recur evenly",
        ),
        ("phi3", {"head_dim": 32}, "hidden size / heads"),
        ("phi2", {"qk_layernorm": True}, "norms of Q and K"),
        ("phi2", {"tie_word_embeddings": True}, "tied"),
        ("llama", {"vocab_size": 4096}, "embeddings"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_llama_cpp_computes_otherwise_is_refused(
    name: str, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    folder = make(tmp_path / "m", name)
    if "layer_types" in changes:
        changes = {**changes, "num_hidden_layers": len(changes["layer_types"])}
    edit(folder / "config.json", **changes)
    with pytest.raises(ArtefactError, match=message) as error:
        write_gguf(folder, tmp_path / "x.gguf", quant="q8_0", name="tiny")
    assert "\n" not in str(error.value)
    assert error.value.fix
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_tensor_of_another_architecture_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = make(tmp_path / "m", "llama")
    weights = load_file(folder / "model.safetensors")
    values = weights["model.norm.weight"].clone()
    save_file(weights | {"model.layers.0.router.weight": values}, folder / "model.safetensors")
    with pytest.raises(ArtefactError, match=r"no GGUF name.*router"):
        write_gguf(folder, tmp_path / "x.gguf", quant="f16", name="tiny")
    (folder / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(ArtefactError, match="cannot be read"):
        write_gguf(folder, tmp_path / "x.gguf", quant="f16", name="tiny")
    with pytest.raises(ArtefactError, match=r"no quantisation 'q2_k'.*q4_k_m"):
        write_gguf(folder, tmp_path / "x.gguf", quant="q2_k", name="tiny")


def test_context_ends_where_llama_cpp_differs(tmp_path: Path) -> None:
    """A window it does not apply, and factors it would choose otherwise."""
    mistral = open_architecture(make(tmp_path / "a", "mistral", sliding_window=100))
    assert (mistral.context(None), mistral.context(64), mistral.context(200)) == (100, 64, 100)
    phi = open_architecture(make(tmp_path / "b", "phi3-long"))
    assert (phi.context(None), phi.context(512)) == (256, 512)
    gemma = open_architecture(make(tmp_path / "c", "gemma3"))
    assert (gemma.context(None), gemma.period) == (512, 2)


def test_every_architecture_is_tested() -> None:
    kinds = {kind for kind, _ in MODELS.values()}
    assert kinds == {"Llama", "Mistral", "Qwen2", "Qwen3", "Gemma3Text", "Phi3", "Phi"}
    assert len(ARCHITECTURES) == len(kinds) == len(FAMILIES)


@pytest.mark.slow
def test_a_real_gemma_is_its_publishers_file(tmp_path: Path) -> None:
    """Gemma 3 270M: types of the public Q4_K_M, tokens of its tokenizer built anew, and logits."""
    from gguf import GGUFReader
    from tests.export.test_vocabulary import TEXTS, tokens_in_llama_cpp

    from denizen.models import checkpoint, ensure, find_model, load_tokenizer

    files = ensure(find_model("gemma3-270m"))
    folder, path = checkpoint(files), tmp_path / "q4_k_m.gguf"
    write_gguf(folder, path, quant="q4_k_m", name="gemma")
    published = {t.name: t.tensor_type for t in GGUFReader(str(files.gguf)).tensors}
    assert {t.name: t.tensor_type for t in GGUFReader(str(path)).tensors} == published
    tokenizer = load_tokenizer(folder)
    expected = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in TEXTS]
    assert tokens_in_llama_cpp(path, TEXTS) == tokens_in_llama_cpp(files.gguf, TEXTS) == expected
    path.unlink()
    write_gguf(folder, path, quant="f16", name="gemma")
    ids = tokenizer("The fee tiers of Uniswap v3 are 0.05%,")["input_ids"]
    assert float(differences(folder, path, ids).max()) < 0.05

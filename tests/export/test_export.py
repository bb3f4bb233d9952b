"""The GGUF that ships: right types, right logits in llama.cpp, equal tokens, safe adapters."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from denizen.export import check_adapter, merge_adapter, modelfile, prove_tokens, write_gguf
from denizen.export._ggml import quantize
from denizen.export.modelfile import render_template
from denizen.export.parity import golden_conversations
from denizen.export.recipe import more_bits, tensor_type
from denizen.models import LlamaEngine, conversation, load_model, load_tokenizer, render_prompt
from denizen.project import ArtefactError


def test_quantiser_against_public_dequantisation() -> None:
    import numpy as np
    from gguf import GGMLQuantizationType as Types
    from gguf import dequantize

    values = np.random.default_rng(0).normal(size=(64, 512)).astype(np.float32)
    for kind, low, high in (
        (Types.Q4_K, 0.05, 0.085),
        (Types.Q6_K, 0.01, 0.025),
        (Types.Q8_0, 0.002, 0.01),
        (Types.Q5_0, 0.02, 0.06),
    ):
        back = dequantize(quantize(values, kind), kind)
        error = float(np.linalg.norm(back - values) / np.linalg.norm(values))
        assert low < error < high, (kind, error)


def test_recipe_is_llama_cpps() -> None:
    assert [i for i in range(16) if more_bits(i, 16)] == [0, 1, 4, 7, 10, 13, 14, 15]
    names = {
        "token_embd.weight": ((49152, 576), "Q8_0"),  # Q6_K falls back: 576 is no multiple of 256
        "blk.0.attn_q.weight": ((576, 576), "Q5_0"),
        "blk.0.attn_v.weight": ((192, 576), "Q8_0"),
        "blk.5.attn_v.weight": ((192, 576), "Q8_0"),
        "blk.4.attn_v.weight": ((192, 576), "Q5_0"),
        "blk.0.ffn_down.weight": ((576, 1536), "Q6_K"),
        "blk.4.ffn_down.weight": ((576, 1536), "Q4_K"),
        "blk.0.attn_norm.weight": ((576,), "F32"),
    }
    for name, (shape, expected) in names.items():
        assert tensor_type("q4_k_m", name, shape, 30).name == expected, name


@pytest.fixture(scope="module")
def gguf(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    counts = write_gguf(tiny, path, quant="f32", name="tiny")
    assert sum(counts.values()) == 20
    return path


def logprobs(engine: LlamaEngine, prompt: str, count: int) -> dict[int, float]:
    reply = engine._server.handle_completions(
        {"prompt": prompt, "max_tokens": 1, "temperature": 0, "logprobs": count}
    )
    top = reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    return {entry["id"]: entry["logprob"] for entry in top}


def test_logits_in_llama_cpp_equal_transformers(gguf: Path, tiny: Path) -> None:
    import torch

    tokenizer, model = load_tokenizer(tiny), load_model(tiny)
    engine = LlamaEngine(gguf, context=512)
    for question in ("What is 2+2?", "-195,714 and $3.1M", "zzzzz" * 20):
        prompt = render_prompt(tokenizer, conversation(question))
        ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            expected = model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
        found = logprobs(engine, prompt, 20)
        assert len(found) == 20
        for token, value in found.items():
            assert value == pytest.approx(float(expected[token]), abs=2e-3)
    engine.close()


def test_rounding_is_what_the_file_holds(tiny: Path, tmp_path: Path) -> None:
    from gguf import GGUFReader, dequantize

    from denizen.export import Rounding

    path = tmp_path / "q8.gguf"
    write_gguf(tiny, path, quant="q8_0", name="tiny")
    weights = load_model(tiny).state_dict()
    layers = sum(key.endswith("input_layernorm.weight") for key in weights)
    stored = {t.name: t for t in GGUFReader(str(path)).tensors}
    found = stored["blk.0.ffn_up.weight"]
    name = "model.layers.0.mlp.up_proj.weight"
    rounded = Rounding("q8_0", layers)(name, weights[name])
    assert (rounded.numpy() == dequantize(found.data, found.tensor_type)).all()
    assert 0 < float((rounded - weights[name]).abs().max()) < 0.01


def test_guided_decoding_is_greedy_under_the_grammar(gguf: Path, tiny: Path) -> None:
    """Choice by choice gives what llama.cpp's own grammar and transformers give."""
    from denizen.models import Generator
    from denizen.tasks import CORE, FAMILIES, suite_of

    tokenizer, engine = load_tokenizer(tiny), LlamaEngine(gguf, context=2048)
    items = [FAMILIES[name].generate(1, "train") for name in CORE]
    prompts = [render_prompt(tokenizer, conversation(item.prompt)) for item in items]
    grammars = [suite_of("core").grammar(item.prompt) for item in items]
    limit = 400  # tokens of the tiny tokenizer are nearly characters
    guided = engine.answer(prompts, grammars, max_new_tokens=limit)
    generator = Generator(load_model(tiny), tokenizer)
    assert guided == generator.answer(prompts, grammars, max_new_tokens=limit)
    assert all(text.endswith("</calc>") for text in guided)
    # One of them token by token; an untrained model's ties are not asked for more.
    request = {"prompt": prompts[0], "max_tokens": limit, "temperature": 0.0}
    native = engine._request({**request, "grammar": grammars[0]})["choices"][0]["text"]
    assert native == guided[0]
    # A grammar too open to ask step by step is left to llama.cpp.
    done = engine.complete(prompts[0], grammar="root ::= [^x]*", max_tokens=5)
    assert done.completion_tokens == 5
    engine.close()


def test_vocabulary_is_ggufs(gguf: Path, tmp_path: Path) -> None:
    from gguf import GGUFReader

    from denizen.models.gguf_vocabulary import read_vocabulary

    found = read_vocabulary(gguf)
    fields = GGUFReader(str(gguf)).fields
    texts = fields["tokenizer.ggml.tokens"].contents()
    assert len(found.tokens) == len(texts)
    assert found.end == fields["tokenizer.ggml.eos_token_id"].contents()
    special = [texts[i] for i in sorted(found.control)]
    assert "<|im_end|>" in special
    for index, text in enumerate(texts):
        if index not in found.control and text.isascii():
            assert found.tokens[index] == text.encode()
    assert b" " in b"".join(found.tokens)
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(gguf.read_bytes()[:300])
    with pytest.raises(ArtefactError, match="vocabulary"):
        read_vocabulary(cut)


def test_tokens_are_proven_equal(gguf: Path, tiny: Path) -> None:
    engine = LlamaEngine(gguf, context=4096)
    proof = prove_tokens(load_tokenizer(tiny), engine)
    assert proof.conversations == len(golden_conversations()) >= 12 and proof.tokens > 1000
    other = load_tokenizer(tiny)
    other.add_tokens(["fee"])
    with pytest.raises(ArtefactError, match="other tokens than the trainer"):
        prove_tokens(other, engine)
    engine.close()


def test_modelfile_renders_the_trainers_text(tiny: Path) -> None:
    tokenizer = load_tokenizer(tiny)
    for messages in golden_conversations():
        assert render_template(messages[:-1]) == render_prompt(tokenizer, messages[:-1])
    text = modelfile("a.gguf", "You are X.", context=2048)
    assert "FROM ./a.gguf" in text and "PARAMETER num_ctx 2048" in text
    assert 'PARAMETER stop "<|im_end|>"' in text


def adapter(tiny: Path, folder: Path, value: float, base_hash: str = "h") -> Path:
    import torch
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(load_model(tiny), LoraConfig(r=2, target_modules="all-linear"))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.constant_(parameter, value)
    model.save_pretrained(str(folder))
    (folder / "denizen.json").write_text(json.dumps({"denizen_base_hash": base_hash}))
    return folder


def test_bad_adapters_are_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="changes nothing"):
        check_adapter(adapter(tiny, tmp_path / "zero", 0.0), "h")
    with pytest.raises(ArtefactError, match="NaN"):
        check_adapter(adapter(tiny, tmp_path / "nan", float("nan")), "h")
    with pytest.raises(ArtefactError, match="trained on base"):
        check_adapter(adapter(tiny, tmp_path / "other", 0.1, "another"), "h")


def test_merge_equals_base_plus_adapter(tiny: Path, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel

    made = adapter(tiny, tmp_path / "a", 0.05)
    (tmp_path / "m").mkdir()
    merge_adapter(tiny, made, tmp_path / "m", base_hash="h")
    ids = torch.arange(5, 60)[None]
    with torch.inference_mode():
        expected = PeftModel.from_pretrained(load_model(tiny), str(made))(ids).logits
        found = load_model(tmp_path / "m")(ids).logits
    assert torch.allclose(found, expected, atol=1e-4)
    assert not torch.allclose(found, load_model(tiny)(ids).logits, atol=1e-2)


def test_only_llama_is_exported(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(ArtefactError, match="gpt2"):
        write_gguf(tmp_path, tmp_path / "x.gguf", quant="f16", name="x")


@pytest.mark.slow
def test_real_model_round_trip(tmp_path: Path) -> None:
    """SmolLM2: F32 GGUF gives transformers' logits; Q4_K_M loads and is a third of F16."""
    import torch

    from denizen.models import checkpoint, ensure, find_model

    files = ensure(find_model("smollm2-135m-instruct"))
    folder = checkpoint(files)
    tokenizer = load_tokenizer(folder)
    path = tmp_path / "f16.gguf"
    write_gguf(folder, path, quant="f16", name="x", base_gguf=files.gguf)
    engine = LlamaEngine(path, context=1024)
    stock = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
    prompt = render_prompt(tokenizer, conversation("What is 2+2?", system=stock))
    ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        expected = load_model(folder)(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
    for token, value in logprobs(engine, prompt, 10).items():
        assert value == pytest.approx(float(expected[token]), abs=0.06)
    engine.close()
    small = tmp_path / "q4.gguf"
    counts = Counter(write_gguf(folder, small, quant="q4_k_m", name="x", base_gguf=files.gguf))
    assert counts["Q4_K"] and counts["Q6_K"] and counts["Q5_0"] and counts["Q8_0"]
    assert small.stat().st_size < 0.45 * path.stat().st_size
    engine = LlamaEngine(small, context=4096)
    assert prove_tokens(tokenizer, engine).mismatches == ()
    assert "4" in engine.complete(prompt, max_tokens=14).text
    engine.close()

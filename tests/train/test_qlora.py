"""QLoRA: the codes are the paper's, only codes are kept, and the adapter fits what it was trained on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from denizen.models import conversation, load_model, load_tokenizer
from denizen.models.quantised import (
    dequantise_base,
    dequantised,
    frozen_layers,
    frozen_weight,
    is_quantised,
    load_quantised,
)
from denizen.project import TrainingError
from denizen.project.config import AdapterConfig, Config, TrainConfig
from denizen.train import Job, fine_tune, rendered_example, tabulate
from denizen.train.fused_lora import FusedLora
from denizen.train.methods import find_adapter

BITS = (4, 8)
# NormalFloat's sixteen values, appendix E of arXiv:2305.14314.
NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
    -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
    0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Products this small only wait for each other on two."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def adapted(tiny: Path, bits: int, **settings: Any) -> Any:
    """A PeftModel over the quantised tiny base, its B matrices not zero."""
    import torch

    chosen = AdapterConfig(method="qlora", bits=bits, rank=4, **settings)
    torch.manual_seed(1)
    method = find_adapter("qlora")
    model = method.wrap(method.load(tiny, chosen, "float32"), chosen)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    return model


def tokens() -> Any:
    import torch

    return torch.randint(3, 200, (3, 17), generator=torch.Generator().manual_seed(2))


def test_nf4_is_the_papers_table() -> None:
    """Sixteen values times a block's absmax come back; anything else comes back as the nearest."""
    import torch

    table = torch.tensor(NF4)
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 16, (96, 256), generator=generator)
    codes[:, ::64] = 15  # each block of 64 holds its absmax
    exact = table[codes] * 0.37
    assert torch.allclose(dequantised(exact, 4), exact, atol=1e-6)
    weight = torch.randn(96, 256, generator=generator) * 0.02
    blocks = weight.view(-1, 64)
    scale = blocks.abs().amax(1, keepdim=True)
    nearest = table[(blocks / scale).unsqueeze(-1).sub(table).abs().argmin(-1)] * scale
    found = dequantised(weight, 4)
    # The scales themselves are held in 8 bits: that moves a value by a percent or so, not a code.
    assert float((found - nearest.view_as(weight)).norm() / nearest.norm()) < 0.02
    error = float((found - weight).norm() / weight.norm())
    assert error == pytest.approx(float((nearest.view_as(weight) - weight).norm() / weight.norm()), rel=0.05)  # fmt: skip


def test_int8_rows_are_off_by_half_a_step_at_most() -> None:
    import torch

    weight = torch.randn(48, 200, generator=torch.Generator().manual_seed(0))
    weight[7] = 0
    step = weight.abs().amax(1, keepdim=True) / 127
    error = (dequantised(weight, 8) - weight).abs()
    assert bool((error <= step * 0.5001).all()) and bool((error > 0.4 * step).any())
    largest = weight.abs().argmax(1, keepdim=True)
    assert float(error.gather(1, largest).max()) < 1e-6


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("tied", [True, False])
def test_loading_quantises_the_linear_layers_and_nothing_else(
    tiny: Path, tmp_path: Path, bits: int, dtype: str, tied: bool
) -> None:
    """Of a float32 or bf16 folder, with its head tied to the embeddings or not."""
    import torch
    from transformers import AutoModelForCausalLM

    plain = AutoModelForCausalLM.from_pretrained(
        str(tiny), dtype=getattr(torch, dtype), tie_word_embeddings=tied
    )
    plain.save_pretrained(tmp_path)
    model = load_quantised(tmp_path, bits)
    layers, floats = frozen_layers(model), frozen_layers(plain)
    assert layers.keys() == floats.keys() and len(layers) == 14
    held = whole = 0
    for name, layer in layers.items():
        assert is_quantised(layer) and not layer.weight.is_floating_point()
        assert torch.equal(frozen_weight(layer), dequantised(floats[name].weight, bits)), name
        held += layer.weight.untyped_storage().nbytes()
        whole += 4 * floats[name].weight.numel()
    assert whole / held == 32 / bits
    assert not is_quantised(model.get_output_embeddings())
    rest = dict(model.named_parameters())
    for name, value in plain.named_parameters():
        if name.removesuffix(".weight") not in layers:
            assert rest[name].dtype == torch.float32 and torch.equal(rest[name], value.float())
    assert not model.training


def test_evaluation_never_repacks_nf4(tiny: Path) -> None:
    """On CPUs with bf16 instructions bitsandbytes repacks in evaluation, and gradients then stop."""
    import bitsandbytes

    assert hasattr(bitsandbytes.nn.Linear4bit(8, 8), "support_avx512bf16_for_cpu")
    for layer in frozen_layers(load_quantised(tiny, 4)).values():
        assert layer.support_avx512bf16_for_cpu is False


@pytest.mark.parametrize("bits", BITS)
def test_folded_layers_equal_pefts_own_and_a_plain_models(tiny: Path, bits: int) -> None:
    """Loss and gradients three ways: folded, PEFT's layers, and LoRA over dequantised floats."""
    import torch
    from peft import get_peft_model

    from denizen.train.methods.lora import lora_config

    def step(model: Any) -> tuple[float, dict[str, Any]]:
        model.zero_grad()
        loss = model(input_ids=tokens(), labels=tokens()).loss
        loss.backward()
        return float(loss.detach()), {n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad}  # fmt: skip

    model = adapted(tiny, bits)
    floats = load_model(tiny)
    dequantise_base(floats, bits)
    plain = get_peft_model(floats, lora_config(floats, AdapterConfig(rank=4)))
    plain.load_state_dict({n: v for n, v in model.state_dict().items() if "lora_" in n}, strict=False)  # fmt: skip
    expected, gradients = step(plain)
    folded = FusedLora(model)
    assert len(folded.layers) == 14
    paths = [step(model)]
    with torch.no_grad(), model.disable_adapter():
        off = model(input_ids=tokens()).logits
    folded.remove()
    paths.append(step(model))
    for loss, found in paths:
        assert loss == pytest.approx(expected, abs=2e-6)
        assert found.keys() == gradients.keys()
        for name, value in found.items():
            assert float((value - gradients[name]).norm()) < 1e-5 * float(gradients[name].norm())
    with torch.no_grad(), plain.disable_adapter():
        assert torch.allclose(off, plain(input_ids=tokens()).logits, atol=1e-5)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("fold", [True, False])
def test_the_backward_pass_keeps_codes_not_floats(tiny: Path, bits: int, fold: bool) -> None:
    """No float of a frozen weight's shape is alive between the forward and the backward pass."""
    import gc

    import torch

    model = adapted(tiny, bits)
    layers = [m for m in model.modules() if is_quantised(m)]
    shapes = {(layer.out_features, layer.in_features) for layer in layers}
    folded = FusedLora(model) if fold else None
    # What other tests left alive is not this pass's.
    earlier = [t for t in gc.get_objects() if isinstance(t, torch.Tensor)]
    known = {id(t) for t in earlier}
    saved: list[Any] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        loss = model(input_ids=tokens(), labels=tokens()).loss
    gc.collect()
    tensors = [t for t in gc.get_objects() if isinstance(t, torch.Tensor) and id(t) not in known]
    alive = [t for t in tensors if not t.requires_grad]
    frozen = {id(p) for p in model.parameters()}
    floats = [t for t in saved + alive if t.is_floating_point() and id(t) not in frozen]
    assert len(saved) > 28
    assert not [t.shape for t in floats if shapes & {tuple(t.shape), tuple(t.shape[::-1])}]
    loss.backward()
    assert folded is None or len(folded.layers) == 14


def rows(tiny: Path) -> list[Any]:
    chats = [conversation(f"What is {i} plus {i}?", f"It is {2 * i}{'!' * (i % 5)}") for i in range(24)]  # fmt: skip
    return [
        rendered_example(row)
        for row in tabulate(load_tokenizer(tiny), chats, max_length=512, drop_budget=0.0)[0]
    ]


def train(tiny: Path, folder: Path, bits: int, stop: int = 0, **settings: Any) -> Any:
    def on_step(step: int, *_: Any) -> None:
        if step == stop:
            raise KeyboardInterrupt

    train = {"batch_tokens": 600, "learning_rate": 1e-2, "epochs": 3, "save_steps": 3}
    config = Config(
        adapter=AdapterConfig(method="qlora", bits=bits),
        train=TrainConfig(**{**train, "warmup_steps": 2, "precision": "float32", **settings}),
    )
    job = Job(tiny, "h", rows(tiny), config, folder / "work", folder / "adapter")
    return fine_tune(job, on_step)


@pytest.mark.parametrize("bits", BITS)
def test_learns_resumes_and_merges(tiny: Path, tmp_path: Path, bits: int) -> None:
    import torch

    from denizen.export.merge import merge_adapter
    from denizen.models.adapters import load_adapter

    result = train(tiny, tmp_path, bits)
    losses = [point.loss for point in result.points]
    assert losses[-1] < losses[0] - 0.5
    with pytest.raises(KeyboardInterrupt):
        train(tiny, tmp_path / "cut", bits, stop=5)
    resumed = train(tiny, tmp_path / "cut", bits)
    assert [p.loss for p in resumed.points] == pytest.approx(losses, abs=1e-4)
    model = load_adapter(load_quantised(tiny, bits), tmp_path / "adapter")
    merge_adapter(tiny, tmp_path / "adapter", tmp_path / "merged", base_hash="h")
    with torch.no_grad():
        expected = model(input_ids=tokens()).logits
        merged = load_model(tmp_path / "merged")(input_ids=tokens()).logits
        onto_floats = load_adapter(load_model(tiny), tmp_path / "adapter")(
            input_ids=tokens()
        ).logits
    assert torch.allclose(merged, expected, atol=1e-5)
    # The same adapter over the base before quantisation is another model.
    assert float((onto_floats - expected).abs().max()) > 1e-3


@pytest.mark.parametrize("bits", BITS)
def test_shortcuts_and_checkpointing_change_no_loss(tiny: Path, tmp_path: Path, bits: int) -> None:
    curves = [
        [p.loss for p in train(tiny, tmp_path / name, bits, max_steps=3, **settings).points]
        for name, settings in {
            "fast": {},
            "plain": {"shortcuts": False},
            "recomputed": {"checkpointing": "on"},
        }.items()
    ]
    assert len(curves[0]) == 3
    assert curves[1] == pytest.approx(curves[0], abs=2e-4)
    assert curves[2] == pytest.approx(curves[0], abs=2e-4)


def test_every_code_stays_and_every_adapter_weight_moves(tiny: Path) -> None:
    import torch

    for bits in BITS:
        model = adapted(tiny, bits)
        before = {n: p.detach().clone() for n, p in model.named_parameters()}
        optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
        FusedLora(model)
        for _ in range(2):
            model(input_ids=tokens(), labels=tokens()).loss.backward()
            optimiser.step()
        for name, parameter in model.named_parameters():
            assert ("lora_" in name) == parameter.requires_grad
            assert torch.equal(parameter, before[name]) != parameter.requires_grad, name


def test_without_bitsandbytes_the_extra_is_named(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("denizen.models.quantised.find_spec", lambda _: None)
    with pytest.raises(TrainingError, match=r"denizen\[qlora\]"):
        load_quantised(tiny, 4)
    assert load_quantised(tiny, 8)

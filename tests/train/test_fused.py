"""The CPU's fast path equals PEFT's and transformers' own: loss, gradients, steps, fallbacks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from denizen.train.blocks import FEW_TOKENS, FusedBlock
from denizen.train.fused_lora import FusedLora
from denizen.train.loss import supervised_logps, supervised_loss
from denizen.train.packing import packable

KINDS = ("llama", "qwen2")
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def make(kind: str, *, seed: int = 0, lora: dict[str, Any] | None = None, **changes: Any) -> Any:
    """A tiny PEFT model in training mode; adapters, biases and norms are not at their start."""
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    shape: dict[str, Any] = {
        "vocab_size": 320,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
        "pad_token_id": 0,
        "initializer_range": 0.1,
        **changes,
    }
    torch.manual_seed(seed)
    base: Any = (
        LlamaForCausalLM(LlamaConfig(**shape))
        if kind == "llama"
        else Qwen2ForCausalLM(Qwen2Config(**shape))
    )
    for name, parameter in base.named_parameters():
        if name.endswith("bias") or "norm" in name:
            torch.nn.init.normal_(parameter, 1.0 if "norm" in name else 0.0, 0.2)
    adapter = {"r": 4, "lora_alpha": 8, "target_modules": list(TARGETS), **(lora or {})}
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", **adapter))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    return model.train()


def make_batch(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Six rows of mixed lengths whose beginnings form a tree; the last tokens are learnt."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, 320, (6, 44), generator=generator)
    ids[:5, :14] = ids[0, :14]
    ids[1:4, 14:26] = ids[1, 14:26]
    ids[3] = ids[2]
    labels = torch.full_like(ids, -100)
    for row, (length, learnt) in enumerate([(44, 5), (31, 3), (40, 9), (40, 2), (20, 1), (37, 36)]):
        labels[row, length - learnt : length] = ids[row, length - learnt : length]
        ids[row, length:] = 0
    return ids, labels


def plain_loss(model: Any, ids: Tensor, labels: Tensor) -> Tensor:
    """transformers' and PEFT's own."""
    loss: Tensor = model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels).loss
    return loss


def gradients(model: Any) -> Tensor:
    found = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    model.zero_grad()
    return found


def assert_close(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape
    assert float((found - expected).norm() / expected.norm()) < 1e-5


def assert_equal_step(model: Any, *, packed: bool = True) -> None:
    """Loss and gradient of the fused model against its own plain path."""
    ids, labels = make_batch()
    plain = plain_loss(model, ids, labels)
    plain.backward()
    expected = gradients(model)
    fused = FusedLora(model)
    assert bool(packable(model.get_base_model().model)) is packed
    for share in (False, True):
        loss = supervised_loss(model, ids, labels, share_prefix=share)
        assert loss.item() == pytest.approx(plain.item(), abs=2e-6)
        loss.backward()
        assert_close(gradients(model), expected)
    fused.remove()
    assert not any("forward" in m.__dict__ for m in model.modules())
    assert plain_loss(model, ids, labels).item() == plain.item()


@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_gradients_equal_transformers_own(kind: str) -> None:
    assert_equal_step(make(kind))


@pytest.mark.parametrize(
    "lora",
    [
        {"target_modules": ["q_proj", "v_proj"]},
        {"target_modules": ["gate_proj", "o_proj"], "r": 3, "use_rslora": True},
        {"layers_to_transform": [1]},
        {"rank_pattern": {"layers.0.mlp.up_proj": 2, "q_proj": 7}},
    ],
)
def test_any_choice_of_modules_layers_and_ranks(lora: dict[str, Any]) -> None:
    assert_equal_step(make("qwen2", lora=lora))


@pytest.mark.parametrize(
    ("kind", "lora", "changes"),
    [
        ("llama", {"use_dora": True}, {}),
        ("llama", {"lora_dropout": 1e-9}, {}),
        ("llama", {}, {"hidden_act": "gelu"}),
        ("llama", {}, {"attn_implementation": "eager"}),
        ("llama", {"lora_bias": True}, {}),
        ("qwen2", {}, {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}),
    ],
)
def test_what_is_not_exactly_known_runs_as_it_is(
    kind: str, lora: dict[str, Any], changes: dict[str, Any]
) -> None:
    assert_equal_step(make(kind, lora=lora, **changes), packed=False)


def test_a_trained_norm_or_base_weight_is_seen() -> None:
    """A weight unfrozen after the fusing gets its gradient: its layer runs as it is."""
    ids, labels = make_batch()
    for name in (
        "input_layernorm.weight",
        "mlp.down_proj.base_layer.weight",
        "q_proj.base_layer.bias",
    ):
        model = make("qwen2")
        fused = FusedLora(model)
        chosen = next(
            p for n, p in model.named_parameters() if "layers.1" in n and n.endswith(name)
        )
        chosen.requires_grad_(True)
        supervised_loss(model, ids, labels).backward()
        found = gradients(model)
        fused.remove()
        plain_loss(model, ids, labels).backward()
        assert chosen.grad is not None
        assert_close(found, gradients(model))


@pytest.mark.parametrize("kind", KINDS)
def test_training_follows_the_same_path(kind: str) -> None:
    """Eight AdamW steps (fused ones count no versions), fused and plain, from the same start."""

    def train(loss: Any, fuse: bool) -> tuple[list[float], Tensor]:
        model = make(kind)
        fused = FusedLora(model) if fuse else None
        trained = [p for p in model.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(trained, lr=0.01, fused=True, eps=1e-4)
        losses = []
        for step in range(8):
            if fused is not None:
                fused.refresh()
            value = loss(model, *make_batch(step))
            losses.append(value.item())
            value.backward()
            optimiser.step()
            optimiser.zero_grad()
        return losses, torch.cat([p.detach().flatten() for p in trained])

    expected, weights = train(plain_loss, False)
    losses, found = train(supervised_loss, True)
    assert losses == pytest.approx(expected, abs=2e-5)
    assert float((found - weights).norm() / weights.norm()) < 1e-4
    assert abs(expected[-1] - expected[0]) > 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_disabled_adapters_give_the_base(kind: str) -> None:
    """Inside `disable_adapter()` the reference's log-probabilities, after it the adapter's again."""
    model, (ids, labels) = make(kind), make_batch()
    with_adapter = supervised_logps(model, ids, labels).values
    with model.disable_adapter():
        reference = supervised_logps(model, ids, labels).values
    assert float((with_adapter - reference).detach().abs().max()) > 0.01
    fused = FusedLora(model)
    fused.round_to(lambda _, weight: weight + 1)
    with model.disable_adapter(), torch.no_grad():
        assert_close(supervised_logps(model, ids, labels).values, reference.detach())
    fused.remove()
    FusedLora(model)
    assert_close(supervised_logps(model, ids, labels).values.detach(), with_adapter.detach())


def test_another_adapter_is_left_to_peft() -> None:
    from peft import LoraConfig

    model, (ids, labels) = make("llama"), make_batch()
    model.add_adapter("other", LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    model.set_adapter("other")
    expected = plain_loss(model, ids, labels).item()
    FusedLora(model)
    assert supervised_loss(model, ids, labels).item() == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_masks_and_caches_equal_the_models_own(kind: str) -> None:
    """A four-dimensional mask, then a cache that gradients flow back through."""
    model, (ids, _) = make(kind), make_batch()
    decoder = model.get_base_model().model
    assert ids.numel() > FEW_TOKENS
    mask = torch.where(torch.rand(6, 1, 44, 44).tril() > 0.3, 0.0, -1e9)
    mask = mask.masked_fill(torch.eye(44, dtype=torch.bool), 0.0)

    def outputs() -> list[Tensor]:
        found = []
        for run in (masked, cached):
            hidden = run()
            (hidden * torch.linspace(-1, 1, hidden.numel()).view_as(hidden)).sum().backward()
            found += [hidden.detach(), gradients(model)]
        return found

    def masked() -> Tensor:
        hidden: Tensor = decoder(input_ids=ids, attention_mask=mask).last_hidden_state
        return hidden

    def cached() -> Tensor:
        cache = decoder(input_ids=ids[:1, :14], use_cache=True).past_key_values
        cache.batch_repeat_interleave(6)
        rest: Tensor = decoder(input_ids=ids[:, 14:], past_key_values=cache).last_hidden_state
        return rest

    expected = outputs()
    FusedLora(model)
    for found, wanted in zip(outputs(), expected, strict=True):
        assert_close(found, wanted)


def test_checkpointed_layers_are_exact() -> None:
    model, (ids, labels) = make("llama"), make_batch()
    plain = plain_loss(model, ids, labels)
    plain.backward()
    expected = gradients(model)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    FusedLora(model)
    loss = supervised_loss(model, ids, labels)
    loss.backward()
    assert loss.item() == pytest.approx(plain.item(), abs=2e-6)
    assert_close(gradients(model), expected)


def test_decoding_is_the_models_own_and_follows_a_refresh() -> None:
    """Folded copies that decoding keeps are dropped by `refresh`."""
    model = make("llama").eval()
    ids = make_batch()[0][:1, :20]

    def answer() -> Any:
        options = {"max_new_tokens": 8, "do_sample": False, "output_logits": True}
        out = model.generate(
            ids, attention_mask=torch.ones_like(ids), return_dict_in_generate=True, **options
        )
        return torch.cat(out.logits)

    first = answer()
    fused = FusedLora(model)
    assert_close(answer(), first)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.mul_(3)
    fused.refresh()
    second = answer()
    assert float((second - first).abs().max()) > 0.01
    fused.remove()
    assert_close(second, answer())


def test_rounded_layers_hold_what_the_file_will() -> None:
    """After round_to the weight is the rounded one; later steps keep that error, `remove` ends it."""
    model, (ids, labels) = make("qwen2"), make_batch()
    before = supervised_loss(model, ids, labels).item()
    fused = FusedLora(model)
    seen: list[str] = []

    def halves(name: str, weight: Tensor) -> Tensor:
        seen.append(name)
        return (weight * 8).round() / 8

    exact = fused.weights()
    fused.round_to(halves)
    assert set(seen) == set(exact) and len(seen) == 21
    names = dict(model.get_base_model().named_modules())
    assert all(name.removesuffix(".weight") in names for name in seen)
    for name, weight in fused.weights().items():
        assert torch.allclose(weight, (exact[name] * 8).round() / 8, atol=1e-6)
    rounded = {k: v for k, v in fused.weights().items()}
    with fused.unrounded():
        assert supervised_loss(model, ids, labels).item() == pytest.approx(before, abs=2e-6)
    loss = supervised_loss(model, ids, labels)
    assert loss.item() != pytest.approx(before, abs=1e-4)
    loss.backward()
    found = gradients(model)
    fused.remove()
    assert supervised_loss(model, ids, labels).item() == pytest.approx(before, abs=2e-6)
    # The same from PEFT alone: a base that differs by the error of the rounding.
    for name, module in model.get_base_model().named_modules():
        if f"{name}.weight" in rounded:
            module.get_base_layer().weight.data += (
                rounded[f"{name}.weight"] - exact[f"{name}.weight"]
            )
    plain = plain_loss(model, ids, labels)
    assert loss.item() == pytest.approx(plain.item(), abs=2e-6)
    plain.backward()
    assert_close(found, gradients(model))


def saved_bytes(model: Any, loss: Any) -> int:
    """What autograd keeps for the backward pass, the model's weights apart."""
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    held: dict[int, int] = {}

    def keep(t: Tensor) -> Tensor:
        storage = t.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        alive = loss()
    assert alive.requires_grad
    return sum(held.values())


def test_less_is_kept_for_the_backward_pass_and_as_forecast() -> None:
    """Both paths within 10% of the forecast's activations; the fused one keeps far less."""
    from denizen.train.memory import forecast

    shape = {"hidden_size": 128, "intermediate_size": 344, "num_hidden_layers": 6}
    model = make("llama", **shape)
    ids = torch.randint(1, 320, (4, 120), generator=torch.Generator().manual_seed(0))
    labels = torch.full_like(ids, -100)
    labels[:, -12:] = ids[:, -12:]
    plain = saved_bytes(model, lambda: plain_loss(model, ids, labels))
    FusedLora(model)
    found = saved_bytes(model, lambda: supervised_loss(model, ids, labels, share_prefix=False))
    assert found < 0.6 * plain
    # PEFT's own path keeps the last token of each row too, and the logits' softmax of all.
    logits = 320 * 480 * 4
    own = forecast(model.config, 0, 0, 480, 0.1, fused=False).activations
    assert plain - logits == pytest.approx(own, rel=0.1)
    tokens = 4 * 119
    need = forecast(model.config, 0, 0, tokens, 0.1)
    passing = (5 * 344 + 5 * 128) * tokens * 4
    # Of the last layer only the learnt places are kept after its attention.
    pruned = (128 + 128 + 2 * 344) * (tokens - 48) * 4
    assert found == pytest.approx(need.activations - passing - pruned, rel=0.1)


def test_kept_pages_are_given_back() -> None:
    """Inside, a freed block's pages stay resident (on glibc); after it they are gone."""
    from denizen.train.allocator import _glibc, kept_pages

    def resident() -> int:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * 4096

    if _glibc() is None:
        pytest.skip("not glibc")
    size = 256 * 2**20
    with kept_pages():
        before = resident()
        torch.ones(size // 4)
        assert resident() - before > 0.9 * size
    assert resident() - before < 0.2 * size
    torch.ones(size // 4)
    assert resident() - before < 0.2 * size


def test_layers_are_replaced_on_one_model_only() -> None:
    model, other = make("llama"), make("llama")
    fused = FusedLora(model)
    assert len(fused.layers) == 21 and len(fused.blocks) == 3
    assert isinstance(model.get_base_model().model.layers[0].forward.__self__, FusedBlock)
    assert not any("forward" in m.__dict__ for m in other.modules())


@pytest.mark.slow
def test_the_real_base_steps_alike() -> None:
    """SmolLM2-135M, rank 16 on all linears, two steps, against the same model in float64.

    PEFT's own float32 gradient is 1.5e-5 off (torch's softmax over 49,152 tokens), ours under 1e-5.
    """
    import copy

    import torch.nn.functional as F
    from peft import LoraConfig, get_peft_model

    from denizen.models import checkpoint, ensure, find_model, load_model

    torch.manual_seed(0)
    model = get_peft_model(
        load_model(checkpoint(ensure(find_model("smollm2-135m-instruct")))),
        LoraConfig(r=16, lora_alpha=32, target_modules=list(TARGETS), task_type="CAUSAL_LM"),
    )
    ids, labels = make_batch()
    learnt = labels[:, 1:] != -100
    trained = [p for p in model.parameters() if p.requires_grad]
    for _ in range(2):
        double = copy.deepcopy(model).double()
        logits = double(input_ids=ids).logits[:, :-1][learnt]
        exact = F.cross_entropy(logits, labels[:, 1:][learnt])
        exact.backward()
        expected = gradients(double)
        del double
        plain_loss(model, ids, labels).backward()
        peft = gradients(model)
        fused = FusedLora(model)
        loss = supervised_loss(model, ids, labels)
        loss.backward()
        assert len(fused.blocks) == 30
        assert loss.item() == pytest.approx(exact.item(), rel=2e-6)
        with torch.no_grad():
            for parameter in trained:
                assert parameter.grad is not None
                parameter -= 0.5 * parameter.grad
        found = gradients(model)
        assert_close(found, expected)
        assert float((found - peft).norm() / peft.norm()) < 3e-5
        fused.remove()

"""Rollouts through llama.cpp: weights, logits and samples against transformers and PEFT."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from scipy.stats import chisquare
from transformers import Qwen2Config, Qwen2ForCausalLM

from denizen.models import checkpoint, ensure, find_model, load_model, load_tokenizer
from denizen.models.live_gguf import LiveGGUF, _q8_0, unfit
from denizen.models.llama_context import MAX_SEQUENCES, Context, Fresh
from denizen.project.config import AdapterConfig, Config, RLConfig
from denizen.project.errors import ArtefactError, TrainingError
from denizen.tasks import suite_of
from denizen.train.methods import find_adapter
from denizen.train.methods.grpo import GRPO
from denizen.train.policy import score_choices
from denizen.train.rollouts import make_sampler
from denizen.train.rollouts.base import Prompt, Sample
from denizen.train.rollouts.llama import LlamaSampler
from denizen.train.rollouts.prompts import rl_examples
from denizen.train.rollouts.transformers import TransformersSampler

GRAMMAR = 'root ::= ("buy " | "sell " | "swap ") [0-9] [0-9] (" ETH" | " BTC" | " USDC")'
TOKENS = list(range(40, 75))


def shaken(model: Any, size: float = 0.05) -> Any:
    """The model with random values where it is trained (a fresh adapter changes nothing)."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for values in model.parameters():
            if values.requires_grad:
                values += size * torch.randn(values.shape, generator=generator)
    return model


def adapted(base: Path, method: str = "lora") -> Any:
    """The base with an adapter that changes it."""
    settings = AdapterConfig(method=method, rank=4, alpha=8)  # type: ignore[arg-type]
    return shaken(find_adapter(method).wrap(load_model(base), settings))


def logits_of(model: Any, tokens: list[int]) -> torch.Tensor:
    """Transformers' next-token logits after the tokens."""
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0, -1]  # type: ignore[no-any-return]


def context_of(path: Path, cells: int = 256, batch: int = 512) -> Context:
    """A context that computes in float32 throughout."""
    return Context(path, cells=cells, threads=1, batch=batch, precise=True)


def stored_logits(model: Any, path: Path, tokens: list[int], storage: Any = "f32") -> torch.Tensor:
    """llama.cpp's, of the model as it is stored."""
    LiveGGUF(model, path, storage)
    return torch.from_numpy(context_of(path).decode([Fresh(0, 0, tokens)])[0])


def prompts_of(tokenizer: Any, grammar: str | None = None, count: int = 3) -> list[Prompt]:
    """Prompts that share a beginning of more than MIN_PREFIX tokens."""
    texts = [f"<|im_start|>What would you do with {'ab' * n}?" for n in range(1, count + 1)]
    encode = [tuple(tokenizer(t, add_special_tokens=False)["input_ids"]) for t in texts]
    return [Prompt(i, t, grammar, None) for i, t in zip(encode, texts, strict=True)]


@pytest.mark.parametrize("method", ["lora", "dora", "mora", "full"])
def test_every_method_is_stored_as_the_model_multiplies(
    tiny: Path, tmp_path: Path, method: str
) -> None:
    model = adapted(tiny, method)
    plain = logits_of(load_model(tiny), TOKENS)
    expected = logits_of(model, TOKENS)
    assert (expected - plain).abs().max() > 0.05, "the adapter must matter"
    before = {n: v.clone() for n, v in model.named_parameters()}
    found = stored_logits(model, tmp_path / "live.gguf", TOKENS)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)
    assert all(torch.equal(v, before[n]) for n, v in model.named_parameters())
    torch.testing.assert_close(logits_of(model, TOKENS), expected, atol=0, rtol=0)


def test_qwen2_with_its_biases(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=256,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
        )
    ).eval()
    for name, values in model.named_parameters():
        if name.endswith("bias"):
            values.data.normal_(std=0.3)
    wrapped = shaken(get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "up_proj"])))
    found = stored_logits(wrapped, tmp_path / "live.gguf", TOKENS)
    torch.testing.assert_close(found, logits_of(wrapped, TOKENS), atol=2e-5, rtol=0)


def test_a_refresh_reaches_a_context_that_is_open(tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "live.gguf"
    model = adapted(tiny)
    live = LiveGGUF(model, path, "f32")
    context = context_of(path)
    first = torch.from_numpy(context.decode([Fresh(0, 0, TOKENS)])[0])
    shaken(model, 0.1)
    live.refresh(model)
    context.clear()
    second = torch.from_numpy(context.decode([Fresh(0, 0, TOKENS)])[0])
    assert (first - second).abs().max() > 0.05
    torch.testing.assert_close(second, logits_of(model, TOKENS), atol=2e-5, rtol=0)


def test_q8_0_is_what_ggufs_own_quantiser_writes() -> None:
    from gguf import GGMLQuantizationType, quants

    values = torch.randn(16, 96, generator=torch.Generator().manual_seed(0))
    values[3, :32] = 0
    expected = quants.quantize(values.numpy(), GGMLQuantizationType.Q8_0)
    assert np.array_equal(_q8_0(values).numpy(), expected)


def test_branches_see_their_own_past_alone(tiny: Path, tmp_path: Path) -> None:
    model = load_model(tiny)
    LiveGGUF(model, tmp_path / "live.gguf", "f32")
    context = context_of(tmp_path / "live.gguf", cells=1024, batch=16)
    context.decode([Fresh(0, 0, TOKENS)])
    for sequence in (1, 2):
        context.copy(0, sequence)
    tails = {0: [80, 81], 1: [90], 2: list(range(100, 140))}
    found = context.decode([Fresh(s, len(TOKENS), tail) for s, tail in tails.items()])
    for row, tail in zip(found, tails.values(), strict=True):
        expected = logits_of(model, TOKENS + tail)
        torch.testing.assert_close(torch.from_numpy(row), expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("grammar", [None, GRAMMAR])
def test_the_same_seed_draws_what_the_trainers_engine_draws(
    tiny: Path, grammar: str | None
) -> None:
    model, tokenizer = adapted(tiny), load_tokenizer(tiny)
    how = (model, prompts_of(tokenizer, grammar), 6, 0.9, 12, 5)
    sampler = LlamaSampler(tokenizer, "f32", threads=1)
    ours, theirs = sampler.sample(*how), TransformersSampler(tokenizer).sample(*how)
    flat, other = [s for g in ours for s in g], [s for g in theirs for s in g]
    assert [s.ids for s in flat] == [s.ids for s in other]
    assert [s.allowed for s in flat] == [s.allowed for s in other]
    for sample, expected in zip(flat, other, strict=True):
        np.testing.assert_allclose(sample.logps, expected.logps, atol=2e-5)
    assert len({s.ids for s in ours[0]}) > 1


def test_log_probabilities_are_the_trainers_after_a_step(tiny: Path) -> None:
    """The live adapter: sampled after an update, scored by the updated model."""
    model, tokenizer = adapted(tiny), load_tokenizer(tiny)
    sampler = LlamaSampler(tokenizer, "f16", threads=1)
    how = (prompts_of(tokenizer, GRAMMAR), 4, 1.0, 12, 0)
    stale = [s for g in sampler.sample(model, *how) for s in g]
    shaken(model, 0.1)
    live = [s for g in sampler.sample(model, *how) for s in g]
    assert mean_gap(model, live) < 2e-3
    assert mean_gap(model, stale) > 20 * mean_gap(model, live)


def mean_gap(model: Any, samples: list[Sample]) -> float:
    """Mean |trainer - sampler| of the choices' log-probabilities, nats."""
    with torch.no_grad():
        scored = score_choices(model, samples, 1.0).logps
    sampled = torch.tensor([logp for s in samples for logp in s.logps])
    return float((scored - sampled).abs().mean())


def test_more_branches_than_sequences_go_in_waves(tiny: Path) -> None:
    model, tokenizer = adapted(tiny), load_tokenizer(tiny)
    prompts = prompts_of(tokenizer, GRAMMAR, 3)
    group = MAX_SEQUENCES // 2 + 1
    found = LlamaSampler(tokenizer, "f32", threads=1).sample(model, prompts, group, 5.0, 9, 0)
    assert [len(answers) for answers in found] == [group] * 3
    assert all(s.prompt is p for p, answers in zip(prompts, found, strict=True) for s in answers)
    # Every prompt goes alone here: equal streams would give near-equal draws.
    drawn = [[s.text for s in answers] for answers in found]
    same = sum(a == b for a, b in zip(drawn[0], drawn[1], strict=True))
    assert same < group / 4


def test_truncated_importance_corrects_a_sampler_that_is_off() -> None:
    """E under the sampler of w x gradient is nearer the on-policy gradient than without w."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(12, generator=generator, dtype=torch.float64)
    off = logits + 0.3 * torch.randn(12, generator=generator, dtype=torch.float64)
    advantage = torch.randn(12, generator=generator, dtype=torch.float64)
    objective = GRPO(Config(), sampler=LlamaSampler.__new__(LlamaSampler))
    policy, sampler = logits.softmax(0), off.softmax(0)

    def gradient(weights: torch.Tensor) -> torch.Tensor:
        """Sum over tokens of weight x advantage x d log p, in closed form for a softmax."""
        score = torch.eye(12, dtype=torch.float64) - policy
        return ((weights * advantage)[:, None] * score).sum(0)

    on_policy = gradient(policy)
    corrected = gradient(sampler * objective.importance(policy.log() - sampler.log()))
    uncorrected = gradient(sampler)
    assert (corrected - on_policy).norm() < 0.2 * (uncorrected - on_policy).norm()


@pytest.mark.parametrize(
    "change, engine",
    [
        ({}, "llama.cpp"),
        ({"grammar": True}, "transformers"),
        ({"prompts": 2}, "transformers"),
        ({"prompts": 2, "rollouts": "llama.cpp"}, "llama.cpp"),
        ({"rollouts": "transformers"}, "transformers"),
    ],
)
def test_auto_is_llama_cpp_for_few_free_answers(
    tiny: Path, tmp_path: Path, change: dict[str, Any], engine: str
) -> None:
    rl = RLConfig(**{"prompts": 1, "group": 8, "grammar": False, **change})
    job = SimpleNamespace(base=tiny, work=tmp_path)
    sampler = make_sampler(Config(rl=rl), load_tokenizer(tiny), job)  # type: ignore[arg-type]
    assert sampler.name == engine and sampler.exact is (engine == "transformers")


def test_auto_leaves_what_llama_cpp_cannot_hold_to_the_trainer(tiny: Path) -> None:
    tokenizer, job = load_tokenizer(tiny), SimpleNamespace(base=tiny)
    rl, adapter = RLConfig(prompts=1, grammar=False), AdapterConfig(method="prefix")
    chosen = make_sampler(Config(rl=rl, adapter=adapter), tokenizer, job)  # type: ignore[arg-type]
    assert chosen.name == "transformers"
    model = find_adapter("prefix").wrap(load_model(tiny), adapter)
    assert "virtual tokens" in unfit(model)
    with pytest.raises(TrainingError, match=r"rl\.rollouts"):
        LlamaSampler(tokenizer).sample(model, prompts_of(tokenizer), 2, 1.0, 4, 0)


def test_a_context_without_room_is_refused_in_one_line(tiny: Path, tmp_path: Path) -> None:
    LiveGGUF(load_model(tiny), tmp_path / "live.gguf", "f32")
    context = Context(tmp_path / "live.gguf", cells=256, threads=1)
    with pytest.raises(ArtefactError, match=r"rl\.group"):
        context.decode([Fresh(0, 0, [5] * 600)])


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "live.gguf").write_bytes(b"GGUF" + b"\0" * 64)
    with pytest.raises(ArtefactError, match="cannot load"):
        Context(tmp_path / "live.gguf", cells=256, threads=1)


@pytest.fixture(scope="module")
def real() -> Path:
    """The default base's folder."""
    return checkpoint(ensure(find_model("smollm2-135m-instruct")))


def defi_prompts(folder: Path, count: int, grammar: bool) -> list[Prompt]:
    """Real questions as the recipe renders them."""
    suite = suite_of("core")
    items = [suite.families[name].generate(seed, "train") for seed, name in enumerate(suite.names)]
    examples = rl_examples(load_tokenizer(folder), suite, items[:count])
    prompts = [example.fields["prompt"] for example in examples]
    return prompts if grammar else [replace(p, grammar=None) for p in prompts]


@pytest.mark.slow
def test_sampled_tokens_are_distributed_as_transformers_says(real: Path) -> None:
    model, (prompt,) = load_model(real), defi_prompts(real, 1, grammar=False)
    sampler = LlamaSampler(load_tokenizer(real))
    draws = [s for seed in range(8) for s in sampler.sample(model, [prompt], 256, 1.0, 1, seed)[0]]
    counts = Counter(sample.ids[0] for sample in draws)

    def p_value(temperature: float) -> float:
        """Of the draws under transformers' softmax; tokens expected under 5 times are one bin."""
        logits = logits_of(model, list(prompt.ids)).double() / temperature
        expected = logits.softmax(0) * len(draws)
        large = (expected >= 5).nonzero()[:, 0].tolist()
        seen = [counts[token] for token in large]
        wanted = expected[large].tolist()
        rest = (len(draws) - sum(seen), len(draws) - sum(wanted))
        return float(chisquare([*seen, rest[0]], [*wanted, rest[1]]).pvalue)

    assert p_value(1.0) > 0.01
    assert p_value(1.15) < 1e-6, "the test must see a wrong distribution"


@pytest.mark.slow
def test_the_gap_on_real_questions_is_small_in_half_precision(real: Path) -> None:
    model = shaken(find_adapter("lora").wrap(load_model(real), AdapterConfig()), 0.01)
    gaps = {}
    for storage in ("f16", "q8_0"):
        sampler = LlamaSampler(load_tokenizer(real), storage)  # type: ignore[arg-type]
        groups = sampler.sample(model, defi_prompts(real, 4, grammar=True), 4, 1.0, 48, 0)
        gaps[storage] = mean_gap(model, [s for group in groups for s in group if s.choices])
        sampler.close()
    assert gaps["f16"] < 0.005
    assert gaps["f16"] < gaps["q8_0"] < 0.2

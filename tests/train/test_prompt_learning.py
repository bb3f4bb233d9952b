"""Virtual tokens: our loss is PEFT's own, with gradients; a fresh prefix is the text it was made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from denizen.models import load_model, load_tokenizer
from denizen.project import TrainingError
from denizen.project.config import AdapterConfig
from denizen.train.loss import MIN_PREFIX, common_prefix, supervised_logps, supervised_loss
from denizen.train.methods import find_adapter

METHODS = ("prefix", "prompt")


def wrapped(tiny: Path, method: str) -> Any:
    import torch

    torch.manual_seed(3)
    return find_adapter(method).wrap(load_model(tiny), AdapterConfig(virtual_tokens=5))


def batch(rows: int = 4, shared: int = 12) -> tuple[Any, Any]:
    """Rows that share their first tokens; the last ones are learnt, right-padded."""
    import torch

    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(3, 200, (rows, shared + 9), generator=generator)
    ids[:, :shared] = ids[0, :shared].clone()
    labels = ids.clone()
    labels[:, : shared + 3] = -100
    for row in range(rows):
        labels[row, ids.shape[1] - row :] = -100
    return ids, labels


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("share", [True, False])
def test_loss_and_gradient_are_peft_s(tiny: Path, method: str, rows: int, share: bool) -> None:
    import torch

    model = wrapped(tiny, method)
    ids, labels = batch(rows)
    assert (common_prefix(ids, labels) >= MIN_PREFIX) == (rows > 1)
    plain = model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels).loss
    plain.backward()
    (weight,) = [p for p in model.parameters() if p.requires_grad]
    expected, weight.grad = weight.grad, None
    loss = supervised_loss(model, ids, labels, share_prefix=share)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(plain.detach()), abs=2e-6)
    assert float((weight.grad - expected).norm() / expected.norm()) < 1e-5
    assert weight.grad.abs().amax(-1).min() > 0, "each virtual token has a gradient"


@pytest.mark.parametrize("method", METHODS)
def test_disabled_it_is_the_base(tiny: Path, method: str) -> None:
    """Reference log-probabilities of preference training are asked for in this way."""
    import torch

    model, (ids, labels) = wrapped(tiny, method), batch()
    with torch.no_grad():
        expected = supervised_logps(load_model(tiny), ids, labels).values
        adapted = supervised_logps(model, ids, labels).values
        with model.disable_adapter():
            assert torch.allclose(supervised_logps(model, ids, labels).values, expected, atol=1e-6)
        assert torch.equal(supervised_logps(model, ids, labels).values, adapted)
    assert not torch.allclose(adapted, expected, atol=1e-2)


@pytest.mark.parametrize("method", METHODS)
def test_it_starts_as_real_tokens_before_the_text(tiny: Path, method: str) -> None:
    import torch

    model, base, (ids, _) = wrapped(tiny, method), load_model(tiny), batch()
    vocabulary = base.get_input_embeddings().weight
    torch.manual_seed(3)
    tokens = torch.randint(len(vocabulary), (5,))
    if method == "prompt":
        learnt = model.prompt_encoder["default"].embedding.weight
        tokens = torch.cdist(learnt, vocabulary).argmin(1)
    with torch.no_grad():
        whole = base(input_ids=torch.cat((tokens.expand(len(ids), 5), ids), 1)).logits[:, 5:]
        found = model(input_ids=ids).logits[:, -ids.shape[1] :]
    assert torch.allclose(found, whole, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_checkpointing_is_refused(tiny: Path, method: str) -> None:
    """transformers gives no cache while it checkpoints: training would not see the tokens."""
    model, (ids, labels) = wrapped(tiny, method).train(), batch()
    model.gradient_checkpointing_enable()
    with pytest.raises(TrainingError, match="set it to off"):
        supervised_loss(model, ids, labels)
    model.gradient_checkpointing_disable()
    assert supervised_loss(model, ids, labels).requires_grad


@pytest.mark.parametrize("method", METHODS)
def test_answers_are_what_peft_alone_would_write(tiny: Path, method: str) -> None:
    """The Generator begins with the virtual tokens' cache; here each step is PEFT's own forward."""
    import torch

    from denizen.models import Generator

    tokenizer = load_tokenizer(tiny)
    model = wrapped(tiny, method).eval()
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=2.0)
    prompts = [f"{'one two ' * (n % 3)}{letter}" for n, letter in enumerate("aBc4%deFg7&hiJk")]
    found = Generator(model, tokenizer).answer(prompts, max_new_tokens=3)
    base = Generator(load_model(tiny), tokenizer).answer(prompts, max_new_tokens=3)
    for prompt, answer in zip(prompts, found, strict=True):
        ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        start = len(ids)
        with torch.no_grad():
            while len(ids) < start + 3 and ids[-1] != tokenizer.eos_token_id:
                ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
        assert answer == tokenizer.decode(ids[start:], skip_special_tokens=True)
    assert found != base

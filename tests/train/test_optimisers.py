"""GaLore and APOLLO against torch's own AdamW, closed forms and (where installed) galore-torch."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from denizen.models import load_model
from denizen.project.config import AdapterConfig


def gradients(shape: tuple[int, int], count: int, seed: int = 0) -> list[Any]:
    """Matrices with falling singular values, so that leading directions are well defined."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    left, right = (
        torch.linalg.qr(torch.randn(n, min(shape), generator=generator))[0] for n in shape
    )
    falling = torch.diag(0.5 ** torch.arange(min(shape)))
    noise = 1e-3
    return [
        (1 + 0.1 * i) * left @ falling @ right.T + noise * torch.randn(*shape, generator=generator)
        for i in range(count)
    ]


def step(optimiser: Any, parameter: Any, gradient: Any) -> None:
    parameter.grad = gradient.clone()
    optimiser.step()


@pytest.mark.parametrize("kind", ["galore", "apollo"])
def test_what_is_not_projected_follows_adamw(kind: str) -> None:
    import torch

    from denizen.train.optimisers.apollo import Apollo
    from denizen.train.optimisers.galore import GaLore

    ours, theirs = (torch.nn.Parameter(torch.ones(6, 4)) for _ in range(2))
    settings = {"lr": 0.01, "betas": (0.9, 0.99), "weight_decay": 0.1}
    mine = {"galore": GaLore, "apollo": Apollo}[kind]([ours], **settings)
    reference = torch.optim.AdamW([theirs], **settings)
    for gradient in gradients((6, 4), 7):
        step(mine, ours, gradient)
        step(reference, theirs, gradient)
        assert torch.allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("shape", [(12, 30), (30, 12), (16, 16)])
def test_galore_is_adamw_of_the_projected_gradient(shape: tuple[int, int]) -> None:
    """Inside one projection: torch's AdamW on P^T G, lifted by P, a quarter of the step."""
    import torch

    from denizen.train.optimisers.galore import GaLore

    parameter = torch.nn.Parameter(torch.zeros(shape))
    mine = GaLore([{"params": [parameter], "rank": 4}], lr=0.01, betas=(0.9, 0.99), gap=100)
    given = gradients(shape, 6)
    tall = shape[0] > shape[1]
    left, _, right = torch.linalg.svd(given[0], full_matrices=False)
    basis = right[:4].T if tall else left[:, :4]
    low = torch.nn.Parameter(torch.zeros((shape[0], 4) if tall else (4, shape[1])))
    reference = torch.optim.AdamW([low], lr=0.01, betas=(0.9, 0.99), weight_decay=0.0)
    for gradient in given:
        step(mine, parameter, gradient)
        step(reference, low, gradient @ basis if tall else basis.T @ gradient)
        lifted = low @ basis.T if tall else basis @ low
        assert torch.allclose(parameter, 0.25 * lifted, atol=1e-5)
        assert torch.linalg.matrix_rank(parameter) <= 4


def test_galore_renews_its_basis() -> None:
    import torch

    from denizen.train.optimisers.galore import GaLore

    parameter = torch.nn.Parameter(torch.zeros(12, 30))
    mine = GaLore([{"params": [parameter], "rank": 2}], lr=0.01, gap=3)
    given = gradients((12, 30), 3) + gradients((12, 30), 3, seed=9)
    bases = []
    for gradient in given:
        step(mine, parameter, gradient)
        bases.append(mine.state[parameter]["basis"].clone())
    assert torch.equal(bases[0], bases[2]) and not torch.equal(bases[2], bases[3])
    leading = torch.linalg.svd(given[3])[0][:, :2]
    # The same subspace: every cosine between the two is one.
    assert torch.linalg.svdvals(leading.T @ bases[3]).min() > 0.999


def test_galore_equals_its_authors_package() -> None:
    """galore-torch 1.0, inside one projection (after it, signs of singular vectors are free)."""
    import galore_torch as package
    import torch

    from denizen.train.optimisers.galore import GaLore

    ours, theirs = (torch.nn.Parameter(torch.zeros(20, 50)) for _ in range(2))
    mine = GaLore([{"params": [ours], "rank": 4}], lr=0.01, eps=1e-12, gap=100)
    group = {
        "params": [theirs],
        "rank": 4,
        "update_proj_gap": 100,
        "scale": 0.25,
        "proj_type": "std",
    }
    reference = package.GaLoreAdamW([group], lr=0.01, eps=1e-12, no_deprecation_warning=True)
    for gradient in gradients((20, 50), 8):
        step(mine, ours, gradient)
        step(reference, theirs, gradient)
        assert torch.allclose(ours, theirs, atol=1e-5)
    assert ours.abs().max() > 1e-3


@pytest.mark.parametrize("shape", [(64, 400), (400, 64)])
def test_apollo_gives_each_channel_the_length_of_adam_s_step(shape: tuple[int, int]) -> None:
    """At the first step Adam moves every weight by lr: a channel of 64 by 8 lr, along its gradient."""
    import torch

    from denizen.train.optimisers.apollo import Apollo

    torch.manual_seed(0)
    parameter = torch.nn.Parameter(torch.zeros(shape))
    gradient = torch.randn(shape) * torch.logspace(-3, 3, max(shape)).reshape(
        (1, -1) if shape[1] > shape[0] else (-1, 1)
    )
    step(Apollo([{"params": [parameter], "rank": 16}], lr=0.01), parameter, gradient)
    axis = 0 if shape[0] < shape[1] else 1
    lengths = parameter.detach().norm(dim=axis) / 0.01
    assert float(lengths.mean()) == pytest.approx(8, rel=0.1)
    cosine = torch.cosine_similarity(parameter, -gradient, dim=axis)
    assert cosine.min() > 0.9999


def test_apollo_stands_still_without_a_gradient() -> None:
    """Momentum has no direction of its own here; a wide projection and 0 / 0 would make NaN."""
    import torch

    from denizen.train.optimisers.apollo import Apollo

    parameter = torch.nn.Parameter(torch.ones(48, 64))
    optimiser = Apollo([{"params": [parameter], "rank": 40}], lr=0.1)
    step(optimiser, parameter, 9 * gradients((48, 64), 1)[0])
    before = parameter.detach().clone()
    step(optimiser, parameter, torch.zeros(48, 64))
    assert torch.equal(parameter, before)


def test_apollo_s_step_grows_by_a_hundredth_at_most_and_its_seed_changes() -> None:
    import torch

    from denizen.train.optimisers.apollo import Apollo, projection

    parameter = torch.nn.Parameter(torch.zeros(8, 40))
    mine = Apollo([{"params": [parameter], "rank": 4}], lr=1.0, betas=(0.0, 0.999), gap=2)
    norms = []
    for factor in (1e-3, 1.0, 1.0, 1e-4):
        before = parameter.detach().clone()
        step(mine, parameter, factor * gradients((8, 40), 1)[0])
        norms.append(float((parameter.detach() - before).norm()))
    assert norms[1] == pytest.approx(1.01 * norms[0], rel=1e-4)
    assert norms[2] == pytest.approx(1.01 * norms[1], rel=1e-4)
    assert norms[3] < 0.1 * norms[2]
    assert torch.equal(projection(4, 8, (1, 0)), projection(4, 8, (1, 0)))
    assert not torch.equal(projection(4, 8, (1, 0)), projection(4, 8, (1, 1)))
    assert not torch.equal(projection(4, 8, (1, 0)), projection(4, 8, (0, 1)))
    # Lengths are kept on average.
    x = torch.randn(8, 1000)
    assert float((projection(8, 8, (3, 0)) @ x).norm() / x.norm()) == pytest.approx(1, abs=0.4)


def arguments() -> Any:
    return SimpleNamespace(
        learning_rate=1e-3, weight_decay=0.1, adam_beta1=0.9, adam_beta2=0.99, adam_epsilon=1e-8
    )


def test_linear_layers_are_projected_and_the_rest_is_not(tiny: Path) -> None:
    import torch

    from denizen.train.optimisers import projected
    from denizen.train.optimisers.galore import GaLore

    model = load_model(tiny).requires_grad_(True)
    settings = AdapterConfig(rank=4, layers="1", ranks={"down_proj": 2}, projection_steps=7)
    cls, given = projected(GaLore, model, settings, arguments())
    optimiser = cls(given.pop("params"), **given)
    names = {parameter: name for name, parameter in model.named_parameters()}
    ranks = {names[p]: g["rank"] for g in optimiser.param_groups for p in g["params"]}
    decay = {names[p]: g["weight_decay"] for g in optimiser.param_groups for p in g["params"]}
    assert ranks.keys() == set(names.values())
    assert ranks["model.layers.1.mlp.down_proj.weight"] == 2
    assert ranks["model.layers.1.self_attn.q_proj.weight"] == 4
    assert {r for n, r in ranks.items() if ".layers.1." not in n} == {0}
    assert ranks["model.layers.1.input_layernorm.weight"] == 0
    assert all((decay[n] == 0.1) == (p.ndim == 2) for p, n in names.items())
    for parameter in names:
        parameter.grad = torch.randn_like(parameter)
    optimiser.step()
    state = optimiser.state[model.model.layers[1].mlp.down_proj.weight]
    # Moments of rank x longer side and a basis of shorter side x rank, where Adam keeps 2 x 64 x 128.
    assert sum(v.numel() for v in state.values() if hasattr(v, "numel")) == 2 * 2 * 128 + 64 * 2


@pytest.mark.parametrize("kind", ["galore", "apollo"])
def test_state_survives_a_checkpoint_that_holds_tensors_only(kind: str, tmp_path: Path) -> None:
    import torch

    from denizen.train.optimisers.apollo import Apollo
    from denizen.train.optimisers.galore import GaLore

    cls = {"galore": GaLore, "apollo": Apollo}[kind]
    given = gradients((10, 24), 8)

    def make() -> tuple[Any, Any]:
        parameter = torch.nn.Parameter(torch.zeros(10, 24))
        return parameter, cls([{"params": [parameter], "rank": 3}], lr=0.01, gap=3)

    whole, optimiser = make()
    for gradient in given[:4]:
        step(optimiser, whole, gradient)
    torch.save(optimiser.state_dict(), tmp_path / "o.pt")
    second, resumed = make()
    resumed.load_state_dict(torch.load(tmp_path / "o.pt", weights_only=True))
    with torch.no_grad():
        second.copy_(whole)
    for gradient in given[4:]:
        step(optimiser, whole, gradient)
        step(resumed, second, gradient)
    assert torch.equal(whole, second)

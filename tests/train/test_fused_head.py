"""The chunked head and the packing of rows: equal to the plain computation, nothing done twice."""

from __future__ import annotations

import random

import pytest
import torch

from denizen.train import head
from denizen.train.packing import LEAST, pack


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_log_probabilities_equal_log_softmax(
    temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values, entropies and the gradient through any function of the values, in chunks of 4 rows."""
    monkeypatch.setattr(head, "CHUNK", 4 * 50)
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(11, 24, generator=generator, requires_grad=True)
    weight = torch.nn.Parameter(torch.randn(50, 24, generator=generator), requires_grad=False)
    targets = torch.randint(0, 50, (11,), generator=generator)
    every = torch.log_softmax(hidden @ weight.T / temperature, -1)
    expected = every.gather(1, targets[:, None])[:, 0]
    values, entropy = head.log_probabilities(
        hidden, weight, targets, temperature=temperature, entropy=True
    )
    assert torch.allclose(values, expected, atol=2e-6)
    assert entropy is not None and not entropy.requires_grad
    assert torch.allclose(entropy, -(every.exp() * every).sum(-1), atol=2e-6)
    (found,) = torch.autograd.grad((values.exp() * values).sum(), hidden)
    (wanted,) = torch.autograd.grad((expected.exp() * expected).sum(), hidden)
    assert float((found - wanted).norm() / wanted.norm()) < 1e-5


def test_a_trained_head_or_one_with_bias_is_left_alone() -> None:
    frozen = torch.nn.Linear(4, 8, bias=False).requires_grad_(False)
    assert head.is_frozen_linear(frozen)
    assert not head.is_frozen_linear(torch.nn.Linear(4, 8, bias=False))
    assert not head.is_frozen_linear(torch.nn.Linear(4, 8).requires_grad_(False))


@pytest.mark.parametrize("seed", range(20))
def test_packing_holds_every_row_and_shares_what_is_shared(seed: int) -> None:
    """Each row can be read back; a beginning of LEAST or more common tokens is there once."""
    draw = random.Random(seed)
    rows: list[list[int]] = [[]]
    for _ in range(draw.randint(1, 12)):
        source = draw.choice(rows)
        kept = source[: draw.randint(0, len(source))]
        rows.append(kept + [draw.randint(0, 2) for _ in range(draw.randint(0, 30))])
    packing = pack(rows)
    first = [sum(packing.lengths[:i]) for i in range(len(packing.lengths))]
    ends = {first[i] + n: i for i, n in enumerate(packing.lengths)}
    for number, row in enumerate(rows):
        if not row:
            assert number not in packing.starts
            continue
        places = [packing.place(number, t) for t in range(len(row))]
        assert [packing.tokens[p] for p in places] == row
        assert [packing.positions[p] for p in places] == list(range(len(row)))
        # The row is the runs before its last one and that run, in order.
        last = ends[places[-1] + 1]
        runs = (*packing.before[last], last)
        assert places == [first[r] + t for r in runs for t in range(packing.lengths[r])]
    for one in range(len(rows)):
        for two in range(one):
            both = min(len(rows[one]), len(rows[two]))
            alike = next((t for t in range(both) if rows[one][t] != rows[two][t]), both)
            shared = sum(packing.place(one, t) == packing.place(two, t) for t in range(alike))
            assert shared > alike - LEAST
    assert len(pack(rows, share=False).tokens) == sum(map(len, rows))

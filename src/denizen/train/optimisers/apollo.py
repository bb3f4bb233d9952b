"""APOLLO: the gradient itself, each channel scaled as Adam would (Zhu et al., arXiv:2412.05270).

Contract: moments live in a random projection of the shorter side to `rank`, drawn anew every `gap`
steps from a seed (it is never stored).  A channel's scale is the norm of Adam's step over that of
the gradient in the projection, times sqrt(side / rank), which is what the projection takes off
it (the paper's theorem).  A step's norm may grow by 1% at most (the paper's limiter).
"""

from __future__ import annotations

from typing import Any

import torch

from denizen.train.optimisers.base import ProjectedAdamW, adam

GROWTH = 1.01


class Apollo(ProjectedAdamW):
    """Gradient descent with AdamW's scale for each channel."""

    def direction(
        self, gradient: torch.Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> torch.Tensor:
        """G with every column (of the longer side) scaled."""
        tall = gradient.shape[0] > gradient.shape[1]
        wide = gradient.T if tall else gradient
        draw = (state["step"] - 1) // group["gap"]
        low = projection(group["rank"], len(wide), (state["number"], draw)).to(wide) @ wide
        length = low.norm(dim=0)
        wanted = adam(low, state, group).norm(dim=0)
        # Momentum goes on where the gradient is nothing, which has no direction to scale.
        least = torch.finfo(low.dtype).tiny
        scale = torch.where(length > least, wanted / length.clamp_min(least), 0.0)
        step = wide * scale * (len(wide) / len(low)) ** 0.5
        norm = step.norm()
        if "norm" in state and norm > GROWTH * state["norm"] > 0:
            step *= GROWTH * state["norm"] / norm
            norm = GROWTH * state["norm"]
        state["norm"] = norm
        return step.T if tall else step


def projection(rank: int, side: int, seed: tuple[int, int]) -> torch.Tensor:
    """Normal with variance 1 / rank, (min(rank, side), side): lengths are kept on average."""
    rank = min(rank, side)
    generator = torch.Generator().manual_seed((seed[0] << 32) + seed[1])
    return torch.randn(rank, side, generator=generator) / rank**0.5

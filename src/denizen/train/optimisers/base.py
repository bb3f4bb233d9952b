"""AdamW whose direction for some matrices comes from a low-rank projection of the gradient.

Contract: a group with rank 0 follows torch's AdamW; a group with a rank asks `direction`.  The
state holds tensors and numbers only, so a checkpoint resumes exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch


class ProjectedAdamW(torch.optim.Optimizer):  # type: ignore[misc]
    """`rank` of a group: of its projection, 0 for none; `gap`: steps between new projections."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        rank: int = 0,
        gap: int = 50,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "rank": rank,
                "gap": gap,
            },
        )

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state.update(step=0, number=len(self.state))
                state["step"] += 1
                rule = self.direction if group["rank"] else adam
                direction = rule(parameter.grad.float(), state, group)
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(direction.to(parameter.dtype), alpha=-group["lr"])
        return loss

    def direction(
        self, gradient: torch.Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> torch.Tensor:
        """What a projected matrix moves against, before the learning rate; same shape."""
        raise NotImplementedError


def adam(gradient: torch.Tensor, state: dict[str, Any], group: dict[str, Any]) -> torch.Tensor:
    """Adam's bias-corrected m / (sqrt(v) + eps); its moments are in `state`."""
    if "exp_avg" not in state:
        state["exp_avg"] = torch.zeros_like(gradient)
        state["exp_avg_sq"] = torch.zeros_like(gradient)
    one, two = group["betas"]
    mean, square, step = state["exp_avg"], state["exp_avg_sq"], state["step"]
    mean.lerp_(gradient, 1 - one)
    square.mul_(two).addcmul_(gradient, gradient, value=1 - two)
    root = (square / (1 - two**step)).sqrt_().add_(group["eps"])
    return (mean / (1 - one**step)).div_(root)

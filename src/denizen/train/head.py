"""Log-probabilities of chosen tokens out of a frozen output head, a few rows of logits at a time.

Contract: `log_probabilities` equals log-softmax of hidden W^T at each target, with the gradient
for `hidden`; never more than `CHUNK` logits exist.  Each value depends on its own row only, so the
row of its derivative, (W[target] - softmax W) / temperature, is made in the forward pass, where
the logits are; the backward pass scales it.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# Logits that exist at once: 96 MiB of float32.
CHUNK = 24 * 2**20


def is_frozen_linear(head: Any) -> bool:
    """Whether a model's output head is a frozen whole Linear without bias."""
    import torch

    return (
        type(head) is torch.nn.Linear
        and head.bias is None
        and type(head.weight) is torch.nn.Parameter
        and not head.weight.requires_grad
        and head.weight.shape == (head.out_features, head.in_features)
    )


def log_probabilities(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    targets: torch.Tensor,
    *,
    temperature: float = 1.0,
    entropy: bool = False,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Values (n,), float32, and entropies (n,) or None, of hidden (n, h) and targets (n,)."""
    values, entropies = _function().apply(hidden, weight, targets, temperature, entropy)
    return values, entropies if entropy else None


@cache
def _function() -> Any:
    import torch

    class LogProbabilities(torch.autograd.Function):  # type: ignore[misc]
        """log softmax(hidden W^T / temperature)[target]."""

        @staticmethod
        def forward(
            ctx: Any,
            hidden: torch.Tensor,
            weight: torch.Tensor,
            targets: torch.Tensor,
            temperature: float,
            entropy: bool,
        ) -> tuple[torch.Tensor, torch.Tensor]:
            rows = max(1, CHUNK // len(weight))
            values = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
            entropies = torch.empty_like(values) if entropy else values.new_empty(0)
            slopes = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
            for start in range(0, len(hidden), rows):
                part = slice(start, start + rows)
                target = targets[part, None]
                logits = (hidden[part] @ weight.T).float()
                if temperature != 1.0:
                    logits /= temperature
                logits -= logits.amax(-1, keepdim=True)
                chosen = logits.gather(1, target)
                weighted = logits.clone() if entropy else None
                total = logits.exp_().sum(-1, keepdim=True)
                values[part] = (chosen - total.log())[:, 0]
                if weighted is not None:
                    mean = weighted.mul_(logits).sum(-1, keepdim=True) / total
                    entropies[part] = (total.log() - mean)[:, 0]
                if slopes is not None:
                    probabilities = logits.div_(total).to(hidden.dtype)
                    slope = weight[targets[part]] - probabilities @ weight
                    slopes[part] = slope.div_(temperature)
            ctx.save_for_backward(slopes)
            ctx.mark_non_differentiable(entropies)
            return values, entropies

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor, _: torch.Tensor) -> Any:
            (slopes,) = ctx.saved_tensors
            return gradient.to(slopes.dtype)[:, None] * slopes, None, None, None, None

    return LogProbabilities

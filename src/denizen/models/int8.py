"""A frozen linear layer held as int8: one scale a row, absmax / 127 (symmetric).

Contract: the forward pass multiplies by exactly `to_float(*to_int8(weight))`, which only this
layer holds and only while it multiplies; the backward pass makes it again.  No gradient for the
weight.  A plain `torch.nn.Linear` to PEFT.  Import inside functions only: it imports torch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

_LEVELS = 127
# Rows that are floats at a time: blocks of a few hundred KiB leave no holes in the heap.
_ROWS = 64


def to_int8(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """int8 codes (out, in) and float32 scales (out, 1) of a matrix; a row of zeros has scale 1."""
    largest = torch.linalg.vector_norm(weight, torch.inf, dim=1, keepdim=True).float()
    scale = torch.where(largest > 0, largest / _LEVELS, 1.0)
    codes = torch.empty(weight.shape, dtype=torch.int8, device=weight.device)
    rows = (t.split(_ROWS) for t in (weight, scale, codes))
    for part, step, place in zip(*rows, strict=True):
        place.copy_((part / step).round_())
    return codes, scale


def to_float(
    codes: torch.Tensor, scale: torch.Tensor, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """What the codes stand for, shape (out, in), rounded to `dtype` once."""
    return codes.to(torch.float32).mul_(scale).to(dtype)


class _Product(torch.autograd.Function):  # type: ignore[misc]
    """x W^T with a gradient for x alone."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, codes: torch.Tensor, scale: torch.Tensor
    ) -> torch.Tensor:
        ctx.save_for_backward(codes, scale)
        return x @ to_float(codes, scale, x.dtype).T

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        codes, scale = ctx.saved_tensors
        return gradient @ to_float(codes, scale, gradient.dtype), None, None


class Int8Linear(nn.Linear):  # type: ignore[misc]
    """`linear` (float weights, left as it is) with its weight in int8."""

    scale: torch.Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear.in_features, linear.out_features, bias=False, device="meta")
        codes, scale = to_int8(linear.weight.detach())
        self.weight = nn.Parameter(codes, requires_grad=False)
        self.register_buffer("scale", scale)
        if linear.bias is not None:
            self.bias = nn.Parameter(linear.bias.detach().clone(), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., in) -> (..., out)."""
        y: torch.Tensor = _Product.apply(x, self.weight, self.scale)
        return y if self.bias is None else y + self.bias

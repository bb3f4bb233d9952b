"""Linear layers that share an input as one product: base weights and LoRA updates in one matrix.

y = x (W + s B A)^T needs one product where PEFT's layer makes three.  The matrix is made just
before it is used, in one scratch buffer for the whole model, and made again in the backward pass:
no copy of the weights is kept.  Folding costs r multiply-adds a weight where a product costs one
for every token, so it is about 1% of a step.  Exact up to float32 rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from denizen.models.quantised import FrozenWeight, is_quantised

if TYPE_CHECKING:
    import torch


class Part(NamedTuple):
    """One layer now: weight (out, in), bias (out,) or None; A (r, in), B (out, r) or None; s."""

    weight: torch.Tensor | FrozenWeight
    bias: torch.Tensor | None
    a: torch.Tensor | None
    b: torch.Tensor | None
    scale: float


class Source:
    """A linear layer, with or without LoRA, whose present `Part` can be asked for.

    `rounded` stands for the base weight while the adapter is on; `kept` is a folded copy for
    decoding, where one token at a time would not repay the folding.
    """

    def __init__(self, layer: Any, adapter: str) -> None:
        self.layer, self._adapter = layer, adapter
        self.adapted = hasattr(layer, "get_base_layer")
        self._base = layer.get_base_layer() if self.adapted else layer
        self.frozen = FrozenWeight(self._base) if is_quantised(self._base) else None
        self.rounded: torch.Tensor | None = None
        self.kept: torch.Tensor | None = None

    def part(self) -> Part | None:
        """What the layer computes now; None where it is not base + this adapter, or not frozen."""
        weight, bias = self._base.weight, self._base.bias
        if weight.requires_grad or (bias is not None and bias.requires_grad):
            return None
        weight = weight if self.frozen is None else self.frozen
        if not self.adapted or self.layer.disable_adapters:
            return Part(weight, bias, None, None, 0.0)
        if self.layer.merged or self.layer.active_adapters != [self._adapter]:
            return None
        a, b = (f[self._adapter].weight for f in (self.layer.lora_A, self.layer.lora_B))
        weight = weight if self.rounded is None else self.rounded
        return Part(weight, bias, a, b, self.layer.scaling[self._adapter])


def is_plain(layer: Any, adapter: str) -> bool:
    """A float32 or quantised Linear, or ordinary LoRA over one: what the folding is exact for."""
    import torch
    from peft.tuners.lora import LoraLayer

    if isinstance(layer, LoraLayer):
        return (
            adapter in layer.lora_A
            and _is_frozen_linear(layer.get_base_layer())
            and layer.lora_A[adapter].weight.dtype == torch.float32
            and isinstance(layer.lora_dropout[adapter], torch.nn.Identity)
            and not layer.lora_bias[adapter]
            and adapter not in layer.lora_variant
        )
    return _is_frozen_linear(layer)


def _is_frozen_linear(layer: Any) -> bool:
    import torch

    plain = type(layer) is torch.nn.Linear and layer.weight.dtype == torch.float32
    return plain or is_quantised(layer)


def factors(*groups: Sequence[Part]) -> list[torch.Tensor]:
    """A and B of every adapted part, in order: what an autograd function gets gradients for."""
    return [f for parts in groups for p in parts for f in (p.a, p.b) if f is not None]


class Scratch:
    """One buffer for folded weights; each use ends before the next begins."""

    def __init__(self) -> None:
        self._buffer: torch.Tensor | None = None

    def fold(self, parts: Sequence[Part]) -> torch.Tensor:
        """The parts' weights one below the other, (sum of out, in); valid until the next fold."""
        import torch

        if len(parts) == 1 and parts[0].a is None:
            return matrix(parts[0].weight)
        first = parts[0].weight
        rows = sum(len(p.weight) for p in parts)
        size = rows * first.shape[1]
        if self._buffer is None or self._buffer.numel() < size:
            self._buffer = torch.empty(size, dtype=first.dtype, device=first.device)
        folded = self._buffer[:size].view(rows, first.shape[1])
        for part, place in zip(parts, folded.split([len(p.weight) for p in parts]), strict=True):
            fold_into(part, place)
        return folded


def matrix(weight: torch.Tensor | FrozenWeight) -> torch.Tensor:
    """The float32 weight; of a quantised layer a new one."""
    return weight.made() if isinstance(weight, FrozenWeight) else weight


def fold_into(part: Part, place: torch.Tensor) -> None:
    """Write W + s B A to `place`."""
    import torch

    if isinstance(part.weight, FrozenWeight):
        weight = part.weight.write(place)
    elif part.a is None:
        weight = place.copy_(part.weight)
    else:
        weight = part.weight
    if part.a is not None and part.b is not None:
        torch.addmm(weight, part.b, part.a, alpha=part.scale, out=place)


def product(x: torch.Tensor, parts: Sequence[Part], scratch: Scratch) -> torch.Tensor:
    """x (tokens, in) times the folded weights, plus biases: (tokens, sum of out)."""
    import torch

    y = x @ scratch.fold(parts).T
    if any(p.bias is not None for p in parts):
        y += torch.cat([x.new_zeros(len(p.weight)) if p.bias is None else p.bias for p in parts])
    return y


def factor_gradients(
    x: torch.Tensor, gradient: torch.Tensor, parts: Sequence[Part]
) -> list[torch.Tensor]:
    """Gradients of A and B of the adapted parts from x (tokens, in) and dy (tokens, sum of out).

    The A of all parts meet x in one product each way.
    """
    import torch

    pieces = gradient.split([len(p.weight) for p in parts], dim=1)
    adapted = [
        (p.a, p.b, p.scale, piece)
        for p, piece in zip(parts, pieces, strict=True)
        if p.a is not None and p.b is not None
    ]
    if not adapted:
        return []
    ranks = [len(a) for a, *_ in adapted]
    down = (x @ torch.cat([a for a, *_ in adapted]).T).split(ranks, dim=1)
    up = torch.cat([(piece @ b).mul_(scale) for _, b, scale, piece in adapted], dim=1)
    to_a = (up.T @ x).split(ranks)
    found: list[torch.Tensor] = []
    for (_, _, scale, piece), low, of_a in zip(adapted, down, to_a, strict=True):
        found += [of_a, (piece.T @ low).mul_(scale)]
    return found

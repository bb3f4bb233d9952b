"""LoRA layers that multiply once: the adapter is folded into the weight for the length of a step.

y = x (W + s B A)^T needs one product where PEFT's layer makes three and two additions over the
whole activation; the backward pass forms the low-rank gradients directly.  Exact up to float32
rounding (a test compares loss and gradients with PEFT's own path).  Only the forward of PEFT's
Linear layers is replaced, on the instances of one model; saving and merging stay PEFT's.
With `round_to` the folded weight is the one a quantised file will hold; gradients go straight
through the rounding, whose error is held until the next call.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@cache
def _function() -> Any:
    import torch

    class FoldedLinear(torch.autograd.Function):  # type: ignore[misc]
        """x (W + s B A)^T with gradients for x, A and B."""

        @staticmethod
        def forward(
            ctx: Any,
            x: torch.Tensor,
            folded: torch.Tensor,
            a: torch.Tensor,
            b: torch.Tensor,
            scale: float,
        ) -> torch.Tensor:
            ctx.save_for_backward(x, folded, a, b)
            ctx.scale = scale
            return x @ folded.T

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> Any:
            x, folded, a, b = ctx.saved_tensors
            flat = gradient.reshape(-1, gradient.shape[-1])
            inputs = x.reshape(-1, x.shape[-1])
            to_x = (flat @ folded).view_as(x) if ctx.needs_input_grad[0] else None
            to_a = ((flat @ b).T @ inputs).mul_(ctx.scale)
            to_b = (flat.T @ (inputs @ a.T)).mul_(ctx.scale)
            return to_x, None, to_a, to_b, None

    return FoldedLinear


class FusedLora:
    """Folds every LoRA Linear of a PEFT model; call `refresh` before each step.

    Whether the adapter changed cannot be asked cheaply: fused optimisers do not count versions.
    """

    def __init__(self, model: torch.nn.Module, adapter: str = "default") -> None:
        import torch
        from peft.tuners.lora import Linear

        self._adapter = adapter
        named = [
            (name, m)
            for name, m in model.named_modules()
            if isinstance(m, Linear) and _plain(m, adapter)
        ]
        self.layers: list[Any] = [m for _, m in named]
        self._names = [f"{name.removeprefix('base_model.model.')}.weight" for name, _ in named]
        self._errors: list[torch.Tensor] = []
        self._folded = [torch.empty_like(layer.get_base_layer().weight) for layer in self.layers]
        self._original: list[Callable[..., Any]] = [layer.forward for layer in self.layers]
        for layer, folded in zip(self.layers, self._folded, strict=True):
            layer.forward = partial(self._forward, layer, folded)

    def refresh(self) -> None:
        """Fold the adapter's present values in (1-2% of a step)."""
        import torch

        with torch.no_grad():
            for layer, folded in zip(self.layers, self._folded, strict=True):
                a, b = self._factors(layer)
                weight = layer.get_base_layer().weight
                torch.addmm(weight, b, a, alpha=layer.scaling[self._adapter], out=folded)
            for folded, error in zip(self._folded, self._errors, strict=False):
                folded += error

    def round_to(self, rounding: Callable[[str, torch.Tensor], torch.Tensor]) -> None:
        """From now on add the error `rounding(name, weight)` makes on the present weights."""
        self._errors = []
        self.refresh()
        self._errors = [
            rounding(name, folded) - folded
            for name, folded in zip(self._names, self._folded, strict=True)
        ]

    def remove(self) -> None:
        """Give the layers their own forward back."""
        for layer in self.layers:
            del layer.__dict__["forward"]
        self.layers, self._folded, self._errors = [], [], []

    def _factors(self, layer: Any) -> tuple[torch.Tensor, torch.Tensor]:
        return layer.lora_A[self._adapter].weight, layer.lora_B[self._adapter].weight

    def _forward(self, layer: Any, folded: torch.Tensor, x: torch.Tensor, *_: Any) -> Any:
        if layer.disable_adapters:
            return layer.get_base_layer()(x)
        if layer.active_adapters != [self._adapter]:
            return type(layer).forward(layer, x)
        a, b = self._factors(layer)
        return _function().apply(x, folded, a, b, layer.scaling[self._adapter])


def _plain(layer: Any, adapter: str) -> bool:
    """Ordinary LoRA without bias, dropout or variants: what the folding is exact for."""
    import torch

    return (
        adapter in layer.lora_A
        and layer.get_base_layer().bias is None
        and isinstance(layer.lora_dropout[adapter], torch.nn.Identity)
        and not getattr(layer, "use_dora", {}).get(adapter, False)
        and layer.get_base_layer().weight.dtype == torch.float32
    )

"""LoRA layers that multiply once, and decoder layers run by two functions: the CPU's fast path.

The adapter is folded into the weight just before a product (`folding.py`); where a whole decoder
layer is known (`blocks.py`) its forward is replaced, else that of single PEFT Linear layers.  Exact
up to float32 rounding (tests compare loss and gradients with PEFT's own path); saving and merging
stay PEFT's.  With `round_to` the folded weight is the one a quantised file will hold; gradients
go straight through the rounding, whose error is held until the next call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from denizen.train.blocks import SAMPLED_TOKENS, FusedBlock, fuse_blocks
from denizen.train.folding import (
    Part,
    Scratch,
    Source,
    factor_gradients,
    factors,
    fold_into,
    is_plain,
    matrix,
    product,
)

if TYPE_CHECKING:
    import torch


@cache
def _function() -> Any:
    import torch

    class FoldedLinear(torch.autograd.Function):  # type: ignore[misc]
        """x (W + s B A)^T + bias with gradients for x, A and B."""

        @staticmethod
        def forward(
            ctx: Any, x: torch.Tensor, part: Part, scratch: Scratch, *_: torch.Tensor
        ) -> torch.Tensor:
            ctx.save_for_backward(x)
            ctx.part, ctx.scratch = part, scratch
            y = product(x.reshape(-1, x.shape[-1]), [part], scratch)
            return y.view(*x.shape[:-1], -1)

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> Any:
            (x,) = ctx.saved_tensors
            flat = gradient.reshape(-1, gradient.shape[-1])
            trained = factor_gradients(x.reshape(-1, x.shape[-1]), flat, [ctx.part])
            to_x = None
            if ctx.needs_input_grad[0]:
                to_x = (flat @ ctx.scratch.fold([ctx.part])).view_as(x)
            return to_x, None, None, *trained

    return FoldedLinear


class FusedLora:
    """Folds every LoRA Linear of a PEFT model and fuses the decoder layers it knows.

    `refresh` drops the folded copies that decoding keeps: call it whenever the adapter changed
    (that cannot be asked cheaply: fused optimisers do not count versions).
    """

    def __init__(self, model: torch.nn.Module, adapter: str = "default") -> None:
        from peft.tuners.lora import LoraLayer

        self._adapter, self._scratch = adapter, Scratch()
        found = {
            m: (name, Source(m, adapter))
            for name, m in model.named_modules()
            if isinstance(m, LoraLayer) and is_plain(m, adapter)
        }
        self.layers: list[Any] = list(found)
        self._names = [f"{n.removeprefix('base_model.model.')}.weight" for n, _ in found.values()]
        self._sources = [source for _, source in found.values()]
        self.blocks: list[FusedBlock] = []
        if found:
            base = model.get_base_model() if hasattr(model, "get_base_model") else model
            by_layer = {m: source for m, (_, source) in found.items()}
            self.blocks = fuse_blocks(
                base, lambda m: by_layer.get(m) or Source(m, adapter), adapter, self._scratch
            )
        for source in self._sources:
            source.layer.forward = partial(self._forward, source)

    def refresh(self) -> None:
        """Forget folded copies: the adapter has new values."""
        for source in self._sources:
            source.kept = None

    def round_to(self, rounding: Callable[[str, torch.Tensor], torch.Tensor]) -> None:
        """From now on add the error `rounding(name, weight)` makes on the present weights.

        Over a quantised base nothing is added: the errors would be a float for each of its weights.
        """
        import torch

        self.refresh()
        with torch.no_grad():
            for name, source in zip(self._names, self._sources, strict=True):
                source.rounded = None
                part = source.part()
                if part is None or source.frozen is not None:
                    continue
                folded = self._scratch.fold([part])
                # A copy: the rounding may hand its argument back, and the scratch is used again.
                source.rounded = rounding(name, folded).sub(folded).add_(matrix(part.weight))

    @contextmanager
    def unrounded(self) -> Iterator[None]:
        """The weights as they are, without the errors of `round_to`."""
        held = [source.rounded for source in self._sources]
        for source in self._sources:
            source.rounded = None
        self.refresh()
        try:
            yield
        finally:
            for source, rounded in zip(self._sources, held, strict=True):
                source.rounded = rounded
            self.refresh()

    def remove(self) -> None:
        """Give all layers their own forward back."""
        for layer in self.layers:
            del layer.__dict__["forward"]
        for block in self.blocks:
            block.remove()
        self.layers, self.blocks, self._sources, self._names = [], [], [], []

    def weights(self) -> dict[str, torch.Tensor]:
        """What each adapted layer multiplies with now, by the name of its weight (copies)."""
        import torch

        with torch.no_grad():
            return {
                name: self._scratch.fold([part]).clone()
                for name, source in zip(self._names, self._sources, strict=True)
                if (part := source.part()) is not None
            }

    def _forward(self, source: Source, x: torch.Tensor, *_: Any) -> torch.Tensor:
        import torch
        import torch.nn.functional as F

        part = source.part()
        if part is None or (part.a is None and source.frozen is not None):
            own: torch.Tensor = type(source.layer).forward(source.layer, x)
            return own
        if part.a is None:
            return F.linear(x, matrix(part.weight), part.bias)
        few = x.shape[:-1].numel() < SAMPLED_TOKENS and source.frozen is None
        if torch.is_grad_enabled() or not few:
            folded: torch.Tensor = _function().apply(x, part, self._scratch, *factors([part]))
            return folded
        if source.kept is None:
            source.kept = torch.empty_like(matrix(part.weight))
            fold_into(part, source.kept)
        return F.linear(x, source.kept, part.bias)

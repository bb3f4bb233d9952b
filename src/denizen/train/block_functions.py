"""The two halves of a Llama-like decoder layer with hand-written backward passes (float32).

`project` is RMSNorm, q/k/v and the rotation; `finish` is the output projection, the residuals,
RMSNorm and the gated MLP.  Attention lies between them and stays torch's own.  What is cheap to
compute again (norms, SiLU, folded weights) is not saved: a token costs the layer's input, q, k, v,
the attention's output, the second residual and the two MLP inputs.  Rows are tokens, flat.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from denizen.train.folding import Part, Scratch, factor_gradients, factors, product

if TYPE_CHECKING:
    import torch


class Norm(NamedTuple):
    """An RMSNorm: weight (hidden,) and epsilon."""

    weight: torch.Tensor
    epsilon: float


class Projection(NamedTuple):
    """What `project` computes with; cos and sin have shape (tokens, 1, head)."""

    norm: Norm
    qkv: tuple[Part, ...]
    cos: torch.Tensor
    sin: torch.Tensor
    scratch: Scratch


class Rest(NamedTuple):
    """What `finish` computes with."""

    norm: Norm
    output: tuple[Part, ...]
    gate_up: tuple[Part, ...]
    down: tuple[Part, ...]
    scratch: Scratch


def project(x: torch.Tensor, settings: Projection) -> tuple[torch.Tensor, ...]:
    """q, k and v, each (tokens, its heads, head), of x (tokens, hidden)."""
    found: tuple[torch.Tensor, ...] = _functions()[0].apply(x, settings, *factors(settings.qkv))
    return found


def finish(attention: torch.Tensor, x: torch.Tensor, settings: Rest) -> torch.Tensor:
    """The layer's output (tokens, hidden) from attention (tokens, heads * head) and its input x."""
    trained = factors(settings.output, settings.gate_up, settings.down)
    found: torch.Tensor = _functions()[1].apply(attention, x, settings, *trained)
    return found


def _normed(x: torch.Tensor, norm: Norm, inverse: torch.Tensor) -> torch.Tensor:
    return (x * inverse).mul_(norm.weight)


def _inverse(x: torch.Tensor, norm: Norm) -> torch.Tensor:
    return x.square().mean(-1, keepdim=True).add_(norm.epsilon).rsqrt_()


def _through_norm(
    gradient: torch.Tensor, x: torch.Tensor, norm: Norm, inverse: torch.Tensor
) -> torch.Tensor:
    """The gradient for x; `gradient` is overwritten."""
    import torch

    gradient.mul_(norm.weight)
    along = torch.linalg.vecdot(gradient, x).unsqueeze(-1) * inverse.pow(3) / x.shape[-1]
    return gradient.mul_(inverse).addcmul_(x, along, value=-1)


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> None:
    """Rotary embedding in place on (tokens, heads, head), halves as transformers has them."""
    half = x.shape[-1] // 2
    one, two = x[..., :half], x[..., half:]
    turned = (one * cos[..., :half]).addcmul_(two, sin[..., :half], value=-1)
    two.mul_(cos[..., half:]).addcmul_(one, sin[..., half:])
    one.copy_(turned)


def _rotate_back(
    gradient: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, out: torch.Tensor
) -> None:
    """The rotation's transpose, from `gradient` to `out`."""
    import torch

    half = gradient.shape[-1] // 2
    one, two = gradient[..., :half], gradient[..., half:]
    torch.mul(one, cos[..., :half], out=out[..., :half]).addcmul_(two, sin[..., half:])
    torch.mul(two, cos[..., half:], out=out[..., half:]).addcmul_(one, sin[..., :half], value=-1)


@cache
def _functions() -> tuple[Any, Any]:
    import torch
    import torch.nn.functional as F

    class Project(torch.autograd.Function):  # type: ignore[misc]
        """Input norm, q, k, v, rotation."""

        @staticmethod
        def forward(ctx: Any, x: torch.Tensor, settings: Projection, *_: torch.Tensor) -> Any:
            inverse = _inverse(x, settings.norm)
            normed = _normed(x, settings.norm, inverse)
            flat = product(normed, settings.qkv, settings.scratch)
            heads = [len(p.weight) // settings.cos.shape[-1] for p in settings.qkv]
            qkv = flat.view(len(x), sum(heads), settings.cos.shape[-1])
            _rotate(qkv[:, : -heads[2]], settings.cos, settings.sin)
            ctx.save_for_backward(x, inverse)
            ctx.settings, ctx.heads = settings, heads
            return qkv.split(heads, dim=1)

        @staticmethod
        def backward(ctx: Any, to_q: torch.Tensor, to_k: torch.Tensor, to_v: torch.Tensor) -> Any:
            (x, inverse), settings = ctx.saved_tensors, ctx.settings
            gradient = x.new_empty(len(x), sum(ctx.heads), to_q.shape[-1])
            q, k, v = gradient.split(ctx.heads, dim=1)
            _rotate_back(to_q, settings.cos, settings.sin, q)
            _rotate_back(to_k, settings.cos, settings.sin, k)
            v.copy_(to_v)
            flat = gradient.view(len(x), -1)
            normed = _normed(x, settings.norm, inverse)
            trained = factor_gradients(normed, flat, settings.qkv)
            to_x = None
            if ctx.needs_input_grad[0]:
                torch.mm(flat, settings.scratch.fold(settings.qkv), out=normed)
                to_x = _through_norm(normed, x, settings.norm, inverse)
            return to_x, None, *trained

    class Finish(torch.autograd.Function):  # type: ignore[misc]
        """Output projection, residual, norm, gated MLP, residual."""

        @staticmethod
        def forward(
            ctx: Any,
            attention: torch.Tensor,
            x: torch.Tensor,
            settings: Rest,
            *_: torch.Tensor,
        ) -> torch.Tensor:
            middle = product(attention, settings.output, settings.scratch).add_(x)
            inverse = _inverse(middle, settings.norm)
            normed = _normed(middle, settings.norm, inverse)
            both = product(normed, settings.gate_up, settings.scratch)
            del normed
            gate, up = both.chunk(2, dim=1)
            inner = F.silu(gate).mul_(up)
            ctx.save_for_backward(attention, middle, inverse, both)
            ctx.settings = settings
            return product(inner, settings.down, settings.scratch).add_(middle)

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> Any:
            attention, middle, inverse, both = ctx.saved_tensors
            settings, scratch = ctx.settings, ctx.settings.scratch
            gate, up = both.chunk(2, dim=1)
            opened = F.silu(gate)
            inner = opened * up
            of_down = factor_gradients(inner, gradient, settings.down)
            to_inner = torch.mm(gradient, scratch.fold(settings.down), out=inner)
            to_both = torch.empty_like(both)
            to_gate, to_up = to_both.chunk(2, dim=1)
            torch.mul(to_inner, opened, out=to_up)
            del opened
            torch.ops.aten.silu_backward(to_inner.mul_(up), gate, grad_input=to_gate)
            del inner, to_inner
            normed = _normed(middle, settings.norm, inverse)
            of_gate_up = factor_gradients(normed, to_both, settings.gate_up)
            torch.mm(to_both, scratch.fold(settings.gate_up), out=normed)
            del to_both, to_gate, to_up
            to_middle = _through_norm(normed, middle, settings.norm, inverse).add_(gradient)
            of_output = factor_gradients(attention, to_middle, settings.output)
            to_attention = None
            if ctx.needs_input_grad[0]:
                to_attention = to_middle @ scratch.fold(settings.output)
            to_x = to_middle if ctx.needs_input_grad[1] else None
            return to_attention, to_x, None, *of_output, *of_gate_up, *of_down

    return Project, Finish

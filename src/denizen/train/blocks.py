"""Decoder layers of Llama and Qwen2 run by two hand-written functions instead of forty modules.

Contract: only the forward of single layer instances is replaced; `remove` gives it back.  A layer
is taken only if it is exactly what `block_functions.py` computes (class, SiLU, RMSNorm, torch's
attention without window or dropout, float32 on the CPU), and a call falls back to the layer's own
forward whenever it is anything else: another adapter, a trained base weight, a few tokens, options.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from denizen.train.block_functions import Norm, Projection, Rest, finish, project
from denizen.train.folding import Part, Scratch, Source, is_plain

if TYPE_CHECKING:
    import torch

# Fewer tokens do not repay the folding (a rank of 16 costs about 16 of them).
FEW_TOKENS = 48
# A sampler that takes fewer at a time folds once for all of its passes, and keeps the copies.
SAMPLED_TOKENS = 512
_QKV = ("q_proj", "k_proj", "v_proj")
_OUTPUT = ("o_proj",)
_GATE_UP = ("gate_proj", "up_proj")
_DOWN = ("down_proj",)


class BlockNow(NamedTuple):
    """A layer's weights at this moment, by the product they take part in."""

    qkv: tuple[Part, ...]
    output: tuple[Part, ...]
    gate_up: tuple[Part, ...]
    down: tuple[Part, ...]


class FusedBlock:
    """One decoder layer with its forward replaced."""

    def __init__(
        self, layer: Any, sources: Callable[[Any], Source], config: Any, scratch: Scratch
    ) -> None:
        self.layer, self._config, self._scratch = layer, config, scratch
        attention, mlp = layer.self_attn, layer.mlp
        self._groups = [
            tuple(sources(getattr(owner, name)) for name in names)
            for owner, names in (
                (attention, _QKV),
                (attention, _OUTPUT),
                (mlp, _GATE_UP),
                (mlp, _DOWN),
            )
        ]
        self._foldable = all(s.frozen is None for group in self._groups for s in group)
        self._before = _norm(layer.input_layernorm)
        self._after = _norm(layer.post_attention_layernorm)
        layer.forward = self.forward

    def now(self) -> BlockNow | None:
        """The present weights; None where the functions would not be exact."""
        if self._before.weight.requires_grad or self._after.weight.requires_grad:
            return None
        if self._config._attn_implementation != "sdpa":
            return None
        found = []
        for group in self._groups:
            parts = tuple(part for s in group if (part := s.part()) is not None)
            if len(parts) < len(group):
                return None
            found.append(parts)
        return BlockNow(*found)

    def project(
        self, x: torch.Tensor, now: BlockNow, cos: torch.Tensor, sin: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """q, k, v, each (tokens, its heads, head), of x (tokens, hidden)."""
        return project(x, Projection(self._before, now.qkv, cos, sin, self._scratch))

    def finish(self, attention: torch.Tensor, x: torch.Tensor, now: BlockNow) -> torch.Tensor:
        """The layer's output of the attention's (tokens, heads * head) and the input x."""
        rest = Rest(self._after, now.output, now.gate_up, now.down, self._scratch)
        return finish(attention, x, rest)

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: Any = None,
        use_cache: bool | None = False,
        position_embeddings: Any = None,
        **options: Any,
    ) -> torch.Tensor:
        """What the layer's own forward returns; x is (rows, time, hidden)."""
        import torch

        rows, time, width = hidden_states.shape
        tracked = torch.is_grad_enabled()
        sampling = self._foldable and past_key_values is not None and not tracked
        enough = rows * time >= (SAMPLED_TOKENS if sampling else FEW_TOKENS)
        usual = not options and position_embeddings is not None
        now = self.now() if enough and usual else None
        if now is None:
            own: torch.Tensor = type(self.layer).forward(
                self.layer,
                hidden_states,
                attention_mask=attention_mask,
                position_ids=position_ids,
                past_key_values=past_key_values,
                use_cache=use_cache,
                position_embeddings=position_embeddings,
                **options,
            )
            return own
        flat = hidden_states.reshape(rows * time, width)
        cos, sin = (t.expand(rows, -1, -1).reshape(len(flat), 1, -1) for t in position_embeddings)
        q, k, v = (
            part.view(rows, time, *part.shape[1:]).transpose(1, 2)
            for part in self.project(flat, now, cos, sin)
        )
        attention = self.layer.self_attn
        if past_key_values is not None:
            k, v = past_key_values.update(k, v, attention.layer_idx)
        out = _attend()(attention, q, k, v, attention_mask, dropout=0.0, scaling=attention.scaling)
        mixed = out[0].reshape(len(flat), -1)
        return self.finish(mixed, flat, now).view_as(hidden_states)

    def remove(self) -> None:
        """Give the layer its own forward back."""
        del self.layer.__dict__["forward"]


def fuse_blocks(
    model: Any, sources: Callable[[Any], Source], adapter: str, scratch: Scratch
) -> list[FusedBlock]:
    """Fuse the decoder layers of a transformers causal LM that can be; `sources` wraps a Linear."""
    decoder = getattr(model, model.base_model_prefix, None)
    if decoder is None or not is_known(decoder, model.config):
        return []
    return [
        FusedBlock(layer, sources, model.config, scratch)
        for layer in decoder.layers
        if _fusable(layer, adapter)
    ]


def fused_blocks(decoder: Any) -> list[FusedBlock]:
    """The decoder's fused layers in order; empty unless all of them are fused."""
    found = [getattr(layer.forward, "__self__", None) for layer in getattr(decoder, "layers", ())]
    blocks = [block for block in found if isinstance(block, FusedBlock)]
    return blocks if len(blocks) == len(found) else []


def is_known(decoder: Any, config: Any) -> bool:
    """Whether the decoder is a Llama or Qwen2 without window or dropout."""
    from transformers.models.llama.modeling_llama import LlamaModel
    from transformers.models.qwen2.modeling_qwen2 import Qwen2Model

    return (
        type(decoder) in (LlamaModel, Qwen2Model)
        and config.hidden_act == "silu"
        and not config.attention_dropout
        and not getattr(decoder, "has_sliding_layers", False)
    )


def _fusable(layer: Any, adapter: str) -> bool:
    import torch
    from transformers.models.llama.modeling_llama import LlamaDecoderLayer
    from transformers.models.qwen2.modeling_qwen2 import Qwen2DecoderLayer

    if type(layer) not in (LlamaDecoderLayer, Qwen2DecoderLayer) or "forward" in layer.__dict__:
        return False
    weight = layer.input_layernorm.weight
    linears = [getattr(layer.self_attn, name) for name in (*_QKV, *_OUTPUT)]
    linears += [getattr(layer.mlp, name) for name in (*_GATE_UP, *_DOWN)]
    return (
        weight.dtype == torch.float32
        and weight.device.type == "cpu"
        and all(is_plain(linear, adapter) for linear in linears)
    )


def _norm(module: Any) -> Norm:
    return Norm(module.weight, module.variance_epsilon)


def _attend() -> Any:
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    return ALL_ATTENTION_FUNCTIONS["sdpa"]

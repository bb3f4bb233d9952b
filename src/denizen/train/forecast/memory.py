"""Peak memory of a training step on a GPU, part by part, for every method and model size.

Contract: bytes a GPU; an estimate from shapes.  Frozen weights are bf16 (qlora: NF4 with double
quantisation, 4.127 bits, arXiv:2305.14314); what is trained, an adapter or the whole model, is
float32 with the optimiser's moments (FSDP2 shards it).  The CPU's peak is measured by the probe
instead; `train/memory.py` is what decides about checkpointing there.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from denizen.project.config import Config
from denizen.train.forecast.flops import Shape
from denizen.train.head import CHUNK
from denizen.train.methods import find_adapter
from denizen.train.refusals import ONLINE

_BF16, _FLOAT = 2, 4
_NF4 = 4.127 / 8
# CUDA context, cuBLAS and attention workspaces.
_LIBRARIES = 1.0 * 2**30
# What the caching allocator reserves beyond what is in use.
_SLACK = 1.10
_MOMENTS = 2


@dataclass(frozen=True)
class Memory:
    """Bytes on each GPU, by what holds them."""

    weights: float
    gradients: float
    optimiser: float
    activations: float
    head: float
    reference: float
    cache: float
    libraries: float = _LIBRARIES

    @property
    def total(self) -> int:
        """All of it, with the allocator's slack on what it hands out."""
        parts = sum(getattr(self, field.name) for field in fields(self))
        return int((parts - self.libraries) * _SLACK + self.libraries)


def trainable(shape: Shape, config: Config) -> int:
    """How many weights a method trains, with every linear layer adapted."""
    method, rank = config.adapter.method, config.adapter.rank
    if find_adapter(method).whole:
        return shape.parameters
    if method == "prompt":
        return config.adapter.virtual_tokens * shape.hidden
    if method == "prefix":
        return config.adapter.virtual_tokens * shape.layers * 2 * shape.kv
    # MoRA's square has as many weights as LoRA's two factors, but for rounding.
    factors = sum(rank * (a + b) for a, b in shape.linears)
    magnitudes = sum(b for _, b in shape.linears) if method == "dora" else 0
    return shape.layers * (factors + magnitudes)


def moments(shape: Shape, config: Config) -> int:
    """How many values the optimiser keeps."""
    rank = config.adapter.rank
    if config.adapter.method not in ("galore", "apollo"):
        return _MOMENTS * trainable(shape, config)
    low = sum(_MOMENTS * rank * max(a, b) for a, b in shape.linears)
    # GaLore keeps its basis too; APOLLO draws its projection anew from a seed.
    basis = sum(rank * min(a, b) for a, b in shape.linears)
    rest = _MOMENTS * (shape.parameters - shape.body)
    return rest + shape.layers * (low + (basis if config.adapter.method == "galore" else 0))


def peak(
    shape: Shape,
    config: Config,
    tokens: int,
    learnt: int,
    *,
    gpus: int = 1,
    checkpointing: bool = False,
) -> Memory:
    """A step of `tokens` tokens over `gpus` GPUs, each with its share of them (FSDP2)."""
    method = find_adapter(config.adapter.method)
    count, sharded = trainable(shape, config), gpus > 1
    tokens, learnt = -(-tokens // gpus), -(-learnt // gpus)
    layer = shape.body // shape.layers
    if config.adapter.method == "qlora":
        frozen = shape.body * _NF4 + (shape.parameters - shape.body) * _BF16
    else:
        frozen = 0 if method.whole else shape.parameters * _BF16
    # FSDP2 holds two layers, or the embeddings, whole at a time.
    embeddings = shape.vocab * shape.hidden
    gathered = _BF16 * max(2 * layer, embeddings) if sharded else 0
    online = config.train.objective in ONLINE
    rows = config.rl.prompts * config.rl.group if online else 0
    copies = method.whole and online and config.rl.kl > 0
    return Memory(
        weights=(frozen + count * _FLOAT) / gpus + gathered,
        gradients=count * _FLOAT / gpus,
        optimiser=moments(shape, config) * _FLOAT / gpus,
        activations=_activations(shape, tokens, adapted=not method.whole, again=checkpointing),
        head=_head(shape, learnt, frozen=not method.whole),
        reference=shape.parameters * _BF16 / gpus if copies else 0,
        cache=_cache(shape, rows * (config.train.max_length + config.rl.max_new_tokens)),
    )


def _activations(shape: Shape, tokens: int, *, adapted: bool, again: bool) -> float:
    """What the backward pass needs: of every layer, or (`again`) of one and the layers' inputs.

    A layer keeps, in bf16, inputs of its products, q, k, v, attention's output and four tensors of
    the gated MLP; both norms in float32; PEFT keeps the inputs of adapted layers in float32, too.
    """
    h, i, q, kv = shape.hidden, shape.inner, shape.q, shape.kv
    kept = _BF16 * (4 * h + 2 * q + 2 * kv + 4 * i) + _FLOAT * 2 * h
    if adapted:
        kept += _FLOAT * (2 * h + q + i)
    if not again:
        return float(tokens * kept * shape.layers)
    return float(tokens * (kept + _BF16 * h * shape.layers))


def _head(shape: Shape, learnt: int, *, frozen: bool) -> float:
    """Logits of the learnt tokens: chunks over a frozen head, else logits, softmax and gradient."""
    logits = shape.vocab * learnt
    return float(_FLOAT * (2 * min(logits, CHUNK) if frozen else 3 * logits))


def _cache(shape: Shape, tokens: int) -> float:
    """Keys and values of answers that are being sampled."""
    return float(_BF16 * 2 * shape.kv * shape.layers * tokens)

"""Useful floating-point operations of a LoRA step, and what this machine's GEMM does at its best.

Contract: counted is what the step's mathematics needs for the tokens that go through the model
(padding none, a shared beginning once): linear layers forward and backward to their inputs, the
adapters' gradients, causal attention (2 products forward, 4 backward), the head on supervised
positions.  Not counted, though spent: folding, recomputation, norms, activations, the optimiser.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from denizen.train.batch import IGNORED
from denizen.train.packing import Packing, pack


class Work(NamedTuple):
    """Operations of a step, by kind."""

    linear: int
    adapter: int
    attention: int
    head: int

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self)


def packed_rows(rows: Sequence[Any]) -> tuple[Packing, int, int]:
    """The runs of examples as `train/loss.py` makes them, supervised tokens, distinct places."""
    cut: list[list[int]] = []
    wanted: list[list[int]] = []
    learnt, places = 0, set[int]()
    for row in rows:
        positions = [t - 1 for t, label in enumerate(row.fields["labels"]) if label != IGNORED]
        wanted.append(positions)
        cut.append(list(row.fields["input_ids"][: positions[-1] + 1]))
        learnt += len(positions)
    packing = pack(cut)
    for number, positions in enumerate(wanted):
        places.update(packing.place(number, t) for t in positions)
    return packing, learnt, len(places)


def lora_step(config: Any, rank: int, rows: Sequence[Any]) -> Work:
    """Work of one step on `rows` (Examples) with rank-`rank` LoRA on all linear layers."""
    packing, supervised, places = packed_rows(rows)
    tokens, layers, hidden = len(packing.tokens), config.num_hidden_layers, config.hidden_size
    head = getattr(config, "head_dim", None) or hidden // config.num_attention_heads
    q, kv = head * config.num_attention_heads, head * config.num_key_value_heads
    before = [(hidden, q), (hidden, kv), (hidden, kv)]
    inner = config.intermediate_size
    after = [(q, hidden), (hidden, inner), (hidden, inner), (inner, hidden)]
    # After the last attention only the supervised places are gone on with.
    reach = [(before, tokens * layers), (after, tokens * (layers - 1) + places)]
    forward = sum(2 * i * o * count for shapes, count in reach for i, o in shapes)
    # Nothing below the first layer's q, k and v is trained.
    backward = forward - sum(2 * i * o * tokens for i, o in before)
    adapter = sum(4 * rank * (i + o) * count for shapes, count in reach for i, o in shapes)
    pairs = 0
    for run, length in enumerate(packing.lengths):
        ahead = sum(packing.lengths[b] for b in packing.before[run])
        pairs += length * ahead + length * (length + 1) // 2
    attention = 3 * 2 * 2 * q * pairs * layers
    return Work(forward + backward, adapter, attention, 4 * hidden * config.vocab_size * supervised)


def gemm_peak(size: int = 2048, repeats: int = 8) -> float:
    """The best of `repeats` float32 products of `size` cubed, in operations a second."""
    import torch

    a, b = torch.randn(size, size), torch.randn(size, size)
    out, best = torch.empty(size, size), float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        torch.mm(a, b, out=out)
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best

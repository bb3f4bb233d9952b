"""Floating-point operations of a step, from the architecture and what a batch really holds.

Contract: one multiply-add is two operations.  A Llama-like decoder is counted product by product
(Kaplan et al. 2020, arXiv:2001.08361, and causal attention); norms and activations are left out.
Shapes of models up to 70B are in assets/shapes.json; `parameters` equals what their makers publish.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from denizen.project.config import Config
from denizen.train.batch import IGNORED
from denizen.train.methods.base import Example
from denizen.train.packing import pack

ASSETS = Path(__file__).with_name("assets")
# Adapters whose every layer the CPU's fast path folds: rows with the same beginning share it.
_FOLDED = ("lora",)


@dataclass(frozen=True)
class Shape:
    """A Llama-like architecture."""

    name: str
    layers: int
    hidden: int
    inner: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    tied: bool
    qkv_bias: bool = False
    label: str = ""

    @property
    def q(self) -> int:
        """Width of all queries."""
        return self.heads * self.head_dim

    @property
    def kv(self) -> int:
        """Width of all keys (and of all values)."""
        return self.kv_heads * self.head_dim

    @property
    def linears(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) of a layer's linear modules: q, k, v, o, gate, up, down."""
        h, i, q, kv = self.hidden, self.inner, self.q, self.kv
        return ((h, q), (h, kv), (h, kv), (q, h), (h, i), (h, i), (i, h))

    @property
    def body(self) -> int:
        """Weights of all layers' linear modules."""
        return self.layers * sum(a * b for a, b in self.linears)

    @property
    def parameters(self) -> int:
        """All of them, embeddings and norms too."""
        bias = self.q + 2 * self.kv if self.qkv_bias else 0
        embeddings = self.vocab * self.hidden * (1 if self.tied else 2)
        return self.body + self.layers * (2 * self.hidden + bias) + self.hidden + embeddings


def shape_of(config: Any, name: str = "") -> Shape:
    """The shape of a transformers configuration of a Llama-like model."""
    heads = config.num_attention_heads
    return Shape(
        name or config.model_type,
        config.num_hidden_layers,
        config.hidden_size,
        config.intermediate_size,
        heads,
        getattr(config, "num_key_value_heads", None) or heads,
        getattr(config, "head_dim", None) or config.hidden_size // heads,
        config.vocab_size,
        bool(config.tie_word_embeddings),
        bool(getattr(config, "attention_bias", False)) or config.model_type == "qwen2",
    )


@cache
def known_shapes() -> tuple[Shape, ...]:
    """Published models from 135M to 70B, smallest first."""
    data = json.loads((ASSETS / "shapes.json").read_text("utf-8"))
    names = {field.name for field in fields(Shape)}
    return tuple(Shape(**{k: v for k, v in s.items() if k in names}) for s in data["shapes"])


class Load(NamedTuple):
    """What goes through the model: tokens, those projected to the vocabulary, and the pairs
    (token, earlier token or itself) that attention looks at."""

    tokens: int
    learnt: int
    pairs: int

    def __add__(self, other: object) -> Load:
        assert isinstance(other, Load)
        return Load(*(a + b for a, b in zip(self, other, strict=True)))


def total(loads: Iterable[Load]) -> Load:
    """Their sum."""
    return sum(loads, Load(0, 0, 0))


def forward_flops(shape: Shape, load: Load) -> int:
    """One pass without gradients."""
    head = 2 * shape.vocab * shape.hidden * load.learnt
    return 2 * shape.body * load.tokens + head + 4 * shape.q * shape.layers * load.pairs


def step_flops(shape: Shape, load: Load, *, whole: bool, checkpointing: bool = False) -> int:
    """Forward and backward: every product again for its input, and (`whole`) for its weight.

    An adapter's own products are left out: rank / width of the rest, about 5%.
    """
    return forward_flops(shape, load) * (2 + whole + checkpointing)


def load_of(examples: Sequence[Example], objective: str, *, packed: bool) -> Load:
    """The load of one batch: distinct beginnings once (`packed`), else padded rows.

    Of an online objective, whose answers are not written yet, the prompts' tokens.
    """
    rows: list[Sequence[int]] = []
    learnt = 0
    for example in examples:
        row, count = _rows_of(example)
        rows += row
        learnt += count
    if packed and objective != "pretrain":
        packing = pack(rows)
        ends = zip(packing.lengths, packing.before, strict=True)
        pairs = 0
        for length, before in ends:
            past = sum(packing.lengths[b] for b in before)
            pairs += length * past + length * (length + 1) // 2
        return Load(len(packing.tokens), learnt, pairs)
    width = max(map(len, rows))
    shared = _shared(rows) if objective not in ("pretrain", "reward") else 0
    own = width - shared
    tokens = shared + len(rows) * own
    pairs = shared * (shared + 1) // 2 + len(rows) * (own * shared + own * (own + 1) // 2)
    return Load(tokens, learnt, pairs)


def with_answers(load: Load, config: Config) -> Load:
    """An online step once its answers are sampled: `rl.group` for each question, of full length."""
    answers = config.rl.prompts * config.rl.group
    written = answers * config.rl.max_new_tokens
    mean = load.tokens / config.rl.prompts + config.rl.max_new_tokens / 2
    return Load(load.tokens + written, written, load.pairs + int(written * mean))


def is_packed(config: Config, precision: str) -> bool:
    """Whether the fast path that `load_of` calls packed is taken, as far as settings tell."""
    folds = config.adapter.method in _FOLDED and config.train.checkpointing != "on"
    return config.train.shortcuts and precision == "float32" and folds


def _rows_of(example: Example) -> tuple[list[Sequence[int]], int]:
    """An example's rows, each up to its last learnt token, and how many are learnt."""
    fields = example.fields
    if "chosen" in fields:
        pairs = [fields["chosen"], fields["rejected"]]
        return [[t for t, _ in pair] for pair in pairs], sum(s for p in pairs for _, s in p)
    if "answer" in fields:
        answer = fields["answer"]
        return [[*fields["prompt"], *(t for t, _ in answer)]], sum(s for _, s in answer)
    if "prompt" in fields:
        return [list(fields["prompt"].ids)], 0
    ids, labels = fields["input_ids"], fields["labels"]
    places = [n for n, label in enumerate(labels) if label != IGNORED]
    return [ids[: places[-1]] if places else ids], len(places)


def _shared(rows: Sequence[Sequence[int]]) -> int:
    """Length of the beginning that all rows have; a single row shares nothing."""
    if len(rows) == 1:
        return 0
    shortest = min(map(len, rows))
    first = rows[0]
    return next((t for t in range(shortest) if any(r[t] != first[t] for r in rows)), shortest)

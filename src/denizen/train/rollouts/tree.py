"""The model's side of sampling: branches of many prompts through one cache, under a tree mask.

Contract: row p of the cache is prompt p with all its branches side by side; a 4-D mask and explicit
positions give each branch the logits it would have alone.  Prompt-learning adapters' virtual tokens
and the text all prompts share are the start of every row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from denizen.models.prompt_learning import virtual_cache
from denizen.train.loss import MIN_PREFIX
from denizen.train.methods.base import plain
from denizen.train.rollouts.base import Prompt

if TYPE_CHECKING:
    import torch


@dataclass
class Path:
    """A branch as the model sees it.

    `fresh` are tokens not yet fed, `columns` the cache's columns it sees, `position` that of the
    next token.
    """

    fresh: list[int] = field(default_factory=list)
    columns: list[int] = field(default_factory=list)
    position: int = 0


class Growing(Protocol):
    """A tree in some engine: this one's, or llama.cpp's (`llama.py`)."""

    vocabulary: int
    shared: int
    """How many tokens all prompts share, which are not in a path's `fresh`."""

    def root(self) -> Path:
        """Where every prompt begins: behind what is shared."""
        ...

    def grow(self, paths: Mapping[int, Sequence[Path]]) -> Iterator[torch.Tensor]:
        """Next-token logits (vocabulary,) of each path, float32, in order; `paths` by prompt."""
        ...


class Tree:
    """One cache for a step's prompts; `grow` feeds every path's fresh tokens."""

    def __init__(self, model: Any, prompts: Sequence[Prompt]) -> None:
        import torch
        from transformers import DynamicCache

        inner = plain(model)
        self._decoder = getattr(inner, inner.base_model_prefix)
        self._head = inner.get_output_embeddings()
        self._device = inner.device
        self.vocabulary: int = self._head.weight.shape[0]
        self.shared = common_start(prompts)
        ids = torch.tensor([prompts[0].ids[: self.shared]], dtype=torch.long, device=self._device)
        self._cache = virtual_cache(model, ids)
        if self._cache is None:
            self._cache = DynamicCache()
            if self.shared:
                self._decoder(input_ids=ids, past_key_values=self._cache, use_cache=True)
        self._cache.batch_repeat_interleave(len(prompts))
        self._rows = list(range(len(prompts)))
        self._width = self._cache.get_seq_length()
        self._start = self._width

    def root(self) -> Path:
        """Where every prompt begins: behind what is shared."""
        return Path([], list(range(self._start)), self._start)

    def grow(self, paths: Mapping[int, Sequence[Path]]) -> Iterator[torch.Tensor]:
        """Next-token logits (vocabulary,) of each path, float32, in order; `paths` by prompt."""
        import torch

        self._drop(paths)
        fed = {number: [len(path.fresh) for path in some] for number, some in paths.items()}
        width = max(map(sum, fed.values()))
        ids = torch.zeros(len(fed), width, dtype=torch.long)
        positions = torch.zeros(len(fed), width, dtype=torch.long)
        hidden_from = torch.finfo(self._head.weight.dtype).min
        mask = torch.full((len(fed), 1, width, self._width + width), hidden_from)
        ends: list[tuple[int, int]] = []
        for row, some in enumerate(paths.values()):
            at = 0
            for path in some:
                size = len(path.fresh)
                columns = range(self._width + at, self._width + at + size)
                ids[row, at : at + size] = torch.tensor(path.fresh)
                positions[row, at : at + size] = path.position + torch.arange(size)
                mask[row, 0, at : at + size, path.columns] = 0
                own = torch.full((size, size), hidden_from).triu(1)
                mask[row, 0, at : at + size, columns.start : columns.stop] = own
                path.columns += columns
                path.position += size
                path.fresh = []
                at += size
                ends.append((row, at - 1))
        out = self._decoder(
            input_ids=ids.to(self._device),
            attention_mask=mask.to(self._device, self._head.weight.dtype),
            position_ids=positions.to(self._device),
            past_key_values=self._cache,
            use_cache=True,
        )
        self._width += width
        last = out.last_hidden_state[[row for row, _ in ends], [end for _, end in ends]]
        return iter(self._head(last).float().cpu())

    def _drop(self, paths: Mapping[int, Sequence[Path]]) -> None:
        """Take prompts that are answered out of the cache."""
        import torch

        kept = [row for row, number in enumerate(self._rows) if number in paths]
        if len(kept) < len(self._rows):
            self._cache.batch_select_indices(torch.tensor(kept, device=self._device))
            self._rows = [self._rows[row] for row in kept]


def common_start(prompts: Sequence[Prompt]) -> int:
    """Length of the beginning all prompts share, leaving a token to each; 0 if too short."""
    if len(prompts) < 2:
        return 0
    length = 0
    for tokens in zip(*(p.ids for p in prompts), strict=False):
        if len(set(tokens)) > 1:
            break
        length += 1
    length = min(length, min(len(p.ids) for p in prompts) - 1)
    return length if length >= MIN_PREFIX else 0

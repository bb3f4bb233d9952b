"""Rows as a tree of token runs: every distinct beginning of a batch goes through the model once.

Contract: `pack` cuts rows into runs such that rows with the same beginning share its runs; no
token is padding and none comes after the last one whose output is asked for.  `packed_hidden`
gives the hidden states at the places asked for, equal to those of the padded rows up to rounding:
a token sees its own run so far and the runs before it, at the positions they have in the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from denizen.train.blocks import BlockNow, FusedBlock, fused_blocks

if TYPE_CHECKING:
    import torch

# A shorter run is not worth an attention call of its own.
LEAST = 8


@dataclass(frozen=True)
class Packing:
    """Runs in order of the flat tokens.

    `tokens` and `positions` are of all runs joined; run i has `lengths[i]` tokens and comes after
    the runs `before[i]`.  `starts[row]` are (position in the row, place in `tokens`) of its runs.
    """

    tokens: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    before: list[tuple[int, ...]] = field(default_factory=list)
    starts: dict[int, tuple[tuple[int, int], ...]] = field(default_factory=dict)

    def place(self, row: int, position: int) -> int:
        """Where the token at a row's position is in `tokens`."""
        start, place = max(s for s in self.starts[row] if s[0] <= position)
        return place + position - start


def pack(rows: Sequence[Sequence[int]], *, share: bool = True) -> Packing:
    """Runs of the rows (empty ones are left out); each row is runs of its own unless `share`."""
    packing = Packing()
    whole = [i for i, row in enumerate(rows) if row]
    groups = [whole] if share else [[i] for i in whole]
    for group in groups:
        _grow(packing, rows, group, 0, (), ())
    return packing


def _grow(
    packing: Packing,
    rows: Sequence[Sequence[int]],
    group: list[int],
    start: int,
    before: tuple[int, ...],
    starts: tuple[tuple[int, int], ...],
) -> None:
    """Add the runs of rows that are alike up to `start`."""
    alike: dict[tuple[int, ...], list[int]] = {}
    for i in group:
        alike.setdefault(tuple(rows[i][start : start + LEAST]), []).append(i)
    for members in alike.values():
        end = _alike_until(rows, members, start)
        run = len(packing.lengths)
        reached = (*starts, (start, len(packing.tokens)))
        packing.tokens.extend(rows[members[0]][start:end])
        packing.positions.extend(range(start, end))
        packing.lengths.append(end - start)
        packing.before.append(before)
        longer = [i for i in members if len(rows[i]) > end]
        packing.starts.update({i: reached for i in members if len(rows[i]) == end})
        if longer:
            _grow(packing, rows, longer, end, (*before, run), reached)


def _alike_until(rows: Sequence[Sequence[int]], members: list[int], start: int) -> int:
    first, shortest = rows[members[0]], min(len(rows[i]) for i in members)
    for other in members[1:]:
        differing = (t for t in range(start, shortest) if rows[other][t] != first[t])
        shortest = next(differing, shortest)
    return shortest


def packable(decoder: Any) -> list[tuple[FusedBlock, BlockNow]]:
    """The decoder's fused layers and their present weights; empty if it must run as it is."""
    blocks = fused_blocks(decoder)
    now = [(block, weights) for block in blocks if (weights := block.now()) is not None]
    checkpointed = decoder.training and any(b.layer.gradient_checkpointing for b in blocks)
    return now if len(now) == len(blocks) and not checkpointed else []


def packed_hidden(
    decoder: Any,
    layers: Sequence[tuple[FusedBlock, BlockNow]],
    packing: Packing,
    places: Sequence[int],
) -> torch.Tensor:
    """Last hidden states (len(places), hidden) of `places` in the packing's tokens."""
    import torch

    device = decoder.embed_tokens.weight.device
    x = decoder.embed_tokens(torch.tensor(packing.tokens, device=device))
    positions = torch.tensor([packing.positions], device=device)
    cos, sin = (t[0].unsqueeze(1) for t in decoder.rotary_emb(x, position_ids=positions))
    wanted, back = torch.tensor(places, device=device).unique(return_inverse=True)
    masks = [_mask(packing, run, x) for run in range(len(packing.lengths))]
    for block, weights in layers:
        q, k, v = block.project(x, weights, cos, sin)
        mixed = _attention(q, k, v, packing, masks, block.layer.self_attn.scaling)
        if block is layers[-1][0]:
            # Above the last attention no token looks at another: the rest is not needed.
            mixed, x = mixed[wanted], x[wanted]
        x = block.finish(mixed, x, weights)
    out: torch.Tensor = decoder.norm(x)[back]
    return out


def _mask(packing: Packing, run: int, like: torch.Tensor) -> Any:
    """What is added to a run's scores; None where plain causal attention is meant."""
    import torch

    if not packing.before[run]:
        return None
    queries = packing.lengths[run]
    ahead = sum(packing.lengths[b] for b in packing.before[run])
    unseen = torch.full((queries, ahead + queries), -torch.inf, dtype=like.dtype)
    return unseen.triu(ahead + 1).to(like.device)


def _attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    packing: Packing,
    masks: Sequence[Any],
    scaling: float,
) -> torch.Tensor:
    """Causal attention of each run to itself and the runs before it: (tokens, heads * head)."""
    import torch
    import torch.nn.functional as F

    # Splitting has one cheap backward; slicing would pad every run's gradient to all tokens.
    queries, keys, values = (
        [run.transpose(0, 1).unsqueeze(0) for run in t.split(packing.lengths)] for t in (q, k, v)
    )
    mixed = []
    for run, (query, mask) in enumerate(zip(queries, masks, strict=True)):
        seen = (*packing.before[run], run)
        out = F.scaled_dot_product_attention(
            query,
            torch.cat([keys[s] for s in seen], dim=2) if mask is not None else keys[run],
            torch.cat([values[s] for s in seen], dim=2) if mask is not None else values[run],
            attn_mask=mask,
            is_causal=mask is None,
            scale=scaling,
            enable_gqa=True,
        )
        mixed.append(out[0].transpose(0, 1))
    return torch.cat(mixed).flatten(1)

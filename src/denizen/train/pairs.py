"""Pairs of answers to one prompt: what both rows begin with goes through the model once.

A row holds the trunk (the prompt and the tokens both answers begin with), then the rest of the
chosen answer, then the rest of the rejected one.  A mask hides one answer from the other and the
positions of both go on from the trunk, so every token sees what it would see in a row of its own
(a test compares it with two plain rows); what all trunks begin with is computed once as well.
Fused layers take the rows as a tree of runs instead (`packing.py`): the same without padding.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from denizen.models.prompt_learning import virtual_cache
from denizen.train.head import is_frozen_linear, log_probabilities
from denizen.train.methods.base import Example, plain
from denizen.train.packing import Packing, pack, packable, packed_hidden

if TYPE_CHECKING:
    import torch

# Whose a token is: of both answers, of one of them, or of the prompt (asked for by ORPO).
TRUNK, CHOSEN, REJECTED, PROMPT = range(4)
PADDING = -1
# A shorter beginning of all trunks is not worth a pass of its own.
MIN_PREFIX = 8


class Sums(NamedTuple):
    """Log-probabilities of a batch of pairs summed by whose the tokens are, and their counts.

    `values` (float64) and `counts` have shape (4, pairs): rows TRUNK, CHOSEN, REJECTED, PROMPT.
    """

    values: torch.Tensor
    counts: torch.Tensor

    @property
    def chosen(self) -> torch.Tensor:
        """Log-probability of each whole chosen answer, shape (pairs,)."""
        return self.values[TRUNK] + self.values[CHOSEN]

    @property
    def rejected(self) -> torch.Tensor:
        """Log-probability of each whole rejected answer, shape (pairs,)."""
        return self.values[TRUNK] + self.values[REJECTED]

    @property
    def lengths(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Learnt tokens of each chosen and each rejected answer, shapes (pairs,)."""
        return self.counts[TRUNK] + self.counts[CHOSEN], self.counts[TRUNK] + self.counts[REJECTED]


def pair_example(
    chosen: tuple[Sequence[int], Sequence[bool]],
    rejected: tuple[Sequence[int], Sequence[bool]],
    *,
    share: bool,
) -> Example:
    """Two rows of (ids, learnt or not) as an example; its length is what a batch will hold."""
    one, two = list(zip(*chosen, strict=True)), list(zip(*rejected, strict=True))
    trunk = 0
    while trunk < min(len(one), len(two)) and one[trunk] == two[trunk]:
        trunk += 1
    both = len(one) + len(two)
    return Example(
        both - trunk if share else 2 * max(len(one), len(two)),
        {"chosen": one, "rejected": two, "trunk": trunk},
    )


def collate_pairs(
    examples: Sequence[Example], *, share: bool, prompt: bool = False
) -> dict[str, torch.Tensor]:
    """Tensors of a batch of pairs.

    `input_ids`, `positions` and `parts` have shape (rows, width): one row a pair, or (without
    `share`) all chosen rows and then all rejected ones.  `sources` are flat positions whose hidden
    state predicts `targets`, `owners` say whose: part x pairs + pair.  `ends` (2 x pairs) are the
    flat positions of the last tokens.  With `prompt` the tokens before an answer are targets too.
    """
    import torch

    layouts = [_Layout(e, n, len(examples), share) for n, e in enumerate(examples)]
    count = len(examples) if share else 2 * len(examples)
    width = max(len(row) for layout in layouts for row in layout.rows.values())
    ids = torch.zeros(count, width, dtype=torch.long)
    positions, parts = torch.zeros_like(ids), torch.full_like(ids, PADDING)
    sources, targets, owners = [], [], []
    ends = torch.zeros(2 * len(examples), dtype=torch.long)
    for number, layout in enumerate(layouts):
        for row, cells in layout.rows.items():
            filled = torch.tensor(cells).T
            ids[row, : len(cells)], positions[row, : len(cells)] = filled[0], filled[1]
            parts[row, : len(cells)] = filled[2]
        for source, target, owner in layout.predictions(prompt):
            sources.append(source[0] * width + source[1])
            targets.append(target)
            owners.append(owner * len(examples) + number)
        for branch, (row, column) in enumerate(layout.ends()):
            ends[branch * len(examples) + number] = row * width + column
    return {
        "input_ids": ids,
        "positions": positions,
        "parts": parts,
        "sources": torch.tensor(sources),
        "targets": torch.tensor(targets),
        "owners": torch.tensor(owners),
        "ends": ends,
    }


def pair_sums(model: Any, batch: dict[str, torch.Tensor], *, trunk_gradient: bool = True) -> Sums:
    """Sums of log-probabilities of a batch of `collate_pairs`.

    Without `trunk_gradient` tokens of both answers carry none: where only a difference of the two
    is learnt from, theirs cancel.
    """
    import torch

    pairs = len(batch["ends"]) // 2
    owners, targets = batch["owners"], batch["targets"]
    hidden = pair_hidden(model, batch, batch["sources"])
    head = plain(model).get_output_embeddings()
    common = owners // pairs == TRUNK
    if trunk_gradient or not common.any():
        values = _logps(head, hidden, targets)
    else:
        with torch.no_grad():
            fixed = _logps(head, hidden.detach()[common], targets[common])
        values = torch.cat([fixed, _logps(head, hidden[~common], targets[~common])])
        owners = torch.cat([owners[common], owners[~common]])
    # Losses take small differences of these sums: float32 would leave them 5 figures.
    sums = torch.zeros(4 * pairs, dtype=torch.float64, device=values.device)
    counts = torch.bincount(owners, minlength=4 * pairs)
    return Sums(sums.index_add(0, owners, values.double()).view(4, -1), counts.view(4, -1))


def pair_hidden(model: Any, batch: dict[str, torch.Tensor], cells: torch.Tensor) -> torch.Tensor:
    """Last hidden states (n, hidden) at flat positions (n,) of a batch of `collate_pairs`."""
    import torch

    inner = plain(model)
    decoder = getattr(inner, inner.base_model_prefix)
    if layers := packable(decoder):
        packing, places = _pack(batch, cells)
        return packed_hidden(decoder, layers, packing, places)
    ids, parts = batch["input_ids"], batch["parts"]
    shared, first = 0, None
    cache = virtual_cache(model, ids[:1, :0])
    ahead = cache.get_seq_length() if cache is not None else 0
    forked = bool((parts > TRUNK).any())
    # A layer that is computed again in the backward pass gives no cache to share.
    again = model.training and inner.is_gradient_checkpointing
    if forked and not ahead and not again and (shared := _common_trunk(ids, parts)):
        begun = decoder(input_ids=ids[:1, :shared], use_cache=True)
        cache, first = begun.past_key_values, begun.last_hidden_state.expand(len(ids), -1, -1)
    if cache is not None:
        cache.batch_repeat_interleave(len(ids))
    # Rows of their own are right-padded: causal attention needs no mask.
    where: dict[str, Any] = {}
    if forked:
        where["attention_mask"] = _mask(parts, shared, ahead, inner.dtype)
        where["position_ids"] = batch["positions"][:, shared:] + ahead
    rest: torch.Tensor = decoder(
        input_ids=ids[:, shared:], past_key_values=cache, use_cache=cache is not None, **where
    ).last_hidden_state
    return (rest if first is None else torch.cat([first, rest], 1)).flatten(0, 1)[cells]


def can_share(model: Any) -> bool:
    """Whether rows may fork: every layer attends to all before it, under a mask it is given."""
    inner = plain(model)
    config = inner.config
    decoder = getattr(inner, inner.base_model_prefix)
    window = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    taken = set(inspect.signature(decoder.forward).parameters)
    return (
        not window
        and set(getattr(config, "layer_types", None) or ()) <= {"full_attention"}
        and getattr(config, "_attn_implementation", "") in ("sdpa", "eager")
        and {"position_ids", "past_key_values"} <= taken
    )


class _Layout:
    """Where the tokens of one pair stand: cells (row, column) of the batch."""

    def __init__(self, example: Example, number: int, pairs: int, share: bool) -> None:
        fields = example.fields
        self._answers = (fields["chosen"], fields["rejected"])
        self._trunk: int = fields["trunk"] if share else 0
        self._start = (number, number if share else number + pairs)
        self.rows: dict[int, list[tuple[int, int, int]]] = {}
        for branch, answer in enumerate(self._answers):
            row = self.rows.setdefault(self._start[branch], [])
            skipped = self._trunk if row else 0
            for place in range(skipped, len(answer)):
                own = CHOSEN + branch if share else TRUNK
                part = TRUNK if place < self._trunk else own
                row.append((answer[place][0], place, part))

    def cell(self, branch: int, place: int) -> tuple[int, int]:
        """Where token `place` of the chosen (0) or rejected (1) answer stands."""
        moved = branch and self._trunk and place >= self._trunk
        column = place - self._trunk + len(self._answers[0]) if moved else place
        return self._start[branch], column

    def predictions(self, prompt: bool) -> Iterator[tuple[tuple[int, int], int, int]]:
        """(cell that predicts, token, whose it is) of every target, a shared one once."""
        for branch, answer in enumerate(self._answers):
            begun = False
            for place in range(1, len(answer)):
                token, learnt = answer[place]
                begun = begun or learnt
                shared = place < self._trunk
                if shared and branch:
                    continue
                if learnt:
                    yield self.cell(branch, place - 1), token, TRUNK if shared else CHOSEN + branch
                elif prompt and not begun and not branch:
                    yield self.cell(branch, place - 1), token, PROMPT

    def ends(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Cells of the last token of both answers."""
        return self.cell(0, len(self._answers[0]) - 1), self.cell(1, len(self._answers[1]) - 1)


def _logps(head: Any, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    import torch.nn.functional as F

    if is_frozen_linear(head):
        return log_probabilities(hidden, head.weight, targets)[0]
    return -F.cross_entropy(head(hidden).float(), targets, reduction="none")


def _pack(batch: dict[str, torch.Tensor], cells: torch.Tensor) -> tuple[Packing, list[int]]:
    """A batch for fused layers: every distinct beginning of its answers once, and the places."""
    width = batch["input_ids"].shape[1]
    layout = [batch[key].tolist() for key in ("input_ids", "parts", "positions")]
    forked = bool((batch["parts"] > TRUNK).any())
    branches = (CHOSEN, REJECTED) if forked else (TRUNK,)
    wanted = []
    ends = [0] * (len(layout[0]) * len(branches))
    for cell in cells.tolist():
        row, column = divmod(cell, width)
        branch = int(forked and layout[1][row][column] == REJECTED)
        wanted.append((len(branches) * row + branch, layout[2][row][column]))
        ends[wanted[-1][0]] = max(ends[wanted[-1][0]], wanted[-1][1] + 1)
    answers = [
        [token for token, part in zip(ids, parts, strict=True) if part in (TRUNK, branch)]
        for ids, parts in zip(layout[0], layout[1], strict=True)
        for branch in branches
    ]
    rows = [answer[:end] for answer, end in zip(answers, ends, strict=True)]
    packing = pack(rows, share=forked)
    return packing, [packing.place(*where) for where in wanted]


def _common_trunk(ids: torch.Tensor, parts: torch.Tensor) -> int:
    """How many leading trunk tokens all rows have in common; 0 if not worth a pass."""
    if len(ids) < 2:
        return 0
    same = (ids == ids[:1]).all(0) & (parts == TRUNK).all(0)
    differing = (~same).nonzero()
    length = int(differing[0]) if len(differing) else ids.shape[1]
    return length if length >= MIN_PREFIX else 0


def _mask(parts: torch.Tensor, shared: int, ahead: int, dtype: torch.dtype) -> torch.Tensor:
    """Additive mask (rows, 1, queries, keys): back along the own answer, the trunk and what is
    `ahead` of it (virtual tokens)."""
    import torch

    width = parts.shape[1]
    order = torch.arange(width, device=parts.device)
    keys, queries = parts[:, None, :], parts[:, shared:, None]
    seen = (order <= order[shared:, None]) & ((keys == TRUNK) | (keys == queries))
    mask = torch.zeros(seen.shape, dtype=dtype, device=parts.device)
    mask.masked_fill_(~seen, torch.finfo(dtype).min)
    return torch.nn.functional.pad(mask, (ahead, 0))[:, None]

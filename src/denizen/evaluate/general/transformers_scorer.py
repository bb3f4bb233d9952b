"""Log-likelihoods from a transformers model, made fast for a CPU.

Contract: equal to one full forward a branch (float32: within 1e-3 nats).  Each item is one row, the
tree of its branches under a mask of ancestors (after SpecInfer's tree attention, Miao et al.,
2024); rows of like length share a batch of at most `tokens` places; only positions that are scored
go through the LM head; on a CPU each core takes batches of its own, as cores that wait for each
other at every product lose time.  A model whose attention heeds no such mask, which is tried on the
first item, is given one row a branch instead.  The model's train or eval mode is left as it was.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from denizen.evaluate.general.items import Branch
from denizen.evaluate.general.loglikelihood import Encode, Likelihood, Pair, encode_branch
from denizen.evaluate.general.trie import Trie, trie_of, visible
from denizen.models.prompt_learning import is_prompt_learning, virtual_cache

if TYPE_CHECKING:
    import torch

# Places a pass: more help no GEMM of a small model, and what lies between them leaves the cache.
TOKENS = 768
# Largest gap in nats, for each of the model's types, at which the tree counts as right.
_AGREE = {"float32": 1e-3, "bfloat16": 0.25, "float16": 0.05}


class TransformersScorer:
    """A causal LM and its tokenizer as a `Scorer`; adapters and virtual tokens included."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        tokens: int = TOKENS,
        encode: Encode | None = None,
    ) -> None:
        self._model, self._budget = model, tokens
        self._virtual = is_prompt_learning(model)
        self._forward = model.get_base_model() if hasattr(model, "peft_config") else model
        self._encode = encode or (lambda text: tokenizer(text)["input_ids"])
        config = self._forward.config.get_text_config()
        self._longest = int(getattr(config, "max_position_embeddings", None) or 2048)
        self._window = _window(config)
        self._trees: bool | None = None

    def __call__(self, items: Sequence[Sequence[Branch]]) -> list[list[Likelihood]]:
        """Likelihoods of every branch of every item, in order."""
        import torch

        pairs = [[encode_branch(b, self._encode, self._longest) for b in item] for item in items]
        was_training = bool(self._model.training)
        self._model.eval()
        try:
            with torch.inference_mode():
                return self._score(pairs)
        finally:
            self._model.train(was_training)

    def _score(self, items: list[list[Pair]]) -> list[list[Likelihood]]:
        rows: list[Trie] = []
        # Of each item's branches: (row, branch of the row).
        places: list[list[tuple[int, int]]] = []
        for pairs in items:
            tree = trie_of(pairs)
            if tree.chain or (self._fits(tree) and self._trusted(tree, pairs)):
                places.append([(len(rows), n) for n in range(len(pairs))])
                rows.append(tree)
            else:
                places.append([(len(rows) + n, 0) for n in range(len(pairs))])
                rows += [trie_of([pair]) for pair in pairs]
        found = self._run(rows)
        return [[found[row][branch] for row, branch in item] for item in places]

    def _fits(self, tree: Trie) -> bool:
        """A mask of ancestors has no window: a tree must be shorter than the model's."""
        return self._window is None or max(tree.depths) < self._window

    def _trusted(self, tree: Trie, pairs: list[Pair]) -> bool:
        """Whether the model heeds the mask; found out once, on the first tree with branches."""
        if self._trees is None:
            together = self._run([tree])[0]
            alone = [row[0] for row in self._run([trie_of([pair]) for pair in pairs])]
            kind = str(self._forward.dtype).removeprefix("torch.")
            gaps = (abs(a.nats - b.nats) for a, b in zip(together, alone, strict=True))
            self._trees = max(gaps) <= _AGREE.get(kind, 0.25)
        return self._trees

    def _run(self, rows: list[Trie]) -> list[list[Likelihood]]:
        """Likelihoods of each row's branches; long rows first, in batches of like length."""
        if not rows:
            return []
        order = sorted(range(len(rows)), key=lambda n: len(rows[n].tokens), reverse=True)
        # As many batches as all workers can share out evenly.
        workers, total = self._workers(), sum(len(row.tokens) for row in rows)
        budget = total / workers / math.ceil(total / workers / self._budget)
        groups: list[list[int]] = []
        while order:
            count = max(1, round(budget / len(rows[order[0]].tokens)))
            groups.append(order[:count])
            order = order[count:]
        found: list[list[Likelihood]] = [[] for _ in rows]
        with _Selecting(self._forward.get_output_embeddings()) as places:
            batches = self._side_by_side([[rows[n] for n in group] for group in groups], places)
            for group, results in zip(groups, batches, strict=True):
                for n, result in zip(group, results, strict=True):
                    found[n] = result
        return found

    def _side_by_side(
        self, batches: list[list[Trie]], places: _Selecting
    ) -> list[list[list[Likelihood]]]:
        """`_batch` of each, as many at once as there are workers, with one thread each."""
        import torch

        workers = min(self._workers(), len(batches))
        if workers == 1:
            return [self._batch(rows, places) for rows in batches]

        def one(rows: list[Trie]) -> list[list[Likelihood]]:
            with torch.inference_mode():  # a thread's own, like its number of threads
                return self._batch(rows, places)

        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(one, batches))

    def _workers(self) -> int:
        """On a CPU as many as torch may use threads."""
        import torch

        device = next(self._forward.parameters()).device
        return torch.get_num_threads() if device.type == "cpu" else 1

    def _batch(self, rows: list[Trie], places: _Selecting) -> list[list[Likelihood]]:
        import torch

        device = next(self._forward.parameters()).device
        width = max(len(row.tokens) for row in rows)
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        for n, row in enumerate(rows):
            ids[n, : len(row.tokens)] = torch.tensor(row.tokens)
        asked = [row.asked for row in rows]
        at = [(n, node) for n, nodes in enumerate(asked) for node in nodes]
        where = torch.tensor(at, device=device).T
        with places.only(where):
            logits = self._forward(ids.to(device), use_cache=False, **self._mask(rows, width))
        return _read(logits.logits, at, rows)

    def _mask(self, rows: list[Trie], width: int) -> dict[str, Any]:
        """What the forward needs besides the tokens: nothing for plain rows."""
        import torch

        if not self._virtual and all(row.chain for row in rows):
            return {}
        device, kind = next(self._forward.parameters()).device, self._forward.dtype
        depths = torch.zeros(len(rows), width, dtype=torch.long)
        seen = torch.zeros(len(rows), 1, width, width, dtype=torch.bool)
        for n, row in enumerate(rows):
            depths[n, : len(row.tokens)] = torch.tensor(row.depths)
            seen[n, 0] = torch.from_numpy(visible(row, width))
        given: dict[str, Any] = {}
        if self._virtual:
            cache = virtual_cache(self._model, torch.zeros(1, 0, dtype=torch.long, device=device))
            first = cache.get_seq_length()
            cache.batch_repeat_interleave(len(rows))
            seen = torch.nn.functional.pad(seen, (first, 0), value=True)
            depths = depths + first
            given = {"past_key_values": cache}
        mask = torch.zeros(seen.shape, dtype=kind).masked_fill_(~seen, torch.finfo(kind).min)
        return {"attention_mask": mask.to(device), "position_ids": depths.to(device), **given}


class _Selecting:
    """Lets the LM head see, of a thread's forward, the hidden states it asked for alone.

    A hook, so that whatever a model does to its logits afterwards is done to these.
    """

    def __init__(self, head: Any) -> None:
        self._head, self._wanted = head, threading.local()

    def __enter__(self) -> _Selecting:
        self._hook = self._head.register_forward_pre_hook(self._select)
        return self

    def __exit__(self, *_: object) -> None:
        self._hook.remove()

    @contextmanager
    def only(self, where: torch.Tensor) -> Iterator[None]:
        """(rows, columns) of what is wanted, shape (2, n); the head gives (1, n, vocabulary)."""
        self._wanted.where = where
        try:
            yield
        finally:
            self._wanted.where = None

    def _select(self, _: Any, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
        where = getattr(self._wanted, "where", None)
        return None if where is None else (given[0][where[0], where[1]][None],)


def _read(
    logits: torch.Tensor, at: list[tuple[int, int]], rows: list[Trie]
) -> list[list[Likelihood]]:
    import torch

    logits = logits[0].float()
    line = {place: n for n, place in enumerate(at)}
    flat = [
        (line[n, node], token)
        for n, row in enumerate(rows)
        for branch in row.targets
        for node, token in branch
    ]
    index, tokens = torch.tensor(flat, device=logits.device).T
    nats = (logits[index, tokens] - logits.logsumexp(-1)[index]).tolist()
    best = (logits.argmax(-1)[index] == tokens).tolist()
    found, start = [], 0
    for row in rows:
        each = []
        for branch in row.targets:
            stop = start + len(branch)
            each.append(Likelihood(sum(nats[start:stop]), all(best[start:stop])))
            start = stop
        found.append(each)
    return found


def _window(config: Any) -> int | None:
    """Tokens that a layer with a sliding window sees; None if all layers see everything."""
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None)
    if kinds is not None and all(kind == "full_attention" for kind in kinds):
        return None
    return int(window) if window else None

"""Greedy answers from a transformers model, many side by side, each under its own grammar.

Contract: prompts of similar length share a left-padded batch and one key-value cache; a shared
prefix (a long system prompt) is computed once.  Grammars are GBNF, compiled by llguidance; the
result is what one-by-one greedy decoding gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PAD = 0


class Generator:
    """A model, its tokenizer and the compiled token table for grammars."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        import llguidance.hf

        self.model, self.tokenizer = model, tokenizer
        self._vocabulary = model.get_output_embeddings().weight.shape[0]
        self._tokens = llguidance.hf.from_tokenizer(tokenizer, n_vocab=self._vocabulary)
        self._stops = {tokenizer.eos_token_id} - {None}

    def answer(
        self,
        prompts: Sequence[str],
        grammars: Sequence[str] | None = None,
        *,
        max_new_tokens: int = 128,
        batch: int = 32,
        on_done: Callable[[int], None] = lambda _: None,
    ) -> list[str]:
        """The greedy continuation of each prompt (rendered text), in order.

        `on_done(count)` is called after each batch with the number of answers it gave.
        """
        encoded = [self.tokenizer(p, add_special_tokens=False)["input_ids"] for p in prompts]
        order = sorted(range(len(prompts)), key=lambda i: len(encoded[i]))
        answers = [""] * len(prompts)
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            matchers = [self._matcher(grammars[i]) for i in chosen] if grammars else None
            for i, ids in zip(
                chosen,
                self._decode([encoded[i] for i in chosen], matchers, max_new_tokens),
                strict=True,
            ):
                answers[i] = self.tokenizer.decode(ids, skip_special_tokens=True)
            on_done(len(chosen))
        return answers

    def _matcher(self, grammar: str) -> Any:
        from llguidance import LLMatcher
        from llguidance.gbnf_to_lark import any_to_lark

        return LLMatcher(self._tokens, any_to_lark(grammar))

    def _decode(
        self, prompts: list[list[int]], matchers: list[Any] | None, max_new_tokens: int
    ) -> list[list[int]]:
        import torch

        with torch.inference_mode():
            shared = _common_prefix(prompts)
            cache = self._prefix_cache(prompts[0][:shared], len(prompts)) if shared > 8 else None
            shared = shared if cache is not None else 0
            width = max(map(len, prompts)) - shared
            count = len(prompts)
            ids = torch.full((count, width), PAD)
            real = torch.zeros(count, width, dtype=torch.long)
            for row, prompt in enumerate(prompts):
                rest = prompt[shared:]
                ids[row, width - len(rest) :] = torch.tensor(rest)
                real[row, width - len(rest) :] = 1
            mask = torch.cat([torch.ones(count, shared, dtype=torch.long), real], 1)
            positions = (mask.cumsum(1) - 1).clamp(min=0)[:, shared:]
            out = self.model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            return self._continue(out, mask, positions[:, -1], matchers, max_new_tokens)

    def _continue(
        self,
        out: Any,
        mask: torch.Tensor,
        position: torch.Tensor,
        matchers: list[Any] | None,
        max_new_tokens: int,
    ) -> list[list[int]]:
        import torch

        count = mask.shape[0]
        written: list[list[int]] = [[] for _ in range(count)]
        running = set(range(count))
        for _ in range(max_new_tokens):
            logits = out.logits[:, -1].float()
            if matchers is not None:
                logits = self._masked(logits, matchers, running)
            chosen = logits.argmax(-1)
            for row in list(running):
                token = int(chosen[row])
                if token in self._stops:
                    running.discard(row)
                    continue
                written[row].append(token)
                if matchers is not None:
                    matchers[row].consume_token(token)
                    if matchers[row].is_stopped():
                        running.discard(row)
            if not running:
                break
            mask = torch.cat([mask, mask.new_ones(count, 1)], 1)
            position = position + 1
            out = self.model(
                input_ids=chosen[:, None],
                attention_mask=mask,
                position_ids=position[:, None],
                past_key_values=out.past_key_values,
                use_cache=True,
            )
        return written

    def _masked(self, logits: torch.Tensor, matchers: list[Any], running: set[int]) -> torch.Tensor:
        from llguidance import torch as guide

        bits = guide.allocate_token_bitmask(len(matchers), self._vocabulary)
        for row in running:
            guide.fill_next_token_bitmask(matchers[row], bits, row)
        guide.apply_token_bitmask_inplace(logits, bits)
        return logits

    def _prefix_cache(self, ids: list[int], count: int) -> Any:
        import torch

        out = self.model(input_ids=torch.tensor([ids]), use_cache=True, logits_to_keep=1)
        out.past_key_values.batch_repeat_interleave(count)
        return out.past_key_values


def _common_prefix(prompts: list[list[int]]) -> int:
    """Length of the prefix all prompts share, leaving at least one token to each."""
    if len(prompts) < 2:
        return 0
    length = 0
    for tokens in zip(*prompts, strict=False):
        if len(set(tokens)) > 1:
            break
        length += 1
    return min(length, min(map(len, prompts)) - 1)

"""Greedy answers from a transformers model, many side by side, each under its own grammar.

Contract: prompts of similar length share a left-padded batch and one key-value cache; a shared
prefix (a long system prompt) is computed once, and text that a grammar forces is taken at once
instead of token by token.  Grammars are GBNF, compiled by llguidance; the result is what greedy
decoding of each prompt alone gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from denizen.models.matching import matcher_of
from denizen.models.prompt_learning import is_prompt_learning, virtual_cache

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PAD = 0


class Generator:
    """A model, its tokenizer and the compiled token table for grammars."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        import llguidance.hf

        self.model, self.tokenizer = model, tokenizer
        # Virtual tokens begin the cache; PEFT's own forward would put them in at every step.
        self._forward = model.get_base_model() if is_prompt_learning(model) else model
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
            matchers = [matcher_of(self._tokens, grammars[i]) for i in chosen] if grammars else None
            for i, ids in zip(
                chosen,
                self._decode([encoded[i] for i in chosen], matchers, max_new_tokens),
                strict=True,
            ):
                answers[i] = self.tokenizer.decode(ids, skip_special_tokens=True)
            on_done(len(chosen))
        return answers

    def _decode(
        self, prompts: list[list[int]], matchers: list[Any] | None, max_new_tokens: int
    ) -> list[list[int]]:
        import torch

        with torch.inference_mode():
            shared = _common_prefix(prompts)
            shared = shared if shared > 8 else 0
            cache = self._prefix_cache(prompts[0][:shared], len(prompts))
            before = cache.get_seq_length() if cache is not None else 0
            width = max(map(len, prompts)) - shared
            count = len(prompts)
            ids = torch.full((count, width), PAD)
            real = torch.zeros(count, width, dtype=torch.long)
            for row, prompt in enumerate(prompts):
                rest = prompt[shared:]
                ids[row, width - len(rest) :] = torch.tensor(rest)
                real[row, width - len(rest) :] = 1
            mask = torch.cat([torch.ones(count, before, dtype=torch.long), real], 1)
            positions = (mask.cumsum(1) - 1).clamp(min=0)[:, before:]
            out = self._forward(
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
        while running:
            logits = out.logits[:, -1].float()
            if matchers is not None:
                self._forbid(logits, matchers, running)
            chosen = logits.argmax(-1).tolist()
            fresh: list[list[int]] = [[] for _ in range(count)]
            for row in list(running):
                fresh[row] = self._accept(chosen[row], matchers[row] if matchers else None)
                written[row] += fresh[row]
                stopped = matchers is not None and matchers[row].is_stopped()
                if not fresh[row] or stopped or len(written[row]) >= max_new_tokens:
                    running.discard(row)
            if not running:
                break
            # Rows advance by different lengths: pad on the left so that every row ends last.
            width = max(len(fresh[row]) for row in running)
            ids = torch.full((count, width), PAD)
            real = torch.zeros(count, width, dtype=mask.dtype)
            for row in running:
                size = len(fresh[row])
                ids[row, width - size :] = torch.tensor(fresh[row])
                real[row, width - size :] = 1
            steps = position[:, None] + real.cumsum(1)
            position = position + real.sum(1)
            mask = torch.cat([mask, real], 1)
            out = self._forward(
                input_ids=ids,
                attention_mask=mask,
                position_ids=steps,
                past_key_values=out.past_key_values,
                use_cache=True,
                logits_to_keep=1,
            )
        return [ids[:max_new_tokens] for ids in written]

    def _accept(self, token: int, matcher: Any) -> list[int]:
        """The token and what the grammar then forces (nothing, if the token ends the answer)."""
        if token in self._stops:
            return []
        if matcher is None:
            return [token]
        matcher.consume_token(token)
        forced = list(matcher.compute_ff_tokens())
        if forced:
            matcher.try_consume_tokens(forced)
        return [token, *(t for t in forced if t not in self._stops)]

    def _forbid(self, logits: torch.Tensor, matchers: list[Any], running: set[int]) -> None:
        """Set the logits of tokens the grammars do not allow to minus infinity, in place.

        llguidance's own function for this goes through torch.compile, which wants a C++ compiler.
        """
        import torch
        from llguidance.torch import allocate_token_bitmask, fill_next_token_bitmask

        bits = allocate_token_bitmask(len(matchers), self._vocabulary)
        for row in running:
            fill_next_token_bitmask(matchers[row], bits, row)
        allowed = (bits[:, :, None] >> torch.arange(32)) & 1
        logits.masked_fill_(
            allowed.reshape(len(matchers), -1)[:, : logits.shape[1]] == 0, -torch.inf
        )

    def _prefix_cache(self, ids: list[int], count: int) -> Any:
        """The cache of what all rows share, virtual tokens included; None if that is nothing."""
        import torch

        cache = virtual_cache(self.model, torch.tensor([ids], dtype=torch.long))
        if cache is None and ids:
            cache = self.model(
                input_ids=torch.tensor([ids]), use_cache=True, logits_to_keep=1
            ).past_key_values
        if cache is not None:
            cache.batch_repeat_interleave(count)
        return cache


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

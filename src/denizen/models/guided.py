"""Greedy decoding of a GGUF under a grammar: llama.cpp is asked only where there is a choice.

Contract: what the grammar forces is taken at once and goes through the model as one batch; at a
choice llama.cpp gives the best of the allowed tokens.  The result is what greedy decoding under
the same grammar gives token by token (the transformers generator decodes alike, with the same
llguidance); a step that allows more than MAX_CHOICES tokens raises TooManyChoices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from denizen.models.gguf_vocabulary import Vocabulary
from denizen.models.matching import matcher_of

if TYPE_CHECKING:
    from llguidance import LLMatcher

MAX_CHOICES = 64

Tokenize = Callable[[str], list[int]]
# best(ids so far, allowed ids) -> the allowed id with the highest logit
Best = Callable[[list[int], Sequence[int]], int]


class TooManyChoices(ValueError):
    """The grammar leaves this step too open to ask for one token at a time."""


class GuidedDecoder:
    """The compiled token table of one GGUF; `decode` answers one prompt."""

    def __init__(self, vocabulary: Vocabulary, tokenize: Tokenize) -> None:
        from llguidance import LLTokenizer, TokenizerWrapper

        self._vocabulary = vocabulary
        source = _Source(vocabulary, tokenize)
        self._table = LLTokenizer(TokenizerWrapper(source), n_vocab=len(vocabulary.tokens))

    def decode(self, prompt: list[int], grammar: str, best: Best, limit: int) -> list[int]:
        """The ids of the answer, at most `limit`."""
        matcher = self.matcher(grammar)
        written: list[int] = []
        while not matcher.is_stopped() and len(written) < limit:
            forced = list(matcher.compute_ff_tokens())
            if not forced:
                allowed = self._allowed(matcher)
                forced = [best(prompt + written, allowed) if len(allowed) > 1 else allowed[0]]
            matcher.try_consume_tokens(forced)
            written += forced
        return [token for token in written if token not in self._vocabulary.control][:limit]

    def matcher(self, grammar: str) -> LLMatcher:
        """A fresh matcher of a grammar over this vocabulary."""
        return matcher_of(self._table, grammar)

    def text(self, ids: Sequence[int]) -> str:
        """The text of token ids."""
        return b"".join(self._vocabulary.tokens[i] for i in ids).decode("utf-8", "replace")

    def _allowed(self, matcher: Any) -> list[int]:
        import numpy as np

        mask = np.frombuffer(matcher.compute_logit_bias(), dtype=np.uint8)
        allowed: list[int] = np.flatnonzero(mask).tolist()
        if not 0 < len(allowed) <= MAX_CHOICES:
            raise TooManyChoices(f"{len(allowed)} tokens are possible")
        return allowed


class _Source:
    """What llguidance asks of a tokenizer."""

    def __init__(self, vocabulary: Vocabulary, tokenize: Tokenize) -> None:
        self.eos_token_id, self.bos_token_id = vocabulary.end, None
        self.tokens = list(vocabulary.tokens)
        self.special_token_ids = sorted(vocabulary.control)
        self._tokenize = tokenize

    def __call__(self, text: str) -> list[int]:
        if isinstance(text, bytes):  # llguidance probes with bytes, then keeps to str
            raise TypeError("text, not bytes")
        return self._tokenize(text)

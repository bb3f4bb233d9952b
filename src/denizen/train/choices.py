"""Where the grammar leaves a choice: what an answer's training tokens are worth.

Most tokens of a calculator call are forced by its decoding grammar once the tool and the spans
are chosen; decoding never asks the model for them.  `ChoiceCut` ends most rows after the last
token that is a choice, so that the same compute sees more questions.  The other rows stay whole:
they teach the format to runtimes that decode without the grammar.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from denizen.models import Message, Rendered, matcher_of
from denizen.tasks import Suite

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class ChoiceCut:
    """Cuts a share of the rows after their last choice; a pure function of (row number, seed)."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, suite: Suite, share: float, seed: int = 0
    ) -> None:
        import llguidance.hf

        self._suite, self._share, self._seed = suite, share, seed
        self._table = llguidance.hf.from_tokenizer(tokenizer, n_vocab=len(tokenizer))

    def __call__(self, number: int, messages: list[Message], row: Rendered) -> Rendered:
        """The row, cut or whole; a row whose answer is outside its grammar stays whole."""
        if random.Random(f"{self._seed}|{number}").random() >= self._share:
            return row
        questions = [m["content"] for m in messages if m["role"] == "user"]
        if len(questions) != 1:
            return row
        last = self.last_choice(questions[0], row)
        if last is None:
            return row
        return replace(
            row, input_ids=row.input_ids[: last + 1], supervised=row.supervised[: last + 1]
        )

    def last_choice(self, question: str, row: Rendered) -> int | None:
        """Position of the last answer token the grammar does not force; None outside it."""
        matcher = matcher_of(self._table, self._suite.grammar(question))
        position = row.supervised.index(True)
        last = None
        while not matcher.is_stopped() and position < len(row.input_ids):
            forced = list(matcher.compute_ff_tokens())
            if forced:
                if tuple(forced) != row.input_ids[position : position + len(forced)]:
                    return None
                matcher.try_consume_tokens(forced)
                position += len(forced)
            else:
                if not matcher.consume_token(row.input_ids[position]):
                    return None
                last = position
                position += 1
        return last

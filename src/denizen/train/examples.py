"""Rows to examples, for every objective: through the one chat renderer, with a ledger.

Contract: a row that is too long is dropped and counted, never cut in silence, and more of them than
`train.drop_budget` allows are refused; a row without a learnt token is refused.  Of a preference
only the answer is learnt, up to its end-of-turn token.  Text is read in windows of at most
`train.max_length` tokens, each beginning with the last token of the one before: every token of a
document, and the end-of-text token after it, is learnt once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from denizen.models import Message, Rendered, encode, render, render_prompt
from denizen.project.config import Config
from denizen.project.errors import DataError, TemplateError, TrainingError
from denizen.train.batch import IGNORED, rendered_example
from denizen.train.ledger import Ledger, tabulate
from denizen.train.methods.base import Example
from denizen.train.pairs import pair_example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Instruction-tuned models end a turn with their end token; text ends with an older one, if any.
_END_OF_TEXT = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>")
Cut = Callable[[int, list[Message], Rendered], Rendered]


class AnswerRow(NamedTuple):
    """A rendered conversation up to its last learnt token; `start` is where the answer begins."""

    ids: list[int]
    learnt: list[bool]
    start: int


def examples_of(
    objective: str,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Any],
    config: Config,
    *,
    cut: Cut = lambda _, __, row: row,
    on_row: Callable[[int], None] = lambda _: None,
) -> tuple[list[Example], Ledger]:
    """Examples of an objective that learns from fixed rows; raises TrainingError, DataError.

    Rows have `messages` (sft; `cut` may shorten them), `text` (pretrain), `prompt`, `chosen` and
    `rejected` (dpo, orpo, reward), or `prompt`, `completion` and `label` (kto).
    """
    train = config.train
    if objective == "sft":
        kept, ledger = tabulate(
            tokenizer,
            [row.messages for row in rows],
            max_length=train.max_length,
            drop_budget=train.drop_budget,
            cut=cut,
            on_row=on_row,
        )
        return [rendered_example(row) for row in kept], ledger
    if not rows:
        raise TrainingError(
            "the dataset is empty", where="training data", fix="build rows: denizen data build"
        )
    tally = _Tally(train.max_length)
    for row in rows:
        if objective == "pretrain":
            tally.text(tokenizer, row)
        elif objective == "kto":
            tally.single(tokenizer, row)
        else:
            tally.pair(tokenizer, row, train.shortcuts)
        on_row(1)
    return tally.examples, tally.ledger(train.drop_budget)


def answer_row(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    prompt: Sequence[Message] | None = None,
) -> AnswerRow:
    """The row of a conversation; what comes after `prompt` (default: the last turn) is learnt."""
    before = messages[:-1] if prompt is None else prompt
    rendered = render(tokenizer, list(messages))
    head = encode(tokenizer, render_prompt(tokenizer, list(before)))
    ids, start = list(rendered.input_ids), len(head)
    if ids[:start] != head:
        raise TemplateError(
            "the prompt's tokens change when an answer follows",
            where=repr(rendered.text[:60]),
            fix="use the base model's own chat template",
        )
    learnt = [s and n >= start for n, s in enumerate(rendered.supervised)]
    if not any(learnt):
        return AnswerRow([], [], 0)
    end = len(learnt) - learnt[::-1].index(True)
    return AnswerRow(ids[:end], learnt[:end], start)


def end_of_text(tokenizer: PreTrainedTokenizerBase) -> int:
    """The token that parts documents: the tokenizer's end-of-text token, or its end token."""
    known = tokenizer.get_vocab()
    found = next((known[t] for t in _END_OF_TEXT if t in known), tokenizer.eos_token_id)
    if found is None:
        raise TrainingError(
            "the tokenizer has no end-of-text token",
            where="model.base",
            fix="choose a base model whose tokenizer has an eos token",
        )
    return int(found)


class _Tally:
    """Examples so far, and where every row and token went."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.examples: list[Example] = []
        self._rows = self._kept = self._tokens = self._dropped = self._learnt = self._longest = 0

    def pair(self, tokenizer: PreTrainedTokenizerBase, row: Any, share: bool) -> None:
        """A prompt with a chosen and a rejected answer."""
        answers = [self._answer(tokenizer, row, answer) for answer in (row.chosen, row.rejected)]
        if answers[0].ids == answers[1].ids:
            raise DataError(
                "the chosen and the rejected answer are the same",
                where=row.id,
                fix="remove the row or mend one of the two",
            )
        if self._count([len(a.ids) for a in answers], sum(sum(a.learnt) for a in answers)):
            chosen, rejected = ((a.ids, a.learnt) for a in answers)
            self.examples.append(pair_example(chosen, rejected, share=share))

    def single(self, tokenizer: PreTrainedTokenizerBase, row: Any) -> None:
        """A prompt with one answer, good or bad."""
        answer = self._answer(tokenizer, row, row.completion)
        if self._count([len(answer.ids)], sum(answer.learnt)):
            fields = {
                "prompt": answer.ids[: answer.start],
                "answer": list(zip(answer.ids, answer.learnt, strict=True))[answer.start :],
                "label": bool(row.label),
            }
            self.examples.append(Example(len(answer.ids), fields))

    def text(self, tokenizer: PreTrainedTokenizerBase, row: Any) -> None:
        """A document, in windows."""
        end = end_of_text(tokenizer)
        # What looks like a special token in a text is text.
        ids = tokenizer(row.text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        whole = [end, *ids, end]
        self._rows, self._kept = self._rows + 1, self._kept + 1
        self._tokens, self._learnt = self._tokens + len(whole), self._learnt + len(whole) - 1
        self._longest = max(self._longest, len(whole))
        for begin in range(0, len(whole) - 1, self._limit - 1):
            piece = whole[begin : begin + self._limit]
            fields = {"input_ids": piece, "labels": [IGNORED, *piece[1:]]}
            self.examples.append(Example(len(piece), fields))

    def ledger(self, budget: float) -> Ledger:
        """The counts; raises TrainingError if more rows were too long than the budget allows."""
        over = self._rows - self._kept
        if over > budget * self._rows or not self.examples:
            raise TrainingError(
                f"{over} of {self._rows} rows are longer than {self._limit} tokens (the longest "
                f"has {self._longest}); the budget allows {budget:.1%}",
                where="train.max_length",
                fix=f"raise train.max_length to {self._longest} or train.drop_budget",
            )
        return Ledger(
            rows_in=self._rows,
            rows_kept=self._kept,
            rows_dropped=over,
            tokens_in=self._tokens,
            tokens_kept=self._tokens - self._dropped,
            supervised=self._learnt,
            truncated=0,
            forced=0,
            dropped=self._dropped,
            longest=self._longest,
        )

    def _answer(
        self, tokenizer: PreTrainedTokenizerBase, row: Any, answer: Sequence[Message]
    ) -> AnswerRow:
        found = answer_row(tokenizer, [*row.prompt, *answer], row.prompt)
        if not found.ids:
            raise TrainingError(
                "a row has no supervised token", where=row.id, fix="give it an answer"
            )
        return found

    def _count(self, lengths: list[int], learnt: int) -> bool:
        """Book a row; whether it is kept."""
        total, longest = sum(lengths), max(lengths)
        self._rows, self._tokens = self._rows + 1, self._tokens + total
        self._longest = max(self._longest, longest)
        if longest > self._limit:
            self._dropped += total
            return False
        self._kept, self._learnt = self._kept + 1, self._learnt + learnt
        return True

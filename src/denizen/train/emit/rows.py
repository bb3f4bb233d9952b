"""Rows in a form every tool can take: pieces of text, each learnt or not.

Contract: the pieces, tokenised one by one and put together, are the tokens Denizen trains on, with
the same ones learnt; rows of which that is not so are counted in `retokenised`.  A tail that is
not learnt is left out, which changes no loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from denizen.models import Message, encode
from denizen.project.config import Config
from denizen.project.errors import DataError
from denizen.train.batch import IGNORED
from denizen.train.examples import Cut, answer_row, examples_of
from denizen.train.ledger import Ledger
from denizen.train.methods import Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Piece(NamedTuple):
    """Rendered text, special tokens and all."""

    text: str
    learnt: bool


@dataclass(frozen=True)
class Turns:
    """A row of sft or pretrain."""

    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Choice:
    """A pair: rendered `prompt`, both answers; and the messages they were rendered from."""

    prompt: str
    chosen: str
    rejected: str
    messages: tuple[tuple[Message, ...], str, str]


@dataclass(frozen=True)
class Marked:
    """An answer that is good or bad."""

    prompt: str
    answer: str
    good: bool


@dataclass(frozen=True)
class Table:
    """Rows to write, the examples Denizen would train on, and how the rows differ from them."""

    rows: list[Any]
    examples: list[Example]
    ledger: Ledger
    retokenised: int


def table_of(
    config: Config,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Any],
    cut: Cut = lambda _, __, row: row,
) -> Table:
    """Rows of the objective (as `examples_of` takes them) as text; raises what that raises."""
    objective = config.train.objective
    examples, ledger = examples_of(objective, tokenizer, rows, config, cut=cut)
    if objective in ("sft", "pretrain"):
        found = [_pieces(tokenizer, example) for example in examples]
        written: list[Any] = [turns for turns, _ in found]
        return Table(written, examples, ledger, sum(not same for _, same in found))
    limit, texts, changed = config.train.max_length, [], 0
    for row in rows:
        made, lengths, same = _answers(tokenizer, row)
        if max(lengths) <= limit:
            texts.append(made)
            changed += not same
    assert len(texts) == len(examples)
    return Table(texts, examples, ledger, changed)


def single_turn(row: Choice) -> tuple[str, str]:
    """System text and question of a pair, for tools that take no more; raises DataError."""
    prompt = list(row.messages[0])
    system = prompt.pop(0)["content"] if prompt and prompt[0]["role"] == "system" else ""
    if [message["role"] for message in prompt] != ["user"]:
        raise DataError(
            "this tool takes one question and one answer a row for this objective",
            where=repr(prompt[-1]["content"][:60] if prompt else ""),
            fix="leave conversations of several turns out, or train with Denizen",
        )
    return system, prompt[0]["content"]


def _pieces(tokenizer: PreTrainedTokenizerBase, example: Example) -> tuple[Turns, bool]:
    ids, labels = example.fields["input_ids"], example.fields["labels"]
    marked = list(zip(ids, (label != IGNORED for label in labels), strict=True))
    while not marked[-1][1]:
        marked.pop()
    pieces = tuple(
        Piece(_decode(tokenizer, [token for token, _ in group]), learnt)
        for learnt, group in groupby(marked, key=lambda pair: pair[1])
    )
    again = [(token, p.learnt) for p in pieces for token in encode(tokenizer, p.text)]
    return Turns(pieces), again == marked


def _answers(
    tokenizer: PreTrainedTokenizerBase, row: Any
) -> tuple[Choice | Marked, list[int], bool]:
    prompt = list(row.prompt)
    answers = (row.completion,) if hasattr(row, "completion") else (row.chosen, row.rejected)
    texts, lengths, same = [], [], True
    for answer in answers:
        if len(answer) != 1:
            raise DataError(
                "these tools take one turn as an answer", where=row.id, fix="split the row"
            )
        ids, _, start = answer_row(tokenizer, [*prompt, *answer], prompt)
        texts.append((_decode(tokenizer, ids[:start]), _decode(tokenizer, ids[start:])))
        lengths.append(len(ids))
        same = same and [*encode(tokenizer, texts[-1][0]), *encode(tokenizer, texts[-1][1])] == ids
    (head, first), *others = texts
    if not others:
        return Marked(head, first, bool(row.label)), lengths, same
    ((_, second),) = others
    said, unsaid = (str(answer[0]["content"]) for answer in answers)
    return Choice(head, first, second, (tuple(prompt), said, unsaid)), lengths, same


def _decode(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    text = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return str(text)

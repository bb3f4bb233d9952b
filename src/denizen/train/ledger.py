"""The supervision ledger: where every row and token went before training began.

Contract: `tabulate` renders rows once through the one chat renderer; rows longer than the limit are
dropped and counted, never truncated in silence; what a cut leaves out (`choices`) is counted as
forced; a row without a supervised token is refused; more dropped than the budget allows is refused,
and so is a dataset of which nothing is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from denizen.models import Message, Rendered, render
from denizen.project.errors import TrainingError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Ledger:
    """Counts of rows and tokens; `supervised` is what the loss sees.

    `forced` are answer tokens left out because the decoding grammar leaves no choice there;
    `replayed_*` is what the base model itself wrote (generated, see `train/replay.py`) and is in no
    other count; `replay` says by what and how it was written.
    """

    rows_in: int
    rows_kept: int
    rows_dropped: int
    tokens_in: int
    tokens_kept: int
    supervised: int
    truncated: int
    forced: int
    dropped: int
    longest: int
    replayed_rows: int = 0
    replayed_tokens: int = 0
    replayed_supervised: int = 0
    replay: dict[str, Any] = field(default_factory=dict)

    @property
    def supervised_share(self) -> float:
        """Supervised tokens over all that are trained on, replayed ones included."""
        tokens = self.tokens_kept + self.replayed_tokens
        return (self.supervised + self.replayed_supervised) / tokens if tokens else 0.0

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)


def tabulate(
    tokenizer: PreTrainedTokenizerBase,
    conversations: Sequence[Sequence[dict[str, str]]],
    *,
    max_length: int,
    drop_budget: float,
    cut: Callable[[int, list[Message], Rendered], Rendered] = lambda _, __, row: row,
    on_row: Callable[[int], None] = lambda _: None,
) -> tuple[list[Rendered], Ledger]:
    """Render every conversation; raises TrainingError over budget or for an unsupervised row.

    `cut(row number, messages, rendered)` may shorten a row at its end.
    """
    if not conversations:
        raise TrainingError(
            "the dataset is empty",
            where="training data",
            fix="build rows: denizen data build",
        )
    kept: list[Rendered] = []
    tokens_in = dropped = forced = longest = 0
    for number, messages in enumerate(conversations):
        rendered = render(tokenizer, list(messages))
        length = len(rendered.input_ids)
        tokens_in += length
        longest = max(longest, length)
        if not any(rendered.supervised):
            raise TrainingError(
                "a row has no supervised token", where=f"row {number}", fix="give it an answer"
            )
        if length > max_length:
            dropped += length
        else:
            kept.append(cut(number, list(messages), rendered))
            forced += length - len(kept[-1].input_ids)
        on_row(1)
    rows_dropped = len(conversations) - len(kept)
    if not kept:
        raise TrainingError(
            f"every row is longer than {max_length} tokens (the longest has {longest})",
            where="train.max_length",
            fix=f"raise train.max_length to {longest}, or shorten the rows",
        )
    if rows_dropped > drop_budget * len(conversations):
        raise TrainingError(
            f"{rows_dropped} of {len(conversations)} rows are longer than {max_length} tokens "
            f"(the longest has {longest}); the budget allows {drop_budget:.1%}",
            where="train.max_length",
            fix=f"raise train.max_length to {longest} or train.drop_budget",
        )
    return kept, Ledger(
        rows_in=len(conversations),
        rows_kept=len(kept),
        rows_dropped=rows_dropped,
        tokens_in=tokens_in,
        tokens_kept=tokens_in - dropped - forced,
        supervised=sum(sum(r.supervised) for r in kept),
        truncated=0,
        forced=forced,
        dropped=dropped,
        longest=longest,
    )

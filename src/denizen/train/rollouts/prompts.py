"""From items to the examples that GRPO, RLOO and PPO learn from, and the batches of a run.

Contract: a prompt is what the one chat renderer gives up to where the answer begins, with the
grammar its suite has for the question; batches are a pure function of (count, config).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from denizen.models import SYSTEM, conversation, encode, render_prompt
from denizen.project.config import Config
from denizen.project.errors import TrainingError
from denizen.tasks import Item, Suite
from denizen.train.ledger import Ledger
from denizen.train.methods.base import Example
from denizen.train.rollouts.base import Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def rl_examples(
    tokenizer: PreTrainedTokenizerBase,
    suite: Suite,
    items: Sequence[Item],
    *,
    system: str = SYSTEM,
) -> list[Example]:
    """One example for each item, with its grammar (`rl.grammar` says whether it is used)."""
    examples = []
    for item in items:
        text = render_prompt(tokenizer, conversation(item.prompt, system=system))
        ids = tuple(encode(tokenizer, text))
        prompt = Prompt(ids, text, suite.grammar(item.prompt), item)
        examples.append(Example(len(ids), {"prompt": prompt}))
    return examples


def questions_of(
    tokenizer: PreTrainedTokenizerBase, suite: Suite, items: Sequence[Item], config: Config
) -> tuple[list[Example], Ledger]:
    """The same with a ledger; questions longer than `train.max_length` are refused over budget."""
    examples = rl_examples(tokenizer, suite, items)
    kept = [e for e in examples if e.length <= config.train.max_length]
    lengths, limit = [e.length for e in examples], config.train.max_length
    dropped = len(examples) - len(kept)
    if not kept or dropped > config.train.drop_budget * len(examples):
        raise TrainingError(
            f"{dropped} of {len(examples)} questions are longer than {limit} tokens",
            where="train.max_length",
            fix=f"raise train.max_length to {max(lengths, default=0)} or train.drop_budget",
        )
    tokens = sum(e.length for e in kept)
    return kept, Ledger(
        rows_in=len(examples),
        rows_kept=len(kept),
        rows_dropped=dropped,
        tokens_in=sum(lengths),
        tokens_kept=tokens,
        supervised=0,
        truncated=0,
        forced=0,
        dropped=sum(lengths) - tokens,
        longest=max(lengths),
    )


def prompt_batches(count: int, config: Config) -> list[list[int]]:
    """`rl.prompts` questions a step in shuffled order, each batch `rl.updates` times."""
    batches = []
    size = max(1, min(config.rl.prompts, count))
    for epoch in range(config.train.epochs):
        order = list(range(count))
        random.Random(f"{config.data.seed}|{epoch}").shuffle(order)
        for start in range(0, count - size + 1, size):
            batches += [order[start : start + size]] * config.rl.updates
    return batches

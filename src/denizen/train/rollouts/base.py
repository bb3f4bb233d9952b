"""What a rollout is: a prompt, the answers sampled for it, and who samples them.

Contract: a Sample says which of its tokens were chosen (the grammar forced the others), from which
allowed set, and with what log-probability under softmax(logits / temperature) over that set; the
policy gradient uses that very distribution (`policy.py`).  Sampling is a pure function of
(weights, prompts, seed) up to float rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Prompt:
    """A rendered question: its ids and text up to where the answer begins.

    `grammar` (GBNF) bounds the answer, None leaves it free; `item` is what a Reward judges by.
    """

    ids: tuple[int, ...]
    text: str
    grammar: str | None
    item: Any


@dataclass(frozen=True)
class Sample:
    """One sampled answer.

    `ids` are its tokens, with the end-of-turn token if that was sampled; `text` is without
    special tokens.  `choices` are the positions in `ids` that were sampled; `logps` (nats) and
    `allowed` have one entry for each: the log-probability over the allowed set, and that set
    (None: the whole vocabulary; at least two tokens otherwise).
    """

    prompt: Prompt
    ids: tuple[int, ...]
    text: str
    choices: tuple[int, ...]
    logps: tuple[float, ...]
    allowed: tuple[tuple[int, ...] | None, ...]


class Sampler(Protocol):
    """An engine that samples answers with the weights as they are now."""

    name: str
    exact: bool
    """Whether its log-probabilities are the trainer's own, up to float rounding."""

    def sample(
        self,
        model: Any,
        prompts: Sequence[Prompt],
        group: int,
        temperature: float,
        max_new_tokens: int,
        seed: int,
    ) -> list[list[Sample]]:
        """`group` answers to each prompt, in order; `model` is the trainable model."""
        ...

    def close(self) -> None:
        """Free what the engine holds; it is not used after."""
        ...

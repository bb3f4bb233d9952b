"""What a public set is and what one of its questions is, whichever place it was read from.

Contract: a `GeneralSet` is data: where its records lie, how each becomes `Parts`, and how its
answers are scored.  A `GeneralItem` reads like any suite item, so `run_suite` scores it; its id
carries a hash of all that is asked and expected, so a changed record is another item.  No set is
shipped with Denizen, and none is ever trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

# choice: one prompt, the likelihood of each option.  schema: each option completes the prompt and
# the rest of the sentence is scored (partial scoring).  cloze: greedy decoding must give the word.
# The others are generated: a value (number or expression), any of several names, a fixed target,
# text under checkable constraints, and a program that its tests run.
Kind = Literal["choice", "schema", "cloze", "value", "alias", "target", "constraints", "code"]
SCORED: tuple[Kind, ...] = ("choice", "schema", "cloze")

# As lm-eval names them: the sum of log-probabilities, the sum a character, the sum a byte.
Metric = Literal["acc", "acc_norm", "acc_bytes"]

Record = Mapping[str, Any]


class Parts(NamedTuple):
    """One record, normalised.  `contexts` are a schema's, `options` a choice's or the one text
    that a cloze or schema scores; `expected` is the gold answer as people read it."""

    prompt: str
    expected: str
    options: tuple[str, ...] = ()
    contexts: tuple[str, ...] = ()
    gold: int = 0
    facts: Mapping[str, Any] = {}
    template: str = ""


Form = Callable[[Record], Parts]


class HubSource(NamedTuple):
    """Where a set lies on the model hub; `configs` of more than one are read in turn."""

    repository: str
    split: str
    configs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GeneralSet:
    """One public set.  `local` reads a line of `file`, `from_hub` a row of `hub`.

    All are asked without examples (`shots` 0).  `stop` ends a generated answer, after at most
    `max_tokens`; a `conversational` set is put to a chat model as a user's turn.
    """

    name: str
    title: str
    kind: Kind
    file: str
    hub: HubSource
    local: Form
    from_hub: Form
    licence: str
    metric: Metric = "acc"
    max_tokens: int = 0
    stop: tuple[str, ...] = ()
    conversational: bool = False
    shots: int = 0

    @property
    def scored(self) -> bool:
        """Whether log-likelihoods answer it, and nothing is generated."""
        return self.kind in SCORED


class Branch(NamedTuple):
    """One likelihood to be found: of `continuation` after `context`."""

    context: str
    continuation: str


@dataclass(frozen=True, slots=True)
class GeneralItem:
    """One question.  `template` is the unit of dependence: the item itself, or its task."""

    id: str
    of: GeneralSet
    prompt: str
    expected: str
    options: tuple[str, ...] = ()
    contexts: tuple[str, ...] = ()
    gold: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)
    template: str = ""
    version: str = "public"
    difficulty: str = "plain"

    @property
    def family(self) -> str:
        """The set's name."""
        return self.of.name

    @property
    def branches(self) -> tuple[Branch, ...]:
        """What must be scored, in the order of the options; empty for generated answers."""
        if self.of.kind == "schema":
            return tuple(Branch(context, " " + self.options[0]) for context in self.contexts)
        if self.of.scored:
            return tuple(Branch(self.prompt, " " + option) for option in self.options)
        return ()

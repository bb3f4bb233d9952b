"""All branches of one question as a tree of tokens, so that nothing is computed twice.

Contract: a node is a token in its context; branches that begin alike share nodes (the prompt of
all options, the words that two options have in common, a sentence before the name that differs).
The last token of a branch is only scored, so options of one token cost one pass of the prompt.
Nodes come parents first; node i sees its ancestors and itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from denizen.evaluate.general.loglikelihood import Pair

if TYPE_CHECKING:
    import numpy as np


class Trie(NamedTuple):
    """tokens, parents (-1 at the root) and depths of the nodes; `targets[branch]` lists what is
    scored: (node, token that should follow it)."""

    tokens: list[int]
    parents: list[int]
    depths: list[int]
    targets: list[list[tuple[int, int]]]

    @property
    def chain(self) -> bool:
        """Whether every node follows the one before: ordinary causal attention."""
        return all(parent == n - 1 for n, parent in enumerate(self.parents))

    @property
    def asked(self) -> list[int]:
        """The nodes whose logits are needed, in order."""
        return sorted({node for branch in self.targets for node, _ in branch})


def trie_of(pairs: Sequence[Pair]) -> Trie:
    """The tree of an item's branches."""
    tokens: list[int] = []
    parents: list[int] = []
    depths: list[int] = []
    known: dict[tuple[int, int], int] = {}
    targets = []
    for ids, context in pairs:
        at, scored = -1, []
        for place, token in enumerate(ids):
            if place >= context:
                scored.append((at, token))
            if place == len(ids) - 1:
                break
            key = (at, token)
            if key not in known:
                known[key] = len(tokens)
                tokens.append(token)
                parents.append(at)
                depths.append(place)
            at = known[key]
        targets.append(scored)
    return Trie(tokens, parents, depths, targets)


def visible(trie: Trie, width: int) -> np.ndarray:
    """bool (width, width): which nodes each node sees.  Padding sees itself, lest it be nothing."""
    import numpy as np

    seen = np.eye(width, dtype=bool)
    for node, parent in enumerate(trie.parents):
        if parent >= 0:
            seen[node] |= seen[parent]
    return seen

"""Answers sampled from the very model that is trained, each distinct beginning computed once.

Contract: a group's answers are a tree: the prompt is prefilled once, and answers that agree so far
are one branch, which splits where their draws differ.  What a grammar forces is taken at once.
Every answer is an independent draw from softmax(logits / temperature) over the allowed tokens, with
a stream of its own of (seed, prompt, member).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from denizen.models import matcher_of
from denizen.train.rollouts.base import Prompt, Sample
from denizen.train.rollouts.tree import Growing, Path, Tree

if TYPE_CHECKING:
    import numpy as np
    import torch
    from transformers import PreTrainedTokenizerBase


class _Choice(NamedTuple):
    """A sampled token: where in the answer, with what log-probability, out of which set."""

    position: int
    logp: float
    allowed: tuple[int, ...] | None


@dataclass
class _Branch:
    """Answers of one prompt that agree so far, by the random streams of their members.

    `candidates` are the tokens the grammar allows next (None: any).
    """

    members: dict[int, Random]
    matcher: Any
    path: Path
    ids: list[int] = field(default_factory=list)
    choices: list[_Choice] = field(default_factory=list)
    candidates: np.ndarray | None = None
    done: bool = False

    def split(self, members: dict[int, Random]) -> _Branch:
        """A copy for some of the members."""
        return _Branch(
            members,
            self.matcher.deep_copy() if self.matcher is not None else None,
            Path(list(self.path.fresh), list(self.path.columns), self.path.position),
            list(self.ids),
            list(self.choices),
        )

    def take(self, tokens: Sequence[int]) -> None:
        """Go on by tokens."""
        self.ids += tokens
        self.path.fresh += tokens


class TransformersSampler:
    """The trainer's own engine."""

    name, exact = "transformers", True

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._stops = {tokenizer.eos_token_id} - {None}
        self._table: Any = None

    def sample(
        self,
        model: Any,
        prompts: Sequence[Prompt],
        group: int,
        temperature: float,
        max_new_tokens: int,
        seed: int,
    ) -> list[list[Sample]]:
        """`group` answers to each prompt, in order."""
        import torch

        training = model.training
        model.eval()
        try:
            # Not inference_mode: buffers that fused layers make on the way are used in training.
            with torch.no_grad():
                done = self._sample(model, prompts, group, temperature, max_new_tokens, seed)
        finally:
            model.train(training)
        return [self._samples(p, branches) for p, branches in zip(prompts, done, strict=True)]

    def close(self) -> None:
        """Nothing to free."""

    def _sample(
        self,
        model: Any,
        prompts: Sequence[Prompt],
        group: int,
        temperature: float,
        limit: int,
        seed: int,
    ) -> list[list[_Branch]]:
        tree = self._tree(model, prompts)
        done: list[list[_Branch]] = [[] for _ in prompts]
        growing: dict[int, list[_Branch]] = {}
        for number, prompt in enumerate(prompts):
            streams = {member: Random(f"{seed}|{number}|{member}") for member in range(group)}
            growing[number] = [self._begin(prompt, tree, streams, limit)]
        while True:
            for number, branches in growing.items():
                done[number] += [b for b in branches if b.done]
            left = {n: [b for b in branches if not b.done] for n, branches in growing.items()}
            growing = {number: branches for number, branches in left.items() if branches}
            if not growing:
                return done
            logits = tree.grow({n: [b.path for b in some] for n, some in growing.items()})
            growing = {
                number: [
                    child
                    for branch in branches
                    for child in self._choose(branch, next(logits), temperature, limit)
                ]
                for number, branches in growing.items()
            }

    def _tree(self, model: Any, prompts: Sequence[Prompt]) -> Growing:
        return Tree(model, prompts)

    def _begin(
        self, prompt: Prompt, tree: Growing, members: dict[int, Random], limit: int
    ) -> _Branch:
        branch = _Branch(members, self._matcher(prompt, tree), tree.root())
        branch.path.fresh += prompt.ids[tree.shared :]
        self._settle(branch, limit)
        return branch

    def _matcher(self, prompt: Prompt, tree: Growing) -> Any:
        if prompt.grammar is None:
            return None
        if self._table is None:
            import llguidance.hf

            self._table = llguidance.hf.from_tokenizer(self._tokenizer, n_vocab=tree.vocabulary)
        return matcher_of(self._table, prompt.grammar)

    def _choose(
        self, branch: _Branch, logits: torch.Tensor, temperature: float, limit: int
    ) -> list[_Branch]:
        """Draw each member's next token; members that agree stay together."""
        import numpy as np

        allowed = branch.candidates
        scaled = logits.numpy().astype(np.float64) / temperature
        scaled = scaled if allowed is None else scaled[allowed]
        scaled -= scaled.max()
        bounds = np.exp(scaled).cumsum()
        logps = scaled - np.log(bounds[-1])
        drawn: dict[int, dict[int, Random]] = {}
        for member, stream in branch.members.items():
            place = int(bounds.searchsorted(stream.random() * bounds[-1], side="right"))
            drawn.setdefault(min(place, len(bounds) - 1), {})[member] = stream
        every = None if allowed is None else tuple(allowed.tolist())
        children = []
        for place, members in drawn.items():
            child = branch.split(members)
            token = place if every is None else every[place]
            child.choices.append(_Choice(len(child.ids), float(logps[place]), every))
            child.take([token])
            if token in self._stops:
                child.done = True
            else:
                if child.matcher is not None:
                    child.matcher.consume_token(token)
                self._settle(child, limit)
            children.append(child)
        return children

    def _settle(self, branch: _Branch, limit: int) -> None:
        """Take what the grammar forces, up to the next choice or the end of the answer."""
        import numpy as np

        matcher = branch.matcher
        while matcher is not None and len(branch.ids) < limit and not matcher.is_stopped():
            forced = list(matcher.compute_ff_tokens())
            if not forced:
                mask = np.frombuffer(matcher.compute_logit_bias(), dtype=np.uint8)
                branch.candidates = np.flatnonzero(mask)
                if len(branch.candidates) > 1:
                    return
                forced = branch.candidates.tolist()
            matcher.try_consume_tokens(forced)
            room = limit - len(branch.ids)
            branch.take([token for token in forced if token not in self._stops][:room])
        branch.done = len(branch.ids) >= limit or matcher is not None

    def _samples(self, prompt: Prompt, branches: list[_Branch]) -> list[Sample]:
        """Every member's answer, in the order of the members."""
        found: dict[int, Sample] = {}
        for branch in branches:
            sample = Sample(
                prompt,
                tuple(branch.ids),
                self._tokenizer.decode(branch.ids, skip_special_tokens=True),
                tuple(c.position for c in branch.choices),
                tuple(c.logp for c in branch.choices),
                tuple(c.allowed for c in branch.choices),
            )
            found |= dict.fromkeys(branch.members, sample)
        return [found[member] for member in sorted(found)]

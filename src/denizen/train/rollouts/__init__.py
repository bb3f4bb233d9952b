"""Rollouts: prompts, who samples their answers, and what a step's answers were.

Contract: `make_sampler` gives the engine that `rl.rollouts` names; both draw from the same
distribution.  `auto` goes by `llama.pays`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from denizen.train.rollouts.base import Prompt, Sample, Sampler

if TYPE_CHECKING:
    from denizen.project.config import Config
    from denizen.train.recipe import Job


def make_sampler(config: Config, tokenizer: Any, job: Job) -> Sampler:
    """The sampler of `rl.rollouts`; `job` has the base and the folders."""
    if config.rl.rollouts != "transformers":
        from denizen.train.rollouts import llama

        return llama.make_sampler(config, tokenizer, job)
    from denizen.train.rollouts.transformers import TransformersSampler

    return TransformersSampler(tokenizer)


__all__ = ["Prompt", "Sample", "Sampler", "make_sampler"]

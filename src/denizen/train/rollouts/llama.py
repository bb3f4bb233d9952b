"""Answers sampled by llama.cpp inside this process, from the weights as they are now.

Contract: the same tree of answers, draws and grammars as the trainer's own engine
(`transformers.py`), with logits from llama.cpp: at equal logits the same seed gives the same
answers.  Trained weights are stored anew before every rollout; samples carry llama.cpp's
log-probabilities, so that the trainer can correct for the gap (`exact` is False).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from denizen.models.live_gguf import ARCHITECTURES, LiveGGUF, Storage
from denizen.models.llama_context import MAX_SEQUENCES, Context, Fresh
from denizen.project.machine import cores
from denizen.train.rollouts.base import Prompt, Sample, Sampler
from denizen.train.rollouts.transformers import TransformersSampler
from denizen.train.rollouts.tree import Path as Branch
from denizen.train.rollouts.tree import common_start

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

    from denizen.project.config import Config
    from denizen.train.recipe import Job

# benchmarks/rollouts.py: SmolLM2-135M on AVX2, the same answers a second either way.
FEW_BRANCHES = 8


class LlamaTree:
    """What `tree.Tree` is, with llama.cpp's sequences as branches.

    A path's `columns` holds one number: the sequence it continues.  Branches that split share the
    cells of what they have in common.
    """

    def __init__(self, context: Context, prompts: Sequence[Prompt]) -> None:
        self._context = context
        context.clear()
        self.vocabulary = context.vocabulary
        self.shared = common_start(prompts)
        self._used = {0}
        if self.shared:
            context.decode([Fresh(0, 0, prompts[0].ids[: self.shared])])

    def root(self) -> Branch:
        """Where every prompt begins: behind what is shared."""
        return Branch([], [0], self.shared)

    def grow(self, paths: Mapping[int, Sequence[Branch]]) -> Iterator[torch.Tensor]:
        """Next-token logits (vocabulary,) of each path, float32, in order; `paths` by prompt."""
        import torch

        flat = [path for some in paths.values() for path in some]
        continued = {path.columns[0] for path in flat}
        for sequence in self._used - continued:
            self._context.drop(sequence)
        self._used = set()
        free = iter(sorted(set(range(MAX_SEQUENCES)) - continued))
        for path in flat:
            if path.columns[0] in self._used:
                taken = next(free)
                self._context.copy(path.columns[0], taken)
                path.columns = [taken]
            self._used.add(path.columns[0])
        logits = self._context.decode([Fresh(p.columns[0], p.position, p.fresh) for p in flat])
        for path in flat:
            path.position += len(path.fresh)
            path.fresh = []
        return iter(torch.from_numpy(logits))


class LlamaSampler(TransformersSampler):
    """llama.cpp with the weights that are being trained; `storage` is their type there."""

    name, exact = "llama.cpp", False

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        storage: Storage = "f16",
        threads: int | None = None,
        folder: Path | None = None,
    ) -> None:
        super().__init__(tokenizer)
        self._storage: Storage = storage
        self._threads = threads or cores()
        self._live: LiveGGUF | None = None
        self._context: Context | None = None
        self._cells = 0
        self._folder = None if folder else TemporaryDirectory(prefix="denizen-rollouts-")
        self._file = (folder or Path(self._folder.name)) / "live.gguf"  # type: ignore[union-attr]

    def sample(
        self,
        model: Any,
        prompts: Sequence[Prompt],
        group: int,
        temperature: float,
        max_new_tokens: int,
        seed: int,
    ) -> list[list[Sample]]:
        """`group` answers to each prompt, in order, as many prompts at once as have sequences."""
        self.refresh(model)
        size = max(1, MAX_SEQUENCES // group)
        longest = max(len(p.ids) + group * max_new_tokens for p in prompts)
        self._make_room(min(size, len(prompts)) * longest)
        found = []
        for start in range(0, len(prompts), size):
            wave = prompts[start : start + size]
            # The streams of a wave's prompts are numbered from 0: the seed tells waves apart.
            own = seed + (start << 32)
            found += super().sample(model, wave, group, temperature, max_new_tokens, own)
        return found

    def refresh(self, model: Any) -> None:
        """Let llama.cpp have the weights of the trainable model."""
        if self._live is None:
            self._live = LiveGGUF(model, self._file, self._storage)
        else:
            self._live.refresh(model)

    def close(self) -> None:
        """Free the context and the file; the sampler is not used after."""
        if self._context is not None:
            self._context.close()
        self._context = self._live = None
        self._file.unlink(missing_ok=True)
        if self._folder is not None:
            self._folder.cleanup()

    def _tree(self, model: Any, prompts: Sequence[Prompt]) -> LlamaTree:
        assert self._context is not None
        return LlamaTree(self._context, prompts)

    def _make_room(self, cells: int) -> None:
        if self._context is None or cells > self._cells:
            if self._context is not None:
                self._context.close()
            self._cells = cells
            precise = self._storage == "f32"
            self._context = Context(self._file, cells=cells, threads=self._threads, precise=precise)


def make_sampler(config: Config, tokenizer: PreTrainedTokenizerBase, job: Job) -> Sampler:
    """The sampler of `rl.rollouts: llama.cpp`, or by the rule of `auto` (`pays`)."""
    if config.rl.rollouts == "llama.cpp" or pays(config, job.base):
        # In the work folder: what a kill leaves there, the resumed run writes over.
        job.work.mkdir(parents=True, exist_ok=True)
        return LlamaSampler(tokenizer, config.rl.rollout_weights, folder=job.work)
    return TransformersSampler(tokenizer)


def pays(config: Config, base: Path) -> bool:
    """Whether llama.cpp is the faster engine: few branches at a time, and nothing forced.

    Its kernels win where a step reads more weights than it multiplies; with more branches, or with
    forced text that is taken many tokens at once, torch's products are faster, and exact.
    """
    import torch

    rl = config.rl
    known = json.loads((base / "config.json").read_text("utf-8")).get("model_type")
    fits = known in ARCHITECTURES and config.adapter.method not in ("qlora", "prefix", "prompt")
    few = rl.prompts * rl.group <= FEW_BRANCHES
    return fits and few and not rl.grammar and not torch.cuda.is_available()

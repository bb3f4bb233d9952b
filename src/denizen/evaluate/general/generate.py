"""The two engines that write answers, as `score_sets` asks them.

Contract: greedy; the text before the first stop string, or after `max_tokens` tokens whatever
there is.  An answer that has ended leaves its batch, so that the long ones do not pay for it.
Plain prompts get the model's beginning-of-text token where its tokenizer would put one; a rendered
chat prompt that has it is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from denizen.evaluate.general.generation import cut
from denizen.evaluate.general.scoring import Generate
from denizen.evaluate.runner import Output
from denizen.models.prompt_learning import is_prompt_learning, virtual_cache

if TYPE_CHECKING:
    from denizen.models import BatchedLlama, LlamaEngine

# A stop string may lie over several tokens: so many of the last are looked at.
_TAIL = 16


def transformers_generate(model: Any, tokenizer: Any, *, batch: int = 16) -> Generate:
    """Answers of a transformers causal LM (adapters included), `batch` prompts side by side."""
    writer = _Writer(model, tokenizer)

    def generate(prompts: Sequence[str], most: int, stop: Sequence[str]) -> list[str | Output]:
        ids = [writer.encode(prompt) for prompt in prompts]
        order = sorted(range(len(ids)), key=lambda n: len(ids[n]))
        found: list[str | Output] = [""] * len(ids)
        for start in range(0, len(order), batch):
            group = order[start : start + batch]
            for n, written in zip(group, writer([ids[n] for n in group], most, stop), strict=True):
                text = tokenizer.decode(written, skip_special_tokens=True)
                found[n] = Output(cut(text, stop), len(written))
        return found

    return generate


def llama_generate(engine: LlamaEngine | BatchedLlama) -> Generate:
    """Answers of the GGUF in llama.cpp, which ends at a stop string by itself."""
    from denizen.models import BatchedLlama

    def generate(prompts: Sequence[str], most: int, stop: Sequence[str]) -> list[str | Output]:
        if isinstance(engine, BatchedLlama):
            answers = engine.answers(prompts, max_new_tokens=most, stop=stop)
            return [Output(cut(one.text, stop), one.tokens) for one in answers]
        found: list[str | Output] = []
        for prompt in prompts:
            made = engine.complete(prompt, max_tokens=most, stop=stop)
            found.append(Output(cut(made.text, stop), made.completion_tokens))
        return found

    return generate


class _Writer:
    """Greedy decoding of a batch with a cache, rows dropped as they end."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model, self._tokenizer = model, tokenizer
        self._virtual = is_prompt_learning(model)
        self._forward = model.get_base_model() if self._virtual else model
        ends = getattr(model.generation_config, "eos_token_id", None)
        self._ends = {tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])}
        first: list[int] = tokenizer("a")["input_ids"]
        self._start = [first[0]] if first[0] == tokenizer.bos_token_id else []

    def encode(self, prompt: str) -> list[int]:
        """Ids of a prompt, special tokens parsed, begun as the model's texts begin."""
        ids: list[int] = self._tokenizer(prompt, add_special_tokens=False)["input_ids"]
        return ids if ids[: len(self._start)] == self._start else self._start + ids

    def __call__(self, prompts: list[list[int]], most: int, stop: Sequence[str]) -> list[list[int]]:
        import torch

        was_training = bool(self._model.training)
        self._model.eval()
        try:
            with torch.inference_mode():
                return self._write(prompts, most, stop)
        finally:
            self._model.train(was_training)

    def _write(self, prompts: list[list[int]], most: int, stop: Sequence[str]) -> list[list[int]]:
        import torch

        device = next(self._model.parameters()).device
        width, count = max(map(len, prompts)), len(prompts)
        ids = torch.tensor([[0] * (width - len(p)) + p for p in prompts], device=device)
        real = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device)
        cache, before = None, 0
        if self._virtual:
            cache = virtual_cache(self._model, ids[:1, :0])
            before = cache.get_seq_length()
            cache.batch_repeat_interleave(count)
        mask = torch.cat([real.new_ones(count, before), real], 1)
        positions = (mask.cumsum(1) - 1).clamp(min=0)[:, before:]
        written: list[list[int]] = [[] for _ in prompts]
        rows = list(range(count))
        while True:
            out = self._forward(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            cache, chosen = out.past_key_values, out.logits[:, -1].argmax(-1)
            going = []
            for place, (row, token) in enumerate(zip(rows, chosen.tolist(), strict=True)):
                if token not in self._ends:
                    written[row].append(token)
                    if len(written[row]) < most and not self._stopped(written[row], stop):
                        going.append(place)
            if not going:
                return written
            if len(going) < len(rows):
                kept = torch.tensor(going, device=device)
                cache.batch_select_indices(kept)
                mask, positions, chosen = mask[kept], positions[kept], chosen[kept]
                rows = [rows[place] for place in going]
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], 1)
            ids, positions = chosen[:, None], positions[:, -1:] + 1

    def _stopped(self, written: list[int], stop: Sequence[str]) -> bool:
        tail: str = self._tokenizer.decode(written[-_TAIL:], skip_special_tokens=True)
        return any(one in tail for one in stop)

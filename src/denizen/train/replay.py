"""Replay: answers the base model itself wrote to neutral questions, to train on and to probe with.

Contract: row i of a (base, seed, use) is always the same tokens, sampled at temperature 1 from the
base and nothing else (no cut of the tail), so that training on them pulls towards the base and
their mean log-probability is a fair probe of KL(base || model) (Robins 1995, pseudo-rehearsal).
Rows are made once, in groups that a kill leaves whole, and say that they are generated and by
what.  Log-probabilities are sums in nats.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from denizen.models import encode, load_model, render_prompt
from denizen.project.atomic import atomic_write_text
from denizen.project.config import Config
from denizen.project.errors import TrainingError
from denizen.project.hashing import content_hash
from denizen.train.bases import stop_tokens
from denizen.train.batch import IGNORED, collate_rows
from denizen.train.ledger import Ledger
from denizen.train.loss import Logps, supervised_logps
from denizen.train.methods.base import Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Use = Literal["replay", "probe"]
NEW_TOKENS = 64
# Rows of a group are sampled together: the group is what a seed, and a file, belong to.
GROUP = 8


@dataclass(frozen=True)
class ReplayRow:
    """A question and what the base wrote: the last `written` of `input_ids`.

    `logprob` is the base's own log-probability of what it wrote, a sum in nats.
    """

    question: str
    text: str
    input_ids: tuple[int, ...]
    written: int
    logprob: float
    base: str
    seed: int
    generated: bool = True

    def example(self) -> Example:
        """For the supervised objectives: only what the base wrote is learnt."""
        asked = len(self.input_ids) - self.written
        labels = [IGNORED] * asked + list(self.input_ids[asked:])
        return Example(len(self.input_ids), {"input_ids": list(self.input_ids), "labels": labels})


@cache
def neutral_questions(use: Use) -> tuple[str, ...]:
    """The questions of one use; the two share none."""
    asset = Path(__file__).with_name("assets") / "neutral_prompts.json"
    return tuple(json.loads(asset.read_text("utf-8"))[use])


def replay_rows(
    base: Path,
    tokenizer: PreTrainedTokenizerBase,
    count: int,
    seed: int,
    cache: Path,
    *,
    base_hash: str,
    use: Use = "replay",
    on_rows: Callable[[int], None] = lambda _: None,
) -> list[ReplayRow]:
    """The first `count` rows; the base is loaded only if some are not in the folder `cache` yet."""
    key = content_hash([base_hash, seed, use, NEW_TOKENS, GROUP, neutral_questions(use)])[:16]
    writer: _Writer | None = None
    rows: list[ReplayRow] = []
    for group in range(-(-count // GROUP)):
        path = cache / f"{use}-{key}-{group:05d}.jsonl"
        found = _read(path)
        if found is None:
            writer = writer or _Writer(base, tokenizer, base_hash, seed, use)
            found = writer.group(group)
            atomic_write_text(path, "".join(f"{json.dumps(asdict(r))}\n" for r in found))
        rows += found
        on_rows(len(found))
    return rows[:count]


def replay_count(rows: int, share: float) -> int:
    """How many rows make `share` of all when added to `rows`."""
    return round(rows * share / (1 - share))


def mix_replay(
    examples: Sequence[Example], ledger: Ledger, rows: Sequence[ReplayRow], config: Config
) -> tuple[list[Example], Ledger]:
    """The examples with the base's rows after them, and the ledger that says so.

    Raises TrainingError where a row is longer than train.max_length.
    """
    longest = max((len(r.input_ids) for r in rows), default=0)
    if longest > config.train.max_length:
        raise TrainingError(
            f"a replayed answer takes {longest} tokens",
            where="train.max_length",
            fix=f"raise train.max_length to {longest}, or set guard.replay to 0",
        )
    mixed = [*examples, *(row.example() for row in rows)]
    return mixed, replace(
        ledger,
        replayed_rows=len(rows),
        replayed_tokens=sum(len(r.input_ids) for r in rows),
        replayed_supervised=sum(r.written for r in rows),
        replay=provenance(rows),
    )


def provenance(rows: Sequence[ReplayRow]) -> dict[str, Any]:
    """What a run's record says of its replayed rows."""
    return {
        "rows": len(rows),
        "generated": True,
        "by": sorted({r.base for r in rows}),
        "sampling": "temperature 1, whole distribution",
        "hash": content_hash([asdict(r) for r in rows]),
    }


def _read(path: Path) -> list[ReplayRow] | None:
    """The rows of a group; None if it is not there or not whole."""
    try:
        lines = path.read_text("utf-8").splitlines()
        rows = [ReplayRow(**json.loads(line)) for line in lines]
    except (OSError, ValueError, TypeError):
        return None
    return [replace(r, input_ids=tuple(r.input_ids)) for r in rows] if len(rows) == GROUP else None


class _Writer:
    """The base, writing."""

    def __init__(
        self, base: Path, tokenizer: PreTrainedTokenizerBase, base_hash: str, seed: int, use: Use
    ) -> None:
        self._model = load_model(base)
        self._tokenizer, self._hash, self._seed, self._use = tokenizer, base_hash, seed, use
        self._stops = stop_tokens(self._model, tokenizer)

    def group(self, number: int) -> list[ReplayRow]:
        """Rows number * GROUP and on."""
        questions = neutral_questions(self._use)
        asked = [questions[(number * GROUP + i) % len(questions)] for i in range(GROUP)]
        prompts = [encode(self._tokenizer, self._prompt(q)) for q in asked]
        answers = self._sample(prompts, f"{self._seed}|{self._use}|{number}")
        rows = [
            ReplayRow(
                question,
                self._tokenizer.decode(answer, skip_special_tokens=True),
                (*prompt, *answer),
                len(answer),
                0.0,
                self._hash,
                self._seed,
            )
            for question, prompt, answer in zip(asked, prompts, answers, strict=True)
        ]
        return [
            replace(row, logprob=value)
            for row, value in zip(rows, written_logprobs(self._model, rows), strict=True)
        ]

    def _prompt(self, question: str) -> str:
        if not self._tokenizer.chat_template:
            return f"{question}\n"
        return render_prompt(self._tokenizer, [{"role": "user", "content": question}])

    def _sample(self, prompts: list[list[int]], key: str) -> list[list[int]]:
        import torch
        from transformers import GenerationConfig

        width = max(map(len, prompts))
        pad = min(self._stops, default=0)
        ids = torch.tensor([[pad] * (width - len(p)) + p for p in prompts])
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
        # The model's own defaults would cut the tail of the distribution or punish repetition.
        self._model.generation_config = GenerationConfig()
        settings = GenerationConfig(
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            max_new_tokens=NEW_TOKENS,
            eos_token_id=sorted(self._stops) or None,
            pad_token_id=pad,
        )
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            torch.manual_seed(int(content_hash(key)[:15], 16))
            out = self._model.generate(
                input_ids=ids, attention_mask=mask, generation_config=settings
            )
        return [self._until_stop(row) for row in out[:, width:].tolist()]

    def _until_stop(self, ids: list[int]) -> list[int]:
        """Up to and with the first stop token; an answer cut by the limit has none to learn."""
        ends = [i for i, token in enumerate(ids) if token in self._stops]
        return ids[: ends[0] + 1] if ends else ids


def written_logprobs(model: Any, rows: Sequence[ReplayRow]) -> list[float]:
    """The model's log-probability of what the base wrote, a sum in nats for each row."""
    import torch

    device = next(model.parameters()).device
    training = bool(model.training)
    model.eval()
    sums: list[float] = []
    try:
        with torch.no_grad():
            for batch in _batches(rows):
                tensors = collate_rows([row.example().fields for row in batch])
                ids, labels = (tensors[k].to(device) for k in ("input_ids", "labels"))
                logps = supervised_logps(model, ids, labels)
                there = Logps(logps.values.float().cpu(), logps.rows.cpu())
                sums += there.of_rows(len(batch)).tolist()
    finally:
        model.train(training)
    return sums


def _batches(rows: Sequence[ReplayRow]) -> Iterator[Sequence[ReplayRow]]:
    for start in range(0, len(rows), GROUP):
        yield rows[start : start + GROUP]

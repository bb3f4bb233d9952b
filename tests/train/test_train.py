"""Shortcuts equal the plain path; the ledger refuses; tripwires fire; a kill loses nothing."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from denizen.models import Rendered, conversation, load_tokenizer
from denizen.project import TrainingError
from denizen.project.config import Config, TrainConfig
from denizen.train import Job, fine_tune, newest_checkpoint, rendered_example, tabulate
from denizen.train.buckets import TokenBuckets
from denizen.train.memory import forecast, need_checkpointing
from denizen.train.tripwires import check_gradients, check_loss

ROWS = [conversation(f"What is {i} plus {i}?", f"It is {2 * i}{'!' * (i % 5)}") for i in range(24)]


def rendered(tiny: Path) -> tuple[list[Rendered], object]:
    return tabulate(load_tokenizer(tiny), ROWS, max_length=512, drop_budget=0.0)


def test_ledger_counts_and_refuses(tiny: Path) -> None:
    rows, ledger = rendered(tiny)
    assert ledger.rows_in == len(rows) == 24 and ledger.truncated == 0
    assert 0 < ledger.supervised < ledger.tokens_kept == ledger.tokens_in
    assert all(any(r.supervised) for r in rows)
    tokenizer = load_tokenizer(tiny)
    with pytest.raises(TrainingError, match="longer than 40 tokens"):
        tabulate(tokenizer, ROWS, max_length=40, drop_budget=0.0)
    kept, small = tabulate(tokenizer, ROWS, max_length=ledger.longest - 1, drop_budget=0.5)
    assert small.rows_dropped == len(rows) - len(kept) > 0 and small.dropped > 0
    with pytest.raises(TrainingError, match="empty"):
        tabulate(tokenizer, [], max_length=40, drop_budget=0.0)


def test_choice_cut_ends_a_row_after_its_last_choice(tiny: Path) -> None:
    from denizen.models import SYSTEM, conversation
    from denizen.tasks import CORE, FAMILIES, suite_of
    from denizen.train import ChoiceCut

    tokenizer = load_tokenizer(tiny)
    items = [FAMILIES[name].generate(seed, "train") for name in CORE for seed in range(3)]
    rows = [conversation(item.prompt, item.answer, SYSTEM) for item in items]
    whole, plain = tabulate(tokenizer, rows, max_length=2000, drop_budget=0.0)
    cut, ledger = tabulate(
        tokenizer,
        rows,
        max_length=2000,
        drop_budget=0.0,
        cut=ChoiceCut(tokenizer, suite_of("core"), 1.0),
    )
    assert plain.forced == 0 < ledger.forced
    assert ledger.tokens_kept + ledger.forced == ledger.tokens_in == plain.tokens_in
    for full, short in zip(whole, cut, strict=True):
        assert full.input_ids[: len(short.input_ids)] == short.input_ids
        assert short.supervised[-1] and len(short.input_ids) < len(full.input_ids)
    mixed, _ = tabulate(
        tokenizer,
        rows,
        max_length=2000,
        drop_budget=0.0,
        cut=ChoiceCut(tokenizer, suite_of("core"), 0.5),
    )
    kept = [len(m.input_ids) == len(w.input_ids) for m, w in zip(mixed, whole, strict=True)]
    assert 4 < sum(kept) < len(kept) - 4
    # Outside its grammar (a free answer) a row is never cut.
    other = [conversation("What is the oracle of v3?", "A free answer.", SYSTEM)]
    _, free = tabulate(
        tokenizer,
        other,
        max_length=2000,
        drop_budget=0.0,
        cut=ChoiceCut(tokenizer, suite_of("core"), 1.0),
    )
    assert free.forced == 0


def test_buckets_hold_every_row_within_budget() -> None:
    lengths = [(i * 37) % 90 + 20 for i in range(200)]
    buckets = TokenBuckets(lengths, 600, epochs=2, seed=3)
    assert sorted(i for b in buckets for i in b) == sorted([*range(200)] * 2)
    assert all(len(b) * max(lengths[i] for i in b) <= 600 for b in buckets)
    assert buckets.padded_tokens < 1.15 * 2 * sum(lengths)
    assert list(buckets) == list(TokenBuckets(lengths, 600, epochs=2, seed=3))
    assert TokenBuckets([900], 600).batches == [[0]]
    # A row that fills its batch alone changes nothing for its neighbours.
    batches = TokenBuckets([100] * 60 + [590], 600).batches
    assert [60] in batches and len(batches) <= 12


def test_tripwires() -> None:
    import torch

    with pytest.raises(TrainingError, match="step 7"):
        check_loss(math.nan, 7)
    parameter = torch.nn.Parameter(torch.zeros(2))
    with pytest.raises(TrainingError, match="no gradient"):
        check_gradients([parameter], 1)
    parameter.grad = torch.tensor([math.inf, 0.0])
    with pytest.raises(TrainingError, match="NaN or infinite"):
        check_gradients([parameter], 1)
    parameter.grad = torch.tensor([3.0, 4.0])
    assert check_gradients([parameter], 1) == 5.0


def test_checkpointing_only_when_memory_would_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    config = SimpleNamespace(
        hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
        num_attention_heads=9, num_key_value_heads=3, vocab_size=49152,
    )  # fmt: skip
    need = forecast(config, 4 * 134_515_008, 4_884_480, 1600, 0.4)
    available = {"bytes": 24 * 2**30}
    monkeypatch.setattr("denizen.train.memory.free_bytes", lambda: available["bytes"])
    assert not need_checkpointing("auto", need) and need_checkpointing("on", need)
    available["bytes"] = need.total
    assert need_checkpointing("auto", need) and not need_checkpointing("off", need)


CONFIG = Config(
    train=TrainConfig(batch_tokens=400, learning_rate=5e-3, epochs=6, save_steps=5, warmup_steps=2)
)


def train(tiny: Path, folder: Path, on_step: object = lambda *_: None) -> object:
    rows, ledger = rendered(tiny)
    job = Job(
        base=tiny,
        base_hash="h",
        examples=[rendered_example(row) for row in rows],
        config=CONFIG,
        work=folder / "work",
        adapter=folder / "adapter",
        supervised_share=ledger.supervised_share,
    )
    return fine_tune(job, on_step)


def test_learns_and_saves_an_adapter(tiny: Path, tmp_path: Path) -> None:
    result = train(tiny, tmp_path)
    assert result.points[-1].loss < result.points[0].loss - 0.5
    assert result.precision in ("float32", "bfloat16") and not result.checkpointing
    assert (tmp_path / "adapter" / "adapter_model.safetensors").exists()


KILL = """
import os, signal, sys
sys.path[:0] = [sys.argv[3], sys.argv[4]]
from pathlib import Path
import test_train
def on_step(step, total, point):
    if step == 12:
        os.kill(os.getpid(), signal.SIGKILL)
test_train.train(Path(sys.argv[1]), Path(sys.argv[2]), on_step)
"""


def test_killed_run_resumes_to_the_same_adapter(tiny: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    whole = train(tiny, tmp_path / "whole")
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", KILL, str(tiny), str(tmp_path / "cut"), str(here),
         str(here.parents[1] / "src")],
        capture_output=True, env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    checkpoint = newest_checkpoint(tmp_path / "cut" / "work")
    assert checkpoint is not None and checkpoint.name == "checkpoint-10"
    # A checkpoint that a kill cut short is passed over.
    (tmp_path / "cut" / "work" / "checkpoint-11").mkdir()
    assert newest_checkpoint(tmp_path / "cut" / "work") == checkpoint
    resumed = train(tiny, tmp_path / "cut")
    assert len(resumed.points) == len(whole.points)
    assert [p.step for p in resumed.points] == [p.step for p in whole.points]
    one, two = (
        load_file(str(tmp_path / n / "adapter" / "adapter_model.safetensors"))
        for n in ("whole", "cut")
    )
    for name in one:
        assert torch.allclose(one[name], two[name], atol=1e-6), name

"""Bad input is refused before the first step, in one line that holds the fix; so is a full disk."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import CHATML, make_tiny
from denizen.models import conversation, load_model, load_tokenizer
from denizen.project import ArtefactError, ConfigError, DenizenError, TrainingError
from denizen.project.config import AdapterConfig, Config
from denizen.project.errors import DiskFullError, TemplateError
from denizen.train import Job, fine_tune, newest_checkpoint, rendered_example, tabulate
from denizen.train.bases import (
    check_architecture,
    check_base,
    check_folder,
    check_template,
    check_trainable,
    check_vocabulary,
    check_weights,
    stop_tokens,
)
from denizen.train.checkpoints import check_space, checkpoint_bytes, disk_watched
from denizen.train.methods.base import Example
from denizen.train.refusals import check_examples, check_schedule, check_settings, check_start

ROWS = [conversation(f"What is {i} plus {i}?", f"It is {2 * i}.") for i in range(12)]


def config(**sections: dict[str, Any]) -> Config:
    train = {"batch_tokens": 400, "epochs": 3, "save_steps": 2, "warmup_steps": 1}
    return Config.model_validate({**sections, "train": {**train, **sections.get("train", {})}})


def job(tiny: Path, folder: Path, **changes: Any) -> Job:
    rows, _ = tabulate(load_tokenizer(tiny), ROWS, max_length=512, drop_budget=0.0)
    given = {
        "base": tiny,
        "base_hash": "base-one",
        "examples": [rendered_example(row) for row in rows],
        "config": config(),
        "work": folder / "work",
        "adapter": folder / "adapter",
    }
    return Job(**{**given, **changes})


def refused(given: Job, error: type[DenizenError], *words: str) -> None:
    """The run ends in one line with a fix, before a step, and leaves no adapter."""
    steps: list[int] = []
    with pytest.raises(error) as caught:
        fine_tune(given, lambda step, *_: steps.append(step))
    line = str(caught.value)
    assert "\n" not in line and caught.value.fix and caught.value.where
    assert all(word in line for word in words), line
    assert steps == [] and not given.adapter.exists() and newest_checkpoint(given.work) is None


def test_a_sound_job_is_not_refused(tiny: Path, tmp_path: Path) -> None:
    result = fine_tune(job(tiny, tmp_path))
    assert result.steps == len(result.points) > 2 and not result.stopped


def test_unknown_architectures(tiny: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    shutil.copytree(tiny, odd)
    settings = json.loads((odd / "config.json").read_text())
    (odd / "config.json").write_text(json.dumps({**settings, "model_type": "abacus"}))
    refused(job(tiny, tmp_path, base=odd), ArtefactError, "abacus", "Llama-like")
    from transformers import T5Config

    T5Config(num_layers=1, d_model=16).save_pretrained(tmp_path / "t5")
    with pytest.raises(ArtefactError, match="t5 model writes no text"):
        check_folder(tmp_path / "t5")
    with pytest.raises(ArtefactError, match="not a model that transformers knows"):
        check_folder(tmp_path / "nowhere")


def test_a_model_that_looks_ahead_is_refused() -> None:
    import torch
    from transformers import BertConfig, BertLMHeadModel

    torch.manual_seed(0)
    model = BertLMHeadModel(
        BertConfig(
            vocab_size=96, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=64, is_decoder=False,
        )
    )  # fmt: skip
    with pytest.raises(ArtefactError, match="not causal"):
        check_architecture(model, False, "bert")


@pytest.mark.parametrize("name", ["Llama", "Qwen2", "GPT2", "Gemma"])
def test_common_architectures_pass(name: str) -> None:
    import torch
    import transformers

    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "vocab_size": 96, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16,
    }  # fmt: skip
    if name == "GPT2":
        settings = transformers.GPT2Config(vocab_size=96, n_embd=32, n_layer=2, n_head=2)
        model = transformers.GPT2LMHeadModel(settings)
    else:
        settings = getattr(transformers, f"{name}Config")(**sizes)
        model = getattr(transformers, f"{name}ForCausalLM")(settings)
    check_architecture(model.eval(), True, name)


def test_logits_that_are_changed_after_the_head_are_refused() -> None:
    """Granite divides its logits and Gemma 2 caps them: decoder and head alone would miss it."""
    import torch
    from transformers import Gemma2Config, Gemma2ForCausalLM, GraniteConfig, GraniteForCausalLM

    sizes: dict[str, Any] = {
        "vocab_size": 96, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1,
    }  # fmt: skip
    torch.manual_seed(0)
    granite = GraniteForCausalLM(GraniteConfig(**sizes, logits_scaling=8.0))
    capped = Gemma2ForCausalLM(Gemma2Config(**sizes, head_dim=16, final_logit_softcapping=0.05))
    for model in (granite, capped):
        with pytest.raises(ArtefactError, match="changes its logits after"):
            check_architecture(model.eval(), False, "base")
    check_architecture(GraniteForCausalLM(GraniteConfig(**sizes, logits_scaling=1.0)), True, "base")


def test_a_template_without_a_stop_token(tiny: Path, tmp_path: Path) -> None:
    endless = CHATML.replace("<|im_end|>", "")
    base = make_tiny(tmp_path / "endless", template=endless)
    refused(job(tiny, tmp_path, base=base), TemplateError, "no stop token", "<|im_end|>")
    # A turn that ends in a token that ends nothing is no better.
    other = load_tokenizer(tiny)
    other.eos_token = "<|endoftext|>"
    with pytest.raises(TemplateError, match=r"'<\|im_end\|>', which is no stop token"):
        check_template(other, frozenset([other.eos_token_id]))
    # Some models stop at more tokens than the tokenizer's own eos.
    model = load_model(tiny)
    model.generation_config.eos_token_id = [0, 2]
    assert stop_tokens(model, other) == {0, 2}
    check_template(other, stop_tokens(model, other))


def test_text_without_conversations_needs_no_template(tiny: Path) -> None:
    model, tokenizer = load_model(tiny), load_tokenizer(tiny)
    tokenizer.chat_template = None
    check_base(model, tokenizer, config(train={"objective": "pretrain"}))
    with pytest.raises(TemplateError, match="no chat template"):
        check_base(model, tokenizer, config())


def adapter_of(folder: Path, **origin: Any) -> Path:
    folder.mkdir()
    (folder / "denizen.json").write_text(json.dumps({"denizen_base_hash": "base-one", **origin}))
    return folder


def test_an_adapter_of_another_base(tiny: Path, tmp_path: Path) -> None:
    first = job(tiny, tmp_path / "first")
    fine_tune(first)
    second = job(tiny, tmp_path / "second", start=first.adapter, base_hash="base-two")
    refused(second, ArtefactError, "base-one", "base-two", "train.start")
    goes_on = fine_tune(job(tiny, tmp_path / "third", start=first.adapter))
    assert goes_on.points[0].loss < fine_tune(job(tiny, tmp_path / "fourth")).points[0].loss
    (tmp_path / "unknown").mkdir()
    for start, settings, words in (
        (tmp_path / "unknown", config(), "does not say"),
        (adapter_of(tmp_path / "whole", whole=True), config(), "only an adapter"),
        (adapter_of(tmp_path / "a"), config(adapter={"method": "full"}), "only an adapter"),
    ):
        with pytest.raises(ArtefactError, match=words):
            check_start(start, "base-one", settings)
    # Of this base, but no start: its shape is its own, and some cannot be gone on from.
    shape = AdapterConfig(rank=8).model_dump(mode="json")
    for name, origin, error, words in (
        ("reward", {"objective": "reward"}, ArtefactError, "judge by"),
        ("prefix", {"adapter": {"method": "prefix"}, "mergeable": False}, ArtefactError, "prefix"),
        ("rank", {"adapter": shape}, ConfigError, "has rank 8, not 16"),
        ("dora", {"adapter": {"method": "dora"}}, ConfigError, "adapter.method"),
    ):
        with pytest.raises(error, match=words):
            check_start(adapter_of(tmp_path / name, **origin), "base-one", Config())


def test_mixed_types_are_refused(tiny: Path) -> None:
    import torch

    from denizen.train.methods import find_adapter

    model = load_model(tiny)
    model.model.layers[1].mlp.to(torch.bfloat16)
    with pytest.raises(TrainingError, match=r"bfloat16 \(model\.layers\.1\.mlp"):
        check_weights(model, "base")
    # Norms in float32 beside bfloat16 matrices are what transformers itself may keep.
    fine = load_model(tiny, "bfloat16")
    fine.model.norm.float()
    check_weights(fine, "base")
    # PEFT's float32 adapter goes with a bfloat16 base, a bfloat16 one not with a float32 base.
    wrap = find_adapter("lora").wrap
    check_trainable(wrap(fine, config().adapter))
    narrow = wrap(load_model(tiny), config().adapter)
    for name, value in narrow.named_parameters():
        if "lora_" in name:
            value.data = value.data.to(torch.bfloat16)
    with pytest.raises(TrainingError, match=r"do not go together: float32.*bfloat16"):
        check_trainable(narrow)
    half = wrap(load_model(tiny), config().adapter)
    next(v for n, v in half.named_parameters() if "lora_A" in n).data = torch.zeros(
        16, 64, dtype=torch.bfloat16
    )
    with pytest.raises(TrainingError, match="several types"):
        check_trainable(half)


def test_masked_and_over_long_rows(tiny: Path, tmp_path: Path) -> None:
    good = job(tiny, tmp_path)
    masked = [Example(e.length, {**e.fields, "labels": [-100] * e.length}) for e in good.examples]
    refused(job(tiny, tmp_path, examples=masked), TrainingError, "all 12 rows are masked")
    refused(job(tiny, tmp_path, examples=[]), TrainingError, "nothing to train on")
    # Nothing predicts a row's first token: learning it alone is learning nothing.
    first = [Example(3, {"input_ids": [1, 2, 3], "labels": [1, -100, -100]})]
    with pytest.raises(TrainingError, match="masked"):
        check_examples(first, 96)
    check_examples([*masked, good.examples[0]], 10**6)
    with pytest.raises(TrainingError, match="every row is longer than 20 tokens"):
        tabulate(load_tokenizer(tiny), ROWS, max_length=20, drop_budget=1.0)


def test_vocabularies_that_do_not_match(tiny: Path, tmp_path: Path) -> None:
    model, tokenizer = load_model(tiny), load_tokenizer(tiny)
    rows = model.get_input_embeddings().num_embeddings
    check_vocabulary(model, tokenizer, "base")
    tokenizer.add_tokens([f"<extra {i}>" for i in range(rows)])
    with pytest.raises(ArtefactError, match=f"has {len(tokenizer)} tokens, the model {rows}"):
        check_vocabulary(model, tokenizer, "base")
    far = [Example(2, {"input_ids": [1, rows], "labels": [-100, rows]})]
    refused(job(tiny, tmp_path, examples=far), TrainingError, f"token {rows} is outside")


def test_a_base_with_nan(tiny: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    model = load_model(tiny)
    model.model.layers[0].mlp.up_proj.weight.data[3, 5] = float("nan")
    model.save_pretrained(broken)
    load_tokenizer(tiny).save_pretrained(broken)
    refused(job(tiny, tmp_path, base=broken), ArtefactError, "layers.0.mlp.up_proj")


def test_a_learning_rate_of_zero(tiny: Path, tmp_path: Path) -> None:
    """One step that warms up from zero would train nothing and look like a run."""
    short = job(tiny, tmp_path, config=config(train={"max_steps": 1, "warmup_steps": 6}))
    refused(short, TrainingError, "learning rate would be zero", "train.warmup_steps")
    check_schedule(1e-3, 0, 1)
    for rate, warmup, steps in ((0.0, 0, 10), (1e-3, 0, 0)):
        with pytest.raises(TrainingError):
            check_schedule(rate, warmup, steps)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"train": {"objective": "grpo"}, "guard": {"patience": 2}}, "no development loss"),
        ({"train": {"objective": "dpo"}, "guard": {"replay": 0.1}}, "cannot learn from replayed"),
        ({"train": {"data": "mine.jsonl"}, "guard": {"patience": 2}}, "not of train.data"),
        (
            {"train": {"objective": "dpo", "start": "x"}, "guard": {"patience": 2}},
            "no reference for development rows",
        ),
    ],
)
def test_guards_that_the_objective_has_no_use_for(section: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check_settings(config(**section))
    check_settings(config(guard={"patience": 2, "replay": 0.1}))


def test_room_is_asked_for_before_the_start(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = fine_tune(job(tiny, tmp_path / "whole", config=config(adapter={"rank": 512})))
    checkpoint = newest_checkpoint(tmp_path / "whole" / "work")
    assert checkpoint is not None
    size = sum(p.stat().st_size for p in checkpoint.rglob("*") if p.is_file())
    estimate = checkpoint_bytes(tiny, done.trainable)
    assert size <= estimate <= size + 4 * 2**20 and size > 8 * 2**20

    def with_free(count: int) -> None:
        usage = shutil.disk_usage(tmp_path)._replace(free=count)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    saves, adapter = 5, 4 * done.trainable
    # Two are kept while the third is written; then comes the adapter.
    with_free(3 * estimate + adapter - 2**20)
    with pytest.raises(DiskFullError, match=r"3 checkpoints of \d+ MiB and the adapter need"):
        check_space(tmp_path / "w", tmp_path / "a", tiny, done.trainable, saves)
    with_free(3 * estimate + adapter + 3 * 2**20)
    check_space(tmp_path / "w", tmp_path / "a", tiny, done.trainable, saves)
    # A resumed run has room for what it has written already.
    with_free(estimate + adapter + 6 * 2**20)
    check_space(tmp_path / "whole" / "work", tmp_path / "a", tiny, done.trainable, saves)
    with_free(2**20)
    refused(job(tiny, tmp_path / "none"), DiskFullError, "1 MiB are free", "--workspace")


@pytest.mark.parametrize(
    ("error", "typed"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), True),
        (RuntimeError("I/O error: No space left on device (os error 28)"), True),
        (RuntimeError("PytorchStreamWriter failed writing file data/7: file write failed"), False),
        (OSError(errno.EACCES, "Permission denied"), False),
        (RuntimeError("the loss is odd"), False),
    ],
)
def test_only_a_full_disk_is_called_one(
    tiny: Path, tmp_path: Path, error: Exception, typed: bool
) -> None:
    """The third looks like one, but there is room here: something else is wrong."""
    with (
        pytest.raises(DiskFullError if typed else type(error)) as caught,
        disk_watched(tmp_path, tiny, 1000),
    ):
        (tmp_path / "checkpoint-4").mkdir()
        raise error
    assert (tmp_path / "checkpoint-4").exists() is not typed
    if typed:
        assert "begin again" in str(caught.value) and "\n" not in str(caught.value)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB, where this user may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)], capture_output=True
    )
    if made.returncode:
        pytest.skip("mounting a small file system needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(folder: Path, left: int) -> None:
    """Someone else takes the rest of the disk, all but `left` bytes."""
    with (folder / "other").open("wb") as file:
        file.write(bytes(shutil.disk_usage(folder).free - left))


# Room for none of the checkpoint's files, or for the weights but not for the optimiser.
@pytest.mark.parametrize("left", [64 * 1024, 800_000])
def test_a_disk_that_fills_up_at_a_checkpoint(tiny: Path, small_disk: Path, left: int) -> None:
    settings = config(adapter={"rank": 64}, train={"epochs": 6})
    given = job(tiny, small_disk, adapter=small_disk.parent / "adapter", config=settings)
    with pytest.raises(DiskFullError) as caught:
        fine_tune(given, lambda step, *_: fill(small_disk, left) if step == 3 else None)
    line = str(caught.value)
    assert line.startswith("the disk filled up") and "MiB and run the same command" in line
    assert line.endswith("to go on from step 2") and "\n" not in line
    # The last checkpoint is whole, and the cut one has given its room back.
    assert [p.name for p in given.work.glob("checkpoint-*")] == ["checkpoint-2"]
    kept = newest_checkpoint(given.work)
    assert kept is not None and kept.name == "checkpoint-2" and not given.adapter.exists()
    (small_disk / "other").unlink()
    seen: list[int] = []
    fine_tune(given, lambda step, *_: seen.append(step))
    assert seen[0] == 3 and (given.adapter / "adapter_model.safetensors").exists()


def test_a_checkpoint_is_whole_to_its_last_byte(tiny: Path, tmp_path: Path) -> None:
    fine_tune(job(tiny, tmp_path))
    work = tmp_path / "work"
    newest = newest_checkpoint(work)
    assert newest is not None
    for name in ("adapter_model.safetensors", "optimizer.pt", "trainer_state.json"):
        path = newest / name
        data = path.read_bytes()
        path.write_bytes(data[: len(data) - 10])
        older = newest_checkpoint(work)
        assert older is not None and older != newest, name
        path.write_bytes(data)
        assert newest_checkpoint(work) == newest
    # As FSDP2 and DeepSpeed leave theirs.
    (newest / "optimizer.pt").rename(newest / "optimizer.bin")
    assert newest_checkpoint(work) == newest
    (newest / "optimizer.bin").unlink()
    assert newest_checkpoint(work) != newest
    (newest / "global_step6").mkdir()
    assert newest_checkpoint(work) == newest

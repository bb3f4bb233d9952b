"""A LoRA step of ours on a GPU against TRL's own trainer (and Unsloth's, where it is installed).

Contract: the same architecture with the same random weights (speed and memory do not depend on
their values, and such a machine may reach no model), the same rows, adapter, precision (bf16) and
batch, each in a process of its own.  Figures: tokens a second and peak memory of the device.
Without a GPU it says so and measures nothing.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from importlib import import_module
from typing import Any

from benchmarks import child

# Qwen2.5-1.5B's published shape.
SHAPE = {
    "vocab_size": 151_936,
    "hidden_size": 1536,
    "intermediate_size": 8960,
    "num_hidden_layers": 28,
    "num_attention_heads": 12,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32_768,
    "tie_word_embeddings": True,
}
DEVICE = "cuda"
ROWS, LENGTH, SUPERVISED, STEPS = 16, 512, 0.2, 12
MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def measure() -> dict[str, Any]:
    """Tokens a second, peak memory and ratios; raises SystemExit where there is no GPU."""
    import torch

    if not torch.cuda.is_available():
        raise SystemExit("benchmarks gpu: there is no GPU here; run it on a machine that has one")
    result: dict[str, Any] = {"gpu": torch.cuda.get_device_name(0), "shape": SHAPE}
    for mode in ("ours", "trl", "trl_checkpointing", "unsloth"):
        result[mode] = _run(mode)
    for peer in ("trl", "trl_checkpointing", "unsloth"):
        if "tokens_per_second" in result[peer]:
            ratio = result["ours"]["tokens_per_second"] / result[peer]["tokens_per_second"]
            result[f"ratio_{peer}"] = round(ratio, 2)
    return result


def _run(mode: str) -> dict[str, Any]:
    done = child.start("benchmarks.gpu", mode)
    if done.returncode:
        return {"does not run": (done.stderr.strip().splitlines() or ["killed"])[-1][:300]}
    return child.told(done)


def _rows(seed: int = 0) -> list[tuple[list[int], list[int]]]:
    """Token ids and labels of rows of mixed length; the last fifth of each is supervised."""
    import random

    rng = random.Random(seed)
    rows = []
    for _ in range(ROWS):
        length = rng.randint(LENGTH // 4, LENGTH)
        ids = [rng.randrange(10, SHAPE["vocab_size"]) for _ in range(length)]
        learnt = max(1, round(SUPERVISED * length))
        rows.append((ids, [-100] * (length - learnt) + ids[-learnt:]))
    return rows


def _model() -> Any:
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    with torch.device(DEVICE):
        torch.set_default_dtype(torch.bfloat16)
        model = Qwen2ForCausalLM(Qwen2Config(**SHAPE))
        torch.set_default_dtype(torch.float32)
    return model


def _child(mode: str) -> dict[str, Any]:
    """Run one system; its steps include the optimiser."""
    import torch

    step = {"ours": _ours, "unsloth": _unsloth}.get(mode, lambda: _trl("checkpointing" in mode))()
    rows = _rows()
    times = []
    for _ in range(STEPS):
        torch.cuda.synchronize()
        began = time.perf_counter()
        step(rows)
        torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    seconds = statistics.median(times[2:])
    tokens = sum(len(ids) for ids, _ in rows)
    return {
        "seconds": round(seconds, 4),
        "tokens_per_second": round(tokens / seconds),
        "peak_memory_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
    }


def _adapted() -> Any:
    from peft import LoraConfig, get_peft_model

    lora = LoraConfig(r=16, lora_alpha=32, target_modules=list(MODULES), task_type="CAUSAL_LM")
    return get_peft_model(_model(), lora)


def _optimiser(model: Any) -> Any:
    import torch

    trained = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.AdamW(trained, lr=1e-4, fused=True)


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.BPE({"a": 0, "<e>": 1}, [])),
        eos_token="<e>",
        pad_token="<e>",
    )


def _ours() -> Any:
    """One step of our recipe's trainer, as TRL's below."""
    import tempfile
    from pathlib import Path

    from denizen.project.config import Config
    from denizen.train import recipe
    from denizen.train.methods import Example, find_objective
    from denizen.train.trainer import Hooks, make_trainer

    config = Config()
    examples = [Example(len(i), {"input_ids": i, "labels": labels}) for i, labels in _rows()]
    precision = "bfloat16" if DEVICE == "cuda" else "float32"
    arguments = recipe._arguments(config, Path(tempfile.mkdtemp()), 1, precision, False, 1e-4)
    every = [list(range(len(examples)))]
    objective = find_objective(config)
    return _stepper(
        make_trainer(_adapted(), _tokenizer(), objective, examples, every, arguments, Hooks())
    )


def _trl(checkpointing: bool, model: Any = None) -> Any:
    """One step of TRL's trainer: its collator, loss (with its fused head) and optimiser."""
    import tempfile

    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    rows = _rows()
    trainer = SFTTrainer(
        model=model or _adapted(),
        args=SFTConfig(
            output_dir=tempfile.mkdtemp(),
            per_device_train_batch_size=ROWS,
            bf16=DEVICE == "cuda",
            use_cpu=DEVICE == "cpu",
            gradient_checkpointing=checkpointing,
            max_length=None,
            dataset_kwargs={"skip_prepare_dataset": True},
            report_to=[],
            max_steps=1,
        ),
        train_dataset=Dataset.from_list([{"input_ids": i, "labels": labels} for i, labels in rows]),
        processing_class=_tokenizer(),
    )
    return _stepper(trainer)


def _stepper(trainer: Any) -> Any:
    """The trainer's own step on its first batch, with the same optimiser for all."""
    optimiser = _optimiser(trainer.model)
    batch = next(iter(trainer.get_train_dataloader()))

    def step(_: Any) -> None:
        loss = trainer.training_step(trainer.model, dict(batch))
        assert loss is not None
        optimiser.step()
        optimiser.zero_grad()

    return step


def _unsloth() -> Any:
    """TRL's trainer over a model that Unsloth loaded and adapted."""
    import tempfile

    FastLanguageModel = import_module("unsloth").FastLanguageModel
    folder = tempfile.mkdtemp()
    _model().save_pretrained(folder)
    _tokenizer().save_pretrained(folder)
    model, _ = FastLanguageModel.from_pretrained(folder, max_seq_length=LENGTH, load_in_4bit=False)
    model = FastLanguageModel.get_peft_model(
        model, r=16, lora_alpha=32, target_modules=list(MODULES), lora_dropout=0
    )
    return _trl(False, model)


if __name__ == "__main__":
    print(json.dumps(_child(sys.argv[1])))

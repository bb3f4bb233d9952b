"""QLoRA against LoRA on this machine: seconds a step and peak memory, by the recipe a user runs.

Contract: `fine_tune` with the same rows, batches and learning rate, each run in a process of its
own, turn by turn; the first step is warm-up for the clock.  Two sizes: the 135M base, and random
weights in the shape of SmolLM2-360M, which shows how memory grows.  `weights_gib` of larger models
is arithmetic on their published shapes, and says so.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks import child

STEPS, TOKENS, ROUNDS = 4, 1200, 2
MODES = ("lora", "lora_plain", "qlora4", "qlora4_plain", "qlora8")
# vocabulary, hidden, intermediate, layers, heads, key-value heads
_SHAPES = {
    "smollm2-135m": (49152, 576, 1536, 30, 9, 3),
    "smollm2-360m": (49152, 960, 2560, 32, 15, 5),
    "qwen2.5-1.5b": (151936, 1536, 8960, 28, 12, 2),
}
# Bits a weight: codes, and the scales of 64 (8 bits, of 256 again 32); int8 scales are per row.
_BITS = {"lora": 32.0, "qlora4": 4 + 8 / 64 + 32 / 64 / 256, "qlora8": 8.0}


def measure() -> dict[str, Any]:
    """Each size's runs, and their ratios to float32 LoRA."""
    from denizen.models import checkpoint, ensure, find_model

    base = checkpoint(ensure(find_model("smollm2-135m-instruct")))
    with tempfile.TemporaryDirectory() as scratch:
        larger = _random(Path(scratch), base, _SHAPES["smollm2-360m"])
        sizes = {"smollm2-135m": _size(base, MODES), "smollm2-360m": _size(larger, MODES)}
    return {
        "steps": STEPS,
        "batch_tokens": TOKENS,
        "rounds": ROUNDS,
        "sizes": sizes,
        "arithmetic": {
            "weights_gib": {
                name: {mode: _weights(shape, bits) for mode, bits in _BITS.items()}
                for name, shape in _SHAPES.items()
            },
            "of": "linear layers and float32 embeddings",
        },
    }


def _size(folder: Path, modes: tuple[str, ...]) -> dict[str, Any]:
    runs: dict[str, list[dict[str, Any]]] = {mode: [] for mode in modes}
    for _ in range(ROUNDS):
        for mode in modes:
            runs[mode].append(_run(folder, mode))
    found = {
        mode: {
            "seconds": round(statistics.median(s for run in many for s in run["seconds"]), 3),
            "peak_gib": round(statistics.median(run["peak"] for run in many) / 2**30, 3),
            "libraries_gib": round(many[0]["libraries"] / 2**30, 3),
            "loss": many[0]["loss"],
        }
        for mode, many in runs.items()
    }
    one = found["lora"]
    for figures in found.values():
        above = figures["peak_gib"] - figures["libraries_gib"]
        figures["step_ratio"] = round(figures["seconds"] / one["seconds"], 2)
        figures["peak_ratio"] = round(figures["peak_gib"] / one["peak_gib"], 2)
        figures["peak_ratio_without_libraries"] = round(
            above / (one["peak_gib"] - one["libraries_gib"]), 2
        )
    return found


def _weights(shape: tuple[int, ...], bits: float) -> float:
    vocabulary, hidden, inner, layers, heads, kv = shape
    linear = layers * (2 * hidden * hidden * (1 + kv / heads) + 3 * hidden * inner)
    return round((linear * bits / 8 + 4 * vocabulary * hidden) / 2**30, 2)


def _random(folder: Path, like: Path, shape: tuple[int, ...]) -> Path:
    """A folder of random weights with the tokenizer of `like`."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from denizen.models import load_tokenizer

    vocabulary, hidden, inner, layers, heads, kv = shape
    config = AutoConfig.from_pretrained(
        str(like),
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv,
        head_dim=hidden // heads,
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
    load_tokenizer(like).save_pretrained(folder)
    return folder


def _run(folder: Path, mode: str) -> dict[str, Any]:
    found = child.measured("benchmarks.qlora", folder, mode)
    shown = statistics.median(found["seconds"]), found["peak"] / 2**30
    print(f"  {mode}: {shown[0]:.2f} s a step, {shown[1]:.2f} GiB", file=sys.stderr)
    return found


def _child(folder: Path, mode: str) -> dict[str, Any]:
    """One run of the recipe; peak memory is that of this process."""
    import time

    import peft  # noqa: F401 (what is loaded before the first weight)
    import trl  # noqa: F401

    from denizen.data import build_rows, load_holdout
    from denizen.models import SYSTEM, load_tokenizer
    from denizen.project.config import AdapterConfig, Config, TrainConfig
    from denizen.project.machine import peak_rss_bytes
    from denizen.tasks import CORE
    from denizen.train import Job, fine_tune, rendered_example, tabulate

    child.prepare()
    rows, _ = build_rows(96, 11, load_holdout(CORE), system=SYSTEM)
    rendered, ledger = tabulate(
        load_tokenizer(folder), [r.messages for r in rows], max_length=512, drop_budget=0.0
    )
    method, _, plain = mode.partition("_")
    adapter = AdapterConfig(
        method="qlora" if method.startswith("q") else "lora", bits=8 if method == "qlora8" else 4
    )
    train = TrainConfig(
        max_steps=STEPS,
        batch_tokens=TOKENS,
        precision="float32",
        checkpointing="off",
        shortcuts=not plain,
    )
    clock: list[float] = []
    libraries = peak_rss_bytes()
    with tempfile.TemporaryDirectory() as scratch:
        job = Job(
            folder,
            "benchmark",
            [rendered_example(row) for row in rendered],
            Config(adapter=adapter, train=train),
            Path(scratch) / "work",
            Path(scratch) / "adapter",
            ledger.supervised_share,
        )
        result = fine_tune(job, lambda *_: clock.append(time.perf_counter()))
    return {
        "seconds": [round(b - a, 4) for a, b in pairwise(clock)],
        "libraries": libraries,
        "peak": peak_rss_bytes(),
        "loss": [point.loss for point in result.points],
    }


if __name__ == "__main__":
    print(json.dumps(_child(Path(sys.argv[1]), sys.argv[2])))

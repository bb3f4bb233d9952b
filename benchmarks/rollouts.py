"""Answers a second: stock `generate`, our tree of answers, and llama.cpp with the live weights.

Contract: one policy, the same questions and group, the same longest answer; answers end where the
model ends them.  `generate` runs at its best: float32, one left-padded batch, the adapter merged,
every group from one call.  Each engine in a process of its own, one after another; a figure is the
median of the rounds after one that warms up.  Ours transfer the adapter's weights every round.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import child, policy

TARGET = 4.0
QUESTIONS, GROUP, LONGEST, ROUNDS = 8, 8, 48, 3
ENGINES = ("generate", "transformers", "llama.cpp f16", "llama.cpp q8_0")


def measure(workspace: Path) -> dict[str, Any]:
    """Answers and tokens a second, seconds of a transfer, and the log-probability gap."""
    adapter = policy.start_adapter(workspace)
    free = {engine: _run(engine, "free", adapter) for engine in ENGINES}
    guided = {engine: _run(engine, "grammar", adapter) for engine in ENGINES[1:]}
    stock = free["generate"]["answers_per_second"]

    def ratios(found: dict[str, dict[str, Any]]) -> dict[str, float]:
        ours = ((e, f["answers_per_second"]) for e, f in found.items() if e != "generate")
        return {engine: round(rate / stock, 2) for engine, rate in ours}

    result: dict[str, Any] = {
        "questions": QUESTIONS,
        "group": GROUP,
        "longest": LONGEST,
        "free": free,
        "grammar": guided,
        "ratio_free": ratios(free),
        "ratio_grammar": ratios(guided),
        "gap_by_storage": _run("gap", "free", adapter),
        "target": TARGET,
    }
    # Eight-bit weights are another policy, if a near one: they count for nothing here.
    result["reached"] = {
        kind: max(r for e, r in result[f"ratio_{kind}"].items() if "q8_0" not in e) >= TARGET
        for kind in ("free", "grammar")
    }
    return result


def _run(engine: str, kind: str, adapter: Path) -> dict[str, Any]:
    found = child.measured("benchmarks.rollouts", engine, kind, adapter)
    print(f"  {kind}, {engine}: {found}", file=sys.stderr)
    return found


def _child(engine: str, kind: str, adapter: Path) -> dict[str, Any]:
    from denizen.models import load_model
    from denizen.models.adapters import load_adapter
    from denizen.project.machine import peak_rss_bytes

    child.prepare()
    model = load_adapter(load_model(policy.base_folder()), adapter, trainable=True)
    asked = policy.prompts(policy.questions(QUESTIONS), grammar=kind == "grammar")
    if engine == "gap":
        return _gaps(model, asked)
    one_round = _stock(model, asked) if engine == "generate" else _ours(engine, model, asked)
    one_round(0)
    rounds = []
    for seed in range(1, ROUNDS + 1):
        began = time.perf_counter()
        lengths = one_round(seed)
        rounds.append((time.perf_counter() - began, sum(lengths)))
    seconds, tokens = (statistics.median(column) for column in zip(*rounds, strict=True))
    return {
        "seconds": round(seconds, 2),
        "rounds": [round(s, 2) for s, _ in rounds],
        "answers_per_second": round(QUESTIONS * GROUP / seconds, 3),
        "tokens_per_second": round(tokens / seconds, 1),
        "tokens": tokens,
        "peak_memory_gib": round(peak_rss_bytes() / 2**30, 2),
    }


def _stock(model: Any, asked: list[Any]) -> Any:
    """`generate` as TRL's GRPO uses it, with the adapter merged."""
    import torch

    from denizen.models import load_tokenizer

    tokenizer = load_tokenizer(policy.base_folder())
    tokenizer.padding_side = "left"
    merged = model.merge_and_unload().eval()
    batch = tokenizer(
        [p.text for p in asked], return_tensors="pt", padding=True, add_special_tokens=False
    )

    def one_round(seed: int) -> list[int]:
        torch.manual_seed(seed)
        with torch.inference_mode():
            out = merged.generate(
                **batch,
                do_sample=True,
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                num_return_sequences=GROUP,
                max_new_tokens=LONGEST,
            )
        written = out[:, batch["input_ids"].shape[1] :].tolist()
        end = tokenizer.eos_token_id
        return [row.index(end) + 1 if end in row else len(row) for row in written]

    return one_round


def _ours(engine: str, model: Any, asked: list[Any]) -> Any:
    """One of our samplers on the model as it is trained: adapters folded into the weights."""
    from denizen.models import load_tokenizer
    from denizen.train.fused_lora import FusedLora
    from denizen.train.rollouts.llama import LlamaSampler
    from denizen.train.rollouts.transformers import TransformersSampler

    tokenizer = load_tokenizer(policy.base_folder())
    fused = FusedLora(model)
    sampler: Any = TransformersSampler(tokenizer)
    if engine != "transformers":
        sampler = LlamaSampler(tokenizer, engine.split()[1])  # type: ignore[arg-type]

    def one_round(seed: int) -> list[int]:
        fused.refresh()
        groups = sampler.sample(model, asked, GROUP, 1.0, LONGEST, seed)
        return [len(sample.ids) for group in groups for sample in group]

    return one_round


def _gaps(model: Any, asked: list[Any]) -> dict[str, Any]:
    """Mean and largest |trainer - sampler| of sampled tokens, nats, and a transfer's seconds."""
    import tempfile

    import torch

    from denizen.export.gguf_writer import write_gguf
    from denizen.models import load_tokenizer
    from denizen.models.llama_context import Context
    from denizen.project.machine import cores
    from denizen.train.policy import score_choices
    from denizen.train.rollouts.llama import LlamaSampler

    tokenizer = load_tokenizer(policy.base_folder())
    found: dict[str, Any] = {}

    def record(name: str, sampler: Any, scored: Any) -> None:
        groups = sampler.sample(model, asked[:4], 4, 1.0, LONGEST, 0)
        samples = [s for group in groups for s in group if s.choices]
        with torch.no_grad():
            trainer = score_choices(scored, samples, 1.0).logps
        gap = trainer - torch.tensor([logp for s in samples for logp in s.logps])
        found[name] = {
            "mean": round(float(gap.abs().mean()), 5),
            "largest": round(float(gap.abs().max()), 4),
            "weights_above_cap_2": round(float((gap.exp() > 2).float().mean()), 4),
            "tokens": len(gap),
        }

    for storage in ("f32", "f16", "q8_0"):
        sampler = LlamaSampler(tokenizer, storage)
        sampler.refresh(model)
        began = time.perf_counter()
        sampler.refresh(model)
        seconds = time.perf_counter() - began
        record(storage, sampler, model)
        found[storage]["transfer_seconds"] = round(seconds, 3)
        sampler.close()
    # The shipped type, of the merged model: too slow to quantise every step, shown for its gap.
    merged = model.merge_and_unload()
    with tempfile.TemporaryDirectory() as folder:
        merged.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        file = Path(folder) / "q4_k_m.gguf"
        write_gguf(Path(folder), file, quant="q4_k_m", name="policy")
        record("q4_k_m", _frozen(tokenizer, Context(file, cells=4096, threads=cores())), merged)
    return found


def _frozen(tokenizer: Any, context: Any) -> Any:
    """A llama.cpp sampler of a file that nobody trains."""
    from denizen.train.rollouts.llama import LlamaTree
    from denizen.train.rollouts.transformers import TransformersSampler

    class Frozen(TransformersSampler):
        def _tree(self, model: Any, prompts: Any) -> Any:
            return LlamaTree(context, prompts)

    return Frozen(tokenizer)


if __name__ == "__main__":
    print(json.dumps(_child(sys.argv[1], sys.argv[2], Path(sys.argv[3]))))

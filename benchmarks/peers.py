"""One small fine-tuning end to end: Denizen, LLaMA-Factory and Axolotl, as their users start them.

Contract: the same base folder, rows, learnt tokens, adapter, rate and number of passes; the tools
run the files `denizen.train.emit` writes, through their own command lines, each in an environment
of its own (DENIZEN_PEER_LLAMAFACTORY, DENIZEN_PEER_AXOLOTL: folders of virtual environments), as
activated.  A tool that does not run here is recorded with its own error; wall time includes start
and loading.  `loss_after` is of each adapter on all rows, by the same hand: curves are of batches.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import child
from denizen.project import Config
from denizen.train.emit import Emitted

ROWS = 96
BASE = "smollm2-135m-instruct"
COMMANDS = {
    "llamafactory": ("DENIZEN_PEER_LLAMAFACTORY", ["llamafactory-cli", "train", "config.yaml"]),
    "axolotl": ("DENIZEN_PEER_AXOLOTL", ["axolotl", "train", "config.yaml"]),
}
LIMIT = 1800


def measure() -> dict[str, Any]:
    """Seconds, tokens a second, memory and losses of each; ratios to Denizen's."""
    with tempfile.TemporaryDirectory(prefix="denizen-peers-") as place:
        found = _all(Path(place))
    ours = found["systems"]["denizen"]
    for name in COMMANDS:
        rival = found["systems"][name]
        if "seconds" in rival:
            rival["ratio_seconds"] = round(rival["seconds"] / ours["seconds"], 2)
            rival["ratio_train"] = round(rival["train_seconds"] / ours["train_seconds"], 2)
            rival["ratio_memory"] = round(rival["peak_gib"] / ours["peak_gib"], 2)
    return found


def _all(place: Path) -> dict[str, Any]:
    config, base, made = _prepare(place)
    tokens, learnt = _count(base, made["axolotl"].run.parent)
    systems = {"denizen": _ours(place, base, tokens)}
    for name, (variable, command) in COMMANDS.items():
        home = os.environ.get(variable)
        if not home:
            systems[name] = {"does not run": f"{variable} names no environment"}
            continue
        systems[name] = _theirs(Path(home), command, made[name].run.parent, tokens)
        systems[name]["differs"] = list(made[name].notes)
    for name, adapter in (("denizen", place / "adapter"), *_adapters(made)):
        told = child.measured("benchmarks.peers", "score", base, place, adapter)
        systems[name]["loss_after"] = told["loss"]
    return {
        "base": BASE,
        "rows": ROWS,
        "tokens": tokens,
        "supervised": learnt,
        "rank": config.adapter.rank,
        "systems": systems,
    }


def settings() -> Config:
    """LoRA in float32, one pass, no checkpointing: what serves everyone best on a CPU."""
    return Config.model_validate(
        {
            "data": {"rows": ROWS},
            "train": {
                "precision": "float32",
                "checkpointing": "off",
                "rounded_from": 1.0,
                # Gives as many steps as the tools take with the rows a step that are emitted.
                "batch_tokens": 1050,
            },
        }
    )


def _prepare(place: Path) -> tuple[Config, Path, dict[str, Emitted]]:
    from denizen.data import build_rows, load_holdout
    from denizen.models import SYSTEM, checkpoint, ensure, find_model, load_tokenizer
    from denizen.tasks import suite_of
    from denizen.train import ChoiceCut
    from denizen.train.emit import emit

    config, base = settings(), checkpoint(ensure(find_model(BASE)))
    suite, tokenizer = suite_of(config.data.families), load_tokenizer(base)
    rows, _ = build_rows(ROWS, 0, load_holdout(suite.names), suite=suite, system=SYSTEM)
    cut = ChoiceCut(tokenizer, suite, config.train.choice_cut)
    made = {
        name: emit(name, config, base, tokenizer, rows, place / name, cut=cut) for name in COMMANDS
    }
    return config, base, made


def _count(base: Path, folder: Path) -> tuple[int, int]:
    from denizen.models import encode, load_tokenizer

    tokenizer = load_tokenizer(base)
    lines = (folder / "data.jsonl").read_text("utf-8").splitlines()
    segments = [s for line in lines for s in json.loads(line)["segments"]]
    sizes = [(len(encode(tokenizer, s["text"])), s["label"]) for s in segments]
    return sum(size for size, _ in sizes), sum(size for size, learnt in sizes if learnt)


def _ours(place: Path, base: Path, tokens: int) -> dict[str, Any]:
    """The same rows through `fine_tune`, in a process of its own, loading included."""
    command = [sys.executable, "-m", "benchmarks.peers", str(base), str(place)]
    seconds, peak, code, text = _timed(command, Path.cwd())
    if code:
        raise RuntimeError(text[-2000:])
    told = json.loads((place / "denizen.json").read_text("utf-8"))
    return _figures(seconds, peak, tokens, told["seconds"], told["losses"])


def _adapters(made: dict[str, Emitted]) -> list[tuple[str, Path]]:
    """What each tool left, where it did; the last save stands nearest to the top."""
    found = []
    for name, emitted in made.items():
        places = list(emitted.run.parent.glob("out/**/adapter_config.json"))
        if places:
            found.append((name, min(places, key=lambda path: len(path.parts)).parent))
    return found


def _theirs(home: Path, command: list[str], folder: Path, tokens: int) -> dict[str, Any]:
    bin_ = home / "bin"
    # As `activate` does: tools start their own parts by name.
    active = {"PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}", "VIRTUAL_ENV": str(home)}
    seconds, peak, code, text = _timed([str(bin_ / command[0]), *command[1:]], folder, active)
    states = sorted(folder.glob("out/**/trainer_state.json"), key=lambda p: p.stat().st_mtime)
    if code or not states:
        return {"does not run": _error(text), "exit_code": code}
    history = json.loads(states[-1].read_text("utf-8"))["log_history"]
    losses = [entry["loss"] for entry in history if "loss" in entry]
    told = [entry["train_runtime"] for entry in history if "train_runtime" in entry]
    told += [float(x) for x in re.findall(r"'?train_runtime'?: '?([\d.]+)", text)]
    return _figures(seconds, peak, tokens, told[-1], losses)


def _figures(
    seconds: float, peak: float, tokens: int, train: float, losses: list[float]
) -> dict[str, Any]:
    return {
        "seconds": round(seconds, 1),
        "train_seconds": round(train, 1),
        "tokens_per_second": round(tokens / train, 1),
        "peak_gib": round(peak, 2),
        "steps": len(losses),
        "first_loss": round(losses[0], 4),
        "final_loss": round(losses[-1], 4),
    }


def _timed(
    command: list[str], folder: Path, active: dict[str, str] | None = None
) -> tuple[float, float, int, str]:
    """Seconds, peak GiB (of the process or a child it waited for), exit code, output."""
    began = time.monotonic()
    quiet = {"HF_HUB_OFFLINE": "1", "WANDB_DISABLED": "true", "AXOLOTL_DO_NOT_TRACK": "1"}
    with tempfile.TemporaryFile() as out:
        try:
            process = subprocess.Popen(
                ["timeout", str(LIMIT), *command],
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**os.environ, **quiet, **(active or {})},
            )
        except OSError as error:
            return 0.0, 0.0, 127, str(error)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read().decode("utf-8", "replace")
    return time.monotonic() - began, usage.ru_maxrss / 2**20, process.returncode, text


def _error(text: str) -> str:
    """The line that names the error, or the last one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    named = [line for line in lines if re.search(r"^\S*(Error|Exception)\b", line)]
    # A launcher's own complaint comes after, and says nothing.
    named = [line for line in named if "CalledProcessError" not in line] or named
    said = (named or lines or ["no output"])[-1]
    # Where something lies on this machine is nobody's concern.
    return re.sub(r"(?:/[\w.+-]+)+/", "", said)[:500]


def _examples(base: Path, place: Path) -> list[Any]:
    """The very rows the tools were given."""
    from denizen.models import encode, load_tokenizer
    from denizen.train import Example

    tokenizer = load_tokenizer(base)
    examples = []
    for line in (place / "axolotl" / "data.jsonl").read_text("utf-8").splitlines():
        ids: list[int] = []
        labels: list[int] = []
        for segment in json.loads(line)["segments"]:
            new = encode(tokenizer, segment["text"])
            ids += new
            labels += new if segment["label"] else [-100] * len(new)
        examples.append(Example(len(ids), {"input_ids": ids, "labels": labels}))
    return examples


def _train(base: Path, place: Path) -> None:
    """Denizen's own run."""
    from denizen.train import Job, fine_tune

    job = Job(base, "bench", _examples(base, place), settings(), place / "work", place / "adapter")
    result = fine_tune(job)
    told = {"seconds": result.seconds, "losses": [point.loss for point in result.points]}
    (place / "denizen.json").write_text(json.dumps(told), "utf-8")


def _score(base: Path, place: Path, adapter: Path) -> float:
    """Mean loss of all learnt tokens under an adapter, nats."""
    import torch

    from denizen.models import load_model
    from denizen.models.adapters import load_adapter
    from denizen.train.loss import supervised_logps

    child.prepare()
    model = load_adapter(load_model(base), adapter).eval()
    total, learnt = 0.0, 0
    with torch.inference_mode():
        for example in _examples(base, place):
            ids, labels = (torch.tensor([example.fields[k]]) for k in ("input_ids", "labels"))
            values = supervised_logps(model, ids, labels).values
            total, learnt = total - float(values.sum()), learnt + len(values)
    return round(total / learnt, 4)


if __name__ == "__main__":
    if sys.argv[1] == "score":
        print(json.dumps({"loss": _score(*map(Path, sys.argv[2:]))}))
    else:
        _train(Path(sys.argv[1]), Path(sys.argv[2]))

"""Starts the processes of a run, follows the first one's progress and brings its result home.

Contract: the job goes to the workers as a file of the work folder; torchrun (on a CPU) or
`accelerate launch` with the configuration written beside it (on GPUs) starts them; each runs the
one recipe.  What a worker raises is raised here, as the same typed error.  When this process
leaves, for whatever reason, its workers are stopped.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from denizen.project import errors
from denizen.project.atomic import atomic_write_text
from denizen.project.config import Config
from denizen.train.checkpoints import TrainingPoint
from denizen.train.scale import check_scale

if TYPE_CHECKING:
    from denizen.train.recipe import Job, TrainingResult

_POLL = 0.1
# torchrun gives its workers 30 s.
_PATIENCE = 45.0
_PARENT = "DENIZEN_LAUNCHER"


def launch(job: Job, on_step: Callable[[int, int, TrainingPoint], None]) -> TrainingResult:
    """Run a job in `scale.processes` processes; raises what a worker raised."""
    import torch

    config = job.config
    check_scale(config)
    folder = job.work / "processes"
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.iterdir():
        stale.unlink()
    settings = write_launch_files(config, folder)
    (folder / "job.pickle").write_bytes(pickle.dumps(job))
    command = _command(config.scale.processes, folder, settings, torch.cuda.is_available())
    log = folder / "log.txt"
    with log.open("wb") as out:
        workers = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env=_environment(config)
        )
        progress = _Progress(folder / "progress.jsonl", on_step)
        try:
            while workers.poll() is None:
                progress.follow()
                time.sleep(_POLL)
            progress.follow()
        finally:
            _stop(workers)
    _raise_errors(folder)
    result = folder / "result.pickle"
    if workers.returncode or not result.exists():
        raise errors.TrainingError(
            f"a training process ended with code {workers.returncode}",
            where=str(log),
            fix="read the end of that log; the same command resumes from the last checkpoint",
        )
    # Written by our own worker a moment ago.
    done: TrainingResult = pickle.loads(result.read_bytes())
    return done


def write_launch_files(config: Config, folder: Path) -> Path:
    """`accelerate.yaml` (and `deepspeed.json`) of `scale`; returns the former."""
    import yaml

    path = folder / "accelerate.yaml"
    atomic_write_text(path, yaml.safe_dump(accelerate_settings(config, folder), sort_keys=False))
    if config.scale.backend == "deepspeed":
        text = json.dumps(deepspeed_settings(config), indent=1)
        atomic_write_text(folder / "deepspeed.json", text)
    return path


def accelerate_settings(config: Config, folder: Path) -> dict[str, Any]:
    """The file `accelerate launch --config_file` reads."""
    scale = config.scale
    kinds = {"ddp": "MULTI_GPU", "fsdp2": "FSDP", "deepspeed": "DEEPSPEED"}
    settings: dict[str, Any] = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": kinds[scale.backend],
        "num_machines": 1,
        "num_processes": scale.processes,
        "machine_rank": 0,
        "main_training_function": "main",
        "rdzv_backend": "static",
        "same_network": True,
        "use_cpu": False,
        "debug": False,
    }
    if scale.backend == "fsdp2":
        settings["fsdp_config"] = {
            "fsdp_version": 2,
            "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "fsdp_reshard_after_forward": True,
            "fsdp_state_dict_type": "FULL_STATE_DICT",
            "fsdp_cpu_ram_efficient_loading": False,
            "fsdp_offload_params": False,
            "fsdp_activation_checkpointing": False,
        }
    if scale.backend == "deepspeed":
        settings["deepspeed_config"] = {
            "deepspeed_config_file": str(folder / "deepspeed.json"),
            "zero3_init_flag": False,
        }
    return settings


def deepspeed_settings(config: Config) -> dict[str, Any]:
    """ZeRO of `scale.zero_stage`; what says "auto" is filled in by transformers' Trainer."""
    stage = config.scale.zero_stage
    zero: dict[str, Any] = {
        "stage": stage,
        "overlap_comm": True,
        "contiguous_gradients": True,
        "reduce_scatter": True,
    }
    if stage == 3:
        zero["stage3_gather_16bit_weights_on_model_save"] = True
    return {
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "bf16": {"enabled": "auto"},
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
    }


def work(folder: Path) -> None:
    """What each process runs: the recipe on the job of `folder`; process 0 writes."""
    from denizen.train.recipe import run_job

    _leave_with(int(os.environ[_PARENT]))
    rank = int(os.environ["RANK"])
    progress = folder / "progress.jsonl"

    def on_step(step: int, total: int, point: TrainingPoint) -> None:
        with progress.open("a", encoding="utf-8") as file:
            file.write(json.dumps([step, total, asdict(point)]) + "\n")

    import torch

    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    try:
        job = pickle.loads((folder / "job.pickle").read_bytes())
        result = run_job(job, on_step if rank == 0 else lambda *_: None)
    except errors.DenizenError as error:
        atomic_write_text(folder / f"error-{rank}.json", json.dumps(error.to_json()))
        raise
    if rank == 0:
        (folder / "result.pickle").write_bytes(pickle.dumps(result))


def _leave_with(parent: int) -> None:
    """End this process soon after its launcher was killed: nobody would stop it."""

    def watch() -> None:
        while True:
            time.sleep(1.0)
            try:
                os.kill(parent, 0)
            except OSError:
                os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


class _Progress:
    """Hands each new whole line of process 0 to `on_step`."""

    def __init__(self, path: Path, on_step: Callable[[int, int, TrainingPoint], None]) -> None:
        self._path, self._on_step, self._seen = path, on_step, 0

    def follow(self) -> None:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._seen)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._seen += len(line)
                step, total, point = json.loads(line)
                self._on_step(step, total, TrainingPoint(**point))


def _command(processes: int, folder: Path, settings: Path, gpu: bool) -> list[str]:
    """torchrun on a CPU, where accelerate's launcher would want MPI; else accelerate."""
    module = ["-m", "denizen.train.launch", str(folder)]
    if gpu:
        start = ["accelerate.commands.launch", "--config_file", str(settings)]
    else:
        start = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return [sys.executable, "-m", *start, *module]


def _environment(config: Config) -> dict[str, str]:
    threads = max(1, (os.cpu_count() or 1) // config.scale.processes)
    own = {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false", **os.environ}
    return own | {_PARENT: str(os.getpid())}


def _stop(workers: subprocess.Popen[bytes]) -> None:
    if workers.poll() is None:
        workers.send_signal(signal.SIGTERM)
        try:
            workers.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            workers.kill()
            workers.wait()


def _raise_errors(folder: Path) -> None:
    """Raise what a worker raised first, as what it was."""
    found = sorted(folder.glob("error-*.json"), key=lambda p: p.stat().st_mtime_ns)
    for path in found:
        told = json.loads(path.read_text("utf-8"))
        kind = getattr(errors, told["error"], errors.TrainingError)
        raise kind(told["what"], where=told["where"], fix=told["fix"])


if __name__ == "__main__":
    work(Path(sys.argv[1]))

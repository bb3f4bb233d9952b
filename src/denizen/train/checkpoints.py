"""Checkpoints of a run: room for them, the newest whole one, and the curve up to it.

Contract: a run that the disk cannot hold is refused before it starts; a disk that fills up later
ends it in one line, and the half-written checkpoint gives its space back.  A checkpoint that a
kill, a full disk or a power cut left short is passed over, and the curve is taken back to the step
a resumed run starts from.  Sizes in bytes; messages say MiB.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from denizen.project.atomic import atomic_write_text
from denizen.project.errors import DiskFullError

# How many checkpoints are kept; the next one is written before the oldest goes.
KEPT = 2
_WEIGHTS = ("adapter_model.safetensors", "model.safetensors")
# The optimiser's, the schedule's, and what FSDP2 writes instead of the first and of the weights.
_ZIPPED = ("optimizer.pt", "scheduler.pt", "optimizer.bin", "pytorch_model_fsdp.bin")
_INDEX = "model.safetensors.index.json"
_TENSORS = (".safetensors", ".bin", ".pt", ".gguf")
_FULL = (errno.ENOSPC, errno.EDQUOT)
_SMALL_FILES = 2 * 2**20


@dataclass(frozen=True)
class TrainingPoint:
    """One step as it was seen; `metrics` are the objective's own figures."""

    step: int
    loss: float
    gradient_norm: float
    learning_rate: float
    tokens_per_second: float
    metrics: dict[str, float] = field(default_factory=dict)


def newest_checkpoint(work: Path) -> Path | None:
    """The newest checkpoint that is whole."""
    return next((path for path in reversed(_checkpoints(work)) if _whole(path)), None)


def resumed_step(work: Path) -> int:
    """The step a run of this work folder would go on from; 0 if it would start anew."""
    found = newest_checkpoint(work)
    return _step(found) if found else 0


def earlier_points(curve: Path) -> list[TrainingPoint]:
    """The curve up to the checkpoint a resumed run starts from; later points are taken back."""
    reached = resumed_step(curve.parent)
    lines = curve.read_text("utf-8").splitlines() if curve.exists() and reached else []
    points = [TrainingPoint(**json.loads(line)) for line in lines if line.endswith("}")]
    kept = [point for point in points if point.step <= reached]
    atomic_write_text(curve, "".join(json.dumps(asdict(p)) + "\n" for p in kept))
    return kept


def checkpoint_bytes(base: Path, trainable: int) -> int:
    """Of one checkpoint, at most: float32 weights, AdamW's two moments, the base's small files.

    `trainable` counts weights; the tokenizer, which a checkpoint holds too, is most of the rest.
    """
    files = (path for path in base.iterdir() if path.suffix not in _TENSORS and path.is_file())
    return 3 * 4 * trainable + sum(path.stat().st_size for path in files) + _SMALL_FILES


def check_space(work: Path, adapter: Path, base: Path, trainable: int, saves: int) -> None:
    """Raises DiskFullError unless the checkpoints and the adapter fit on their disks.

    `saves` is how many checkpoints will be written; what earlier ones of this run take is there
    already.
    """
    one = checkpoint_bytes(base, trainable)
    held = min(KEPT + 1, saves)
    there = sum(_size(path) for path in _checkpoints(work))
    last = 4 * trainable + _SMALL_FILES
    needs = [(work, max(0, held * one - there), f"{held} checkpoints of {_mib(one)} MiB")]
    if _device(work) == _device(adapter):
        needs = [(work, needs[0][1] + last, f"{needs[0][2]} and the adapter")]
    else:
        needs.append((adapter, last, "the adapter"))
    for place, need, what in needs:
        free = _free(place)
        if free < need:
            raise DiskFullError(
                f"{what} need {_mib(need)} MiB, {_mib(free)} MiB are free",
                where=str(place),
                fix=f"free {_mib(need - free)} MiB, or choose another place with --workspace DIR",
            )


@contextmanager
def disk_watched(work: Path, base: Path, trainable: int) -> Iterator[None]:
    """Turns a disk that fills up into DiskFullError; checkpoints cut short are removed."""
    _drop_partial(work)
    need = checkpoint_bytes(base, trainable)
    try:
        yield
    except DiskFullError:
        _drop_partial(work)
        raise
    except Exception as error:
        if not _is_full(error, work, need):
            raise
        _drop_partial(work)
        free = _free(work)
        kept = newest_checkpoint(work)
        rest = f"go on from step {_step(kept)}" if kept else "begin again"
        raise DiskFullError(
            f"the disk filled up while a checkpoint was written, {_mib(free)} MiB are free",
            where=str(work),
            fix=f"free {max(1, _mib(need - free))} MiB and run the same command again to {rest}",
        ) from error


def _checkpoints(work: Path) -> list[Path]:
    """In the order of their steps."""
    return sorted((p for p in work.glob("checkpoint-*") if _is_step(p)), key=_step)


def _is_step(path: Path) -> bool:
    return path.name.rsplit("-", 1)[1].isdigit()


def _step(path: Path) -> int:
    return int(path.name.rsplit("-", 1)[1])


def _whole(path: Path) -> bool:
    """Every part is there to its last byte; the trainer writes its state file last."""
    try:
        json.loads((path / "trainer_state.json").read_text("utf-8"))
        if (path / _INDEX).exists():
            shards = json.loads((path / _INDEX).read_text("utf-8"))["weight_map"].values()
        else:
            shards = [name for name in _WEIGHTS if (path / name).exists()]
        zipped = {name for name in _ZIPPED if (path / name).exists()}
        # DeepSpeed keeps weights and optimiser in a folder of its own.
        own = any(path.glob("global_step*"))
        return (
            (bool(shards) or own or "pytorch_model_fsdp.bin" in zipped)
            and all(_whole_tensors(path / name) for name in set(shards))
            and all(zipfile.is_zipfile(path / name) for name in zipped)
            and (own or len(zipped & set(_ZIPPED[:3])) == 2)
        )
    except (OSError, ValueError, KeyError):
        return False


def _whole_tensors(path: Path) -> bool:
    """Whether a safetensors file is as long as its header says."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    return path.stat().st_size == 8 + length + max(ends, default=0)


def _drop_partial(work: Path) -> None:
    for path in _checkpoints(work):
        if not _whole(path):
            shutil.rmtree(path, ignore_errors=True)


def _is_full(error: BaseException, work: Path, one: int) -> bool:
    """Whether a full disk is behind an error: its errno, its words, or no room for the rest.

    torch's writer hides the errno; a checkpoint it left half-written, on a disk that cannot hold
    the other half, says the same.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in _FULL:
            return True
        if os.strerror(errno.ENOSPC) in str(seen):
            return True
        seen = seen.__cause__ or seen.__context__
    partial = [path for path in _checkpoints(work) if not _whole(path)]
    return bool(partial) and _free(work) < one - _size(partial[-1])


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _free(path: Path) -> int:
    return shutil.disk_usage(_existing(path)).free


def _device(path: Path) -> int:
    return _existing(path).stat().st_dev


def _mib(count: int) -> int:
    return -(-count // 2**20)

"""The same run for those who use other tools: their configuration, their data, a script.

Contract: `emit` writes into a folder of its own everything Axolotl, LLaMA-Factory or Unsloth needs
to train what `denizen.yaml` says: same base, rows, learnt tokens, adapter, learning rate and
schedule.  What a tool cannot express is refused with the key; what differs stands in the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from denizen.project.atomic import atomic_write_text
from denizen.project.config import Config
from denizen.train.emit.plan import make_plan

if TYPE_CHECKING:
    from denizen.train.examples import Cut

TOOLS = ("axolotl", "llamafactory", "unsloth")


class Emitted(NamedTuple):
    """What was written; `run` starts it, `notes` say what differs."""

    files: tuple[Path, ...]
    run: Path
    rows: int
    notes: tuple[str, ...]


def emit(
    tool: str,
    config: Config,
    base: Path,
    tokenizer: Any,
    rows: Sequence[Any],
    out: Path,
    *,
    cut: Cut | None = None,
) -> Emitted:
    """Write a run for a tool of TOOLS into `out`; raises ConfigError, DataError, TrainingError.

    `rows` are what `train.examples.examples_of` takes, `base` a transformers folder.
    """
    assert tool in TOOLS, tool
    plan = make_plan(config, base, tokenizer, rows, cut)
    texts, notes = import_module(f"denizen.train.emit.{tool}").write(plan)
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        atomic_write_text(out / name, text)
    run = out / "run.sh"
    run.chmod(0o755)
    files = tuple(out / name for name in texts)
    return Emitted(files, run, len(plan.table.rows), (*plan.notes, *notes))


__all__ = ["TOOLS", "Emitted", "emit"]

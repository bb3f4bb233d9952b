"""`denizen train`: the main line up to the train stage, or the run written for another tool."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any

import typer

from denizen.cli._common import (
    ConfigOption,
    JsonOption,
    WorkspaceOption,
    config_of,
    emit,
    run_line,
    workspace_of,
)
from denizen.project import Config, ConfigError

app = typer.Typer()

Objective = Annotated[
    str | None,
    typer.Option(
        "--objective",
        "--method",
        help="What is learnt: sft, pretrain, dpo, orpo, kto, reward, rloo, ppo or grpo.",
    ),
]
Adapter = Annotated[
    str | None,
    typer.Option(
        help="What is trained: lora, qlora, dora, mora, full, galore, apollo, prefix or prompt."
    ),
]
Data = Annotated[
    Path | None, typer.Option(help="A JSON-lines file of your own instead of the verified tasks.")
]
Processes = Annotated[
    int | None, typer.Option("--nproc", min=1, help="Processes that train together.")
]
Tool = Annotated[
    str | None,
    typer.Option(
        "--emit",
        metavar="TOOL",
        help="Write the run for axolotl, llamafactory or unsloth instead of training.",
    ),
]
Out = Annotated[
    Path | None, typer.Option(help="Folder for --emit (default: TOOL, in this folder).")
]


@app.command()
def train(
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    objective: Objective = None,
    adapter: Adapter = None,
    data: Data = None,
    nproc: Processes = None,
    tool: Tool = None,
    out: Out = None,
    json: JsonOption = False,
) -> None:
    """Run (or resume) the main line up to a trained adapter.

    Options override denizen.yaml.  Examples:

    denizen train --objective dpo --adapter dora

    denizen train --data mine.jsonl --nproc 2

    denizen train --emit axolotl --out axolotl-run
    """

    def change(settings: Config) -> Config:
        return overridden(settings, objective, adapter, data, nproc)

    if tool is not None:
        _hand_over(tool, workspace, config, change(config_of(config)), out, json)
        return
    if out is not None:
        raise ConfigError("a folder for nothing", where="--out", fix="name a tool with --emit")
    from denizen.project import Store, list_runs

    run_line("train", workspace, config, False, json, until="train", change=change)
    place = workspace_of(workspace)
    stage = list_runs(place)[0].stages[-1]
    artefact = Store(place).get(stage.outputs["adapter"])
    value = {"hash": artefact.hash, "path": str(artefact.path), "figures": stage.figures}
    emit(value, json, f"adapter {artefact.hash[:12]}: {artefact.path}")


def overridden(
    settings: Config,
    objective: str | None = None,
    adapter: str | None = None,
    data: Path | None = None,
    processes: int | None = None,
) -> Config:
    """The settings with what the command line says; raises ConfigError."""
    from denizen.train.methods import ADAPTERS, OBJECTIVES

    changes: dict[str, dict[str, Any]] = {"train": {}, "adapter": {}, "scale": {}}
    if objective is not None:
        changes["train"]["objective"] = _known(objective, OBJECTIVES, "--objective")
    if adapter is not None:
        changes["adapter"]["method"] = _known(adapter, ADAPTERS, "--adapter")
    if data is not None:
        changes["train"]["data"] = str(data)
    if processes is not None:
        changes["scale"]["processes"] = processes
    update = {
        name: getattr(settings, name).model_copy(update=change) for name, change in changes.items()
    }
    return settings.model_copy(update=update)


def _known(name: str, names: tuple[str, ...], option: str) -> str:
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, 1)
    fix = f"did you mean {near[0]!r}?" if near else f"choose {', '.join(names)}"
    raise ConfigError(f"no {name!r}", where=option, fix=fix)


def _hand_over(
    tool: str,
    workspace: Path | None,
    config: Path | None,
    settings: Config,
    out: Path | None,
    as_json: bool,
) -> None:
    """Build the data as for training, and write the run for another tool."""
    from denizen.improve import lessons
    from denizen.models import checkpoint, ensure, find_model, load_tokenizer
    from denizen.project import Store, list_runs
    from denizen.tasks import suite_of
    from denizen.train import ChoiceCut
    from denizen.train.emit import TOOLS
    from denizen.train.emit import emit as write
    from denizen.train.emit.plan import refuse_own

    folder = out or Path(_known(tool, TOOLS, "--emit"))
    _known(tool, TOOLS, "--emit")
    if folder.exists() and not folder.is_dir():
        raise ConfigError("not a folder", where=str(folder), fix="name another with --out")
    refuse_own(settings)
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(
            "the folder is not empty", where=str(folder), fix="name another with --out"
        )
    run_line("train", workspace, config, False, as_json, until="data", change=lambda _: settings)
    place = workspace_of(workspace)
    stage = list_runs(place)[0].stages[-1]
    rows = lessons.recall(Store(place).get(stage.outputs["rows"]).path, settings)
    base = checkpoint(ensure(find_model(settings.model.base), settings.model.source))
    tokenizer = load_tokenizer(base)
    suite = suite_of(settings.data.families)
    cut = ChoiceCut(tokenizer, suite, settings.train.choice_cut, settings.data.seed)
    made = write(tool, settings, base, tokenizer, rows, folder, cut=cut)
    value = {
        "tool": tool,
        "run": str(made.run),
        "rows": made.rows,
        "files": [str(path) for path in made.files],
        "differs": list(made.notes),
    }
    lines = [f"{made.rows} rows for {tool}: {folder}", *(f"  differs: {n}" for n in made.notes)]
    emit(value, as_json, "\n".join([*lines, f"Run:    {made.run}"]))

"""`denizen eval`: the holdout's scores, other suites, or another harness on the release."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from denizen.cli._common import (
    ConfigOption,
    FullOption,
    JsonOption,
    WorkspaceOption,
    config_of,
    emit,
    quiet_libraries,
    run_line,
    say,
    workspace_of,
)
from denizen.project.errors import ArtefactError, ConfigError

app = typer.Typer()


@app.command()
def eval(  # the verb's name
    suite: Annotated[
        str | None, typer.Option(help="Behaviour suites by commas, or all, of a GGUF.")
    ] = None,
    sets: Annotated[
        str | None, typer.Option(help="Public general sets: their folder, or hub.")
    ] = None,
    audit: Annotated[
        Path | None, typer.Option(help="Folder of contract pairs (SWC registry or SmartBugs).")
    ] = None,
    dmind: Annotated[Path | None, typer.Option(help="Your copy of the DMind benchmark.")] = None,
    retrieval: Annotated[
        Path | None, typer.Option(help="JSONL of questions and relevant ids, put to an index.")
    ] = None,
    index: Annotated[Path | None, typer.Option(help="Folder of that index.")] = None,
    harness: Annotated[str | None, typer.Option(help="Run lm-eval or inspect instead.")] = None,
    env: Annotated[
        Path | None, typer.Option(help="The harness's own environment (a venv or its python).")
    ] = None,
    tasks: Annotated[str, typer.Option(help="Tasks of the harness, by commas.")] = "",
    task_folder: Annotated[
        Path | None, typer.Option(help="Folder of lm-eval tasks of your own.")
    ] = None,
    emit_to: Annotated[
        Path | None, typer.Option("--emit", help="Write Denizen's families as lm-eval tasks here.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="Items of each suite, set or task.", min=1)
    ] = None,
    base: Annotated[bool, typer.Option("--base", help="Ask the base too, and compare.")] = False,
    gguf: Annotated[Path | None, typer.Option(help="Another GGUF than the release.")] = None,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    full: FullOption = False,
    json: JsonOption = False,
) -> None:
    """Score the shipped GGUF on the holdout; or, with an option, put something else to a GGUF."""
    if emit_to is not None:
        _emit(emit_to, config, json)
    elif retrieval is not None:
        _retrieval(retrieval, index, workspace, config, json)
    elif harness is not None:
        _harness(harness, env, tasks, task_folder, limit, gguf, workspace, config, json)
    elif suite or sets or audit or dmind:
        _examine(suite, sets, audit, dmind, limit, base, gguf, workspace, config, json)
    else:
        _holdout(workspace, config, full, json)


def _holdout(workspace: Path | None, config: Path | None, full: bool, json: bool) -> None:
    from denizen.evaluate import wilson
    from denizen.project import list_runs

    run_line("eval", workspace, config, full, json, until="shipped score")
    stages = list_runs(workspace_of(workspace))[0].stages
    value, rows = {}, []
    for stage in (s for s in stages if s.name.endswith("score")):
        n, accuracy = stage.figures["n"], stage.figures["accuracy"]
        rate = wilson(round(accuracy * n), n)
        value[stage.name] = {**stage.figures, "low": rate.low, "high": rate.high}
        rows.append(f"{stage.name:<16}{accuracy:>8.1%}  {rate.low:.1%} to {rate.high:.1%} of {n}")
    emit(value, json, "\n".join(rows))


def _emit(folder: Path, config: Path | None, json: bool) -> None:
    from denizen.evaluate.harness import write_lm_eval
    from denizen.tasks import suite_of

    names = write_lm_eval(folder, suite_of(config_of(config).data.families).names)
    emit({"folder": str(folder), "tasks": names}, json, "\n".join(names))


def _retrieval(
    questions: Path, index: Path | None, workspace: Path | None, config: Path | None, json: bool
) -> None:
    from denizen.evaluate.suites.retrieval import read_questions
    from denizen.improve.retrieving import RETRIEVERS, examine_retrieval, missing_ids
    from denizen.project import Bar, DataError
    from denizen.retrieve import open_index

    asked = read_questions(questions)
    if not any(one.answerable for one in asked):
        raise DataError(
            "no question has a relevant passage", where=str(questions), fix="name relevant ids"
        )
    # As `ingest docs` and `serve` have it, unless a folder is named.
    serve = config_of(config).serve
    own = Path(serve.index) if serve.index else workspace_of(workspace).path("index")
    opened = open_index(index or own, postgres="" if index else serve.postgres)
    try:
        if missing := missing_ids(asked, opened):
            say(f"relevant ids not in this index: {len(missing)}, the first {missing[0][:80]!r}")
        with Bar("retrieval", len(asked) * len(RETRIEVERS), json).shown() as bar:
            found = examine_retrieval(asked, opened, on_done=bar.advance)
    finally:
        opened.close()
    emit([f.to_dict() for f in found], json, "\n".join(f.line() for f in found))


def _harness(
    harness: str,
    env: Path | None,
    tasks: str,
    task_folder: Path | None,
    limit: int | None,
    gguf: Path | None,
    workspace: Path | None,
    config: Path | None,
    json: bool,
) -> None:
    from datetime import UTC, datetime

    from denizen.evaluate.harness import HarnessJob, run_harness
    from denizen.improve.gating import count_look
    from denizen.project import sha256_file
    from denizen.serve import serving
    from denizen.serve.assembly import examined

    if harness not in ("lm-eval", "inspect"):
        raise ConfigError(f"no harness {harness!r}", where="--harness", fix="lm-eval or inspect")
    if env is None:
        raise ConfigError(
            f"{harness} runs in an environment of its own",
            where="--env",
            fix="name the folder of its venv, or its python",
        )
    settings, place = config_of(config), workspace_of(workspace)
    path = _file(gguf, place)
    named = tuple(t.strip() for t in tasks.split(",") if t.strip())
    if any(task.startswith("denizen") for task in named):
        # Our families there are the frozen exam: asked by whomever, it is a look.
        counted = count_look(place, settings, sha256_file(path), scoring=harness)
        say(f"look {counted.number} at this holdout: {counted.left:.4f} of alpha left")
    app, close = examined(settings, place.root, path)
    folder = place.path("harness", f"{harness}-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    try:
        with serving(app) as url:
            job = HarnessJob(
                harness,  # type: ignore[arg-type]
                env,
                url,
                path.stem,
                named,
                task_folder=task_folder,
                limit=limit,
            )
            found = run_harness(job, folder, artefact=sha256_file(path))
    finally:
        close()
    value = {
        "harness": found.harness,
        "version": found.version,
        "folder": str(folder),
        "figures": [figure._asdict() for figure in found.figures],
        "without_interval": list(found.without_interval),
    }
    lines = [_figure_line(figure) for figure in found.figures]
    if found.without_interval:
        lines.append(f"left out, told without an interval: {', '.join(found.without_interval)}")
    emit(value, json, "\n".join(lines))


def _figure_line(figure: Any) -> str:
    span = f"{figure.low:.3f} to {figure.high:.3f}"
    part = "  (part of the task)" if figure.limited else ""
    value = f"{figure.metric:<20}{figure.value:>8.3f}"
    return f"{figure.task:<32}{value}  {span}  n = {figure.n}{part}"


def _examine(
    suite: str | None,
    sets: str | None,
    audit: Path | None,
    dmind: Path | None,
    limit: int | None,
    base: bool,
    gguf: Path | None,
    workspace: Path | None,
    config: Path | None,
    json: bool,
) -> None:
    from denizen.improve.conduct import sets_of, suites_of
    from denizen.improve.examining import examine

    settings, place = config_of(config), workspace_of(workspace)
    quiet_libraries()
    chosen = list(suites_of(suite or "", limit or 10_000))
    chosen += _outside(audit, dmind, limit)
    if not chosen and not sets:
        raise ConfigError(
            f"no suite of {suite!r} can be asked here",
            where="--suite",
            fix="name one, or all; memorisation needs the training rows: evaluate.suites",
        )
    found = examine(
        place,
        settings,
        _file(gguf, place),
        chosen,
        sets_of(sets or "", limit or 1_000_000, settings.evaluate.run_code),
        base=base,
        quiet=json,
        say=(lambda _: None) if json else say,
    )
    emit([f.to_dict() for f in found], json, "\n".join(f.line() for f in found))


def _outside(audit: Path | None, dmind: Path | None, limit: int | None) -> list[Any]:
    from denizen.evaluate.suites.audit import audit_suite
    from denizen.evaluate.suites.audit_reading import contract_pairs
    from denizen.evaluate.suites.dmind import dmind_suite, read_dmind

    found = []
    if audit is not None:
        found.append(audit_suite(contract_pairs(audit).pairs, count=limit))
    if dmind is not None:
        questions = read_dmind(dmind).questions
        found.append(dmind_suite(questions[:limit] if limit else questions))
    return found


def _file(gguf: Path | None, place: Any) -> Path:
    from denizen.improve import release_gguf

    if gguf is not None and not gguf.is_file():
        raise ArtefactError(
            "no such file", where=str(gguf), fix="name a GGUF, or leave --gguf out for the release"
        )
    return gguf or release_gguf(place)

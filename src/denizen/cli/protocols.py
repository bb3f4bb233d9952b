"""`denizen protocols`: the exact engine from the command line."""

from __future__ import annotations

from typing import Annotated

import typer

from denizen.cli._common import JsonOption, WorkspaceOption, emit, workspace_of

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_tools(json: JsonOption = False) -> None:
    """What the calculator offers."""
    from denizen.tasks import catalogue

    value = {t.name: {"signature": t.signature(), "doc": t.doc} for t in catalogue().values()}
    emit(value, json, "\n".join(f"{v['signature']}\n    {v['doc']}" for v in value.values()))


@app.command()
def schema() -> None:
    """The calculator's tools as JSON Schema, for function calling."""
    import json

    from denizen.tasks import catalogue, catalogue_schema

    print(json.dumps(catalogue_schema(catalogue()), indent=1))


@app.command()
def certify(
    protocol: Annotated[
        list[str] | None, typer.Option(help="One protocol; may be repeated (default: all).")
    ] = None,
    cases: Annotated[int, typer.Option(min=1, help="Cases for each protocol.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Compare the engine with real contract bytecode, case by case; exit code 1 if it differs."""
    from denizen.evm import certificate
    from denizen.project import Bar

    chosen = protocol or list(certificate.RUNNERS)
    place = workspace_of(workspace)
    with Bar("certify", cases * len(chosen), quiet=json).shown() as bar:
        made = certificate.certify(
            chosen,
            cases,
            seed,
            on_start=lambda name: bar.update(bar.done, name),
            on_case=bar.advance,
        )
    certificate.save(made, place)
    lines = [made.line(), *(m for o in made.outcomes for m in o["first_mismatches"])]
    emit(made.to_json(), json, "\n".join(lines))
    if not made.ok:
        raise typer.Exit(1)


@app.command()
def quote(
    call: Annotated[str, typer.Argument(help="A call, such as 'il_full(entry=2000; now=2600)'.")],
    json: JsonOption = False,
) -> None:
    """Evaluate one calculator call exactly."""
    from denizen.project import DataError
    from denizen.tasks import ToolError, evaluate

    try:
        result = evaluate(call)
    except ToolError as error:
        raise DataError(str(error), where="call", fix="see `denizen protocols list`") from error
    value = {
        "values": dict(result.values),
        "text": result.text,
        "derivation": list(result.derivation),
    }
    emit(value, json, "\n".join([result.text, *(f"  {s}" for s in result.derivation)]))


@app.command()
def fact(
    version: Annotated[str, typer.Argument(help="v2, v3 or v4.")],
    topic: Annotated[str, typer.Argument(help="For example oracle.")],
    qualifier: Annotated[str | None, typer.Argument(help="Fee tier, for tick_spacing.")] = None,
    json: JsonOption = False,
) -> None:
    """One fact of a protocol version, with source and date."""
    from denizen.project import DataError
    from denizen.protocols import mechanics

    try:
        found = mechanics.fact(version, topic, qualifier)
    except LookupError as error:
        raise DataError(str(error), where="protocols fact", fix="choose one of these") from error
    text = f"{found.value}\n  {found.note} ({found.source}, as of {found.as_of})"
    emit(found._asdict(), json, text)

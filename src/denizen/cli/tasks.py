"""`denizen tasks`: families, samples of their questions, and the verifier."""

from __future__ import annotations

from typing import Annotated

import typer

from denizen.cli._common import JsonOption, emit

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_families(json: JsonOption = False) -> None:
    """All families with their kinds."""
    from denizen.tasks import FAMILIES

    value = {f.name: {"doc": f.doc, "kinds": list(f.kinds)} for f in FAMILIES.values()}
    emit(value, json, "\n".join(f"{n:<18}{v['doc']}" for n, v in value.items()))


@app.command()
def sample(
    family: Annotated[str, typer.Argument(help="Family name.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1)] = 3,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    json: JsonOption = False,
) -> None:
    """Training questions of a family with their gold calls and exact answers."""
    from denizen.project import DataError
    from denizen.tasks import FAMILIES, evaluate

    if family not in FAMILIES:
        raise DataError(f"no family {family!r}", where="tasks", fix=f"known: {', '.join(FAMILIES)}")
    items = [FAMILIES[family].generate(seed + i, "train") for i in range(count)]
    blocks = [f"{i.prompt}\n  {i.gold}\n  = {evaluate(i.gold).text}" for i in items]
    emit([i.to_json() for i in items], json, "\n\n".join(blocks))


@app.command()
def verify(
    family: Annotated[str, typer.Argument(help="Family name.")],
    seed: Annotated[int, typer.Argument(help="Seed of the question.")],
    answer: Annotated[str, typer.Argument(help="An answer, with or without a <calc> call.")],
    json: JsonOption = False,
) -> None:
    """Judge an answer to a training question exactly."""
    from dataclasses import asdict

    from denizen.project import DataError
    from denizen.tasks import FAMILIES
    from denizen.tasks import verify as judge

    if family not in FAMILIES:
        raise DataError(f"no family {family!r}", where="tasks", fix=f"known: {', '.join(FAMILIES)}")
    verdict = judge(FAMILIES[family].generate(seed, "train"), answer)
    text = f"{'right' if verdict.ok else 'wrong'}: {verdict.reason}; expected {verdict.expected}"
    emit(asdict(verdict), json, text)
    if not verdict.ok:
        raise typer.Exit(1)

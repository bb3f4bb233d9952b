"""`denizen tasks`: families, samples of their questions, and the verifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from denizen.cli._common import JsonOption, emit

if TYPE_CHECKING:
    from denizen.tasks import Family

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_families(json: JsonOption = False) -> None:
    """All families: what they ask, their kinds, levels and protocol versions."""
    from denizen.tasks import CORE, FAMILIES

    value = {
        f.name: {
            "doc": f.doc,
            "suite": "core" if f.name in CORE else "all",
            "kinds": list(f.kinds),
            "levels": list(f.levels),
            "versions": list(f.versions),
            "answer": f.schema.json_schema() if f.schema else list(f.tools),
        }
        for f in FAMILIES.values()
    }
    rows = [f"{n:<20}{v['suite']:<6}{v['doc']}" for n, v in value.items()]
    emit(value, json, "\n".join(rows))


@app.command()
def sample(
    family: Annotated[str, typer.Argument(help="Family name.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1)] = 3,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    json: JsonOption = False,
) -> None:
    """Training questions of a family with their gold calls and exact answers."""
    from denizen.tasks import evaluate

    items = [_family(family).generate(seed + i, "train") for i in range(count)]
    blocks = [
        f"{i.prompt}\n  {i.gold}" + (f"\n  = {evaluate(i.gold).text}" if i.form == "call" else "")
        for i in items
    ]
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

    from denizen.tasks import verify as judge

    verdict = judge(_family(family).generate(seed, "train"), answer)
    text = f"{'right' if verdict.ok else 'wrong'}: {verdict.reason}; expected {verdict.expected}"
    emit(asdict(verdict), json, text)
    if not verdict.ok:
        raise typer.Exit(1)


def _family(name: str) -> Family:
    from denizen.project import DataError
    from denizen.tasks import FAMILIES

    if name not in FAMILIES:
        raise DataError(f"no family {name!r}", where="tasks", fix=f"known: {', '.join(FAMILIES)}")
    return FAMILIES[name]

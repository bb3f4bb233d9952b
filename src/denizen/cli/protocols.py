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

    chosen = certificate.known(protocol or ())
    place = workspace_of(workspace)
    with Bar("certify", cases * len(chosen), quiet=json).shown() as bar:
        made = certificate.certify(
            chosen,
            cases,
            seed,
            on_start=lambda name: bar.update(bar.done, name),
            on_case=bar.advance,
            workspace=place,
        )
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
    _evaluate(call, json)


@app.command()
def position(
    liquidity: Annotated[str, typer.Option(help="The position's liquidity, a raw integer.")],
    lower: Annotated[str, typer.Option(help="Lower price of the range.")],
    upper: Annotated[str, typer.Option(help="Upper price of the range.")],
    price: Annotated[str, typer.Option(help="Price now, such as '3,250 USDC per WETH'.")],
    json: JsonOption = False,
) -> None:
    """Token amounts and value of a concentrated position."""
    _evaluate(f"value(L={liquidity}; lower={lower}; upper={upper}; price={price})", json)


@app.command()
def health(
    collateral: Annotated[str, typer.Option(help="Collateral, such as '10 WETH'.")],
    price: Annotated[str, typer.Option(help="Its price, such as '3,000 USDC per WETH'.")],
    threshold: Annotated[str, typer.Option(help="Liquidation threshold, such as 82.5%.")],
    debt: Annotated[str, typer.Option(help="Debt in the price's quote, such as '12,000 USDC'.")],
    json: JsonOption = False,
) -> None:
    """Aave v3 health factor of one collateral and one debt (more: `quote 'health2(...)'`)."""
    _evaluate(
        f"health1(collateral={collateral}; price={price}; threshold={threshold}; debt={debt})", json
    )


def _evaluate(call: str, as_json: bool) -> None:
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
    emit(value, as_json, "\n".join([result.text, *(f"  {s}" for s in result.derivation)]))


@app.command()
def fact(
    version: Annotated[str, typer.Argument(help="v3, or with a protocol: 'aave v3'.")],
    topic: Annotated[str | None, typer.Argument(help="Such as oracle; left out: all.")] = None,
    qualifier: Annotated[str | None, typer.Argument(help="Fee tier, for tick_spacing.")] = None,
    json: JsonOption = False,
) -> None:
    """One fact of a protocol version, with its source, date, expiry and who may change it."""
    from datetime import UTC, datetime

    from denizen.project import DataError
    from denizen.protocols import mechanics

    protocol, _, number = version.rpartition(" ")
    protocol = protocol.lower() or "uniswap"
    try:
        if topic is None:
            names = [t for t in mechanics.topics(protocol) if t != "tick_spacing"]
            found = [mechanics.lookup(protocol, number, name) for name in names]
            rows = [f"{f.topic:<26}{f.value}" for f in found]
            emit([f._asdict() for f in found], json, "\n".join(rows))
            return
        one = mechanics.lookup(protocol, number, topic, qualifier)
    except LookupError as error:
        raise DataError(str(error), where="protocols fact", fix="choose one of these") from error
    lines = [one.value, f"  {one.note} ({one.source}, as of {one.as_of})"]
    if one.changeable_by:
        lines.append(f"  set by {one.changeable_by}")
    if one.expires:
        past = mechanics.expired(one, datetime.now(UTC).date())
        lines.append(f"  {'EXPIRED on' if past else 'vouched for until'} {one.expires}")
    emit(one._asdict(), json, "\n".join(lines))

"""`denizen forecast`: what a training run will cost here and on rented GPUs, before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from denizen.cli._common import (
    ConfigOption,
    JsonOption,
    WorkspaceOption,
    config_of,
    emit,
    quiet_libraries,
    say,
    workspace_of,
)

app = typer.Typer()
_GIB = 2**30


@app.command()
def forecast(
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe/--no-probe",
            help="Take real steps, or use the last probe's speed (else the table of machines).",
        ),
    ] = True,
    methods: Annotated[
        str, typer.Option(help="Compare every method on a model size, say 8B, and stop there.")
    ] = "",
    tariff: Annotated[float, typer.Option(min=0, help="Price of energy here, USD a kWh.")] = 0.20,
    plot: Annotated[
        Path | None, typer.Option(help="Draw cost against time on rented GPUs (.png, .svg).")
    ] = None,
    score: Annotated[
        bool, typer.Option("--score", help="Show past forecasts against what happened.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Forecast time, memory, disk, energy and money of the training that is configured."""
    place = workspace_of(workspace)
    if score:
        from denizen.improve.forecasting import scored_runs
        from denizen.train.forecast.score import told

        runs = scored_runs(place)
        emit(runs, json, "\n".join(f"{run['run']}\n{told(run)}" for run in runs))
        return
    settings = config_of(config)
    if plot is not None:
        _check_plot(plot)
    quiet_libraries()
    from denizen.improve.forecasting import forecast_line, methods_line
    from denizen.improve.mainline import MainLine

    with place.locked():
        line = MainLine(
            place,
            settings,
            quiet=json,
            command="denizen forecast",
            say=(lambda _: None) if json else say,
        )
        if methods:
            rows = methods_line(line, methods)
            emit(rows, json, "" if json else _methods_table(rows, methods))
            return
        value = forecast_line(line, tariff=tariff, probed=probe, quiet=json)
    if plot is not None:
        _draw(value, plot)
    emit(value, json, "" if json else _report(value))


def _report(value: dict[str, Any]) -> str:
    local, machine = value["local"], value["machine"]
    measured = "probed" if local["probed"] else "from an earlier speed, not probed"
    energy = "measured" if local["energy_measured"] else "estimated from core count"
    joules = [j / 3.6e6 for j in local["joules"]]
    free = value["available_memory"]
    fits = "" if local["memory"] < free else f"  only {free / _GIB:.1f} GiB are free"
    here = [
        (
            "time",
            f"{_clock(local['seconds'])}  ({_clock(local['low'])} to {_clock(local['high'])})",
        ),
        ("where", ", ".join(f"{k} {_clock(v)}" for k, v in local["parts"].items() if v >= 0.5)),
        ("memory", f"{local['memory'] / _GIB:.2f} GiB{fits}"),
        ("disk", f"{local['disk'] / 2**20:.0f} MiB"),
        ("energy", f"{joules[1]:.3g} kWh ({joules[0]:.2g} to {joules[2]:.2g}, {energy})"),
        ("money", f"{_usd(local['usd'])} at {local['tariff']:.2f} USD a kWh"),
    ]
    title = (
        f"{value['objective']} with {value['method']} on {value['model']['name']}: "
        f"{value['steps']} steps, {value['tokens']} tokens"
    )
    here_title = f"this machine ({machine['cores']} cores of {machine['cpu']}; {measured})"
    assumed = value["assumed"]["utilisation"]
    return "\n".join(
        [
            title,
            "",
            _table(here_title, ("", ""), here),
            _table(
                f"rented, cheapest first ({assumed[0]:.0%} to {assumed[2]:.0%} of peak assumed; "
                "*: with checkpointing)",
                ("GPU", "provider", "GPUs", "memory", "time", "USD", "USD/h", "price of"),
                [_rental_row(r) for r in value["rented"]],
            ),
            _table(
                "the same run on other sizes, the cheapest offer that holds it",
                ("model", "GPU", "provider", "GPUs", "memory", "time", "USD", "USD/h", "price of"),
                [(s["size"], *_cheapest_row(s["cheapest"])) for s in value["sizes"]],
            ),
            f"forecast {value['hash'][:12]}; `denizen forecast --score` compares it with the run",
        ]
    )


def _methods_table(rows: Sequence[dict[str, Any]], size: str) -> str:
    return _table(
        f"every method on {size}, this run's steps: the cheapest offer that holds it",
        ("method", "objective", "GPU", "provider", "GPUs", "memory", "time", "USD", "USD/h", "of"),
        [(r["method"], r["objective"], *_cheapest_row(r["cheapest"])) for r in rows],
    )


def _rental_row(rental: dict[str, Any]) -> tuple[str, ...]:
    low, likely, high = rental["usd"]
    spot = "" if rental["terms"] == "on demand" else f" ({rental['terms']})"
    again = "*" if rental["checkpointing"] else ""
    return (
        rental["gpu"],
        rental["provider"] + spot,
        str(rental["gpus"]),
        f"{rental['memory'] / _GIB:.1f} GiB{again}",
        _clock(rental["seconds"][1]),
        f"{_usd(likely)} ({_usd(low)} to {_usd(high)})",
        f"{rental['usd_hour']:.2f}",
        rental["date"],
    )


def _cheapest_row(rental: dict[str, Any] | None) -> tuple[str, ...]:
    return _rental_row(rental) if rental else ("fits on no offer", *[""] * 7)


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_header=any(columns), box=None)
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console(width=160)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def _clock(seconds: float) -> str:
    from denizen.project.progress import clock

    hours, rest = divmod(round(seconds), 3600)
    return f"{hours} h {rest // 60:02d} min" if hours else f"{clock(seconds)} min"


def _usd(value: float) -> str:
    return f"${value:.4f}" if value < 0.1 else f"${value:.2f}"


def _check_plot(path: Path) -> None:
    from denizen.project.errors import ConfigError

    if path.suffix not in (".png", ".svg") or not path.parent.is_dir():
        raise ConfigError(
            "cannot draw there",
            where=f"--plot {path}",
            fix="name a .png or .svg file in a folder that exists",
        )


def _draw(value: dict[str, Any], path: Path) -> None:
    """Cost against time, one mark an offer, with its range."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 6), layout="constrained")
    for rental in value["rented"]:
        low, likely, high = (s / 3600 for s in rental["seconds"])
        cheap, usd, dear = rental["usd"]
        axes.errorbar(
            likely,
            usd,
            xerr=[[likely - low], [high - likely]],
            yerr=[[usd - cheap], [dear - usd]],
            fmt="o",
            capsize=2,
        )
        name = f"{rental['gpus']} x {rental['gpu']}, {rental['provider']}"
        axes.annotate(name, (likely, usd), xytext=(5, 4), textcoords="offset points", fontsize=7)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="hours (range: assumed share of the GPU's peak)",
        ylabel="USD",
        title=f"{value['objective']} with {value['method']} on {value['model']['name']}, rented",
    )
    figure.savefig(path, dpi=140)
    plt.close(figure)

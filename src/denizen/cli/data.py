"""`denizen data`: build training rows, scan rows for leaks, freeze an exam, print a data card."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from denizen.cli._common import ConfigOption, JsonOption, config_of, emit

app = typer.Typer(no_args_is_help=True)


@app.command()
def build(
    target: Annotated[Path, typer.Argument(help="JSONL file to write.")],
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Build verified training rows."""
    from denizen.data import build_rows, write_jsonl
    from denizen.evaluate.integrity import exam_of
    from denizen.models import SYSTEM
    from denizen.project import atomic_path
    from denizen.tasks import suite_of

    settings = config_of(config)
    data, suite = settings.data, suite_of(settings.data.families)
    exam = exam_of(settings.evaluate.holdout, suite).items
    rows, report = build_rows(data.rows, data.seed, exam, suite=suite, system=SYSTEM)
    with atomic_path(target) as temporary:
        write_jsonl(temporary, rows)
    emit(asdict(report), json, f"{report.rows} rows from {report.templates} templates: {target}")


@app.command()
def scan(
    rows: Annotated[Path, typer.Argument(help="JSONL file of training rows.")],
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Refuse rows that share a question, template, pool, number or wording with the holdout."""
    from denizen.data import check_leaks, load_holdout, read_rows
    from denizen.data.canary import refuse_canaries
    from denizen.evaluate.integrity import exam_of
    from denizen.tasks import suite_of

    settings = config_of(config)
    own = exam_of(settings.evaluate.holdout, suite_of(settings.data.families))
    exam, found = load_holdout(), read_rows(rows)
    exam += [item for item in own.items if item not in exam]
    refuse_canaries(found, own.canaries)
    report = check_leaks(found, exam, settings.data.near_match)
    text = (
        f"clean: {report.rows} rows against {report.holdout} holdout items; "
        f"nearest wording {report.nearest:.0%}"
    )
    emit(asdict(report), json, text)


@app.command()
def freeze(
    questions: Annotated[Path, typer.Argument(help="JSONL of question and gold answer.")],
    target: Annotated[Path, typer.Argument(help="The frozen exam to write, with its seal.")],
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Check and seal an exam of your own; `evaluate.holdout` then names it."""
    from denizen.evaluate.integrity import freeze_exam
    from denizen.tasks import suite_of

    seal = freeze_exam(questions, target, suite_of(config_of(config).data.families))
    value = {"items": seal.count, "file": str(target), "seal": seal.hash, "canary": seal.canary}
    emit(value, json, f"{seal.count} items frozen: {target} (seal {seal.hash[:16]})")


@app.command()
def card(rows: Path, json: JsonOption = False) -> None:
    """What is in a file of rows: families, templates, pools, sources, licences."""
    from collections import Counter

    from denizen.data import read_rows

    found = read_rows(rows)
    value = {
        "rows": len(found),
        "families": dict(Counter(r.family for r in found)),
        "versions": dict(Counter(r.version for r in found)),
        "templates": len({r.template for r in found}),
        "pools": sorted({r.pool for r in found} - {""}),
        "sources": sorted({r.source for r in found}),
        "licences": sorted({r.licence for r in found}),
    }
    emit(value, json, "\n".join(f"{k:<10}{v}" for k, v in value.items()))

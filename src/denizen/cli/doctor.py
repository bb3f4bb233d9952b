"""`denizen doctor`: what this machine has, and what stands in the way."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import typer

from denizen.cli._common import (
    ConfigOption,
    JsonOption,
    WorkspaceOption,
    config_of,
    emit,
    workspace_of,
)

if TYPE_CHECKING:
    from denizen.evm.certificate import Certificate

app = typer.Typer()
_LIBRARIES = ("torch", "transformers", "trl", "peft", "xllamacpp")
_DISK_GIB = 4
_MEMORY_GIB = 6


@app.command()
def doctor(
    workspace: WorkspaceOption = None, config: ConfigOption = None, json: JsonOption = False
) -> None:
    """Check processor, memory, disk, libraries, model and workspace."""
    from denizen.evm import certificate
    from denizen.models import cached, choose_precision, find_model
    from denizen.project.machine import available_bytes, facts

    settings, place = config_of(config), workspace_of(workspace)
    machine = facts()
    entry = find_model(settings.model.base)
    free = shutil.disk_usage(place.root).free / 2**30
    memory = available_bytes() / 2**30
    libraries = machine["libraries"]
    missing = [name for name in _LIBRARIES if name not in libraries]
    complete = f"missing: {', '.join(missing)}" if missing else "complete"
    checks: list[dict[str, Any]] = [
        _check("memory", memory >= _MEMORY_GIB, f"{memory:.1f} GiB free, {_MEMORY_GIB} wanted"),
        _check("disk", free >= _DISK_GIB, f"{free:.1f} GiB free, {_DISK_GIB} wanted"),
        _check("libraries", not missing, complete),
        _check("base model", True, f"{entry.id}: {'here' if cached(entry) else 'will be fetched'}"),
        _check("precision", True, choose_precision(settings.train.precision)),
        _check("workspace", True, str(place.root)),
        _certified(certificate.find(place)),
    ]
    text = [f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB"]
    text += [f"{'ok  ' if c['ok'] else 'LOOK'} {c['name']:<12}{c['text']}" for c in checks]
    emit({"machine": machine, "checks": checks}, json, "\n".join(text))
    if not all(c["ok"] for c in checks):
        raise typer.Exit(1)


def _certified(found: Certificate | None) -> dict[str, Any]:
    """The engine's certificate: LOOK unless it is whole and of the engine that is installed."""
    if found is None:
        return _check("engine", False, "not certified; run `denizen protocols certify`")
    return _check("engine", found.ok and found.current and not found.short, found.line())


def _check(name: str, ok: bool, text: str) -> dict[str, Any]:
    return {"name": name, "ok": ok, "text": text}

"""The house rules: imports point down, files open with a contract, every config key is read."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from denizen.project.config import Config

SOURCE = Path(__file__).parents[1] / "src" / "denizen"
# Rooms by height; an import may only point to a lower number.  See ARCHITECTURE.md.
FLOORS = {
    "project": 0,
    "protocols": 1,
    "models": 1,
    "evm": 2,
    "tasks": 3,
    "data": 4,
    "retrieve": 5,
    "train": 5,
    "evaluate": 5,
    "export": 5,
    "serve": 6,
    "improve": 6,
    "cli": 7,
}
FILES = sorted(SOURCE.rglob("*.py"))


def imported_rooms(path: Path) -> set[str]:
    """Rooms a file imports: at any depth, in functions, relative, or by import_module."""
    package = path.relative_to(SOURCE.parent).parent.parts
    return rooms_in(path.read_text("utf-8"), package)


def rooms_in(source: str, package: tuple[str, ...]) -> set[str]:
    """Rooms that source inside a package (say `("denizen", "tasks")`) imports."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *filter(None, [node.module])])
            names += [f"{module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            names += [t.value for t in ast.walk(node) if isinstance(t, ast.Constant)]
    parts = [name.split(".") for name in map(str, names)]
    return {p[1] for p in parts if p[0] == "denizen" and len(p) > 1} & FLOORS.keys()


@pytest.mark.parametrize(
    "source",
    [
        "import denizen.train",
        "from denizen import train",
        "from denizen.train import x",
        "from .. import train",
        "from ..train.sft import x",
        "def f():\n    from denizen.train import x",
        "import importlib\nimportlib.import_module('denizen.train')",
    ],
)
def test_an_upward_import_is_seen(source: str) -> None:
    assert rooms_in(source, ("denizen", "tasks")) == {"train"}
    assert rooms_in("from . import types", ("denizen", "tasks")) == {"tasks"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_down(path: Path) -> None:
    room = path.relative_to(SOURCE).parts[0]
    if room not in FLOORS:
        return
    for other in imported_rooms(path) - {room}:
        assert FLOORS[other] < FLOORS[room], f"{room} must not import {other}"


def test_every_room_has_a_floor() -> None:
    assert {p.name for p in SOURCE.iterdir() if (p / "__init__.py").exists()} == set(FLOORS)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_file_opens_with_its_contract(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


def test_protocols_import_nothing_and_use_no_float() -> None:
    for path in (SOURCE / "protocols").rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        assert imported_rooms(path) <= {"protocols"}
        for node in ast.walk(tree):
            assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), path
            assert not (isinstance(node, ast.Name) and node.id == "float"), path
            if isinstance(node, ast.Import):
                assert all(a.name.split(".")[0] in sys.stdlib_module_names for a in node.names)


def test_serving_does_not_import_training() -> None:
    for path in (SOURCE / "serve").rglob("*.py"):
        assert "train" not in imported_rooms(path), path


def test_tasks_do_not_import_torch() -> None:
    for path in (SOURCE / "tasks").rglob("*.py"):
        assert "torch" not in path.read_text("utf-8")


def config_keys() -> list[str]:
    keys = []
    for name, field in Config.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            keys += [f"{name}.{key}" for key in section.model_fields]
        else:
            keys.append(name)
    return keys


@functools.cache
def attributes() -> frozenset[str]:
    """Every attribute the source reads, with what it is read from: `settings.train.rank`."""
    trees = (ast.parse(p.read_text("utf-8")) for p in FILES if p.name != "config.py")
    nodes = (node for tree in trees for node in ast.walk(tree))
    return frozenset(ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute))


@pytest.mark.parametrize("key", config_keys())
def test_config_key_is_read(key: str) -> None:
    # `name` or `alpha` alone would be found anywhere: it must be read from its section, or from
    # something called `config` or `settings`, as a section is when it is handed down.
    leaf = key.rsplit(".", 1)[-1]
    reads = {f"{owner}.{leaf}" for owner in ("config", "settings")}
    found = [a for a in attributes() if f".{a}".endswith(tuple(f".{r}" for r in {*reads, key}))]
    assert [a for a in found if "." in a], f"nothing reads the configuration key {key!r}"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from denizen.cli.app import main; main(['--help']);"
        "heavy = {'torch','transformers','matplotlib','scipy','fastapi','numpy','pydantic','typer'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "quickstart" in done.stdout

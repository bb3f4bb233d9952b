"""The house rules: imports point down, files open with a contract, every config key is read."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from denizen.project.config import Config
from pydantic import BaseModel

SOURCE = Path(__file__).parents[1] / "src" / "denizen"
# Rooms by height; an import may only point to a lower number.  See ARCHITECTURE.md.
FLOORS = {
    "project": 0,
    "protocols": 1,
    "models": 1,
    "tasks": 2,
    "data": 3,
    "train": 4,
    "evaluate": 4,
    "export": 4,
    "serve": 5,
    "improve": 5,
    "cli": 6,
}
FILES = sorted(SOURCE.rglob("*.py"))


def imported_rooms(path: Path) -> set[str]:
    """Rooms a file imports, at any depth, relative imports included."""
    own = path.relative_to(SOURCE).parts
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            prefix = "denizen." + own[0] if node.level else ""
            names = [".".join(filter(None, (prefix, node.module or "")))]
            if node.module == "denizen" and not node.level:
                names = [f"denizen.{alias.name}" for alias in node.names]
        else:
            continue
        rooms |= {n.split(".")[1] for n in names if n.startswith("denizen.")}
    return rooms & FLOORS.keys()


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
    for path in (SOURCE / "protocols").glob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        assert imported_rooms(path) <= {"protocols"}
        for node in ast.walk(tree):
            assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), path
            assert not (isinstance(node, ast.Name) and node.id == "float"), path
            if isinstance(node, ast.Import):
                assert all(a.name.split(".")[0] in sys.stdlib_module_names for a in node.names)


def test_tasks_do_not_import_torch() -> None:
    for path in (SOURCE / "tasks").rglob("*.py"):
        assert "torch" not in path.read_text("utf-8")


def config_keys() -> list[str]:
    keys = []
    for name, field in Config.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            keys += list(section.model_fields)
        else:
            keys.append(name)
    return keys


@pytest.mark.parametrize("key", config_keys())
def test_config_key_is_read(key: str) -> None:
    readers = [
        path
        for path in FILES
        if path.name != "config.py"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == key
    ]
    assert readers, f"nothing reads the configuration key {key!r}"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from denizen.cli.app import main; main(['--help']);"
        "heavy = {'torch','transformers','matplotlib','scipy','fastapi','numpy','pydantic','typer'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "quickstart" in done.stdout

"""Bad files, bad paths and kills at the worst moment: typed errors, nothing lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from denizen.project import (
    ArtefactError,
    ConfigError,
    Store,
    Workspace,
    WorkspaceError,
    atomic_path,
    atomic_write_text,
    load_config,
)
from denizen.project.config import Config, parse_config
from denizen.project.errors import DenizenError


def test_an_error_is_one_line() -> None:
    error = DenizenError("two\nlines", where="a file", fix="mend it")
    assert str(error) == "two lines (a file): mend it" and error.exit_code == 2
    assert str(DenizenError("alone")) == "alone"


def test_an_empty_section_means_its_defaults() -> None:
    assert parse_config("train:\nserve:\n") == Config()
    with pytest.raises(ConfigError, match="did you mean 'train'"):
        parse_config("trian:\n")


def test_an_unreadable_configuration_is_typed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="directory"):
        load_config(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config(tmp_path / "latin.yaml")


def test_a_file_in_the_way_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    with pytest.raises(WorkspaceError, match="a file stands"):
        atomic_write_text(tmp_path / "f" / "deep" / "a", "x")
    assert (tmp_path / "f").read_text() == "x"


def test_a_read_only_file_can_be_put_in_place(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a") as temporary:
        temporary.write_text("copied")
        temporary.chmod(0o400)
    assert (tmp_path / "a").read_text() == "copied"


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    for text in ("old", "new"):
        with atomic_path(tmp_path / "d") as temporary:
            temporary.mkdir()
            (temporary / text).write_text(text)
    assert [p.name for p in (tmp_path / "d").iterdir()] == ["new"]


def test_two_kinds_may_hold_the_same_bytes(tmp_path: Path) -> None:
    store = Store(Workspace.open(tmp_path))
    one = store.put_text("raw", "a", "same", {})
    two = store.put_text("copy", "b", "same", {})
    assert store.get(one.hash).path.read_text() == "same"
    two.path.write_text("damaged")
    assert store.get(one.hash).path == one.path
    one.path.unlink()
    with pytest.raises(ArtefactError):
        store.get(one.hash)


# Killed after the content is named by its hash's holder, before it reaches its place.
KILLED = """
import os, signal, sys
from denizen.project import Store, Workspace
import denizen.project.store as store
def stop(path):
    os.kill(os.getpid(), signal.SIGKILL)
store.sha256_tree = stop
Store(Workspace.open(sys.argv[1])).put_text("k", "a.txt", "1", {})
"""


def test_a_kill_between_two_renames_leaves_nothing_behind(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)])
    assert done.returncode == -signal.SIGKILL
    place = Workspace.open(tmp_path)
    assert list(place.path("artefacts").iterdir())  # what the kill left
    with place.locked():
        pass
    assert not list(place.path("artefacts").iterdir()) and Store(place).all() == []


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\nfrom denizen.project import Workspace\n"
        "with Workspace.open(sys.argv[1]).locked(): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)])
    with Workspace.open(tmp_path).locked():
        assert (tmp_path / "lock").read_text() == str(os.getpid())

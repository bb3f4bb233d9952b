"""Config, files that appear whole, content-addressed artefacts, runs that resume."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from denizen.project import (
    ArtefactError,
    ConfigError,
    DiskFullError,
    Run,
    Store,
    Workspace,
    WorkspaceError,
    atomic_path,
    atomic_write_text,
    content_hash,
    find_run,
    list_runs,
    load_config,
)
from denizen.project.config import Config, commented_yaml, parse_config
from denizen.project.progress import Bar, clock


def test_unknown_key_names_the_right_one() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config("train:\n  learning_rat: 0.1\n", "denizen.yaml")
    assert str(caught.value) == (
        "unknown key 'train.learning_rat' (denizen.yaml): did you mean 'train.learning_rate'?"
    )
    with pytest.raises(ConfigError, match=r"did you mean 'train'|train\."):
        parse_config("trian:\n  rank: 4\n")


def test_wrong_values_are_one_line() -> None:
    for text in ("train:\n  rank: many\n", "serve:\n  port: 0\n", "- a\n", "a: [\n"):
        with pytest.raises(ConfigError) as caught:
            parse_config(text)
        assert "\n" not in str(caught.value)


def test_commented_yaml_is_the_default(tmp_path: Path) -> None:
    assert parse_config(commented_yaml()) == Config()
    with pytest.raises(ConfigError, match="denizen init"):
        load_config(tmp_path / "none.yaml", required=True)


def test_atomic_write_leaves_old_or_new(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    atomic_write_text(path, "old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_full_disk_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DiskFullError, match="disk is full"):
        atomic_write_text(tmp_path / "a", "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_real_full_device(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError), atomic_path(tmp_path / "a"), open("/dev/full", "w") as file:
        file.write("x" * 10**6)


def test_workspace_refuses_what_it_cannot_use(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(WorkspaceError, match="not a folder"):
        Workspace.open(tmp_path / "file")
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere: the read-only case needs an ordinary user")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    with pytest.raises(WorkspaceError, match="cannot write"):
        Workspace.open(locked)


def test_unwritable_place_is_typed() -> None:
    if not Path("/proc/1").exists():
        pytest.skip("needs /proc")
    with pytest.raises((WorkspaceError, OSError)):
        Workspace.open("/proc/denizen-workspace")


def test_two_processes_do_not_share_a_workspace(tmp_path: Path) -> None:
    place = Workspace.open(tmp_path)
    code = (
        f"from denizen.project import Workspace\nw = Workspace.open({str(tmp_path)!r})\n"
        "with w.locked(): pass"
    )
    with place.locked():
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode and "another denizen" in done.stderr


def test_store_names_by_content_and_notices_damage(tmp_path: Path) -> None:
    store = Store(Workspace.open(tmp_path))
    source = store.put_text("source", "a.txt", "alpha", {})
    made = store.put_text("made", "b.txt", "beta", {"source": source.hash})
    assert store.put_text("source", "a.txt", "alpha", {}).hash == source.hash
    assert [a.kind for a in store.lineage(made.hash)] == ["made", "source"]
    source.path.write_text("edited")
    with pytest.raises(ArtefactError, match="corrupt"):
        store.get(source.hash)
    with pytest.raises(ArtefactError, match="no artefacts match"):
        store.get("zz")


def test_stage_is_reused_only_if_inputs_and_outputs_hold(tmp_path: Path) -> None:
    store = Store(Workspace.open(tmp_path))
    first = Run.start(store, "x", {}, {})
    made = store.put_text("k", "a.txt", "alpha", {})
    first.finish_stage("build", {"in": "1"}, {"out": made.hash}, {"n": 3}, 1.0)
    again = Run.start(store, "x", {}, {})
    assert again.reuse("build", {"in": "2"}) is None
    reused = again.reuse("build", {"in": "1"})
    assert reused is not None and reused.figures == {"n": 3} and reused.reused
    made.path.write_text("damaged")
    assert Run.start(store, "x", {}, {}).reuse("build", {"in": "1"}) is None
    assert {r.status for r in list_runs(store.workspace)} == {"interrupted", "running"}
    with pytest.raises(ArtefactError, match="runs list"):
        find_run(store.workspace, "nope")


KILLED = """
import sys, time
from denizen.project import Run, Store, Workspace
store = Store(Workspace.open(sys.argv[1]))
run = Run.start(store, "x", {}, {})
made = store.put_text("k", "one.txt", "1", {})
run.finish_stage("one", {}, {"out": made.hash}, {}, 1.0)
with store.making("k", "two.txt", {}) as (path, _):
    path.write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_kill_in_the_middle_keeps_what_was_finished(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "writing\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    place = Workspace.open(tmp_path)
    with place.locked():
        pass
    assert not list(tmp_path.rglob("*.part"))
    run = Run.start(Store(place), "x", {}, {})
    assert run.reuse("one", {}) is not None and run.reuse("two", {}) is None


def test_progress_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar("train", 4, quiet=False).shown() as bar:
        bar.advance(2, "loss 1.0")
        bar._last = time.monotonic() - 60
        bar.advance(1)
    err = capsys.readouterr().err
    assert "> train" in err and "75%" in err and "left" in err and "done in" in err
    with Bar("quiet", 1, quiet=True).shown() as bar:
        bar.advance()
    assert capsys.readouterr().err == ""
    assert clock(125) == "2:05"


def test_content_hash_is_canonical() -> None:
    assert content_hash({"b": 1, "a": [1]}) == content_hash(json.loads('{"a":[1],"b":1}'))


def test_runs_of_one_second_are_listed_newest_first(tmp_path: Path) -> None:
    from denizen.project import Run, Store, Workspace, list_runs

    place = Workspace.open(tmp_path)
    made = [Run.start(Store(place), f"command {n}", {}, {}).record.id for n in range(8)]
    assert [record.id for record in list_runs(place)] == made[::-1]


def test_an_artefact_that_changed_since_it_was_read_is_read_again(tmp_path: Path) -> None:
    store = Store(Workspace.open(tmp_path))
    made = store.put_text("note", "note.txt", "one", {})
    assert store.get(made.hash).path.read_text() == "one"
    made.path.write_text("two")
    with pytest.raises(ArtefactError, match="note is corrupt"):
        store.get(made.hash)


def test_a_lock_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    from denizen.project.locking import exclusive

    (tmp_path / "file").write_text("")
    with (
        pytest.raises(WorkspaceError, match="cannot keep keys here"),
        exclusive(tmp_path / "file" / "lock", "keys"),
    ):
        pass
    with exclusive(tmp_path / "new" / "lock", "keys"):
        assert (tmp_path / "new" / "lock").exists()

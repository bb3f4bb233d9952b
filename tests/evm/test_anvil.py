"""The pinned anvil starts, answers, refuses what it should, and never outlives its user."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from denizen.evm import anvil
from denizen.evm.anvil import Anvil, binary
from denizen.project import ArtefactError

pytestmark = pytest.mark.slow


def alive(pid: int) -> bool:
    """Whether the process group has a member that is not a zombie."""
    listing = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True).stdout
    rows = [line.split() for line in listing.splitlines()]
    return any(int(group) == pid and state[0] != "Z" for group, state in rows)


def test_a_node_stops_with_its_block() -> None:
    with Anvil() as anvil:
        pid = anvil.pid
        assert anvil.rpc.chain_id() == 31337 and alive(pid)
    assert not alive(pid)


def test_a_node_stops_with_a_killed_parent() -> None:
    code = "from denizen.evm.anvil import Anvil; import time\nwith Anvil() as a: print(a.pid, flush=True); time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert alive(pid)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(pid)


def test_a_transaction_that_reverts_is_an_error() -> None:
    with Anvil() as node:
        always = node.deploy(bytes.fromhex("60048060093d393df33d3d3dfd"))
        with pytest.raises(ArtefactError, match="reverted"):
            node.receipt(node.send(always, b""))


def test_a_node_that_cannot_start_says_why() -> None:
    with pytest.raises(ArtefactError, match="did not start"), Anvil("--no-such-option"):
        pass


def test_another_binary_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anvil, "cache_dir", lambda: tmp_path)
    assert binary().stat().st_mode & 0o111
    with binary().open("ab") as file:
        file.write(b"x")
    with pytest.raises(ArtefactError, match="not the pinned anvil"):
        binary()


def test_a_node_that_does_not_answer_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Anvil()

    def silent(_: str) -> None:
        raise ArtefactError("no answer", where=str(node.pid))

    monkeypatch.setattr(anvil, "Rpc", silent)
    with pytest.raises(ArtefactError, match="no answer") as caught, node:
        pass
    assert not alive(int(caught.value.where or 0))

"""A killed, lied to or reorganised ingestion ends with the very file an undisturbed one makes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.evm.chain.fake_node import PAIR, FakeNode, refusal

from denizen.cli.app import main
from denizen.evm.chain import event_file
from denizen.evm.chain.event_file import load_events, load_state, locked, state_path
from denizen.evm.chain.events import Event, LogError, Source, from_line
from denizen.evm.chain.ingest import Job, Summary, ingest
from denizen.evm.chain.rpc import Rpc, RpcError
from denizen.project import DataError, WorkspaceError

SOURCE = Source("v2", PAIR)


def run(node: FakeNode, out: Path, said: list[str] | None = None, **options: Any) -> Summary:
    job = Job(SOURCE, out, **{"confirmations": 10, **options})
    return ingest(node.rpc(), job, say=(said if said is not None else []).append)


def expected(node: FakeNode, last: int, first: int = 0) -> list[tuple[int, int, str]]:
    return [
        (n, 2 * i + 1, node.hash(n))
        for n in range(first, last + 1)
        for i in range(node.per_block(n))
    ]


def held(out: Path) -> list[tuple[int, int, str]]:
    return [(e.block, e.log_index, e.block_hash) for e in load_events(out)]


def narrow(node: FakeNode, width: int = 7) -> FakeNode:
    node.refuse = lambda a, b, n: refusal(-32005, "more than 3 results") if b - a >= width else None
    return node


def test_only_final_blocks_and_then_the_rest(tmp_path: Path) -> None:
    node, out = FakeNode(), tmp_path / "deep" / "events.jsonl"
    first = run(node, out)
    assert (first.last, first.new_events, first.target) == (90, len(held(out)), 90)
    assert held(out) == expected(node, 90)
    node.head = 150
    again = run(node, out)
    assert again.new_events == len(expected(node, 140, 91))
    assert held(out) == expected(node, 140) and run(node, out).new_events == 0
    assert out.stat().st_size == load_state(out).last.size


@pytest.mark.parametrize(("head", "confirmations"), [(5, 10), (0, 1)])
def test_nothing_is_final_yet(tmp_path: Path, head: int, confirmations: int) -> None:
    node, out = FakeNode(head=head), tmp_path / "e.jsonl"
    assert run(node, out, confirmations=confirmations).new_events == 0
    assert held(out) == []
    node.head = 60
    run(node, out)
    assert held(out) == expected(node, 50)


def test_from_and_to(tmp_path: Path) -> None:
    node, out = FakeNode(), tmp_path / "e.jsonl"
    run(node, out, start=20, stop=33)
    assert held(out) == expected(node, 33, 20)
    run(node, out, stop=50)
    assert held(out) == expected(node, 50, 20)
    with pytest.raises(DataError, match="another --from"):
        run(node, out, start=21)


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@pytest.mark.parametrize("torn", [False, True])
def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torn: bool
) -> None:
    whole = tmp_path / "whole.jsonl"
    run(narrow(FakeNode(head=24)), whole)
    countdown = [0]

    def step(*_: Any) -> None:
        countdown[0] -= 1
        if countdown[0] == 0:
            raise Killed

    def synced(handle: int) -> None:
        """What a kill keeps is the kernel's; a real sync would only cost time here."""
        step()

    def renamed(a: Any, b: Any, real: Callable[..., None] = os.replace) -> None:
        step()
        real(a, b)
        step()

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    for moment in range(1, 200):
        out = tmp_path / f"{moment}.jsonl"
        node = narrow(FakeNode(head=24))
        node.before = step
        countdown[0] = moment
        try:
            run(node, out)
        except Killed:
            if torn and out.exists():  # the disk kept half of what was written last
                with out.open("ab") as file:
                    file.write(b'{"name":"Sy')
        else:
            break
        countdown[0] = -1
        run(node, out)
        assert out.read_bytes() == whole.read_bytes(), moment
        state = json.loads(state_path(out).read_text())
        assert state["checkpoints"][-1] == json.loads(state_path(whole).read_text())["checkpoints"][-1]  # fmt: skip
        assert not list(tmp_path.glob(f".{moment}.*.part"))
    assert 30 < moment < 199  # it was killed often, and in the end ran through


def test_bytes_beyond_the_state_are_not_read(tmp_path: Path) -> None:
    node, out = FakeNode(), tmp_path / "e.jsonl"
    run(node, out)
    with out.open("ab") as file:
        file.write(b"{half a li")
    assert held(out) == expected(node, 90)


def test_a_reorganisation_is_stepped_back_over(tmp_path: Path) -> None:
    node, out, said = narrow(FakeNode()), tmp_path / "e.jsonl", []
    run(node, out)
    node.reorg(70)
    node.head = 120
    summary = run(node, out, said)
    assert held(out) == expected(node, 110)
    (common,) = summary.stepped_back_to
    assert 60 <= common < 70 and f"stepped back to block {common}" in said[0]
    assert out.stat().st_size == load_state(out).last.size


def test_a_reorganisation_while_reading(tmp_path: Path) -> None:
    node, out, said = narrow(FakeNode()), tmp_path / "e.jsonl", []
    asked = [0]

    def strike(method: str, params: Any) -> None:
        asked[0] += method == "eth_getLogs"
        if asked[0] in (25, 35):
            asked[0] += 1
            node.reorg(30)

    node.before = strike
    run(node, out, said)
    assert node.branches and said and held(out) == expected(node, 90)


def test_a_reorganisation_deeper_than_all_checkpoints_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_file, "_KEPT", 3)
    node, out = narrow(FakeNode()), tmp_path / "e.jsonl"
    run(node, out)
    assert len(load_state(out).checkpoints) == 4
    node.reorg(1)
    assert run(node, out).stepped_back_to == [-1]
    assert held(out) == expected(node, 90)


def test_a_chain_with_another_past_is_refused(tmp_path: Path) -> None:
    node, out = FakeNode(), tmp_path / "e.jsonl"
    run(node, out, start=20)
    node.reorg(0)
    with pytest.raises(RpcError, match="block 19, before the first event"):
        run(node, out)


def test_a_node_that_is_behind_is_refused(tmp_path: Path) -> None:
    node, out = FakeNode(), tmp_path / "e.jsonl"
    run(node, out)
    node.head = 60
    with pytest.raises(RpcError, match="does not have block 90"):
        run(node, out)
    assert held(out) == expected(FakeNode(), 90)


def test_headers_that_never_agree_with_the_logs(tmp_path: Path) -> None:
    node, out = FakeNode(), tmp_path / "e.jsonl"
    node.twist = lambda logs: [log | {"blockHash": "0x" + log["blockNumber"][2:].zfill(64)} for log in logs]  # fmt: skip
    with pytest.raises(RpcError, match="logs and headers of blocks 0 to 90 disagree"):
        run(node, out)
    assert held(out) == []


def spoil(node: FakeNode, block: int) -> FakeNode:
    node.twist = lambda logs: [
        log | {"data": "0x12"} if log["blockNumber"] == hex(block) else log for log in logs
    ]
    return node


def test_a_malformed_log_stops_or_is_set_aside(tmp_path: Path) -> None:
    node, out = spoil(narrow(FakeNode()), 50), tmp_path / "e.jsonl"
    with pytest.raises(LogError, match="64 data bytes, not 1") as caught:
        run(node, out)
    assert caught.value.where == "block 50, log 1"
    assert held(out)[-1][0] < 50  # what came before is kept
    summary = run(node, out, skip_malformed=True)
    assert summary.malformed == 2 and held(out) == expected(node, 90)
    aside = [e for e in load_events(out) if e.name == "Malformed"]
    assert [e.block for e in aside] == [50, 50] and '"0x12"' in str(aside[0].args["raw"])


def test_another_chain_or_source_or_a_stranger_s_file(tmp_path: Path) -> None:
    node, out = FakeNode(), tmp_path / "e.jsonl"
    run(node, out)
    with pytest.raises(DataError, match="another source"):
        ingest(node.rpc(), Job(Source("v3", PAIR), out))
    node.answer = lambda method, params: "0x1"  # type: ignore[method-assign]
    with pytest.raises(DataError, match="another chain"):
        run(node, out)
    stranger = tmp_path / "s.jsonl"
    stranger.write_text("mine")
    with pytest.raises(DataError, match="a file without the state"):
        run(FakeNode(), stranger)
    assert stranger.read_text() == "mine"


def test_no_contract_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no contract at 0xcdcd"):
        ingest(FakeNode().rpc(), Job(Source("v2", "0x" + "cd" * 20), tmp_path / "e.jsonl"))
    assert not state_path(tmp_path / "e.jsonl").exists()


@pytest.mark.parametrize("damage", ["short", "state", "line", "order"])
def test_a_damaged_file_is_a_typed_error(tmp_path: Path, damage: str) -> None:
    out = tmp_path / "e.jsonl"
    run(FakeNode(), out)
    lines = out.read_bytes().splitlines(keepends=True)
    match damage:
        case "short":
            out.write_bytes(b"".join(lines[:-1]))
            with pytest.raises(DataError, match="its state counts"):
                run(FakeNode(), out)
        case "state":
            state_path(out).write_text("{}")
            with pytest.raises(DataError, match="no usable state"):
                run(FakeNode(), out)
        case "line":
            out.write_bytes(b"".join([lines[0], b"x" * (len(lines[1]) - 1) + b"\n", *lines[2:]]))
            with pytest.raises(DataError, match="line 2 is not an event"):
                held(out)
        case _:
            out.write_bytes(b"".join([lines[1], lines[0], *lines[2:]]))
            with pytest.raises(DataError, match="line 2 is not an event: out of order"):
                held(out)


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "e.jsonl"
    with locked(out), pytest.raises(WorkspaceError, match="another process"):
        run(FakeNode(), out)


def test_the_key_is_nowhere_on_the_disk(tmp_path: Path) -> None:
    run(FakeNode(), tmp_path / "e.jsonl")
    for path in tmp_path.rglob("*"):
        assert b"SECRETKEY123" not in path.read_bytes() and b"node.example" not in path.read_bytes()


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    node = FakeNode()
    monkeypatch.setattr("denizen.evm.chain.rpc.Rpc", lambda url: node.rpc())
    words = ["ingest", "chain", "--pool", PAIR.upper().replace("0X", "0x"), "--version", "v2"]
    words += ["--rpc", "https://h/KEY12345", "-w", str(tmp_path), "--confirmations", "10"]
    assert main(words) == 0
    shown = capsys.readouterr()
    out = tmp_path / "chain" / f"v2-{PAIR}.jsonl"
    assert held(out) == expected(node, 90) and str(out) in shown.out.replace("\n", "")
    assert main([*words, "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["last"] == 90 and value["rebuild"]["events"] == {"Sync": len(held(out))}
    node.reorg(40)
    assert main(words) == 0
    assert "no longer on the chain" in capsys.readouterr().err
    monkeypatch.setattr("denizen.evm.chain.rpc.Rpc", Rpc)
    words[words.index("https://h/KEY12345")] = "http://127.0.0.1:1/KEY12345"
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr(Rpc.__init__, "__kwdefaults__", Rpc.__init__.__kwdefaults__ | {"sleep": lambda _: None})  # fmt: skip
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "http://127.0.0.1:1" in error and "KEY12345" not in error


def test_to_before_from_is_said_before_anything(tmp_path: Path) -> None:
    node = FakeNode()
    with pytest.raises(DataError, match="last block 5 is before the first 9"):
        run(node, tmp_path / "e.jsonl", start=9, stop=5)
    assert node.asked == [] and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"version": "v9"},
        {"version": "v3"},  # without its fee and tick spacing
        {"address": "0x12"},
        {"chain_id": "1"},
        {"checkpoints": [["1", "0x", "0"]]},
        {"facts": {"fee": None}},
    ],
)
def test_a_damaged_state_is_a_typed_error(tmp_path: Path, change: dict[str, Any]) -> None:
    out = tmp_path / "e.jsonl"
    run(FakeNode(), out)
    state = json.loads(state_path(out).read_text())
    state_path(out).write_text(json.dumps(state | change))
    with pytest.raises(DataError, match="no usable state"):
        run(FakeNode(), out)


def test_a_narrow_figure_of_another_type_is_not_an_event() -> None:
    args = {"id": "0x", "protocolFee": "7"}
    line = json.dumps(Event("ProtocolFeeUpdated", 1, 0, "0x", "0x", 0, None, args)._asdict())
    with pytest.raises(ValueError, match="not a number"):
        from_line("v4", line)

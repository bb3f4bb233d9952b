"""`denizen traces` and `denizen ingest traces` at the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from trace_fakes import span, trace
from typer.testing import CliRunner

from denizen.cli import traces as verb
from denizen.cli.ingest_traces import traces as ingest_traces
from denizen.project.errors import DenizenError
from denizen.serve.traces import TraceStore
from denizen.serve.traces.reader import TraceReader
from denizen.serve.traces.store import SPOOL

INGEST = typer.Typer()
INGEST.command()(ingest_traces)
ROW = {"id": "t1", "timestamp": "2026-10-01T10:00:00Z", "input": "why?", "output": "so."}


def run(app: typer.Typer, *words: str) -> Any:
    done = CliRunner().invoke(app, list(words))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return json.loads(done.stdout) if "--json" in words else done.stdout


@pytest.fixture
def workspace(tmp_path: Path) -> str:
    store = TraceStore(tmp_path / "traces.sqlite")
    store.put(
        trace(1, model="m\x1b[31m"), [span(1), span(1, span_id="22" * 8, parent=span(1).span_id)]
    )
    store.put(trace(2, consent=False), [])
    store.close()
    return str(tmp_path)


def test_traces_are_listed_newest_first(workspace: str) -> None:
    found = run(verb.app, "list", "-w", workspace, "--json")
    assert [one["trace_id"] for one in found] == [trace(2).id, trace(1).id]
    assert "question" not in found[0]
    assert len(run(verb.app, "list", "-w", workspace, "--eligible", "--json")) == 1


def test_what_others_wrote_does_not_steer_the_terminal(workspace: str) -> None:
    assert "\x1b" not in run(verb.app, "list", "-w", workspace)
    shown = run(verb.app, "show", trace(1).id, "-w", workspace)
    assert "\x1b" not in shown and "asked: question 1" in shown


def test_a_trace_is_exported_deleted_and_ingested_again(workspace: str, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert run(verb.app, "export", str(out), "-w", workspace, "--json")["lines"] == 2
    assert run(verb.app, "delete", trace(1).id, "-w", workspace, "--json")["deleted"] == 1
    assert len(run(verb.app, "list", "-w", workspace, "--json")) == 1
    result = run(INGEST, str(out), "--consent", "-w", workspace, "--json")
    assert (result["new"], result["known"], result["eligible"]) == (1, 1, 1)


def test_otlp_is_exported(workspace: str, tmp_path: Path) -> None:
    out = tmp_path / "out.otlp"
    run(verb.app, "export", str(out), "--format", "otlp", "-w", workspace)
    assert "resourceSpans" in json.loads(out.read_text("utf-8"))
    with pytest.raises(DenizenError, match="OTLP"):
        run(verb.app, "export", str(out), "--format", "otlp", "--eligible", "-w", workspace)


def test_old_traces_are_purged(workspace: str) -> None:
    assert run(verb.app, "purge", "--days", "1", "-w", workspace, "--json")["deleted"] == 0
    assert run(verb.app, "purge", "--days", "0", "-w", workspace, "--json")["deleted"] == 2


def test_what_waits_for_an_exporter_is_purged_too(workspace: str, tmp_path: Path) -> None:
    for place, expected in ((Path(workspace), 3), (tmp_path / "spool", 1)):
        store = TraceStore(place / SPOOL)
        store.put(trace(7), [span(7)]).result(5)
        store.close()
        made = run(verb.app, "purge", "--days", "0", "-w", str(place), "--json")
        assert made["deleted"] == expected
        reader = TraceReader(place / SPOOL)
        assert reader.turns() == [] and reader.spans(trace(7).id) == []
    assert not (tmp_path / "spool" / "traces.sqlite").exists()


def test_a_workspace_without_traces_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DenizenError, match="no traces here"):
        run(verb.app, "list", "-w", str(tmp_path))
    assert not (tmp_path / "traces.sqlite").exists()


def test_ingest_tells_counts_and_rejects(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps(ROW) + "\n{broken\n", "utf-8")
    text = run(INGEST, str(path), "-w", str(tmp_path / "w"))
    assert "1 traces from 2 records: 1 new" in text and "t.jsonl:2" in text
    assert "none without --consent" in text
    again = run(INGEST, str(path), "-w", str(tmp_path / "w"), "--json")
    assert again["unchanged"] == 1 and again["rejects"][0]["line"] == 2


def test_an_unreadable_file_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "t.bin"
    path.write_bytes(b"\x00\x01\x02\xff")
    with pytest.raises(DenizenError) as caught:
        run(INGEST, str(path), "-w", str(tmp_path / "w"))
    assert caught.value.exit_code == 2 and "\n" not in str(caught.value)
    assert not (tmp_path / "w" / "traces.sqlite").exists()


def test_what_is_deleted_is_no_candidate_any_more(tmp_path: Path) -> None:
    source, at = tmp_path / "t.jsonl", str(tmp_path / "w")
    source.write_text("".join(json.dumps({**ROW, "id": f"t{n}"}) + "\n" for n in range(3)))
    run(INGEST, str(source), "--consent", "--workspace", at)
    file = tmp_path / "w" / "traces" / "ingested.jsonl"
    keys = [json.loads(line)["trace_id"] for line in file.read_text().splitlines()]
    run(verb.app, "delete", keys[0], "--workspace", at)
    assert [json.loads(line)["trace_id"] for line in file.read_text().splitlines()] == keys[1:]
    run(verb.app, "purge", "--days", "0", "--workspace", at)
    assert not file.exists()
    again = run(INGEST, str(source), "--consent", "--json", "--workspace", at)
    assert again["new"] == 3 and len(run(verb.app, "list", "--json", "--workspace", at)) == 3


@pytest.mark.parametrize("days", ["inf", "nan", "1e300", "-1"])
def test_days_that_are_no_days_are_refused(workspace: str, days: str) -> None:
    done = CliRunner().invoke(verb.app, ["purge", "--days", days, "--workspace", workspace])
    assert done.exit_code == 2 and len(run(verb.app, "list", "--json", "--workspace", workspace))


def test_nothing_is_said_to_be_written_that_was_not(tmp_path: Path) -> None:
    source = tmp_path / "t.jsonl"
    source.write_text(json.dumps({**ROW, "input": ""}))
    assert "written to" not in run(INGEST, str(source), "--workspace", str(tmp_path / "w"))


@pytest.mark.parametrize("out", [".", "file/below"])
def test_a_place_that_cannot_be_written_is_one_line(
    workspace: str, tmp_path: Path, out: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DenizenError) as caught:
        run(verb.app, "export", str(tmp_path / out), "--workspace", workspace)
    assert str(tmp_path) in str(caught.value)

"""The file of traces: nothing acknowledged is lost, nothing foreign is touched."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from trace_fakes import span, trace

from denizen.project.errors import ArtefactError, DenizenError
from denizen.serve.exchange import Fault
from denizen.serve.traces import schema
from denizen.serve.traces.schema import LAYOUT
from denizen.serve.traces.spans import Event, Feedback, Link, Source, Span
from denizen.serve.traces.store import TraceStore
from denizen.serve.traces.writer import WriteLost

RICH = Span(
    trace_id="ab" * 16,
    span_id="cd" * 8,
    name="chat",
    start=5,
    end=2**62,
    parent="ef" * 8,
    kind=3,
    status=2,
    message="failed",
    attributes={
        "text": "a\u2013b \U0001f600",
        "int": 2**62,
        "whole": 1.0,
        "nan": float("inf"),
        "bytes": b"\x00\xff",
        "list": [1, "a", [True]],
        "map": {"$bytes": "not bytes", "inner": {"b": b"x"}},
    },
    events=(Event("one", 6, {"a": 1}, 2), Event("two", 7)),
    links=(Link("11" * 16, "22" * 8, "k=v", {"z": b"q"}, 1, 3),),
    state="vendor=1",
    flags=257,
    dropped=(1, 2, 3),
    source=Source({"service.name": "x"}, "s", "scope", "1", {"k": 1}, "t"),
)


@pytest.fixture
def store(tmp_path: Path) -> Any:
    made = TraceStore(tmp_path / "traces.sqlite")
    yield made
    made.close()


def test_everything_comes_back_as_it_was(store: TraceStore) -> None:
    one = trace(flags=("low confidence",), confidence=0.25, caller="key_1")
    store.put(one, [RICH, span(1)]).result(5)
    (stored,) = store.turns()
    assert stored.trace == one and stored.eligible and stored.score is None
    assert store.spans(RICH.trace_id) == [RICH]
    assert isinstance(store.spans(RICH.trace_id)[0].attributes["whole"], float)


def test_a_span_that_comes_twice_is_one_and_cannot_be_overwritten(store: TraceStore) -> None:
    store.put(trace(1), [span(1)]).result(5)
    store.receive([trace(1, arrived="otlp", root="")], [span(1, name="forged")]).result(5)
    assert [one.name for one in store.spans(f"{1:032x}")] == ["chat"]
    assert [one.trace.arrived for one in store.turns()] == ["served"]


def test_many_requests_of_one_trace_are_many_turns(store: TraceStore) -> None:
    for number in (1, 2):
        store.put(trace(7, root=f"{number:016x}"), [span(7, span_id=f"{number:016x}")])
    store.flush()
    assert len(store.turns(trace_id=f"{7:032x}")) == 2


def test_what_was_received_before_it_was_served_is_one_turn(store: TraceStore) -> None:
    store.receive([trace(3, arrived="otlp", root="", consent=False)], [span(3)]).result(5)
    store.put(trace(3), []).result(5)
    assert [one.trace.arrived for one in store.turns()] == ["served"]


@pytest.mark.parametrize(
    ("change", "eligible"),
    [
        ({}, True),
        ({"consent": False}, False),
        ({"content": "none", "question": "", "answer": ""}, False),
        ({"flags": ("prompt injection",)}, False),
        ({"error": "prompt_injection"}, False),
        ({"error": "upstream_failed"}, False),
        ({"question": ""}, False),
    ],
)
def test_what_may_be_trained_on(store: TraceStore, change: dict[str, Any], eligible: bool) -> None:
    store.put(trace(1, **change), []).result(5)
    assert [one.eligible for one in store.turns()] == [eligible]
    assert len(store.turns(eligible=True)) == eligible


@pytest.mark.parametrize(("score", "eligible"), [(1.0, True), (0.0, False), (-1.0, False)])
def test_negative_feedback_ends_eligibility(
    store: TraceStore, score: float, eligible: bool
) -> None:
    store.put(trace(1), [])
    store.give(Feedback("f1", trace(1).id, 1.0, at=1)).result(5)
    store.give(Feedback("f2", trace(1).id, score, "why", at=2)).result(5)
    (stored,) = store.turns()
    assert stored.eligible is eligible and stored.score == min(score, 1.0)
    assert [one.comment for one in store.feedback(trace(1).id)] == ["", "why"]


def test_feedback_waits_for_a_trace_that_is_being_written(store: TraceStore) -> None:
    store.put(trace(1), [])
    store.give(Feedback("f", trace(1).id, 1.0)).result(5)


def test_feedback_for_an_unknown_trace_is_refused_and_not_counted_as_lost(
    store: TraceStore,
) -> None:
    with pytest.raises(Fault) as caught:
        store.give(Feedback("f", "ee" * 16, 1.0)).result(5)
    assert caught.value.status == 404 and store.counts()["lost"] == 0


def test_eight_writers_lose_nothing_and_readers_do_not_wait(store: TraceStore) -> None:
    slowest = 0.0
    done = threading.Event()

    def write(base: int) -> None:
        for number in range(150):
            store.put(trace(base + number), [span(base + number)])

    def look() -> None:
        nonlocal slowest
        while not done.is_set():
            start = time.monotonic()
            store.turns(limit=5)
            slowest = max(slowest, time.monotonic() - start)

    reader = threading.Thread(target=look)
    writers = [threading.Thread(target=write, args=(1000 * n,)) for n in range(1, 9)]
    reader.start()
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    assert store.flush()
    done.set()
    reader.join()
    assert len(store.turns(limit=5000)) == 1200
    assert store.counts() == {**store.counts(), "written": 1200, "lost": 0, "waiting": 0}
    assert slowest < 2


def test_a_reader_holds_up_no_writer(store: TraceStore) -> None:
    store.put(trace(1), []).result(5)
    with schema.reading(store.path) as db:
        assert db.execute("SELECT count(*) FROM traces").fetchone()[0] == 1
        store.put(trace(2), []).result(5)
        assert db.execute("SELECT count(*) FROM traces").fetchone()[0] == 1  # one whole state
    assert len(store.turns()) == 2


def test_a_job_that_fails_fails_alone(store: TraceStore) -> None:
    def broken() -> Any:
        raise TypeError("cannot be built")

    before = store.put(trace(1), [])
    bad = store.put_later(broken)
    after = store.put(trace(2), [span(2, start=2**70)])  # beyond 64 bits
    good = store.put(trace(3), [])
    before.result(5)
    good.result(5)
    for lost in (bad, after):
        with pytest.raises(WriteLost):
            lost.result(5)
    assert [one.trace.request_id for one in store.turns()] == ["req_3", "req_1"]
    assert store.counts()["lost"] == 2


def test_texts_that_utf8_cannot_hold_are_stored(store: TraceStore) -> None:
    store.put(trace(1, question="half \ud83d"), [span(1, name="\udcff")]).result(5)
    assert store.turns()[0].trace.question == "half ?"


def test_retention_forgets_what_is_old_and_only_that(tmp_path: Path) -> None:
    path = tmp_path / "traces.sqlite"
    store = TraceStore(path)
    for number in (1, 2):
        store.put(trace(number, question=f"needle{number}"), [RICH] if number == 1 else [])
        store.give(Feedback(f"f{number}", trace(number).id, 1.0, at=time.time_ns())).result(5)
    store.close()
    old = time.time_ns() - 8 * 86_400 * 10**9
    with sqlite3.connect(path) as db:
        db.execute("UPDATE traces SET received = ? WHERE request_id = 'req_1'", (old,))
        db.execute("UPDATE spans SET received = ?", (old,))
        db.execute("UPDATE feedback SET at = ? WHERE id = 'f1'", (old,))
    db.close()
    store = TraceStore(path, days=7)
    store.flush()
    deadline = time.monotonic() + 5
    while len(store.turns()) > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [one.trace.request_id for one in store.turns()] == ["req_2"]
    assert store.spans(RICH.trace_id) == [] and store.feedback(trace(1).id) == []
    assert store.counts()["deleted"] == 1
    store.close()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM events").fetchone()[0] == 0
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    assert b"needle1" not in path.read_bytes() and b"needle2" in path.read_bytes()


def test_what_retention_takes_from_an_exporter_is_counted(store: TraceStore) -> None:
    store.put(trace(1), [span(1)]).result(5)
    store.cursor("somewhere")
    store.put(trace(2), [span(2), span(2, span_id="12" * 8)]).result(5)
    store.purge(time.time_ns() + 1)
    assert store.counts()["deleted_unexported"] == 2 and store.turns() == []


def test_one_trace_can_be_deleted(store: TraceStore) -> None:
    store.put(trace(1), [span(1, events=(Event("e", 1),))])
    store.put(trace(2), [span(2)])
    assert store.delete([trace(1).id, "99" * 16]) == 1
    assert [one.trace.id for one in store.turns()] == [trace(2).id]
    assert store.spans(trace(1).id) == []


@pytest.mark.parametrize("content", [b"this is no database at all" * 50, b"SQLite format 3\x00xx"])
def test_a_damaged_file_is_one_line_and_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "traces.sqlite"
    path.write_bytes(content)
    with pytest.raises(DenizenError) as caught:
        TraceStore(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    assert path.read_bytes() == content


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "traces.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE mine (a)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(ArtefactError, match="another program"):
        TraceStore(path)
    assert path.read_bytes() == before


def test_a_newer_layout_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "traces.sqlite"
    TraceStore(path).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {LAYOUT + 1}")
    db.close()
    with pytest.raises(ArtefactError, match="layout"):
        TraceStore(path)


def test_the_file_is_its_owners_alone(store: TraceStore) -> None:
    assert store.path.stat().st_mode & 0o077 == 0


def test_a_full_disk_loses_nothing_that_fits_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = True
    connect = schema.connect

    def small(path: Path) -> sqlite3.Connection:
        db = connect(path)
        if full:
            pages = db.execute("PRAGMA page_count").fetchone()[0]
            db.execute(f"PRAGMA max_page_count = {pages}")
        return db

    monkeypatch.setattr(schema, "connect", small)
    store = TraceStore(tmp_path / "traces.sqlite")
    big = store.put(trace(1, question="x" * 60_000), [])
    deadline = time.monotonic() + 5
    while not store.trouble and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "full" in store.trouble and not big.done()
    waiting = store.put(trace(2), [])  # requests go on
    full = False
    big.result(10)
    waiting.result(10)
    assert store.trouble == "" and store.counts()["lost"] == 0
    assert store.counts()["write_failures"] > 0
    store.close()


def test_what_a_full_disk_loses_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    connect = schema.connect

    def small(path: Path) -> sqlite3.Connection:
        db = connect(path)
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")
        return db

    monkeypatch.setattr(schema, "connect", small)
    store = TraceStore(tmp_path / "traces.sqlite", limit=3)
    told: list[int] = []
    store.tell_losses(told.append)
    kept = [store.put(trace(n, question="x" * 60_000), []) for n in range(1, 6)]
    for one in kept[3:]:  # beyond what may wait
        with pytest.raises(WriteLost):
            one.result(5)
    assert not store.close(5)
    for one in kept[:3]:
        with pytest.raises(WriteLost):
            one.result(0)
    assert store.counts()["lost"] == sum(told) == 5 and store.counts()["waiting"] == 0
    assert "lost" in caplog.text
    with pytest.raises(WriteLost, match="closed"):
        store.put(trace(9), []).result(0)
    assert not store.flush() and store.counts()["lost"] == 6


def test_a_file_that_is_moved_away_is_begun_anew(store: TraceStore, tmp_path: Path) -> None:
    store.put(trace(1), []).result(5)
    store.path.rename(tmp_path / "elsewhere.sqlite")
    store.put(trace(2), []).result(5)
    assert [one.trace.request_id for one in store.turns()] == ["req_2"]


def test_a_tool_does_not_wait_for_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = schema.connect

    def small(path: Path) -> sqlite3.Connection:
        db = connect(path)
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")
        return db

    monkeypatch.setattr(schema, "connect", small)
    monkeypatch.setattr("denizen.serve.traces.store._PATIENCE", 0.5)
    store = TraceStore(tmp_path / "traces.sqlite")
    big = trace(1, arrived="file", root="", question="x" * 60_000)
    with pytest.raises(DenizenError, match="full"):
        store.ingest([(big, [], [])])
    store.close(2)


def test_closing_writes_what_waits(tmp_path: Path) -> None:
    store = TraceStore(tmp_path / "traces.sqlite")
    for number in range(1, 200):
        store.put(trace(number), [span(number)])
    assert store.close()
    again = TraceStore(tmp_path / "traces.sqlite")
    assert len(again.turns(limit=1000)) == 199
    again.close()


def test_turns_come_in_pages(store: TraceStore) -> None:
    for number in range(1, 8):
        store.put(trace(number), [])
    store.flush()
    first = store.turns(limit=3)
    second = store.turns(limit=3, before=first[-1].number)
    ids = [one.trace.request_id for one in (*first, *second)]
    assert ids == [f"req_{n}" for n in range(7, 1, -1)]
    assert [one.number for one in store.all_turns()] == [1, 2, 3, 4, 5, 6, 7]


def test_no_text_reaches_the_query(store: TraceStore) -> None:
    store.put(trace(1), []).result(5)
    assert store.turns(trace_id="' OR 1=1 --") == []
    assert store.ids("%") == [] and store.ids("0' OR '1'='1") == []
    assert store.ids("0000") == [trace(1).id]


def left(folder: Path, text: bytes) -> list[str]:
    return [one.name for one in folder.iterdir() if text in one.read_bytes()]


def test_what_a_tool_deletes_leaves_the_log_of_writes_too(
    store: TraceStore, tmp_path: Path
) -> None:
    for number in (1, 2):
        store.put(trace(number, question=f"needle{number}"), []).result(5)
    other = TraceStore(store.path)  # `denizen traces` beside a server
    assert left(tmp_path, b"needle1")
    other.delete([trace(1).id])
    assert left(tmp_path, b"needle1") == [] and left(tmp_path, b"needle2")
    other.purge(time.time_ns() + 1)
    assert left(tmp_path, b"needle2") == []
    other.close()


def test_an_exporter_of_the_past_loses_nothing(store: TraceStore) -> None:
    told: list[int] = []
    store.cursor("one that was configured once")
    store.put(trace(1), [span(1)]).result(5)
    store.close()
    today = TraceStore(store.path)
    today.tell_losses(told.append)
    today.purge(time.time_ns() + 1)
    assert today.counts()["deleted"] == 1 and told == []
    today.close()


def test_an_exporter_gets_no_more_than_it_can_hold(store: TraceStore) -> None:
    long = {"a": "x" * 2**20}
    spans = [span(1, span_id=f"{n:016x}", attributes=long) for n in range(1, 12)]
    store.put(trace(1), spans).result(10)
    taken, last = [], 0
    while page := store.spans_after(last, 200):
        taken.append(len(page))
        last = page[-1][0]
    assert taken == [4, 4, 3]

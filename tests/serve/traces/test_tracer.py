"""Recording a request: names, times, content, errors, feedback, and what it costs."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from trace_fakes import ADDRESS, KEY, asked, outcome, redact, span, trace, visit

from denizen.project.config import TraceConfig
from denizen.project.errors import ConfigError
from denizen.serve.exchange import Fault, Outcome, Request, Sampling, Turn, Usage
from denizen.serve.traces import Tracer, TraceStore, names, otlp, rows
from denizen.serve.traces.leftover import Leftover
from denizen.serve.traces.reader import TraceReader
from denizen.serve.traces.spans import ERROR, OK, SERVER, Span
from denizen.serve.traces.store import SPOOL
from denizen.serve.traces.views import lines

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def tracer(tmp_path: Path) -> Iterator[Tracer]:
    made = Tracer.from_config(TraceConfig(content="redacted", consent=True), tmp_path, redact)
    yield made
    made.close()


def spans_of(tracer: Tracer, trace_id: str) -> dict[str, Span]:
    assert tracer.store is not None and tracer.flush()
    return {span.name: span for span in tracer.store.spans(trace_id)}


def test_a_turn_is_a_root_with_its_stages(tracer: Tracer) -> None:
    recording = tracer.start(visit(), asked(sampling=Sampling(max_tokens=64, temperature=0.0)))
    with recording.span("guard", score=0.1):
        pass
    with recording.span("retrieve", query="fees", top_k=3) as stage:
        stage.set(documents=[{"id": "d1", "score": 0.5}])
        with stage.span("embed"):
            pass
    with recording.span("generate"):
        time.sleep(0.002)
    with recording.span("calculate", tool="quote", arguments='{"a": 1}', result="5"):
        pass
    recording.finish(outcome(flags=("low confidence",), confidence=0.4), "0.3%", None)
    spans = spans_of(tracer, recording.trace_id)
    root = spans["chat denizen"]
    assert root.kind == SERVER and root.status == OK and root.parent == ""
    found = root.attributes
    assert found[names.OPERATION] == "chat" and found[names.PROVIDER] == "denizen"
    assert found[names.REQUEST_MODEL] == "denizen" and found[names.RESPONSE_MODEL] == "denizen-1"
    assert found[names.REQUEST_MAX_TOKENS] == 64 and found[names.REQUEST_TEMPERATURE] == 0.0
    assert found[names.INPUT_TOKENS] == 12 and found[names.OUTPUT_TOKENS] == 5
    assert found[names.FLAGS] == ["low confidence"] and found[names.CONFIDENCE] == 0.4
    assert found[names.LEAF] is False and found[names.GENERATED] is True
    said = json.loads(found[names.OUTPUT_MESSAGES])
    assert said[0]["parts"] == [{"type": "text", "content": "0.3%"}]
    stages = [spans[n] for n in ("guard", "retrieval", "chat denizen-1", "execute_tool quote")]
    assert all(one.parent == root.span_id for one in stages)
    assert spans["embeddings"].parent == spans["retrieval"].span_id
    assert spans["guard"].attributes[names.STAGE_PREFIX + "score"] == 0.1
    assert spans["retrieval"].attributes[names.RETRIEVAL_DOCUMENTS] == [{"id": "d1", "score": 0.5}]
    assert spans["chat denizen-1"].attributes[names.OUTPUT_TOKENS] == 5
    assert spans["execute_tool quote"].attributes[names.TOOL_RESULT] == "5"
    for one in spans.values():
        assert root.start <= one.start <= one.end <= root.end
    assert spans["chat denizen-1"].end - spans["chat denizen-1"].start >= 2_000_000
    (turn,) = tracer.store.turns()  # type: ignore[union-attr]
    assert turn.trace.question == "What does Uniswap v3 charge?" and turn.trace.answer == "0.3%"
    assert turn.trace.caller == "key_7" and turn.trace.request_id == "req_1" and turn.eligible


def test_the_callers_trace_is_joined(tracer: Tracer) -> None:
    recording = tracer.start(visit(PARENT), asked())
    assert recording.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert recording.traceparent == f"00-{recording.trace_id}-{recording.span_id}-01"
    recording.finish(outcome(), "yes", None)
    (root,) = spans_of(tracer, recording.trace_id).values()
    assert root.parent == "b7ad6b7169203331" and root.attributes[names.LEAF] is True


def test_a_wrong_header_begins_a_trace(tracer: Tracer) -> None:
    one, two = (tracer.start(visit("00-" + "0" * 32), asked()) for _ in range(2))
    assert one.trace_id != two.trace_id and len(one.trace_id) == 32
    one.finish(outcome(), "", None)
    two.finish(outcome(), "", None)


def test_the_time_of_acceptance_is_the_start(tracer: Tracer) -> None:
    from dataclasses import replace

    accepted = time.time() - 1.5
    for started, late in ((accepted, 1.4), (time.time() + 500, 0.0), (0.0, 0.0)):
        recording = tracer.start(replace(visit(), started=started), asked())
        recording.finish(outcome(), "x", None)
        (root,) = spans_of(tracer, recording.trace_id).values()
        assert late <= (root.end - root.start) / 1e9 < late + 1


def test_content_none_keeps_nothing_that_was_written(tmp_path: Path) -> None:
    tracer = Tracer.from_config(TraceConfig(), tmp_path, redact)
    recording = tracer.start(visit(), asked("secretquestion", user="bob@example.org"))
    with recording.span("retrieve", query="secretquery"):
        pass
    done = outcome(draft="secretdraft", call="secretcall()", derivation=("secretderivation",))
    recording.finish(done, "secretanswer", None)
    tracer.close()
    data = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    assert b"secret" not in data and b"bob@" not in data and b"denizen-1" in data


def test_keys_and_addresses_are_redacted_everywhere(tracer: Tracer, tmp_path: Path) -> None:
    text = f"send from {ADDRESS} with {KEY}"
    recording = tracer.start(visit(), asked(text))
    with recording.span("upstream", note=text, authorization=f"Bearer {KEY}") as stage:
        stage.event("sent", body=text)
    recording.finish(outcome(call=text, derivation=(text,), draft=text), text, None)
    tracer.feedback(recording.trace_id, 0.5, text, visit())
    tracer.close()
    data = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    assert ADDRESS.encode() not in data and KEY.encode() not in data and b"[address]" in data


def test_the_servers_own_redactor_leaves_nothing_of_a_person(tmp_path: Path) -> None:
    from denizen.serve.operations.redaction import redact as own

    tracer = Tracer.from_config(TraceConfig(content="redacted"), tmp_path, own)
    text = f"I am bob@example.org, {ADDRESS}, my private key is 0x{'4f' * 32} and {KEY}"
    recording = tracer.start(visit(), asked(text, user="bob@example.org"))
    with recording.span("generate", messages=text):
        pass
    recording.finish(outcome(draft=text), text, None)
    tracer.close()
    data = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    for secret in ("bob@", ADDRESS, "4f4f4f", KEY):
        assert secret.encode() not in data
    assert b"I am [" in data


@pytest.mark.parametrize(
    ("told", "eligible"),
    [
        *(({"consent": word}, False) for word in ("no", "No ", "n", "denied", "never", "0", "")),
        ({"Consent": "no"}, False),
        ({"consent": "Yes"}, True),
        ({"other": "no"}, True),
    ],
)
def test_consent_can_be_withdrawn_by_a_request(
    tracer: Tracer, told: dict[str, str], eligible: bool
) -> None:
    recording = tracer.start(visit(), asked(metadata=told))
    recording.finish(outcome(), "yes", None)
    tracer.flush()
    assert tracer.store.turns()[0].eligible is eligible  # type: ignore[union-attr]


def test_consent_cannot_be_given_by_a_request(tmp_path: Path) -> None:
    tracer = Tracer.from_config(TraceConfig(content="full"), tmp_path, redact)
    recording = tracer.start(visit(), asked(metadata={"consent": "yes"}))
    recording.finish(outcome(), "yes", None)
    tracer.flush()
    assert not tracer.store.turns()[0].trace.consent  # type: ignore[union-attr]
    tracer.close()


@pytest.mark.parametrize(
    ("fault", "status", "origin"),
    [
        (Fault(400, "looks like an injection", code="prompt_injection"), 0, "refused"),
        (Fault(503, "busy", kind="server_error", code="overloaded"), ERROR, "failed"),
    ],
)
def test_a_fault_is_told(tracer: Tracer, fault: Fault, status: int, origin: str) -> None:
    recording = tracer.start(visit(), asked())
    recording.finish(None, "", fault)
    (root,) = spans_of(tracer, recording.trace_id).values()
    assert root.status == status and root.attributes[names.ERROR_TYPE] == fault.code
    assert root.attributes[names.HTTP_STATUS] == fault.status
    (turn,) = tracer.store.turns()  # type: ignore[union-attr]
    assert turn.trace.origin == origin and not turn.eligible


def test_a_caller_who_left_and_what_was_written_until_then(tracer: Tracer) -> None:
    recording = tracer.start(visit(), asked())
    with pytest.raises(asyncio.CancelledError), recording.span("generate"):
        raise asyncio.CancelledError
    recording.finish(None, "half an ans", None)
    recording.finish(outcome(), "never counted", None)
    spans = spans_of(tracer, recording.trace_id)
    assert spans["chat denizen"].attributes[names.ERROR_TYPE] == "cancelled"
    (turn,) = tracer.store.turns()  # type: ignore[union-attr]
    assert turn.trace.answer == "half an ans" and not turn.eligible


def test_a_stage_that_fails_tells_its_class_and_not_its_words(tracer: Tracer) -> None:
    recording = tracer.start(visit(), asked())
    with pytest.raises(ValueError), recording.span("route"):
        raise ValueError("what the user wrote")
    with pytest.raises(Fault), recording.span("upstream"):
        raise Fault(502, "no", code="upstream_failed")
    recording.finish(outcome(), "x", None)
    spans = spans_of(tracer, recording.trace_id)
    assert spans["route"].attributes[names.ERROR_TYPE] == "ValueError"
    assert spans["route"].status == ERROR
    upstream = spans["chat denizen-1"]
    assert upstream.attributes[names.ERROR_TYPE] == "upstream_failed"


def test_tokens_stand_on_the_stage_that_wrote_the_answer(tracer: Tracer) -> None:
    recording = tracer.start(visit(), asked())
    for name in ("generate", "upstream"):
        with recording.span(name, model=name):
            pass
    recording.finish(outcome(origin="upstream"), "x", None)
    spans = spans_of(tracer, recording.trace_id)
    assert names.OUTPUT_TOKENS not in spans["chat generate"].attributes
    assert spans["chat upstream"].attributes[names.OUTPUT_TOKENS] == 5


def test_stages_without_end_are_bounded(tracer: Tracer) -> None:
    recording = tracer.start(visit(), asked())
    for _ in range(300):
        recording.span("guard")  # never left
    recording.finish(outcome(), "x", None)
    tracer.flush()
    spans = tracer.store.spans(recording.trace_id)  # type: ignore[union-attr]
    root = next(span for span in spans if span.kind == SERVER)
    assert len(spans) == 257 and root.attributes[names.STAGES_DROPPED] == 44
    assert all(span.end <= root.end for span in spans)


def test_a_completion_is_recorded_too(tracer: Tracer) -> None:
    recording = tracer.start(visit(), Request("denizen", text="Once upon"))
    recording.finish(outcome(), " a time", None)
    (root,) = spans_of(tracer, recording.trace_id).values()
    assert root.name == "text_completion denizen"
    (turn,) = tracer.store.turns()  # type: ignore[union-attr]
    assert turn.trace.question == "Once upon"


def test_feedback_joins_its_trace_at_once(tracer: Tracer) -> None:
    recording = tracer.start(visit(), asked())
    recording.finish(outcome(), "x", None)
    tracer.feedback(recording.trace_id, -1, "wrong fee", visit())
    (turn,) = tracer.store.turns()  # type: ignore[union-attr]
    assert turn.score == -1 and not turn.eligible
    (given,) = tracer.store.feedback(recording.trace_id)  # type: ignore[union-attr]
    assert given.comment == "wrong fee" and given.caller == "key_7"


@pytest.mark.parametrize("trace_id", ["", "ab" * 16, "' OR 1=1", "x" * 10_000])
def test_feedback_for_an_unknown_trace_is_a_404(tracer: Tracer, trace_id: str) -> None:
    with pytest.raises(Fault) as caught:
        tracer.feedback(trace_id, 1, "", visit())
    assert caught.value.status == 404


@pytest.mark.parametrize("score", [float("nan"), float("inf"), 2, -1.5])
def test_a_wrong_score_is_a_400(tracer: Tracer, score: float) -> None:
    with pytest.raises(Fault) as caught:
        tracer.feedback("ab" * 16, score, "", visit())
    assert caught.value.status == 400 and caught.value.param == "score"


def test_a_null_tracer_keeps_nothing_and_still_names_the_trace() -> None:
    tracer = Tracer()
    recording = tracer.start(visit(), asked())
    with recording.span("generate"):
        pass
    recording.finish(outcome(), "x", None)
    assert len(recording.trace_id) == 32 and recording.stored is None
    with pytest.raises(Fault) as caught:
        tracer.feedback(recording.trace_id, 1, "", visit())
    assert caught.value.status == 404
    assert tracer.flush() and tracer.close() and tracer.counts()["open"] == 0


def test_without_store_and_export_no_file_is_made(tmp_path: Path) -> None:
    tracer = Tracer.from_config(TraceConfig(store=False), tmp_path, redact)
    tracer.start(visit(), asked()).finish(outcome(), "x", None)
    assert tracer.close() and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"export": "otlp"}, "traces.export_url"),
        ({"export": "otlp", "export_url": "file:///etc/passwd"}, "traces.export_url"),
        ({"export": "otlp", "export_url": "http://u:p@host"}, "traces.export_url"),
        ({"export": "otlp", "export_url": "http://h:99999"}, "traces.export_url"),
        ({"export": "langfuse", "export_url": "http://h"}, "traces.export_key_env"),
        (
            {"export": "otlp", "export_url": "http://h", "export_key_env": "NO_SUCH_VARIABLE_X"},
            "traces.export_key_env",
        ),
    ],
)
def test_a_wrong_exporter_is_told_at_the_start(
    tmp_path: Path, change: dict[str, Any], where: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Tracer.from_config(TraceConfig(**change), tmp_path, redact)
    assert caught.value.where == where
    assert not (tmp_path / SPOOL).exists()


@pytest.mark.parametrize("kept", [True, False])
def test_what_an_exporter_left_is_kept_no_longer_than_configured(
    tmp_path: Path, kept: bool
) -> None:
    left = TraceStore(tmp_path / SPOOL)
    for number in (1, 2):
        left.put(trace(number), [span(number)]).result(5)
    left.close()
    old = time.time_ns() - 8 * 86_400 * 10**9
    with closing(sqlite3.connect(tmp_path / SPOOL)) as db, db:
        db.execute("UPDATE traces SET received = ? WHERE request_id = 'req_1'", (old,))
        db.execute("UPDATE spans SET received = ? WHERE trace = ?", (old, trace(1).id))
    tracer = Tracer.from_config(TraceConfig(store=kept, days=7), tmp_path, redact)
    reader, deadline = TraceReader(tmp_path / SPOOL), time.monotonic() + 5
    while reader.spans(trace(1).id) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert tracer.close()
    assert [one.trace.request_id for one in reader.turns()] == ["req_2"]
    assert reader.spans(trace(1).id) == [] and len(reader.spans(trace(2).id)) == 1


def test_what_is_left_and_no_database_stops_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / SPOOL).write_bytes(b"this is no database at all" * 50)
    left = Leftover(tmp_path / SPOOL, 7, every=0.01)
    deadline = time.monotonic() + 5
    while not caplog.records and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    left.close()
    assert len(caplog.records) == 1 and SPOOL in caplog.text
    Leftover(tmp_path / "none.sqlite", 7).close()
    assert not (tmp_path / "none.sqlite").exists()


def test_closing_finishes_what_is_open(tmp_path: Path) -> None:
    tracer = Tracer.from_config(TraceConfig(), tmp_path, redact)
    recording = tracer.start(visit(), asked())
    assert tracer.counts()["open"] == 1
    assert tracer.close() and tracer.close()
    store = TraceStore(tmp_path / "traces.sqlite")
    assert [one.trace.error for one in store.turns(trace_id=recording.trace_id)] == ["unfinished"]
    store.close()


def test_a_finish_after_closing_is_lost_and_counted(tmp_path: Path) -> None:
    tracer = Tracer.from_config(TraceConfig(), tmp_path, redact)
    tracer.close()
    tracer.start(visit(), asked()).finish(outcome(), "x", None)
    assert tracer.counts()["lost"] == 1


def test_a_request_pays_less_than_a_third_of_a_millisecond(tracer: Tracer) -> None:
    turns = tuple(Turn("user", "word " * 2000) for _ in range(10))
    spent = []
    for number in range(200):
        start = time.perf_counter()
        recording = tracer.start(visit(PARENT, f"r{number}"), Request("denizen", turns))
        for stage in ("guard", "retrieve", "generate", "calculate", "route"):
            with recording.span(stage, a=1):
                pass
        recording.finish(outcome(), "answer " * 500, None)
        spent.append(time.perf_counter() - start)
        time.sleep(0.001)
    assert sorted(spent)[len(spent) // 2] < 0.3e-3
    assert tracer.flush() and tracer.counts()["lost"] == 0


def test_usage_told_by_a_stage_is_kept(tracer: Tracer) -> None:
    recording = tracer.start(visit(), asked())
    with recording.span("generate") as stage:
        stage.set(input_tokens=7, output_tokens=3)
    with recording.span("generate"):
        pass
    recording.finish(outcome(usage=Usage(9, 9)), "x", None)
    tracer.flush()
    spans = tracer.store.spans(recording.trace_id)  # type: ignore[union-attr]
    told = [s.attributes.get(names.OUTPUT_TOKENS) for s in spans if s.kind != SERVER]
    assert told == [3, None]


def test_a_refused_request_keeps_no_words_in_place_of_a_model(tmp_path: Path) -> None:
    tracer = Tracer.from_config(TraceConfig(), tmp_path, redact)
    fault = Fault(404, "no such model", code="model_not_found")
    for name in ("should I sell my 500 ETH?", "gpt-4o"):
        recording = tracer.start(visit(), Request(name, (Turn("user", "x"),)))
        with recording.span("generate"):
            pass
        recording.finish(None, "", fault)
    tracer.close()
    kept = (tmp_path / "traces.sqlite").read_bytes()
    assert b"500 ETH" not in kept and b"gpt-4o" in kept


@pytest.mark.parametrize(
    ("text", "done", "most", "reason"),
    [("x", outcome(), None, "stop"), ("x", outcome(), 5, "length"), ("x", None, None, "error")],
)
def test_the_kept_answer_says_why_it_ended(
    tracer: Tracer, text: str, done: Outcome | None, most: int | None, reason: str
) -> None:
    recording = tracer.start(visit(), asked(sampling=Sampling(max_tokens=most)))
    recording.finish(done, text, None)
    (root,) = spans_of(tracer, recording.trace_id).values()
    assert json.loads(root.attributes[names.OUTPUT_MESSAGES])[0]["finish_reason"] == reason


def test_feedback_does_not_wait_for_a_full_disk(
    tracer: Tracer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tracer.store
    assert store is not None
    recording = tracer.start(visit(), asked())
    recording.finish(outcome(), "x", None)
    assert tracer.flush()

    def full(db: object, *_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as broken:
        broken.setattr("denizen.serve.traces.rows.put_feedback", full)
        start = time.monotonic()
        with pytest.raises(Fault) as caught:  # its thread is one of the few that answer
            tracer.feedback(recording.trace_id, 1, "", visit())
        assert caught.value.status == 503 and time.monotonic() - start < 3


def test_documents_are_objects_as_the_conventions_demand(tmp_path: Path) -> None:
    tracer = Tracer.from_config(TraceConfig(content="full"), tmp_path, redact)
    recording = tracer.start(visit(), asked())
    with recording.span("retrieve") as stage:
        stage.set(documents=["uniswap.md", {"id": "aave.md", "score": 0.5}])
    recording.finish(outcome(), "x", None)
    found = spans_of(tracer, recording.trace_id)["retrieval"].attributes
    tracer.close()
    assert found[names.RETRIEVAL_DOCUMENTS] == [
        {"id": "uniswap.md"},
        {"id": "aave.md", "score": 0.5},
    ]


def test_closing_does_not_wait_for_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracer = Tracer.from_config(TraceConfig(), tmp_path, redact)

    def full(db: object, *_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("denizen.serve.traces.rows.put_trace", full)
    tracer.start(visit(), asked()).finish(outcome(), "x", None)
    deadline = time.monotonic() + 5
    while not tracer.counts().get("write_failures"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    start = time.monotonic()  # systemd and Docker kill what does not end in time
    assert not tracer.close() and time.monotonic() - start < 5
    assert tracer.counts()["lost"] == 1


def test_what_nobody_agreed_to_is_not_among_what_may_be_trained_on(tmp_path: Path) -> None:
    tracer = Tracer.from_config(TraceConfig(content="full", consent=True), tmp_path, redact)
    for question, told in (("agreed", {}), ("never agreed", {"consent": "no"})):
        recording = tracer.start(visit(PARENT), asked(question, metadata=told))
        with recording.span("generate"):
            pass
        recording.finish(outcome(), "x", None)
    ours = span(1, trace_id=recording.trace_id, span_id=PARENT[36:52])
    theirs = replace(ours, attributes={names.INPUT_MESSAGES: "the caller's own"})
    asyncio.run(tracer.otlp_in(otlp.encode([theirs]), otlp.PROTOBUF, ""))
    assert tracer.store is not None
    (line,) = lines(tracer.store, eligible=True)
    assert "agreed" in line and "never agreed" not in line and "caller's own" not in line
    kept = otlp.decode(json.dumps(json.loads(line)["otlp"]).encode(), otlp.JSON).spans
    assert [one.name for one in kept] == ["chat denizen", "chat denizen-1"]
    everything = "".join(lines(tracer.store))
    assert "never agreed" in everything and "caller's own" in everything
    tracer.close()


def test_what_is_sent_again_does_not_pile_up_before_a_full_disk(
    tracer: Tracer, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, full = rows.put_spans, True

    def small(*given: Any) -> int:
        if full:
            raise sqlite3.OperationalError("database or disk is full")
        return put(*given)

    monkeypatch.setattr("denizen.serve.traces.rows.put_spans", small)
    body = otlp.encode([span(1)])
    for _ in range(5):  # a collector that was told 503 sends it again
        with pytest.raises(Fault) as caught:
            asyncio.run(tracer.otlp_in(body, otlp.PROTOBUF, ""))
        assert caught.value.status == 503
    assert tracer.counts()["waiting"] == 1
    full = False
    assert tracer.flush()
    asyncio.run(tracer.otlp_in(otlp.encode([span(2)]), otlp.PROTOBUF, ""))
    assert tracer.counts()["lost"] == 0

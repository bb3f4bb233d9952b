"""Traces sent on: at least once, through outages and restarts, in each receiver's own shape."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service
from trace_fakes import Received, asked, outcome, receiving, redact, span, trace, visit

from denizen.project.config import TraceConfig
from denizen.project.errors import ConfigError
from denizen.serve.operations.metrics import Metrics
from denizen.serve.traces import Tracer, TraceStore, names, otlp
from denizen.serve.traces.export import Exporter
from denizen.serve.traces.langfuse import Langfuse
from denizen.serve.traces.mlflow import MLflow
from denizen.serve.traces.phoenix import Phoenix
from denizen.serve.traces.spans import SERVER, Feedback, Source
from denizen.serve.traces.store import SPOOL
from denizen.serve.traces.targets import OTLP, dialect_of


@pytest.fixture
def received() -> Iterator[Received]:
    with receiving() as got:
        yield got


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TraceStore]:
    made = TraceStore(tmp_path / "traces.sqlite")
    yield made
    made.close()


def until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def sent(received: Received, path: str = "/v1/traces") -> list[str]:
    """Ids of the spans that arrived, in order."""
    found = []
    for body in received.bodies(path):
        decoded = otlp.decode(body, otlp.PROTOBUF)
        found += [one.span_id for one in decoded.spans]
    return found


def attributes(span_: Any) -> dict[str, Any]:
    return {
        pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in span_.attributes
    }


def served(tracer: Tracer) -> str:
    """A request with its stages; its trace id."""
    recording = tracer.start(visit(), asked())
    with recording.span("guard"):
        pass
    with recording.span("retrieve", query="fees") as stage:
        stage.set(documents=[{"id": "uniswap.md", "score": 0.5}])
    with recording.span("generate"):
        pass
    with recording.span("calculate", tool="quote", arguments='{"a": 1}', result="5"):
        pass
    recording.finish(outcome(flags=("low confidence",)), "0.3%", None)
    return recording.trace_id


def test_langfuse_gets_its_wire_shape(
    tmp_path: Path, received: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANGFUSE_TEST_KEYS", "pk-lf-1:sk-lf-2")
    config = TraceConfig(
        content="full",
        export="langfuse",
        export_url=received.url + "/",
        export_key_env="LANGFUSE_TEST_KEYS",
    )
    tracer = Tracer.from_config(config, tmp_path, redact)
    key = served(tracer)
    tracer.feedback(key, -1, "wrong", visit())
    until(lambda: received.bodies("/api/public/scores"))
    assert tracer.close()

    path, headers, body = received.calls[0]
    assert path == "/api/public/otel/v1/traces"
    assert headers["authorization"] == "Basic " + base64.b64encode(b"pk-lf-1:sk-lf-2").decode()
    assert headers["x-langfuse-ingestion-version"] == "4"
    assert headers["content-type"] == "application/x-protobuf"
    assert headers["content-encoding"] == "gzip"
    request = service.ExportTraceServiceRequest.FromString(body)
    spans = {one.name: attributes(one) for one in request.resource_spans[0].scope_spans[0].spans}
    types = {name: found[names.LANGFUSE_TYPE] for name, found in spans.items()}
    assert types == {
        "chat denizen": "agent",
        "guard": "guardrail",
        "retrieval": "retriever",
        "chat denizen-1": "generation",
        "execute_tool quote": "tool",
    }
    root, written = spans["chat denizen"], spans["chat denizen-1"]
    assert root[names.LANGFUSE_TRACE_NAME] == "chat denizen"
    assert "What does Uniswap" in root[names.LANGFUSE_TRACE_INPUT]
    assert "0.3%" in root[names.LANGFUSE_TRACE_OUTPUT]
    assert names.OUTPUT_TOKENS not in root  # counted once, where it was written
    assert json.loads(written[names.LANGFUSE_USAGE]) == {"input": 12, "output": 5, "total": 17}
    assert written[names.LANGFUSE_MODEL] == "denizen-1"
    assert spans["execute_tool quote"][names.LANGFUSE_INPUT] == '{"a": 1}'

    (where, headers, body) = next(call for call in received.calls if "scores" in call[0])
    assert where == "/api/public/scores" and headers["content-type"] == "application/json"
    assert headers["authorization"].startswith("Basic ")
    (score,) = json.loads(body)
    assert score.pop("id") and score == {
        "traceId": key,
        "name": "user_feedback",
        "value": -1.0,
        "dataType": "NUMERIC",
        "comment": "wrong",
    }


def test_phoenix_gets_openinference(tmp_path: Path, received: Received) -> None:
    config = TraceConfig(
        content="full", export="phoenix", export_url=received.url + "?project=defi"
    )
    tracer = Tracer.from_config(config, tmp_path, redact)
    key = served(tracer)
    tracer.feedback(key, 1, "", visit())
    until(lambda: received.bodies("/v1/trace_annotations?sync=true"))
    tracer.close()
    (body,) = received.bodies("/v1/traces")
    resource = service.ExportTraceServiceRequest.FromString(body).resource_spans[0]
    known = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
    assert known[names.OI_PROJECT] == "defi"
    spans = {one.name: attributes(one) for one in resource.scope_spans[0].spans}
    assert {name: found[names.OI_KIND] for name, found in spans.items()} == {
        "chat denizen": "AGENT",
        "guard": "GUARDRAIL",
        "retrieval": "RETRIEVER",
        "chat denizen-1": "LLM",
        "execute_tool quote": "TOOL",
    }
    root = spans["chat denizen"]
    assert (
        root[names.OI_INPUT] == "What does Uniswap v3 charge?" and root[names.OI_OUTPUT] == "0.3%"
    )
    assert (
        spans["chat denizen-1"][names.OI_TOTAL_TOKENS] == 17 and names.OI_TOTAL_TOKENS not in root
    )
    assert spans["retrieval"]["retrieval.documents.0.document.id"] == "uniswap.md"
    assert spans["execute_tool quote"][names.OI_TOOL_NAME] == "quote"
    (one,) = json.loads(received.bodies("/v1/trace_annotations?sync=true")[0])["data"]
    assert one["trace_id"] == key and one["annotator_kind"] == "HUMAN" and one["identifier"]
    assert one["result"] == {"score": 1.0, "label": "good", "explanation": None}


def test_a_model_call_alone_has_its_messages_in_phoenix() -> None:
    root = span(
        1,
        kind=SERVER,
        attributes={
            names.OPERATION: "chat",
            names.LEAF: True,
            names.INPUT_MESSAGES: json.dumps(
                [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]
            ),
            names.INPUT_TOKENS: 1,
            names.OUTPUT_TOKENS: 2,
        },
    )
    found = Phoenix("http://h").shape(root).attributes
    assert found["llm.input_messages.0.message.role"] == "user"
    assert found["llm.input_messages.0.message.content"] == "hi"
    assert found[names.OI_KIND] == "LLM" and found[names.OI_TOTAL_TOKENS] == 3


def test_spans_that_speak_openinference_are_left_as_they_are() -> None:
    one = span(1, attributes={names.OI_KIND: "CHAIN", names.OI_INPUT: "x"}, source=Source({"a": 1}))
    shaped = Phoenix("http://h", project="p").shape(one)
    assert shaped.attributes == one.attributes
    assert shaped.source == Source({"a": 1, names.OI_PROJECT: "p"})


def test_mlflow_gets_its_experiment_and_an_assessment_each(
    store: TraceStore, received: Received
) -> None:
    dialect = dialect_of(
        TraceConfig(export="mlflow", export_url=received.url + "?experiment=7", export_key_env="K"),
        {"K": "user:password"},
    )
    assert isinstance(dialect, MLflow)
    exporter = Exporter(store, dialect)
    store.put(trace(1), [span(1)])
    for number in (1, 2):
        store.give(Feedback(f"{number}" * 32, trace(1).id, 0.5, "ok", "key_1", 10**18))
    until(lambda: len(received.calls) == 3)
    exporter.close()
    _, headers, _ = received.calls[0]
    assert headers["x-mlflow-experiment-id"] == "7"
    assert headers["authorization"].startswith("Basic ")
    path, _, body = received.calls[1]
    assert path == f"/api/3.0/mlflow/traces/tr-{trace(1).id}/assessments"
    told = json.loads(body)["assessment"]
    assert told["feedback"] == {"value": 0.5} and told["source"]["source_type"] == "HUMAN"


def test_a_collector_gets_feedback_as_an_evaluation(store: TraceStore, received: Received) -> None:
    exporter = Exporter(store, OTLP(received.url + "/v1/traces", "secret"))
    store.put(trace(1), [span(1)])
    store.give(Feedback("ab" * 16, trace(1).id, 1.0, "good", at=10**18))
    until(lambda: len(received.calls) == 2)
    exporter.close()
    assert received.calls[0][1]["authorization"] == "Bearer secret"
    (one,) = otlp.decode(received.calls[1][2], otlp.PROTOBUF).spans
    assert one.trace_id == trace(1).id and one.events[0].name == names.EVALUATION_EVENT
    assert one.events[0].attributes[names.EVALUATION_SCORE] == 1.0


def test_an_outage_loses_nothing(store: TraceStore, received: Received) -> None:
    received.statuses = [503, 500, 401, 404, 429]
    exporter = Exporter(store, OTLP(received.url + "/v1/traces"), first_pause=0.01)
    for number in range(1, 6):
        store.put(trace(number), [span(number)])
    until(lambda: len(set(sent(received))) == 5)
    exporter.close()
    assert exporter.failures == 5 and exporter.refused == 0
    assert sent(received) == sorted(sent(received))


def test_a_receiver_that_is_not_there_stops_nobody(store: TraceStore) -> None:
    exporter = Exporter(store, OTLP("http://127.0.0.1:9/v1/traces"), first_pause=0.01)
    store.put(trace(1), [span(1)]).result(5)
    until(lambda: exporter.failures > 1)
    start = time.monotonic()
    exporter.close(1.0)
    assert time.monotonic() - start < 3
    assert "ConnectError" in exporter.trouble


def test_an_outage_is_seen_in_the_metrics(store: TraceStore, received: Received) -> None:
    def figures() -> dict[str, float]:
        lines = [line.split() for line in metrics.text().splitlines() if line[0] != "#"]
        return {name: float(value) for name, value in lines if "trace" in name}

    received.statuses = [503] * 1000
    exporter = Exporter(store, OTLP(received.url + "/v1/traces"), first_pause=0.01)
    tracer = Tracer(store, redact=redact, exporter=exporter)
    metrics = Metrics()
    metrics.traces(tracer.counts)
    store.put(trace(1), [span(1)]).result(5)
    until(lambda: figures()["denizen_trace_export_failures_total"] > 1)
    found = figures()
    assert found["denizen_trace_export_trouble"] == 1 and found["denizen_trace_writes_total"] == 1
    assert found["denizen_trace_exported_spans_total"] == 0
    received.statuses = []
    until(lambda: figures()["denizen_trace_exported_spans_total"] == 1)
    until(lambda: figures()["denizen_trace_export_trouble"] == 0)
    tracer.close()


def test_without_an_exporter_the_metrics_tell_of_none(store: TraceStore) -> None:
    metrics, tracer = Metrics(), Tracer(store, redact=redact)
    metrics.traces(tracer.counts)
    told = metrics.text()
    assert "denizen_trace_writes_waiting 0" in told and "trace_export" not in told
    tracer.close()


def test_a_restart_goes_on_where_it_stopped(store: TraceStore, received: Received) -> None:
    store.put(trace(9), [span(9)]).result(5)  # before there was an exporter
    dialect = OTLP(received.url + "/v1/traces")
    first = Exporter(store, dialect)
    store.put(trace(1), [span(1)])
    until(lambda: len(received.calls) == 1)
    first.close()
    store.put(trace(2), [span(2)])  # while nothing exports
    store.flush()
    second = Exporter(store, dialect)
    store.put(trace(3), [span(3)])
    until(lambda: len(sent(received)) >= 3)
    second.close()
    assert sent(received) == [span(n).span_id for n in (1, 2, 3)]


def test_the_span_at_fault_is_found_and_the_others_arrive(
    store: TraceStore, received: Received
) -> None:
    received.refuse = lambda body: b"poison" in body
    exporter = Exporter(store, OTLP(received.url + "/v1/traces"))
    spans = [span(n, name="poison" if n == 13 else "fine") for n in range(1, 21)]
    store.put(trace(1), spans)
    until(lambda: exporter.sent + exporter.refused == 20)
    exporter.close()
    assert exporter.refused == 1 and exporter.sent == 19
    assert span(13).span_id not in sent(received) and len(sent(received)) == 19


def test_a_large_batch_is_sent_in_parts(store: TraceStore, received: Received) -> None:
    exporter = Exporter(store, OTLP(received.url + "/v1/traces"))
    store.put(trace(1), [span(n, attributes={"x": "y" * 60_000}) for n in range(1, 101)])
    until(lambda: exporter.sent == 100, 20)
    exporter.close()
    assert len(received.calls) > 2 and len(set(sent(received))) == 100


def test_what_the_receiver_sets_aside_is_counted(store: TraceStore) -> None:
    import httpx

    answer = service.ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = 2
    client = httpx.Client(
        transport=httpx.MockTransport(
            lambda request: httpx.Response(200, content=answer.SerializeToString())
        )
    )
    exporter = Exporter(store, OTLP("http://h/v1/traces"), client=client)
    store.put(trace(1), [span(n) for n in (1, 2, 3)])
    until(lambda: exporter.sent)
    exporter.close()
    assert (exporter.sent, exporter.refused) == (1, 2)


def test_feedback_that_came_before_its_trace_is_told_later(
    store: TraceStore, received: Received
) -> None:
    exporter = Exporter(store, Phoenix(received.url), first_pause=0.01)
    store.put(trace(1), [span(1)]).result(5)
    until(lambda: len(received.calls) == 1)
    received.statuses = [404, 404, 404]  # not stored there yet
    for number in (1, 2):
        store.give(Feedback(f"{number}" * 32, trace(1).id, 1.0))
    until(lambda: exporter.scored == 2)
    exporter.close()
    assert exporter.refused == 0


def test_feedback_nobody_takes_is_counted_and_holds_up_nothing(store: TraceStore) -> None:
    import httpx

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(404 if b"e" * 32 in request.content else 200)

    client = httpx.Client(transport=httpx.MockTransport(answer))
    exporter = Exporter(store, Phoenix("http://h"), client=client, first_pause=0.01)
    store.put(trace(1), [span(1)])
    store.give(Feedback("e" * 32, trace(1).id, 1.0))
    store.give(Feedback("f" * 32, trace(1).id, 1.0))
    until(lambda: exporter.scored == 1)
    until(lambda: exporter.refused == 1)
    exporter.close()


def test_what_is_not_kept_is_deleted_once_it_was_sent(tmp_path: Path, received: Received) -> None:
    config = TraceConfig(store=False, content="full", export="phoenix", export_url=received.url)
    tracer = Tracer.from_config(config, tmp_path, redact)
    assert tracer.store is not None
    key = served(tracer)
    until(lambda: len(sent(received)) == 5)
    until(lambda: tracer.store is not None and tracer.store.spans(key) == [])
    (left,) = tracer.store.turns()
    assert (left.trace.question, left.trace.answer, left.trace.caller) == ("", "", "")
    tracer.feedback(key, 1, "", visit())  # it still finds its trace
    until(lambda: received.bodies("/v1/trace_annotations?sync=true"))
    until(lambda: tracer.store is not None and tracer.store.feedback(key) == [])
    tracer.close()
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".sqlite"] == [SPOOL]


def test_closing_sends_what_waits(tmp_path: Path, received: Received) -> None:
    config = TraceConfig(export="otlp", export_url=received.url + "/v1/traces")
    tracer = Tracer.from_config(config, tmp_path, redact)
    served(tracer)
    assert tracer.close()
    assert len(sent(received)) == 5 and tracer.counts()["exported"] == 5


def test_what_came_from_files_is_not_sent_on(store: TraceStore, received: Received) -> None:
    exporter = Exporter(store, OTLP(received.url + "/v1/traces"))
    store.ingest([(trace(1, arrived="file", root=""), [span(1)], [])])
    store.put(trace(2), [span(2)])
    until(lambda: sent(received))
    exporter.close()
    assert sent(received) == [span(2).span_id]


def test_no_key_is_shown_by_a_receiver() -> None:
    for dialect in (
        Langfuse("http://h", "pk:topsecret"),
        Phoenix("http://h", "topsecret"),
        MLflow("http://h", "topsecret"),
        OTLP("http://h", "topsecret"),
    ):
        assert "topsecret" not in repr(dialect) and "topsecret" not in dialect.url


def test_a_span_that_cannot_be_written_holds_up_no_other(
    store: TraceStore, received: Received
) -> None:
    told: list[int] = []
    store.tell_losses(told.append)
    exporter = Exporter(store, Langfuse(received.url, "a:b"), first_pause=0.01)
    odd = {names.OPERATION: names.CHAT, names.REQUEST_TEMPERATURE: b"no number"}
    store.receive([], [span(1, attributes=odd)])
    store.put(trace(2), [span(2)])
    until(lambda: exporter.sent == 1 and exporter.refused == 1)
    exporter.close()
    assert sent(received, "/api/public/otel/v1/traces") == [span(2).span_id]
    assert told == [1], "a span that nobody takes is told as lost"


def test_deep_messages_hold_up_no_other(store: TraceStore, received: Received) -> None:
    exporter = Exporter(store, Phoenix(received.url), first_pause=0.01)
    deep = {names.OPERATION: names.CHAT, names.INPUT_MESSAGES: "[" * 60_000}
    store.receive([], [span(1, attributes=deep)])
    store.put(trace(2), [span(2)])
    until(lambda: exporter.sent == 2)
    exporter.close()
    assert exporter.refused == 0


@pytest.mark.parametrize("key", ["response", "result"])
def test_phoenix_is_told_what_a_tool_answered(key: str) -> None:
    part = {"type": "tool_call_response", "id": "c1", key: "0.3%"}
    said = json.dumps([{"role": "tool", "parts": [part]}])
    known = {names.OPERATION: names.CHAT, names.INPUT_MESSAGES: said}
    shaped = Phoenix("http://x").shape(span(1, attributes=known)).attributes
    assert shaped[f"{names.OI_INPUT_MESSAGES}.0.{names.OI_CONTENT}"] == "0.3%"


def test_a_new_file_is_sent_from_its_beginning(
    store: TraceStore, received: Received, tmp_path: Path
) -> None:
    exporter = Exporter(store, OTLP(received.url + "/v1/traces"), first_pause=0.01)
    for number in range(1, 6):
        store.put(trace(number), [span(number)]).result(5)
    until(lambda: exporter.sent == 5)
    store.path.rename(tmp_path / "elsewhere.sqlite")
    store.put(trace(7), [span(7)]).result(5)
    until(lambda: exporter.sent == 6)
    exporter.close()
    assert sent(received)[-1] == span(7).span_id


@pytest.mark.parametrize("key", ["", "  ", "k\u00e9y", "one\ntwo"])
def test_a_key_that_no_header_carries_is_told_at_the_start(key: str) -> None:
    config = TraceConfig(export="otlp", export_url="http://x", export_key_env="K")
    with pytest.raises(ConfigError) as caught:
        dialect_of(config, {"K": key})
    assert "K" in str(caught.value) and (not key.strip() or key not in str(caught.value))


def test_the_end_of_a_keys_line_is_no_part_of_it() -> None:
    config = TraceConfig(export="otlp", export_url="http://x", export_key_env="K")
    found = dialect_of(config, {"K": "abc\n"})
    assert found is not None and found.headers == {"Authorization": "Bearer abc"}

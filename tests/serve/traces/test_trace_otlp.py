"""OTLP in and out: bytes to the store and back, and what is refused."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service
from trace_fakes import ADDRESS, KEY, asked, outcome, redact, span, visit

from denizen.project.config import TraceConfig
from denizen.serve.exchange import Fault
from denizen.serve.traces import Tracer, intake, names, otlp
from denizen.serve.traces.content import Policy
from denizen.serve.traces.otlp_json import Malformed
from denizen.serve.traces.spans import Event, Link, Source, Span


@pytest.fixture
def tracer(tmp_path: Path) -> Iterator[Tracer]:
    made = Tracer.from_config(TraceConfig(content="full"), tmp_path, redact)
    yield made
    made.close()


def rich() -> Any:
    """A request with every field that OTLP's traces have."""
    request = service.ExportTraceServiceRequest()
    resource = request.resource_spans.add(schema_url="https://example.org/r")
    resource.resource.attributes.add(key="service.name").value.string_value = "agent"
    scope = resource.scope_spans.add(schema_url="https://example.org/s")
    scope.scope.name, scope.scope.version = "lib", "1.2"
    scope.scope.attributes.add(key="k").value.int_value = 7
    one = scope.spans.add(
        trace_id=bytes(range(16)),
        span_id=bytes(range(1, 9)),
        parent_span_id=bytes(range(2, 10)),
        trace_state="v=1",
        flags=257,
        name="chat gpt",
        kind=3,
        start_time_unix_nano=1_700_000_000_000_000_000,
        end_time_unix_nano=1_700_000_000_123_456_789,
        dropped_attributes_count=4,
        dropped_events_count=5,
        dropped_links_count=6,
    )
    one.status.code, one.status.message = 2, "it failed"
    one.attributes.add(key="s").value.string_value = "text \U0001f600"
    one.attributes.add(key="b").value.bool_value = True
    one.attributes.add(key="i").value.int_value = -(2**62)
    one.attributes.add(key="d").value.double_value = 1.0
    one.attributes.add(key="y").value.bytes_value = b"\x00\xff"
    values = one.attributes.add(key="a").value.array_value.values
    values.add().string_value = "x"
    values.add().int_value = 3
    pair = one.attributes.add(key="m").value.kvlist_value.values.add(key="in")
    pair.value.double_value = 0.5
    event = one.events.add(name="e", time_unix_nano=1_700_000_000_000_000_001)
    event.attributes.add(key="z").value.int_value = 1
    event.dropped_attributes_count = 2
    link = one.links.add(trace_id=b"\x01" * 16, span_id=b"\x02" * 8, trace_state="w", flags=1)
    link.attributes.add(key="q").value.bool_value = False
    scope.spans.add(
        trace_id=bytes(range(16)),
        span_id=b"\x09" * 8,
        name="child",
        start_time_unix_nano=1_700_000_000_000_000_002,
        end_time_unix_nano=1_700_000_000_000_000_003,
    )
    return request


def post(
    tracer: Tracer, body: bytes, kind: str = otlp.PROTOBUF, encoding: str = ""
) -> tuple[bytes, str]:
    return asyncio.run(tracer.otlp_in(body, kind, encoding))


def test_bytes_to_the_store_and_back_are_the_same(tracer: Tracer) -> None:
    request = rich()
    answer, kind = post(tracer, request.SerializeToString())
    assert kind == otlp.PROTOBUF and answer == b""
    spans = tracer.store.spans(bytes(range(16)).hex())  # type: ignore[union-attr]
    again = service.ExportTraceServiceRequest.FromString(otlp.encode(spans))
    assert again == request


def test_json_to_the_store_and_back_is_the_same(tracer: Tracer) -> None:
    body = otlp.to_json(rich())
    value = json.loads(body)
    first = value["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    # As the protocol has it: ids in hex, enums as numbers, 64 bits as text.
    assert first["traceId"] == bytes(range(16)).hex() and first["kind"] == 3
    assert first["startTimeUnixNano"] == "1700000000000000000"
    answer, kind = post(tracer, gzip.compress(body), "application/json; charset=utf-8", "gzip")
    assert (answer, kind) == (b"{}", otlp.JSON)
    spans = tracer.store.spans(bytes(range(16)).hex())  # type: ignore[union-attr]
    assert json.loads(otlp.encode(spans, otlp.JSON)) == value


def test_json_as_other_languages_write_it_is_taken(tracer: Tracer) -> None:
    body = {
        "resourceSpans": [
            {
                "resource": {},
                "unknown": 1,
                "scopeSpans": [
                    {
                        "spans": [
                            {
                                "traceId": "5B8EFFF798038103D269B633813FC60C",
                                "spanId": "EEE19B7EC3C1B174",
                                "name": "x",
                                "kind": "SPAN_KIND_CLIENT",
                                "startTimeUnixNano": 1544712660000000000,
                                "endTimeUnixNano": "1544712661000000000",
                                "attributes": [{"key": "n", "value": {"intValue": 5}}],
                            }
                        ]
                    }
                ],
            }
        ]
    }
    post(tracer, json.dumps(body).encode(), otlp.JSON)
    (one,) = tracer.store.spans("5b8efff798038103d269b633813fc60c")  # type: ignore[union-attr]
    assert one.attributes == {"n": 5} and one.kind == 3


def test_sending_twice_changes_nothing(tracer: Tracer) -> None:
    body = rich().SerializeToString()
    post(tracer, body)
    post(tracer, gzip.compress(body), encoding="gzip")
    assert len(tracer.store.spans(bytes(range(16)).hex())) == 2  # type: ignore[union-attr]
    assert len(tracer.store.turns()) == 1  # type: ignore[union-attr]


def test_question_and_answer_of_foreign_spans_are_found_but_not_eligible(tracer: Tracer) -> None:
    asked_ = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "why?"}]}])
    said = json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "so."}]}])
    one = span(
        9,
        attributes={
            names.INPUT_MESSAGES: asked_,
            names.OUTPUT_MESSAGES: said,
            names.REQUEST_MODEL: "m",
            names.INPUT_TOKENS: 3,
        },
    )
    post(tracer, otlp.encode([one]))
    (turn,) = tracer.store.turns()  # type: ignore[union-attr]
    assert (turn.trace.question, turn.trace.answer, turn.trace.model) == ("why?", "so.", "m")
    assert turn.trace.arrived == "otlp" and not turn.trace.consent and not turn.eligible


def test_the_callers_own_spans_join_what_was_served(tracer: Tracer) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    recording = tracer.start(visit(parent), asked())
    recording.finish(outcome(), "yes", None)
    tracer.flush()
    mine = Span(recording.trace_id, "b7ad6b7169203331", "agent", 10**18, 10**18 + 9)
    post(tracer, otlp.encode([mine]))
    assert len(tracer.store.turns()) == 1  # type: ignore[union-attr]
    assert len(tracer.store.spans(recording.trace_id)) == 2  # type: ignore[union-attr]


def test_the_content_policy_holds_for_foreign_spans(tmp_path: Path) -> None:
    one = span(
        1,
        name=f"call {KEY}",
        message=f"failed for {ADDRESS}",
        status=2,
        attributes={
            names.OI_INPUT: f"hello {ADDRESS}",
            "http.request.header.authorization": KEY,
            "note": f"{ADDRESS} {KEY}",
        },
        events=(Event("exception", 1, {"exception.message": f"{ADDRESS} {KEY}"}),),
        source=Source({"api_key": KEY, "service.name": "x"}),
    )
    for content in ("none", "redacted"):
        workspace = tmp_path / content
        tracer = Tracer.from_config(TraceConfig(content=content), workspace, redact)
        post(tracer, otlp.encode([one]))
        tracer.close()
        data = b"".join(p.read_bytes() for p in workspace.iterdir())
        assert KEY.encode() not in data and b"service.name" in data
        assert content == "none" or ADDRESS.encode() not in data
        assert b"hello" not in data or content == "redacted"


def bomb(size: int) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb") as file:
        piece = b"\x00" * 2**20
        for _ in range(size // 2**20):
            file.write(piece)
    return out.getvalue()


def test_a_gzip_bomb_is_refused_before_it_unfolds(tracer: Tracer) -> None:
    import tracemalloc

    body = bomb(256 * 2**20)
    assert len(body) < 2**20
    tracemalloc.start()
    with pytest.raises(Fault) as caught:
        post(tracer, body, encoding="gzip")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.status == 413 and peak < 4 * intake.LONGEST


def test_many_small_gzip_members_are_refused() -> None:
    with pytest.raises(Fault) as caught:
        intake.unpacked(gzip.compress(b"") * 1000, "gzip")
    assert caught.value.status == 400
    assert intake.unpacked(gzip.compress(b"a") + gzip.compress(b"b"), "gzip") == b"ab"
    assert intake.unpacked(zlib.compress(b"a"), "deflate") == b"a"


@pytest.mark.parametrize(
    ("body", "kind", "encoding", "status"),
    [
        (b"x", "text/plain", "", 415),
        (b"x", "", "", 415),
        (b"{}", "application/json", "br", 415),
        (b"\xff\xff\xff", otlp.PROTOBUF, "", 400),
        (b"not gzip", otlp.PROTOBUF, "gzip", 400),
        (gzip.compress(b"x" * 100)[:-9], otlp.PROTOBUF, "gzip", 400),
        (b"not json", otlp.JSON, "", 400),
        (b"[]", otlp.JSON, "", 400),
        (b'"text"', otlp.JSON, "", 400),
        (b'{"resourceSpans": 5}', otlp.JSON, "", 400),
        (
            b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "zz"}]}]}]}',
            otlp.JSON,
            "",
            400,
        ),
        (b"[" * 100_000, otlp.JSON, "", 400),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, otlp.JSON, "", 400),
        (b"\xff" * 10, otlp.JSON, "", 400),
        (b"x" * (intake.LONGEST + 1), otlp.PROTOBUF, "", 413),
        (b"x" * (intake.LONGEST_BODY + 1), otlp.PROTOBUF, "gzip", 413),
    ],
    ids=range(16),
)
def test_what_is_wrong_is_refused(
    tracer: Tracer, body: bytes, kind: str, encoding: str, status: int
) -> None:
    with pytest.raises(Fault) as caught:
        post(tracer, body, kind, encoding)
    assert caught.value.status == status and len(str(caught.value)) < 300
    assert tracer.store.turns() == []  # type: ignore[union-attr]


def test_spans_with_wrong_ids_or_times_are_set_aside_and_told(tracer: Tracer) -> None:
    request = rich()
    spans = request.resource_spans[0].scope_spans[0].spans
    for change in (
        {"trace_id": b"short"},
        {"span_id": b"\x00" * 8},
        {"parent_span_id": b"abc"},
        {"start_time_unix_nano": 0},
        {"end_time_unix_nano": 5},
        {"end_time_unix_nano": 2**64 - 1},
    ):
        one = spans.add()
        one.CopyFrom(spans[0])
        for key, value in change.items():
            setattr(one, key, value)
    answer, _ = post(tracer, request.SerializeToString())
    told = service.ExportTraceServiceResponse.FromString(answer).partial_success
    assert told.rejected_spans == 6 and told.error_message
    assert tracer.counts()["otlp_rejected"] == 6
    assert len(tracer.store.spans(bytes(range(16)).hex())) == 2  # type: ignore[union-attr]


def test_too_many_spans_are_refused() -> None:
    body = otlp.encode([span(n) for n in range(1, 12)])
    with pytest.raises(Malformed, match="11 spans"):
        otlp.decode(body, otlp.PROTOBUF, otlp.Limits(spans=10))


def test_what_is_too_long_is_cut_and_counted() -> None:
    limits = otlp.Limits(attributes=2, events=1, links=1, text=4)
    one = span(
        1,
        attributes={"a": "123456", "b": b"123456", "c": 1},
        events=(Event("x", 1), Event("y", 2)),
        links=(Link("11" * 16, "22" * 8), Link("11" * 16, "22" * 8)),
    )
    (cut,) = otlp.decode(otlp.encode([one]), otlp.PROTOBUF, limits).spans
    assert cut.attributes == {"a": "1234", "b": b"1234"} and cut.dropped == (1, 1, 1)


def test_numbers_beyond_64_bits_are_text() -> None:
    one = span(1, attributes={"wei": 10**30})
    assert otlp.decode(otlp.encode([one]), otlp.PROTOBUF).spans[0].attributes == {
        "wei": str(10**30)
    }


def test_a_server_without_store_takes_none() -> None:
    with pytest.raises(Fault) as caught:
        post(Tracer(), b"")
    assert caught.value.status == 404


VALUES = st.recursive(
    st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"), max_size=20)
    | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(st.characters(codec="utf-8"), min_size=1, max_size=5), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), VALUES, max_size=4
    )
)
def test_any_attributes_survive_both_encodings(attributes: dict[str, Any]) -> None:
    one = span(1, attributes=attributes, source=otlp.OWN)
    for kind in (otlp.PROTOBUF, otlp.JSON):
        assert otlp.decode(otlp.encode([one], kind), kind).spans == (one,)


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=200),
    st.sampled_from([otlp.PROTOBUF, otlp.JSON]),
    st.sampled_from(["", "gzip"]),
)
def test_no_bytes_raise_anything_but_a_fault(body: bytes, kind: str, encoding: str) -> None:
    try:
        intake.read(body, kind, encoding, Policy("full", redact))
    except Fault as fault:
        assert fault.status in (400, 413)


def test_a_deep_protobuf_is_refused_or_cut() -> None:
    inner = b""
    for _ in range(300):  # array_value inside array_value, field by field
        inner = (
            b"\x2a"
            + varint(len(b"\x0a" + varint(len(inner)) + inner))
            + b"\x0a"
            + varint(len(inner))
            + inner
        )
    pair = b"\x0a\x01k\x12" + varint(len(inner)) + inner
    body = b"\x4a" + varint(len(pair)) + pair
    one = b"\x12" + varint(len(body)) + body
    scope = b"\x12" + varint(len(one)) + one
    with pytest.raises(Fault) as caught:
        intake.read(b"\x0a" + varint(len(scope)) + scope, otlp.PROTOBUF, "", Policy("full", redact))
    assert caught.value.status == 400


def varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += struct.pack("B", number & 0x7F | 0x80)
        number >>= 7
    return out + struct.pack("B", number)


def test_counts_beyond_what_otlp_holds_are_sent_on() -> None:
    most = 2**32
    odd = span(
        dropped=(most, most, most),
        events=(Event("e", 5, {}, most),),
        links=(Link("11" * 16, "22" * 8, dropped=most),),
    )
    (back,) = otlp.decode(otlp.encode([odd]), otlp.PROTOBUF).spans
    assert back.dropped == (most - 1,) * 3 and back.events[0].dropped == most - 1


def test_a_collectors_own_batch_is_taken_whole(tracer: Tracer) -> None:
    body = otlp.encode([span(n) for n in range(1, 8_193)])
    assert len(otlp.decode(body, otlp.PROTOBUF).spans) == 8_192


def test_a_trace_that_comes_in_pieces_is_what_it_is_as_a_whole(tracer: Tracer) -> None:
    inner = {
        names.INPUT_MESSAGES: '[{"role": "user", "content": "rewritten"}]',
        names.REQUEST_MODEL: "inner",
    }
    outer = {
        names.INPUT_MESSAGES: '[{"role": "user", "content": "as it was asked"}]',
        names.REQUEST_MODEL: "outer",
        names.INPUT_TOKENS: 11,
        names.OUTPUT_TOKENS: 7,
        names.ERROR_TYPE: "timeout",
        names.FLAGS: ["prompt injection"],
    }
    child = span(1, span_id="0b" * 8, parent="0a" * 8, attributes=inner)
    root = span(1, span_id="0a" * 8, status=2, attributes=outer)
    store = tracer.store
    assert store is not None
    seen = []
    for one in (child, root):  # as exporters send them: the outermost ends last
        asyncio.run(tracer.otlp_in(otlp.encode([one]), otlp.PROTOBUF, ""))
        (turn,) = store.turns()
        seen.append((turn.number, turn.received))
    found = turn.trace
    assert found.question == "as it was asked" and found.model == "outer"
    assert (found.prompt_tokens, found.completion_tokens) == (11, 7)
    assert found.error == "timeout" and found.flags == ("prompt injection",)
    assert seen[0] == seen[1], "it is the same turn, received when it was"

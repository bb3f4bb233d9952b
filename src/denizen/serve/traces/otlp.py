"""OTLP/HTTP bodies to spans and back, in protobuf and in JSON.

Contract: `decode` takes bytes from the net, raises Malformed in one line, and sets aside what is
beyond `Limits` (too many or too long attributes: cut and counted, as OpenTelemetry has it; spans
with wrong ids or times: rejected and counted). `encode` gives bytes that decode to the same spans.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from denizen import __version__
from denizen.serve.traces import context, names
from denizen.serve.traces.otlp_json import Malformed, from_json, to_json
from denizen.serve.traces.spans import LAST_NS, Attributes, Event, Link, Source, Span

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1 import trace_pb2

PROTOBUF, JSON = "application/x-protobuf", "application/json"
OWN = Source(
    attributes={
        names.SERVICE_NAME: names.PROVIDER_NAME,
        names.SERVICE_VERSION: __version__,
    },
    scope="denizen.serve.traces",
    version=__version__,
)
_DEPTH = 8
_MOST = 2**32 - 1  # what a count of OTLP can hold


@dataclass(frozen=True, slots=True)
class Limits:
    """What is taken of one body; text in characters."""

    spans: int = 10_000  # a collector sends 8,192 at once if nobody tells it otherwise
    attributes: int = 128
    events: int = 128
    links: int = 128
    text: int = 65_536
    key: int = 256


@dataclass(frozen=True, slots=True)
class Decoded:
    """The spans of a body, how many were set aside, and why the first was."""

    spans: tuple[Span, ...]
    rejected: int = 0
    reason: str = ""


def decode(body: bytes, content_type: str, limits: Limits | None = None) -> Decoded:
    """Spans of a body of this content type; raises Malformed."""
    limits = limits or Limits()
    message = from_json(body) if content_type == JSON else _from_protobuf(body)
    count = sum(len(s.spans) for r in message.resource_spans for s in r.scope_spans)
    if count > limits.spans:
        raise Malformed(f"{count} spans in one body, at most {limits.spans} are taken")
    spans, reasons = [], []
    for resource_spans in message.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            source = Source(
                attributes=_attributes(resource_spans.resource.attributes, limits)[0],
                schema=resource_spans.schema_url[: limits.key],
                scope=scope_spans.scope.name[: limits.key],
                version=scope_spans.scope.version[: limits.key],
                scope_attributes=_attributes(scope_spans.scope.attributes, limits)[0],
                scope_schema=scope_spans.schema_url[: limits.key],
            )
            for span in scope_spans.spans:
                if reason := _wrong(span):
                    reasons.append(reason)
                else:
                    spans.append(_span(span, source, limits))
    return Decoded(tuple(spans), len(reasons), reasons[0] if reasons else "")


def encode(spans: Iterable[Span], content_type: str = PROTOBUF) -> bytes:
    """A body with these spans, those of one source together."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    message = ExportTraceServiceRequest()
    groups: dict[str, Any] = {}
    for span in spans:
        source = span.source or OWN
        key = repr(source)
        if key not in groups:
            resource = message.resource_spans.add(schema_url=source.schema)
            _fill(resource.resource.attributes, source.attributes)
            scope = resource.scope_spans.add(schema_url=source.scope_schema)
            scope.scope.name, scope.scope.version = source.scope, source.version
            _fill(scope.scope.attributes, source.scope_attributes)
            groups[key] = scope
        _put(groups[key].spans.add(), span)
    if content_type == JSON:
        return to_json(message)
    return bytes(message.SerializeToString(deterministic=True))


def answer(decoded: Decoded, content_type: str) -> bytes:
    """What the sender is told: nothing, or how many spans were set aside and why."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    message = ExportTraceServiceResponse()
    if decoded.rejected:
        message.partial_success.rejected_spans = decoded.rejected
        message.partial_success.error_message = decoded.reason
    if content_type == JSON:
        return to_json(message)
    return bytes(message.SerializeToString())


def refused(body: bytes) -> int:
    """How many spans a receiver says it set aside; 0 when it says nothing we can read."""
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    if not 0 < len(body) <= 65_536:
        return 0
    try:
        answer = ExportTraceServiceResponse.FromString(body)
    except DecodeError:  # an answer in JSON, or in words
        return 0
    return max(0, int(answer.partial_success.rejected_spans))


def _from_protobuf(body: bytes) -> ExportTraceServiceRequest:
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    try:
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
    except (DecodeError, RecursionError) as error:
        raise Malformed(f"not an OTLP trace request in protobuf: {error}"[:200]) from error
    return request


def _wrong(span: trace_pb2.Span) -> str:
    if not context.is_trace_id(span.trace_id.hex()) or not context.is_span_id(span.span_id.hex()):
        return "a trace id has 16 bytes and a span id 8, not all zero"
    if span.parent_span_id and not context.is_span_id(span.parent_span_id.hex()):
        return "a parent's span id has 8 bytes, not all zero"
    if not 0 < span.start_time_unix_nano <= span.end_time_unix_nano <= LAST_NS:
        return "a span must start after 1970 and end after it starts"
    return ""


def _span(span: trace_pb2.Span, source: Source, limits: Limits) -> Span:
    attributes, dropped = _attributes(span.attributes, limits)
    events = [
        Event(
            event.name[: limits.key],
            min(event.time_unix_nano, LAST_NS),
            *_counted(event.attributes, event.dropped_attributes_count, limits),
        )
        for event in span.events[: limits.events]
    ]
    links = [
        Link(
            link.trace_id.hex(),
            link.span_id.hex(),
            link.trace_state[: limits.key],
            *_counted(link.attributes, link.dropped_attributes_count, limits),
            link.flags,
        )
        for link in span.links[: limits.links]
    ]
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        name=span.name[: limits.key],
        kind=span.kind,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        status=span.status.code,
        message=span.status.message[: limits.text],
        attributes=attributes,
        events=tuple(events),
        links=tuple(links),
        state=span.trace_state[: limits.key],
        flags=span.flags,
        dropped=(
            span.dropped_attributes_count + dropped,
            span.dropped_events_count + max(0, len(span.events) - limits.events),
            span.dropped_links_count + max(0, len(span.links) - limits.links),
        ),
        source=source,
    )


def _counted(pairs: Sequence[KeyValue], dropped: int, limits: Limits) -> tuple[dict[str, Any], int]:
    attributes, more = _attributes(pairs, limits)
    return attributes, dropped + more


def _attributes(pairs: Sequence[KeyValue], limits: Limits) -> tuple[dict[str, Any], int]:
    found = {}
    for pair in pairs[: limits.attributes]:
        if len(pair.key) <= limits.key and (value := _read(pair.value, limits, 0)) is not None:
            found[pair.key] = value
    return found, len(pairs) - len(found)


def _read(value: AnyValue, limits: Limits, depth: int) -> Any:
    """The value, None when it is empty or too deep."""
    kind = value.WhichOneof("value")
    if kind is None or depth >= _DEPTH:
        return None
    if kind == "string_value":
        return value.string_value[: limits.text]
    if kind == "bytes_value":
        return value.bytes_value[: limits.text]
    if kind == "array_value":
        inner = [_read(one, limits, depth + 1) for one in value.array_value.values[:1000]]
        return [one for one in inner if one is not None]
    if kind == "kvlist_value":
        pairs = value.kvlist_value.values[: limits.attributes]
        read = {p.key[: limits.key]: _read(p.value, limits, depth + 1) for p in pairs}
        return {key: one for key, one in read.items() if one is not None}
    return getattr(value, kind)


def _put(target: trace_pb2.Span, span: Span) -> None:
    target.trace_id, target.span_id = bytes.fromhex(span.trace_id), bytes.fromhex(span.span_id)
    target.parent_span_id = bytes.fromhex(span.parent)
    target.name, target.trace_state = span.name, span.state
    target.kind, target.flags = span.kind, span.flags  # type: ignore[assignment]
    target.start_time_unix_nano, target.end_time_unix_nano = span.start, span.end
    if span.status or span.message:
        target.status.code, target.status.message = span.status, span.message  # type: ignore[assignment]
    _fill(target.attributes, span.attributes)
    for event in span.events:
        one = target.events.add(
            name=event.name,
            time_unix_nano=event.at,
            dropped_attributes_count=min(event.dropped, _MOST),
        )
        _fill(one.attributes, event.attributes)
    for link in span.links:
        other = target.links.add(
            trace_id=bytes.fromhex(link.trace_id),
            span_id=bytes.fromhex(link.span_id),
            trace_state=link.state,
            dropped_attributes_count=min(link.dropped, _MOST),
            flags=link.flags,
        )
        _fill(other.attributes, link.attributes)
    (
        target.dropped_attributes_count,
        target.dropped_events_count,
        target.dropped_links_count,
    ) = (min(count, _MOST) for count in span.dropped)


def _fill(target: Any, attributes: Attributes) -> None:
    for key, value in attributes.items():
        _write(target.add(key=key).value, value)


def _write(target: AnyValue, value: Any) -> None:
    if isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int):
        if -LAST_NS <= value <= LAST_NS:
            target.int_value = value
        else:  # beyond 64 bits, as token amounts are: exact as text
            target.string_value = str(value)
    elif isinstance(value, float):
        target.double_value = value
    elif isinstance(value, bytes):
        target.bytes_value = value
    elif isinstance(value, Mapping):
        target.kvlist_value.SetInParent()
        for key, one in value.items():
            _write(target.kvlist_value.values.add(key=str(key)).value, one)
    elif isinstance(value, list | tuple):
        target.array_value.SetInParent()
        for one in value:
            _write(target.array_value.values.add(), one)
    elif value is not None:
        target.string_value = str(value).encode("utf-8", "replace").decode("utf-8")

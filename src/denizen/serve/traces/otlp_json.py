"""OTLP's JSON: protobuf's own mapping, but with ids in hex and enums as numbers.

Contract: `from_json` takes bytes from the net and raises Malformed in one line, whatever they are;
unknown fields are passed over (OTLP 1.x, "JSON Protobuf Encoding").
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_IDS = ("traceId", "spanId", "parentSpanId")
_DEPTH = 40


class Malformed(ValueError):
    """Bytes that are no OTLP, or beyond what is taken at once."""


def to_json(message: Any) -> bytes:
    """A message in OTLP's JSON: as protobuf's own, but ids in hex and enums as numbers."""
    from google.protobuf import json_format

    value = json_format.MessageToDict(message, use_integers_for_enums=True)
    _ids(value, lambda text: base64.b64decode(text).hex())
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def from_json(body: bytes) -> ExportTraceServiceRequest:
    """The request of a body."""
    from google.protobuf import json_format
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    try:
        value = json.loads(body)
        if not isinstance(value, dict):
            raise ValueError("an object is expected")
        _ids(value, lambda text: base64.b64encode(bytes.fromhex(text)).decode())
        request = ExportTraceServiceRequest()
        json_format.ParseDict(
            value, request, ignore_unknown_fields=True, max_recursion_depth=_DEPTH
        )
    except (ValueError, RecursionError, AttributeError, json_format.Error) as error:
        reason = " ".join(str(error).split())
        raise Malformed(f"not an OTLP trace request in JSON: {reason}"[:200]) from error
    return request


def _ids(value: Any, turn: Callable[[str], str]) -> None:
    """Rewrite every id of an OTLP JSON object in place."""
    for resource in _list(value, "resourceSpans"):
        for scope in _list(resource, "scopeSpans"):
            for span in _list(scope, "spans"):
                for holder in (span, *_list(span, "links")):
                    for key in _IDS:
                        if isinstance(text := holder.get(key), str):
                            holder[key] = turn(text)


def _list(value: Any, key: str) -> list[dict[str, Any]]:
    found = value.get(key)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

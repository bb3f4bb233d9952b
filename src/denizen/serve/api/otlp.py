"""Refusals of /v1/traces as OTLP/HTTP has them: a google.rpc.Status, encoded as the request was.

Contract: protobuf for a request in protobuf, otherwise JSON; the message is the Fault's, and the
number that gRPC would give it is left out, as OTLP allows.
"""

from __future__ import annotations

from typing import Any

from denizen.serve.exchange import Fault

PATH = "/v1/traces"
PROTOBUF = "application/x-protobuf"
KINDS = (PROTOBUF, "application/protobuf")


def status(fault: Fault, kind: str) -> tuple[Any, str]:
    """The body of an error for a request of this media type, and its own."""
    if kind not in KINDS:
        return {"message": fault.message}, "application/json"
    # A span's Status has its message under the same number, 2, and is there without a dependency.
    from opentelemetry.proto.trace.v1.trace_pb2 import Status

    return bytes(Status(message=fault.message).SerializeToString()), kind

"""POST /v1/traces: bytes from the net, checked, bounded and put under the content policy.

Contract: raises Fault: 415 for what is neither protobuf nor JSON, 413 for too much (a gzip bomb
stops at the limit, not in memory), 400 for what is malformed. Spans from outside are kept apart:
marked as foreign, never with consent, and never over a span that is there.
"""

from __future__ import annotations

import zlib
from dataclasses import replace

from denizen.serve.exchange import Fault
from denizen.serve.traces import otlp
from denizen.serve.traces.content import Policy
from denizen.serve.traces.otlp_json import Malformed
from denizen.serve.traces.spans import Event, Link, Source, Span

LONGEST_BODY = 4 * 2**20  # bytes as they come, compressed
LONGEST = 16 * 2**20  # bytes once inflated, or plain
_MEMBERS = 16
_WITHHELD = "withheld"  # some loggers call an event after all that it says


def read(
    body: bytes, content_type: str, content_encoding: str, policy: Policy
) -> tuple[otlp.Decoded, str]:
    """The spans of a request, under the policy, and the content type to answer in."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind in ("application/protobuf", "application/vnd.google.protobuf"):
        kind = otlp.PROTOBUF
    if kind not in (otlp.PROTOBUF, otlp.JSON):
        raise Fault(
            415,
            f"traces come as {otlp.PROTOBUF} or {otlp.JSON}",
            code="unsupported_media_type",
            param="Content-Type",
        )
    try:
        decoded = otlp.decode(unpacked(body, content_encoding), kind)
    except Malformed as error:
        raise Fault(400, str(error), code="invalid_traces") from error
    return replace(decoded, spans=tuple(under(policy, span) for span in decoded.spans)), kind


def unpacked(body: bytes, encoding: str, longest: int = LONGEST) -> bytes:
    """The body without its compression; raises Fault before more than `longest` bytes exist."""
    encoding = encoding.strip().lower()
    plain = encoding in ("", "identity")
    if len(body) > (most := longest if plain else LONGEST_BODY):
        raise _too_long(most)
    if plain:
        return body
    if encoding not in ("gzip", "deflate"):
        raise Fault(
            415,
            "traces may be compressed with gzip",
            code="unsupported_encoding",
            param="Content-Encoding",
        )
    pieces: list[bytes] = []
    length = 0
    try:
        while body:  # gzip files may be joined, but not without end
            if len(pieces) == _MEMBERS:
                raise zlib.error("too many members")
            inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
            piece = inflate.decompress(body, longest - length + 1)
            length += len(piece)
            if length > longest:
                raise _too_long(longest)
            if not inflate.eof:
                raise zlib.error("the end is missing")
            pieces.append(piece)
            body = inflate.unused_data
    except zlib.error as error:
        raise Fault(400, f"the body is not valid {encoding}", code="invalid_traces") from error
    return b"".join(pieces)


def under(policy: Policy, span: Span) -> Span:
    """A span from outside with what may be kept of it."""
    source = span.source
    return replace(
        span,
        name=policy.label(span.name),
        message=policy.text(span.message),
        state=policy.label(span.state),
        attributes=policy.attributes(span.attributes),
        events=tuple(
            Event(
                policy.word(e.name) or _WITHHELD, e.at, policy.attributes(e.attributes), e.dropped
            )
            for e in span.events
        ),
        links=tuple(
            Link(
                link.trace_id,
                link.span_id,
                policy.label(link.state),
                policy.attributes(link.attributes),
                link.dropped,
                link.flags,
            )
            for link in span.links
        ),
        source=Source(
            policy.attributes(source.attributes),
            policy.label(source.schema),
            policy.label(source.scope),
            policy.label(source.version),
            policy.attributes(source.scope_attributes),
            policy.label(source.scope_schema),
        )
        if source is not None
        else None,
    )


def _too_long(longest: int) -> Fault:
    return Fault(
        413, f"traces are too long, at most {longest} bytes are taken", code="body_too_large"
    )

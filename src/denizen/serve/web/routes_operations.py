"""Routes for whoever runs the server, and for what comes after an answer.

Contract: /healthz says the process lives, /readyz that it can answer (503 while it drains or the
model is not there; `router` says why a calibration that is there is not used), /metrics is
Prometheus text; /v1/feedback and /v1/traces take what is learnt from.  The document at
/openapi.json is the server's own.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import Any

from denizen.serve.api import otlp
from denizen.serve.api.adapters import AdapterBody
from denizen.serve.api.feedback import FeedbackBody, score_of
from denizen.serve.exchange import Fault
from denizen.serve.operations.metrics import CONTENT_TYPE
from denizen.serve.web.arrival import JSON, Arrival
from denizen.serve.web.inbox import read_body

_SWOLLEN = 8  # a compressed body may become this many times serve.max_body
_READY_SECONDS = 5.0


async def root(arrival: Arrival) -> None:
    """GET /: one line for people, and for clients of Ollama that look whether it is there."""
    await arrival.reply(200, b"Denizen is running", kind="text/plain; charset=utf-8")


async def healthz(arrival: Arrival) -> None:
    """GET /healthz."""
    site = arrival.site
    await arrival.reply(200, {"status": "ok", "name": site.name, "version": site.version})


async def readyz(arrival: Arrival) -> None:
    """GET /readyz."""
    site = arrival.site
    if site.operations.draining:
        await arrival.reply(503, {"status": "draining"})
        return
    try:
        async with asyncio.timeout(_READY_SECONDS):
            ready = await site.answering.ready()
    except Exception:
        ready = False
    told = {"status": "ready" if ready else "not ready"}
    if stale := getattr(site.answering, "stale", ""):
        told["router"] = stale  # it answers, but promises nothing
    await arrival.reply(200 if ready else 503, told)


async def metrics(arrival: Arrival) -> None:
    """GET /metrics."""
    arrival.admit("metrics")
    text = arrival.site.operations.metrics.text()
    await arrival.reply(200, text.encode("utf-8"), kind=CONTENT_TYPE)


async def feedback(arrival: Arrival) -> None:
    """POST /v1/feedback."""
    arrival.work("feedback")
    body = await arrival.json(FeedbackBody)
    score = score_of(body)
    await arrival.site.answering.feedback(body.trace_id, score, body.comment or "", arrival.visit)
    await arrival.reply(200, {"trace_id": body.trace_id, "score": score, "recorded": True})


async def load_adapter(arrival: Arrival) -> None:
    """POST /admin/adapters: it must change what the model says, or is refused."""
    arrival.admit("admin")
    body = await arrival.json(AdapterBody)
    families = body.families or []
    change = await _adapting(arrival).load_adapter(body.name, body.path, tuple(families))
    await arrival.reply(200, {"name": body.name, "change": change, "families": families})


async def unload_adapter(arrival: Arrival) -> None:
    """DELETE /admin/adapters/{id}: answers that speak with it are finished first."""
    arrival.admit("admin")
    name = str(arrival.scope["path_params"]["id"])
    await _adapting(arrival).unload_adapter(name)
    await arrival.reply(200, {"name": name, "unloaded": True})


def _adapting(arrival: Arrival) -> Any:
    if not hasattr(arrival.site.answering, "load_adapter"):
        raise Fault(404, "This server takes no adapters.", code="adapters_not_served")
    return arrival.site.answering


async def traces(arrival: Arrival) -> None:
    """POST /v1/traces: OTLP over HTTP, protobuf or JSON, gzip or plain."""
    arrival.work("traces")
    site = arrival.site
    if site.otlp is None:
        raise Fault(404, "This server keeps no traces.", code="traces_not_kept")
    coding = arrival.header("content-encoding").strip().lower()
    raw = await read_body(
        arrival.receive,
        kind=arrival.kind,
        coding="" if coding == "gzip" else coding,
        length=arrival.header("content-length"),
        limit=site.settings.max_body,
        kinds=(*otlp.KINDS, JSON),
    )
    if coding == "gzip":
        raw = unzipped(raw, _SWOLLEN * site.settings.max_body)
    await arrival.reply(200, await site.otlp(raw, arrival.kind), kind=arrival.kind)


def unzipped(raw: bytes, limit: int) -> bytes:
    """Gzip undone; raises Fault 400 for rubbish and 413 for more than `limit` bytes."""
    work = zlib.decompressobj(wbits=31)
    try:
        plain = work.decompress(raw, limit + 1)
    except zlib.error:
        raise Fault(400, "The body is not gzip.", code="invalid_encoding") from None
    if len(plain) > limit:
        raise Fault(413, f"The body grows beyond {limit} bytes.", code="body_too_large")
    if not work.eof or work.unused_data:
        how = "goes on behind its end" if work.eof else "is cut short"
        raise Fault(400, f"The gzip body {how}.", code="invalid_encoding")
    return plain

"""Observability: traces of every request in one file, in and out as OTLP, with feedback."""

from denizen.serve.traces.recording import Recording, Stage
from denizen.serve.traces.spans import Feedback, Span, Trace
from denizen.serve.traces.store import TraceStore
from denizen.serve.traces.tracer import Tracer

__all__ = ["Feedback", "Recording", "Span", "Stage", "Trace", "TraceStore", "Tracer"]

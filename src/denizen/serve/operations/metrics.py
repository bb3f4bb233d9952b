"""What the endpoint counts and times, for Prometheus.

Contract: a registry of its own (two servers in one process do not mix), names as Prometheus has
them (seconds, bytes, `_total`), and a bounded number of series: a label that never saw a value
before takes at most so many, then says "other". Raises nothing once it is made.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from denizen.serve.exchange import Outcome, Usage

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_FIRST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_ODD = re.compile(r"[^\w ./:{}-]")
CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8"


class Bounded:
    """A label's values: the first `most` are kept, all others are "other"."""

    def __init__(self, most: int) -> None:
        self._most, self._seen, self._lock = most, set[str](), threading.Lock()

    def __call__(self, value: object) -> str:
        text = _ODD.sub("_", str(value)[:64])
        with self._lock:
            if text not in self._seen:
                if len(self._seen) >= self._most:
                    return "other"
                self._seen.add(text)
        return text


# A figure that is read when it is asked for: its name, its text, and whether it only grows.
_BUDGET = {
    "requests": ("escalation_budget_requests", "Requests that paid into the budget.", True),
    "taken": ("escalation_budget_taken", "Escalations the budget paid for.", True),
    "refused": ("escalation_budget_refused", "Escalations the budget did not pay for.", True),
    "left": ("escalation_budget_left", "Escalations it could pay for now.", False),
}
_AUDITS = {
    "audits": ("audit_compared", "Audits since the calibration that could be compared.", False),
    "disagreed": ("audit_disagreed", "Those in which the stronger model disagreed.", False),
    "unjudged": ("audit_unjudged", "Audits that could not be compared.", False),
    "rate": ("audit_rate", "Share that disagreed.", False),
    "low": ("audit_rate_low", "One-sided lower bound of that share, at route.delta.", False),
    "high": ("audit_rate_high", "One-sided upper bound of that share, at route.delta.", False),
    "e_value": ("audit_e_value", "Evidence that the promised risk is broken.", False),
    "alarm": ("audit_alarm", "1 once the evidence reaches 1 / route.delta.", False),
    "kept": ("audit_kept", "1 while the upper bound lies within the promise.", False),
}
_TRACES = {
    "open": ("traces_open", "Requests whose trace is being recorded.", False),
    "waiting": ("trace_writes_waiting", "Traces and feedback that wait for the disk.", False),
    "written": ("trace_writes", "Traces and feedback on the disk.", True),
    "write_failures": ("trace_write_failures", "Writes that failed and are tried again.", True),
    "deleted": ("traces_deleted", "Traces that retention deleted.", True),
    "deleted_unexported": ("traces_deleted_unexported", "Those of them not sent on yet.", True),
    "redaction_failures": ("trace_redaction_failures", "Texts withheld on a failure.", True),
    "otlp_rejected": ("otlp_rejected_spans", "Spans from outside that were set aside.", True),
    "exported": ("trace_exported_spans", "Spans that the receiver took.", True),
    "exported_feedback": ("trace_exported_feedback", "Feedback that the receiver took.", True),
    "export_refused": ("trace_export_refused", "What the receiver refused for good.", True),
    "export_failures": ("trace_export_failures", "Attempts to send that are made again.", True),
    "export_trouble": ("trace_export_trouble", "1 while traces wait for a receiver.", False),
}


class _Figures:
    """What prometheus_client collects from a function that gives figures by name."""

    def __init__(
        self, read: Callable[[], Mapping[str, float]], named: Mapping[str, tuple[str, str, bool]]
    ) -> None:
        self._read, self._named = read, named

    def collect(self) -> Iterable[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        figures = self._read()
        for key, (name, text, grows) in self._named.items():
            if key not in figures:  # no exporter, no figures of one
                continue
            family = CounterMetricFamily if grows else GaugeMetricFamily
            yield family(f"denizen_{name}", text, value=float(figures[key]))


class Metrics:
    """Counters, histograms and gauges of one server; threads may share it."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

        registry = self._registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"denizen_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"denizen_{name}", text, labels, registry=registry)

        self._requests = counter("requests", "Requests answered or refused.", "route", "status")
        self._seconds = Histogram(
            "denizen_request_seconds",
            "Time from a request to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._first = Histogram(
            "denizen_first_token_seconds",
            "Time from a request to the first piece of its answer.",
            buckets=_FIRST,
            registry=registry,
        )
        self._tokens = counter("tokens", "Tokens read (in) and written (out).", "direction")
        self._answers = counter("answers", "Answers by where they came from.", "origin")
        self._flags = counter("answer_flags", "Flags that answers carried.", "flag")
        self._escalations = counter("escalations", "Questions sent to the stronger model.")
        self._abstentions = counter("abstentions", "Questions that got no answer.")
        self._corrections = counter("corrections", "Claimed numbers the engine corrected.")
        self._exact = counter("exact_answers", "Answers whose every figure is the engine's.")
        self._audits = counter("audits", "Local answers the stronger model checked.", "agreed")
        self._findings = counter("guard_findings", "What the guard found, by rule.", "rule")
        self._losses = counter("trace_losses", "Traces that could not be kept or sent.")
        self._model = gauge("model_info", "The model that answers.", "model", "quant")
        self._calibrated = gauge(
            "router_calibrated", "1 if the router's promise holds for what is served.", "why"
        )
        self._queue = gauge("queue_waiting", "Requests that wait for a place.")
        self._places = gauge("places_used", "Places in use.")
        self._most = gauge("places", "Places there are.")
        self._draining = gauge("draining", "1 once the server refuses new requests.")
        for direction in ("in", "out"):  # a series exists before its first event: rates need it
            self._tokens.labels(direction)
        ProcessCollector(registry=registry)  # resident memory, CPU seconds, open files
        self._route, self._status, self._flag = Bounded(48), Bounded(32), Bounded(32)
        self._rule, self._name = Bounded(48), Bounded(16)

    def observe(
        self, route: str, status: int, seconds: float, outcome: Outcome | None = None
    ) -> None:
        """Count a request that ended; `route` is the route's pattern, never the path as asked."""
        route = self._route(route)
        self._requests.labels(route, self._status(status)).inc()
        self._seconds.labels(route).observe(seconds)
        if outcome is None:
            return
        self._answers.labels(outcome.origin).inc()
        self._corrections.inc(len(outcome.corrections))
        if outcome.origin == "upstream":
            self._escalations.inc()
        if outcome.origin == "abstained":
            self._abstentions.inc()
        if outcome.exact:
            self._exact.inc()
        for flag in outcome.flags:
            self._flags.labels(self._flag(flag)).inc()

    def used(self, usage: Usage) -> None:
        """Count tokens, of answers that were not finished too."""
        self._tokens.labels("in").inc(max(0, usage.prompt_tokens))
        self._tokens.labels("out").inc(max(0, usage.completion_tokens))

    def first_token(self, seconds: float) -> None:
        """Time the first piece of an answer."""
        self._first.observe(seconds)

    def audited(self, agreed: bool) -> None:
        """Count an audit of a local answer."""
        self._audits.labels("yes" if agreed else "no").inc()

    def guarded(self, rules: Iterable[str]) -> None:
        """Count what the guard found in a request or an answer."""
        for rule in rules:
            self._findings.labels(self._rule(rule)).inc()

    def trace_lost(self, count: int = 1) -> None:
        """Count traces that were not kept or not sent."""
        self._losses.inc(count)

    def model(self, name: str, quant: str = "") -> None:
        """Say which model answers."""
        self._model.labels(self._name(name), self._name(quant)).set(1)

    def route(
        self,
        *,
        budget: Callable[[], Mapping[str, float]] | None = None,
        audits: Callable[[], Mapping[str, float]] | None = None,
        calibrated: bool = False,
        why: str = "",
    ) -> None:
        """Where the router's figures are read from when they are asked for; once a server."""
        self._calibrated.labels(why[:200]).set(float(calibrated))
        for read, figures in ((budget, _BUDGET), (audits, _AUDITS)):
            if read is not None:
                read()  # what it imports is imported now, not while a scrape waits
                self._registry.register(_Figures(read, figures))

    def traces(self, counts: Callable[[], Mapping[str, float]]) -> None:
        """Where the trace store's and its exporter's figures are read from; once a server."""
        self._registry.register(_Figures(counts, _TRACES))

    def watch(
        self,
        *,
        waiting: Callable[[], float],
        used: Callable[[], float],
        places: int,
        draining: Callable[[], bool],
    ) -> None:
        """Where the gauges are read from when they are asked for."""
        self._queue.set_function(waiting)
        self._places.set_function(used)
        self._most.set(places)
        self._draining.set_function(lambda: float(draining()))

    def text(self) -> str:
        """Everything in Prometheus' text format; its media type is CONTENT_TYPE."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry).decode("utf-8")

"""Which receiver traces go to, from the configuration: plain OTLP here, the others in their files.

Contract: `dialect_of` reads `traces.export`, `export_url` and the key from the environment variable
`export_key_env` names; raises ConfigError in one line. The query of the address carries what has no
key of its own: `?experiment=3` (MLflow), `?project=name` (Phoenix). Keys never stand in an address.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from denizen.project.errors import ConfigError
from denizen.project.web import fits_header, web_address
from denizen.serve.traces import names, otlp
from denizen.serve.traces.export import Call, Dialect
from denizen.serve.traces.spans import Event, Feedback, Span

if TYPE_CHECKING:
    from denizen.project.config import TraceConfig


@dataclass(frozen=True)
class OTLP:
    """Any collector. Feedback goes as a span of its trace with the conventions' evaluation event.

    The key is a bearer token.
    """

    url: str
    key: str = field(default="", repr=False)
    name: str = "otlp"
    scores_at_once: int = 50

    @property
    def headers(self) -> Mapping[str, str]:
        """With the key, if there is one."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def shape(self, span: Span) -> Span:
        """As it is."""
        return span

    def score(self, feedback: Sequence[Feedback]) -> Call:
        """A body of spans."""
        headers = {"Content-Type": otlp.PROTOBUF, **self.headers}
        return Call(self.url, otlp.encode(map(as_span, feedback)), headers)


def as_span(feedback: Feedback) -> Span:
    """Feedback as a span without length: its id is the feedback's, so that sent twice it is one."""
    attributes = {
        names.EVALUATION_NAME: names.FEEDBACK_NAME,
        names.EVALUATION_SCORE: feedback.score,
        names.EVALUATION_LABEL: label(feedback),
        **({names.EVALUATION_EXPLANATION: feedback.comment} if feedback.comment else {}),
    }
    return Span(
        trace_id=feedback.trace_id,
        span_id=feedback.id[:16],
        name=names.FEEDBACK_SPAN,
        start=feedback.at,
        end=feedback.at,
        attributes={names.CALLER: feedback.caller},
        events=(Event(names.EVALUATION_EVENT, feedback.at, attributes),),
    )


def label(feedback: Feedback) -> str:
    """Good or bad, as eligibility counts it."""
    return "good" if feedback.score > 0 else "bad"


def as_json(value: object) -> bytes:
    """The body of a call."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def dialect_of(traces: TraceConfig, environment: Mapping[str, str] | None = None) -> Dialect | None:
    """The configured receiver, None for none."""
    from denizen.serve.traces.langfuse import Langfuse
    from denizen.serve.traces.mlflow import MLflow
    from denizen.serve.traces.phoenix import Phoenix

    if not traces.export:
        return None
    base, query = _address(traces)
    key = ""
    if traces.export_key_env:
        key = (os.environ if environment is None else environment).get(traces.export_key_env, "")
        key = key.strip()  # as it comes out of a file
        if not key or not fits_header(key):
            raise ConfigError(
                f"the environment variable {traces.export_key_env!r} "
                + ("is not set" if not key else "holds what no header can carry"),
                where="traces.export_key_env",
                fix="set it to the receiver's key, or leave the setting empty",
            )
    if traces.export == "langfuse":
        if ":" not in key:
            raise ConfigError(
                "Langfuse needs a public and a secret key",
                where="traces.export_key_env",
                fix="name a variable that holds public:secret",
            )
        return Langfuse(base, key)
    if traces.export == "phoenix":
        return Phoenix(base, key, query.get("project", "default"))
    if traces.export == "mlflow":
        return MLflow(base, key, query.get("experiment", "0"))
    return OTLP(base if base.endswith("/v1/traces") else f"{base}/v1/traces", key)


def _address(traces: TraceConfig) -> tuple[str, dict[str, str]]:
    parts = web_address(traces.export_url)
    if parts is None:
        raise ConfigError(
            f"traces cannot be sent to {traces.export}: no address",
            where="traces.export_url",
            fix="give one that begins with http:// or https://",
        )
    if parts.username or parts.password:
        raise ConfigError(
            "an address must not hold a password",
            where="traces.export_url",
            fix="put the key into the variable that traces.export_key_env names",
        )
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/"), query

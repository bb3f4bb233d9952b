"""MLflow 3: OTLP as it is, feedback as assessments.

Contract: POST {base}/v1/traces (protobuf) with the experiment in a header; MLflow calls an OTLP
trace "tr-" and its id. POST {base}/api/3.0/mlflow/traces/{id}/assessments, one call each. `key` is
a bearer token, or user:password for Basic.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from denizen.serve.traces import names
from denizen.serve.traces.export import Call
from denizen.serve.traces.spans import Feedback, Span
from denizen.serve.traces.targets import as_json


@dataclass(frozen=True)
class MLflow:
    """An MLflow server at `base`, one of its experiments."""

    base: str
    key: str = field(default="", repr=False)
    experiment: str = "0"
    name: str = "mlflow"
    scores_at_once: int = 1

    @property
    def url(self) -> str:
        """Where OTLP goes."""
        return f"{self.base}/v1/traces"

    @property
    def headers(self) -> Mapping[str, str]:
        """The experiment, and the key if there is one."""
        found = {"x-mlflow-experiment-id": self.experiment}
        if ":" in self.key:
            found["Authorization"] = f"Basic {base64.b64encode(self.key.encode()).decode()}"
        elif self.key:
            found["Authorization"] = f"Bearer {self.key}"
        return found

    def shape(self, span: Span) -> Span:
        """As it is: MLflow reads the GenAI conventions."""
        return span

    def score(self, feedback: Sequence[Feedback]) -> Call:
        """A call for the one."""
        one = feedback[0]
        trace_id = f"tr-{one.trace_id}"
        at = datetime.fromtimestamp(one.at / 1e9, UTC).isoformat().replace("+00:00", "Z")
        assessment = {
            "assessment_name": names.FEEDBACK_NAME,
            "trace_id": trace_id,
            "source": {"source_type": "HUMAN", "source_id": one.caller or "user"},
            "create_time": at,
            "last_update_time": at,
            "feedback": {"value": one.score},
            "rationale": one.comment,
            "metadata": {"feedback_id": one.id},
            "valid": True,
        }
        headers = {"Content-Type": "application/json", **self.headers}
        url = f"{self.base}/api/3.0/mlflow/traces/{trace_id}/assessments"
        return Call(url, as_json({"assessment": assessment}), headers)

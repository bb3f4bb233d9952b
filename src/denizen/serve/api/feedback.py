"""POST /v1/feedback: what a user thought of an answer, by the id of its trace.

Contract: a score from -1 (useless) to 1 (good), or thumbs up or down, and a comment if any.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from denizen.serve.api import limits
from denizen.serve.api.shape import Body
from denizen.serve.exchange import Fault


class FeedbackBody(Body):
    """The body of a feedback: exactly one of score and thumbs."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": [key], "properties": {key: {"type": kind}}}
                for key, kind in (("score", "number"), ("thumbs", "string"))
            ]
        }
    )

    trace_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
    score: Annotated[float, Field(ge=-1, le=1)] | None = None
    thumbs: Literal["up", "down"] | None = None
    comment: Annotated[str, StringConstraints(max_length=limits.COMMENT)] | None = None


def score_of(body: FeedbackBody) -> float:
    """The score of a feedback; raises Fault 400 unless exactly one was given."""
    if (body.score is None) == (body.thumbs is None):
        raise Fault(
            400, "Send exactly one of 'score' and 'thumbs'.", code="invalid_value", param="score"
        )
    if body.score is not None:
        return float(body.score)
    return 1.0 if body.thumbs == "up" else -1.0

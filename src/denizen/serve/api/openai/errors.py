"""OpenAI's error envelope: {"error": {message, type, param, code}}.

Contract: every refusal under /v1 and every unknown path has this form; `type` is the Fault's kind.
"""

from __future__ import annotations

from typing import Any

from denizen.serve.exchange import Fault


def envelope(fault: Fault) -> dict[str, Any]:
    """The body of an error."""
    return {
        "error": {
            "message": fault.message,
            "type": fault.kind,
            "param": fault.param,
            "code": fault.code,
        }
    }


def unknown_model(model: str) -> Fault:
    """The refusal of a model that is not served."""
    return Fault(
        404,
        f"The model '{model[:256]}' does not exist here; GET /v1/models lists those that do.",
        code="model_not_found",
        param="model",
    )

"""The Analyst's report as a typed object: python examples/langchain_structured.py

`with_structured_output` sends a strict JSON Schema; the server writes under its grammar and checks
the object again, and LangChain reads it into the model below.
"""

from __future__ import annotations

import os
from typing import Literal

from langchain_openai import ChatOpenAI
from openai import OpenAI
from pydantic import BaseModel, Field

QUESTION = (
    "I hold a pool position: fee APR 12%, no incentives, impermanent loss 2%, TVL $45M, audited 90 "
    "days ago, live for 400 days, the ten largest holders have 20%, in range. What should I do?"
)
Band = Literal["negative", "low", "moderate", "high", "extreme", "unknown"]


class Recommendation(BaseModel):
    """What to do, and why."""

    action: Literal["enter", "stay out", "hold", "reduce", "exit", "gather data"]
    rationale: str
    rationale_by: Literal["rules"]


class Report(BaseModel):
    """An analyst's report."""

    yield_assessment: Band = Field(description="band of the net APR over a year")
    risk_flags: list[str] = Field(description="every flag whose rule holds")
    recommendations: list[Recommendation]
    confidence: float = Field(ge=0, le=1)


def main() -> None:
    """Ask for the report and print it."""
    address = os.environ.get("DENIZEN_URL", "http://127.0.0.1:8484") + "/v1"
    key = os.environ.get("DENIZEN_KEY", "none")
    name = OpenAI(base_url=address, api_key=key).models.list().data[0].id
    model = ChatOpenAI(model=name, base_url=address, api_key=key)
    report = model.with_structured_output(Report, method="json_schema", strict=True).invoke(
        QUESTION
    )
    assert isinstance(report, Report)
    print(report.model_dump_json(indent=2))


if __name__ == "__main__":
    main()

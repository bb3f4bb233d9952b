"""Ask, and tell the server what the answer was worth: python examples/feedback.py up|down

Feedback belongs to the trace of an answer; what it teaches is decided later, and only with the
consent that `traces.consent` records.
"""

from __future__ import annotations

import os
import sys

import httpx
from openai import OpenAI


def main() -> None:
    """One question, one thumb."""
    address = os.environ.get("DENIZEN_URL", "http://127.0.0.1:8484")
    key = os.environ.get("DENIZEN_KEY", "none")
    client = OpenAI(base_url=f"{address}/v1", api_key=key)
    answer = client.chat.completions.create(
        model=client.models.list().data[0].id,
        messages=[{"role": "user", "content": "What is the fee of a Uniswap v2 swap?"}],
    )
    trace = (answer.model_extra or {})["denizen"]["trace_id"]
    told = httpx.post(
        f"{address}/v1/feedback",
        json={
            "trace_id": trace,
            "thumbs": sys.argv[1] if len(sys.argv) > 1 else "up",
            "comment": "from examples/feedback.py",
        },
        headers={"Authorization": f"Bearer {key}"},
        timeout=30,
    )
    print(told.raise_for_status().json())


if __name__ == "__main__":
    main()

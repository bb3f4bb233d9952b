"""An answer as it is written: python examples/streaming.py "QUESTION" """

from __future__ import annotations

import os
import sys

from openai import OpenAI


def main() -> None:
    """Stream one answer, then say what it took."""
    client = OpenAI(
        base_url=os.environ.get("DENIZEN_URL", "http://127.0.0.1:8484") + "/v1",
        api_key=os.environ.get("DENIZEN_KEY", "none"),
    )
    stream = client.chat.completions.create(
        model=client.models.list().data[0].id,
        messages=[
            {"role": "user", "content": " ".join(sys.argv[1:]) or "Does Uniswap v4 have hooks?"}
        ],
        stream=True,
        stream_options={"include_usage": True},
    )
    for chunk in stream:
        if chunk.choices:
            print(chunk.choices[0].delta.content or "", end="", flush=True)
        if chunk.usage is not None:
            print(f"\n{chunk.usage.prompt_tokens} tokens in, {chunk.usage.completion_tokens} out")


if __name__ == "__main__":
    main()

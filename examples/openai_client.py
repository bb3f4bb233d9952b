"""A question through OpenAI's client: python examples/openai_client.py "QUESTION"

The answer's figures come from the exact engine; the `denizen` object beside it says how.
"""

from __future__ import annotations

import os
import sys

from openai import OpenAI

QUESTION = "Is a position from 2,400 to 3,100 in range at 2,655?"


def main() -> None:
    """Ask the first model the server names, which is the Analyst."""
    client = OpenAI(
        base_url=os.environ.get("DENIZEN_URL", "http://127.0.0.1:8484") + "/v1",
        api_key=os.environ.get("DENIZEN_KEY", "none"),
    )
    model = client.models.list().data[0].id
    answer = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": " ".join(sys.argv[1:]) or QUESTION}],
    )
    print(answer.choices[0].message.content)
    told = (answer.model_extra or {}).get("denizen", {})
    print(f"exact: {told.get('exact')}   from: {told.get('origin')}   flags: {told.get('flags')}")
    if told.get("call"):
        print(f"call: {told['call']}", *told["derivation"], sep="\n  ")
    for cited in told.get("citations", ()):
        print(f"[{cited['title']}] {cited['source']}: {cited['quote'][:80]!r}")


if __name__ == "__main__":
    main()

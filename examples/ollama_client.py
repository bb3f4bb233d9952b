"""The same server through Ollama's client: python examples/ollama_client.py "QUESTION" """

from __future__ import annotations

import os
import sys

from ollama import Client


def main() -> None:
    """The models, an answer as it is written, and a vector if the server embeds."""
    key = os.environ.get("DENIZEN_KEY")
    client = Client(
        host=os.environ.get("DENIZEN_URL", "http://127.0.0.1:8484"),
        headers={"Authorization": f"Bearer {key}"} if key else None,
    )
    names = [str(model.model) for model in client.list().models]
    print("models:", ", ".join(names))
    question = " ".join(sys.argv[1:]) or "Does Uniswap v4 have hooks?"
    for part in client.chat(
        model=names[0], messages=[{"role": "user", "content": question}], stream=True
    ):
        print(part.message.content or "", end="", flush=True)
    print()
    embedders = [name for name in names if name.startswith("all-minilm")]
    if embedders:
        vector = client.embed(model=embedders[0], input=question).embeddings[0]
        print(f"{len(vector)} dimensions, first {vector[0]:.4f}")


if __name__ == "__main__":
    main()

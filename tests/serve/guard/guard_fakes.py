"""What the guard's tests share: an embedder of hashed words, and a model that obeys everything."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import Any

from denizen.serve.exchange import Request, Turn
from denizen.serve.guard.targets import Reply


class Words:
    """Vectors of hashed words, float32 [n, 64], of length 1: no model, a millisecond."""

    id = "words"

    def embed(self, texts: Sequence[str]) -> Any:
        import numpy as np

        found = np.zeros((len(texts), 64), np.float32)
        for row, text in zip(found, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()):
                row[zlib.crc32(word.encode()) % 64] += 1
            row /= max(1e-9, float((row**2).sum()) ** 0.5)
        return found


class Parrot:
    """A target that obeys: it says everything it was told, the system prompt as well."""

    model = "parrot"

    def __init__(self) -> None:
        self.asked = 0
        self.closed = False

    def ask(self, system: str, question: str) -> Reply:
        self.asked += 1
        return Reply(f"{system} {question}")

    def close(self) -> None:
        self.closed = True


def says(text: str, role: Any = "user") -> Request:
    """A request of one turn."""
    return Request("analyst", (Turn(role, text),))

"""The tokens of a tokenizer.json by id, with llama.cpp's token types.

Contract: as many tokens as the model has embeddings; ids that no token has become unused padding.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from denizen.project.errors import ArtefactError

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")


class TokenTable(NamedTuple):
    """`texts[id]` and `types[id]`; `ids` is the way back."""

    texts: list[str]
    types: list[int]
    ids: dict[str, int]

    @classmethod
    def read(cls, data: dict[str, Any], size: int, path: Path) -> TokenTable:
        """From a parsed tokenizer.json for `size` embeddings."""
        model, added = data["model"], data.get("added_tokens", [])
        texts, types = [f"[PAD{i}]" for i in range(size)], [UNUSED] * size
        named = dict(model["vocab"]) | {token["content"]: token["id"] for token in added}
        if max(named.values()) >= size:
            raise ArtefactError(
                f"the tokenizer has token {max(named.values())}, the model {size} embeddings",
                where=str(path),
                fix="save the tokenizer that belongs to this model",
            )
        for text, index in named.items():
            # llama.cpp refuses two tokens of one text, and an empty one takes a name of its own.
            texts[index], types[index] = text, NORMAL
            if model.get("byte_fallback") and _BYTE.fullmatch(text):
                types[index] = BYTE
        for token in added:
            types[token["id"]] = CONTROL if token.get("special") else USER_DEFINED
        unknown = named.get(model.get("unk_token"))
        if unknown is not None:
            types[unknown] = UNKNOWN
        return cls(texts, types, named)

"""The single values of a GGUF's header, without indexing its tensors or token lists.

Contract: walks the metadata of GGUF v2 and v3 (little-endian) and skips arrays; a file that is no
GGUF, or is cut short, raises ArtefactError.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

from denizen.project.errors import ArtefactError

_NUMBERS = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
_STRING, _ARRAY = 8, 9


def read_header(path: Path) -> dict[str, Any]:
    """Every key whose value is one number, truth value or string."""
    found: dict[str, Any] = {}
    try:
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise ValueError("no GGUF magic")
            _number(file, "I")
            _number(file, "Q")
            for _ in range(_number(file, "Q")):
                key = _string(file)
                value = _value(file, _number(file, "I"))
                if value is not None:
                    found[key] = value
    except (OSError, ValueError, KeyError, struct.error) as error:
        raise ArtefactError(
            f"the header cannot be read: {error}", where=str(path), fix="export the model again"
        ) from error
    return found


def _number(file: BinaryIO, code: str) -> Any:
    return struct.unpack(f"<{code}", file.read(struct.calcsize(f"<{code}")))[0]


def _string(file: BinaryIO) -> str:
    length = _number(file, "Q")
    raw = file.read(length)
    if len(raw) != length:
        raise ValueError("it is cut short")
    return raw.decode("utf-8", "replace")


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _string(file)
    if kind != _ARRAY:
        return _number(file, _NUMBERS[kind])
    inner, length = _number(file, "I"), _number(file, "Q")
    if inner in (_STRING, _ARRAY):
        for _ in range(length):
            _value(file, inner)
    else:
        file.seek(length * struct.calcsize(f"<{_NUMBERS[inner]}"), 1)
    return None

"""The token table of a GGUF, read in a tenth of a second: bytes of each token, and its type.

Contract: walks the file's metadata (GGUF v2 and v3, little-endian) and decodes the alphabet of
byte-level BPE (GPT-2) or SentencePiece; a test compares it with gguf's own reader, which indexes
every element of every array and takes seconds, too long before an answer.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from denizen.project.errors import ArtefactError

_SCALARS = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
_STRING, _ARRAY = 8, 9
_WANTED = ("tokens", "token_type", "eos_token_id", "model")
# llama.cpp's token types: control tokens end turns and are never text.
_CONTROL, _BYTE = 3, 6


@dataclass(frozen=True)
class Vocabulary:
    """`tokens[id]` are the bytes a token stands for; `control` the ids that are not text."""

    tokens: tuple[bytes, ...]
    control: frozenset[int]
    end: int


def read_vocabulary(path: Path) -> Vocabulary:
    """The vocabulary of a GGUF with a BPE tokenizer; raises ArtefactError for any other file."""
    found: dict[str, Any] = {}
    try:
        with path.open("rb") as file:
            magic, _version, _tensors, count = struct.unpack("<4sIQQ", file.read(24))
            if magic != b"GGUF":
                raise ValueError("no GGUF magic")
            for _ in range(count):
                key = _string(file).decode()
                value = _value(file, _number(file, "I"))
                if key.startswith("tokenizer.ggml."):
                    found[key.removeprefix("tokenizer.ggml.")] = value
                if all(name in found for name in _WANTED):
                    break
        if found["model"] not in _DECODERS:
            raise ValueError(f"a {found['model'].decode()} tokenizer")
    except (OSError, ValueError, KeyError, struct.error) as error:
        raise ArtefactError(
            f"cannot read the vocabulary: {error}", where=str(path), fix="export the model again"
        ) from error
    kinds = found["token_type"]
    control = frozenset(i for i, kind in enumerate(kinds) if kind == _CONTROL)
    decode = _DECODERS[found["model"]]
    tokens = tuple(
        token if index in control else decode(token, kinds[index])
        for index, token in enumerate(found["tokens"])
    )
    return Vocabulary(tokens, control, int(found["eos_token_id"]))


def _byte_level(token: bytes, kind: int) -> bytes:
    text, alphabet = token.decode(), _byte_alphabet()
    return bytes(alphabet[c] for c in text) if all(c in alphabet for c in text) else token


def _sentence_piece(token: bytes, kind: int) -> bytes:
    """A lone byte is spelt <0x0A>, a space as U+2581."""
    if kind == _BYTE:
        return bytes([int(token[3:5], 16)])
    return token.replace("\u2581".encode(), b" ")


def _number(file: BinaryIO, code: str) -> Any:
    return struct.unpack(f"<{code}", file.read(struct.calcsize(code)))[0]


def _string(file: BinaryIO) -> bytes:
    return file.read(_number(file, "Q"))


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _string(file)
    if kind != _ARRAY:
        return _number(file, _SCALARS[kind])
    inner, length = _number(file, "I"), _number(file, "Q")
    if inner in (_STRING, _ARRAY):
        return [_value(file, inner) for _ in range(length)]
    code = _SCALARS[inner]
    return struct.unpack(f"<{length}{code}", file.read(length * struct.calcsize(code)))


@cache
def _byte_alphabet() -> dict[str, int]:
    """GPT-2's printable stand-in of each byte (Radford et al. 2019, encoder.py)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {chr(b): b for b in printable} | {chr(256 + n): b for n, b in enumerate(rest)}


_DECODERS = {b"gpt2": _byte_level, b"llama": _sentence_piece}

"""A real ONNX embedder of a few kilobytes, written byte by byte: one Gather from a random table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from denizen.models.embedder import Embedder

DIMENSION = 16


def make_tiny_embedder(folder: Path, words: str, *, seed: int = 0, longest: int = 64) -> Embedder:
    """An Embedder whose words have random vectors: texts of like words are near."""
    vocabulary = {
        w: n for n, w in enumerate(["[UNK]", "[CLS]", "[SEP]", *sorted(set(words.split()))])
    }
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    table = np.random.default_rng(seed).normal(size=(len(vocabulary), DIMENSION))
    (folder / "model.onnx").write_bytes(_gather(table.astype(np.float32)))
    return Embedder(folder / "model.onnx", folder / "tokenizer.json", threads=2, longest=longest)


def _gather(table: np.ndarray) -> bytes:
    """ModelProto of last_hidden_state = table[input_ids] (field numbers of onnx.proto)."""
    node = _text(1, "table") + _text(1, "input_ids") + _text(2, "last_hidden_state")
    node += _text(4, "Gather")
    weights = b"".join(_number(1, n) for n in table.shape) + _number(2, 1) + _text(8, "table")
    weights += _block(9, table.tobytes())
    graph = _block(1, node) + _text(2, "tiny") + _block(5, weights)
    graph += _block(11, _value("input_ids", 7, ("b", "s")))
    graph += _block(12, _value("last_hidden_state", 1, ("b", "s", DIMENSION)))
    opset = _text(1, "") + _number(2, 13)
    return _number(1, 8) + _block(8, opset) + _block(7, graph)


def _value(name: str, kind: int, shape: tuple[str | int, ...]) -> bytes:
    dims = [_number(1, d) if isinstance(d, int) else _text(2, d) for d in shape]
    tensor = _number(1, kind) + _block(2, b"".join(_block(1, d) for d in dims))
    return _text(1, name) + _block(2, _block(1, tensor))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _block(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _text(field: int, value: str) -> bytes:
    return _block(field, value.encode())

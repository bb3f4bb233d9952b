"""The one private seam of the export: ggml's quantiser, called through ctypes.

xllamacpp carries llama.cpp's `ggml_quantize_chunk` as an exported symbol; this module calls it and
nothing else does.  A test compares it with gguf's public dequantisation.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from gguf import GGMLQuantizationType


@cache
def _library() -> ctypes.CDLL:
    import xllamacpp.xllamacpp as extension

    library = ctypes.CDLL(extension.__file__)
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_int64,
        ctypes.c_int64,
        ctypes.c_int64,
        ctypes.c_void_p,
    ]
    return library


def quantize(values: np.ndarray, kind: GGMLQuantizationType) -> np.ndarray:
    """Quantise float32 values of shape (rows, columns) to bytes of shape (rows, row bytes)."""
    import numpy as np
    from gguf.quants import quant_shape_to_byte_shape

    values = np.ascontiguousarray(values, dtype=np.float32)
    rows, columns = values.shape
    out = np.empty(quant_shape_to_byte_shape(values.shape, kind), dtype=np.uint8)
    written = _library().ggml_quantize_chunk(
        int(kind), values.ctypes.data, out.ctypes.data, 0, rows, columns, None
    )
    if written != out.nbytes:
        raise ValueError(f"ggml wrote {written} bytes of {kind.name}, expected {out.nbytes}")
    return out

"""The one seam to llama.cpp's C interface: a context that decodes branches of many sequences.

xllamacpp offers a server, which hands out one token or a list of probabilities a request; sampling
a tree of answers needs the logits of many branches at once.  Its shared library exports llama.h,
whose structures are declared here for the pinned version; `Context` refuses a library whose
defaults do not lie where this version has them.  A test compares the logits with transformers'.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from ctypes import POINTER, c_bool, c_float, c_int32, c_size_t, c_uint32, c_void_p
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from denizen.project.errors import ArtefactError

if TYPE_CHECKING:
    import numpy as np

# llama_load_mode, ggml_type, llama_flash_attn_type, and how many sequences llama.cpp can tell apart
_MMAP, _F32, _F16, _FLASH = 1, 0, 1, 1
MAX_SEQUENCES = 256


class Fresh(NamedTuple):
    """Tokens to be decoded at the end of a sequence; `position` is that of the first."""

    sequence: int
    position: int
    tokens: Sequence[int]


class _ModelParams(ctypes.Structure):
    _fields_ = [
        ("devices", c_void_p),
        ("tensor_buft_overrides", c_void_p),
        ("n_gpu_layers", c_int32),
        ("split_mode", c_int32),
        ("load_mode", c_int32),
        ("lazy_mode", c_int32),
        ("main_gpu", c_int32),
        ("tensor_split", c_void_p),
        ("progress_callback", c_void_p),
        ("progress_callback_user_data", c_void_p),
        ("kv_overrides", c_void_p),
        ("vocab_only", c_bool),
        ("check_tensors", c_bool),
        ("use_extra_bufts", c_bool),
        ("no_host", c_bool),
        ("no_alloc", c_bool),
        ("load_mtp", c_bool),
    ]


class _ContextParams(ctypes.Structure):
    _fields_ = [
        ("n_ctx", c_uint32),
        ("n_batch", c_uint32),
        ("n_ubatch", c_uint32),
        ("n_seq_max", c_uint32),
        ("n_rs_seq", c_uint32),
        ("n_outputs_max", c_uint32),
        ("n_outputs_max_per_seq", c_uint32),
        ("n_threads", c_int32),
        ("n_threads_batch", c_int32),
        ("ctx_type", c_int32),
        ("rope_scaling_type", c_int32),
        ("pooling_type", c_int32),
        ("attention_type", c_int32),
        ("flash_attn_type", c_int32),
        ("rope_freq_base", c_float),
        ("rope_freq_scale", c_float),
        ("yarn_ext_factor", c_float),
        ("yarn_attn_factor", c_float),
        ("yarn_beta_fast", c_float),
        ("yarn_beta_slow", c_float),
        ("yarn_orig_ctx", c_uint32),
        ("defrag_thold", c_float),
        ("cb_eval", c_void_p),
        ("cb_eval_user_data", c_void_p),
        ("type_k", c_int32),
        ("type_v", c_int32),
        ("moe_cache_size", c_size_t),
        ("abort_callback", c_void_p),
        ("abort_callback_data", c_void_p),
        ("embeddings", c_bool),
        ("offload_kqv", c_bool),
        ("no_perf", c_bool),
        ("op_offload", c_bool),
        ("swa_full", c_bool),
        ("kv_unified", c_bool),
        ("samplers", c_void_p),
        ("n_samplers", c_size_t),
        ("ctx_other", c_void_p),
    ]


class _Batch(ctypes.Structure):
    _fields_ = [
        ("n_tokens", c_int32),
        ("token", c_void_p),
        ("embd", c_void_p),
        ("pos", c_void_p),
        ("n_seq_id", c_void_p),
        ("seq_id", c_void_p),
        ("logits", c_void_p),
    ]


_LOG = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, c_void_p)
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "llama_backend_init": (None, []),
    "llama_log_set": (None, [_LOG, c_void_p]),
    "llama_model_default_params": (_ModelParams, []),
    "llama_context_default_params": (_ContextParams, []),
    "llama_model_load_from_file": (c_void_p, [ctypes.c_char_p, _ModelParams]),
    "llama_model_free": (None, [c_void_p]),
    "llama_model_get_vocab": (c_void_p, [c_void_p]),
    "llama_vocab_n_tokens": (c_int32, [c_void_p]),
    "llama_tokenize": (
        c_int32,
        [c_void_p, ctypes.c_char_p, c_int32, c_void_p, c_int32, c_bool, c_bool],
    ),
    "llama_init_from_model": (c_void_p, [c_void_p, _ContextParams]),
    "llama_free": (None, [c_void_p]),
    "llama_get_memory": (c_void_p, [c_void_p]),
    "llama_memory_clear": (None, [c_void_p, c_bool]),
    "llama_memory_seq_rm": (c_bool, [c_void_p, c_int32, c_int32, c_int32]),
    "llama_memory_seq_cp": (None, [c_void_p, c_int32, c_int32, c_int32, c_int32]),
    "llama_decode": (c_int32, [c_void_p, _Batch]),
    "llama_get_logits": (POINTER(c_float), [c_void_p]),
}


# llama.cpp's log goes nowhere: errors come back as return values.
_SILENT = _LOG(lambda level, text, data: None)


@cache
def _library() -> Any:
    import xllamacpp.xllamacpp as extension

    library = ctypes.CDLL(extension.__file__)
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    context, model = library.llama_context_default_params(), library.llama_model_default_params()
    known = (
        (context.n_ctx, context.n_batch, context.n_ubatch, context.n_seq_max),
        (context.pooling_type, context.yarn_ext_factor, context.defrag_thold),
        (context.type_k, context.type_v, context.offload_kqv, context.kv_unified),
        (model.load_mode, model.use_extra_bufts, model.vocab_only, model.no_alloc),
    )
    expected = ((512, 2048, 512, 1), (-1, -1, -1), (_F16, _F16, True, False), (-1, True, 0, 0))
    if known != expected:
        raise ArtefactError(
            "this llama.cpp has another interface than the one known here",
            where=extension.__file__,
            fix="install the xllamacpp version that denizen pins, or set rl.rollouts: transformers",
        )
    library.llama_log_set(_SILENT, None)
    library.llama_backend_init()
    return library


class Context:
    """A mapped GGUF with room for `cells` tokens of up to MAX_SEQUENCES sequences.

    The weights stay in the file's pages: what is written to the file is what the next `decode`
    multiplies by, unless they are `repacked` for this processor, as llama.cpp's server does (faster
    with quantised weights).  Attention is in half precision, or `precise`: float32, and slower with
    many branches, as it looks at the cells of all.  `close()` frees both, as does the last
    reference.
    """

    def __init__(
        self,
        gguf: Path,
        *,
        cells: int,
        threads: int,
        batch: int = 512,
        precise: bool = False,
        repacked: bool = False,
    ) -> None:
        self._library = _library()
        how = self._library.llama_model_default_params()
        how.load_mode, how.use_extra_bufts, how.n_gpu_layers = _MMAP, repacked, 0
        self._model = self._library.llama_model_load_from_file(str(gguf).encode(), how)
        if not self._model:
            raise ArtefactError(
                "llama.cpp cannot load the model", where=str(gguf), fix="export the model again"
            )
        self._tokens = self._library.llama_model_get_vocab(self._model)
        self.vocabulary: int = self._library.llama_vocab_n_tokens(self._tokens)
        what = self._library.llama_context_default_params()
        self._batch = batch = min(batch, cells)
        what.n_ctx, what.n_batch, what.n_ubatch = cells, batch, batch
        what.n_seq_max = what.n_outputs_max = MAX_SEQUENCES
        what.n_threads = what.n_threads_batch = threads
        # One pool of cells: a copied sequence shares them, and flash attention skips the others'.
        what.kv_unified, what.flash_attn_type = True, 0 if precise else _FLASH
        what.type_k = what.type_v = _F32 if precise else _F16
        self._context = self._library.llama_init_from_model(self._model, what)
        if not self._context:
            self._library.llama_model_free(self._model)
            raise ArtefactError(
                "llama.cpp has no room for the context",
                where=f"{cells} tokens",
                fix="lower rl.group, rl.prompts or rl.max_new_tokens",
            )
        self._memory = self._library.llama_get_memory(self._context)
        self.close = weakref.finalize(self, _free, self._library, self._context, self._model)

    def decode(self, parts: Sequence[Fresh]) -> np.ndarray:
        """Logits after the last token of each part, float32 (parts, vocabulary)."""
        import numpy as np

        flat = [
            (token, part.position + n, part.sequence, n == len(part.tokens) - 1)
            for part in parts
            for n, token in enumerate(part.tokens)
        ]
        found = [
            self._decode(flat[at : at + self._batch]) for at in range(0, len(flat), self._batch)
        ]
        return np.concatenate(found)

    def _decode(self, flat: list[tuple[int, int, int, bool]]) -> np.ndarray:
        import numpy as np

        tokens, positions, sequences = np.array([row[:3] for row in flat], dtype=np.int32).T.copy()
        wanted = np.array([row[3] for row in flat], dtype=np.int8)
        ones = np.ones(len(flat), dtype=np.int32)
        pointers = sequences.ctypes.data + 4 * np.arange(len(flat), dtype=np.uintp)
        arrays = (tokens, None, positions, ones, pointers, wanted)
        places = [None if array is None else array.ctypes.data for array in arrays]
        failed = self._library.llama_decode(self._context, _Batch(len(flat), *places))
        if failed:
            raise ArtefactError(
                f"llama.cpp could not decode ({failed})",
                where=f"{len(flat)} tokens",
                fix="lower rl.group, rl.prompts or rl.max_new_tokens",
            )
        count = int(wanted.sum())
        if not count:
            return np.empty((0, self.vocabulary), dtype=np.float32)
        logits = self._library.llama_get_logits(self._context)
        return np.ctypeslib.as_array(logits, (count, self.vocabulary)).copy()

    def tokenize(self, text: str) -> list[int]:
        """Token ids of rendered text, special tokens parsed, none added."""
        import numpy as np

        data = text.encode()
        room = np.empty(len(data) + 8, dtype=np.int32)
        count = self._library.llama_tokenize(
            self._tokens, data, len(data), room.ctypes.data, len(room), False, True
        )
        if count < 0:
            raise ArtefactError("llama.cpp cannot tokenise the text", where=repr(text[:60]))
        return [int(token) for token in room[:count]]

    def copy(self, source: int, target: int) -> None:
        """Let sequence `target` be what `source` is now (its cells are shared)."""
        self._library.llama_memory_seq_rm(self._memory, target, -1, -1)
        self._library.llama_memory_seq_cp(self._memory, source, target, -1, -1)

    def drop(self, sequence: int) -> None:
        """Forget a sequence."""
        self._library.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def clear(self) -> None:
        """Forget everything."""
        self._library.llama_memory_clear(self._memory, False)


def _free(library: Any, context: int, model: int) -> None:
    library.llama_free(context)
    library.llama_model_free(model)

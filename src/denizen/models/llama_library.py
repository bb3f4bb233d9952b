"""llama.cpp's C interface as xllamacpp ships it: llama.h's structures and functions, by ctypes.

Contract: declared for the pinned version; `library()` refuses one whose defaults do not lie where
this version has them.  llama.cpp's log goes nowhere: errors come back as return values.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_bool, c_float, c_int32, c_size_t, c_uint32, c_uint64, c_void_p
from functools import cache
from typing import Any

from denizen.project.errors import ArtefactError

# llama_load_mode, ggml_type, llama_flash_attn_type
MMAP, F32, F16, FLASH = 1, 0, 1, 1
# omp_pause_resource_t
_PAUSE_SOFT = 1
# llama_token_attr: what is found in a text only when special tokens are parsed.
UNKNOWN, CONTROL = 1, 8


class ModelParams(ctypes.Structure):
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


class ContextParams(ctypes.Structure):
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


class Batch(ctypes.Structure):
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
    "llama_model_default_params": (ModelParams, []),
    "llama_context_default_params": (ContextParams, []),
    "llama_model_load_from_file": (c_void_p, [ctypes.c_char_p, ModelParams]),
    "llama_model_free": (None, [c_void_p]),
    "llama_model_get_vocab": (c_void_p, [c_void_p]),
    "llama_model_n_params": (c_uint64, [c_void_p]),
    "llama_vocab_n_tokens": (c_int32, [c_void_p]),
    "llama_vocab_get_text": (ctypes.c_char_p, [c_void_p, c_int32]),
    "llama_vocab_get_attr": (c_int32, [c_void_p, c_int32]),
    "llama_tokenize": (
        c_int32,
        [c_void_p, ctypes.c_char_p, c_int32, c_void_p, c_int32, c_bool, c_bool],
    ),
    "llama_init_from_model": (c_void_p, [c_void_p, ContextParams]),
    "llama_free": (None, [c_void_p]),
    "llama_get_memory": (c_void_p, [c_void_p]),
    "llama_memory_clear": (None, [c_void_p, c_bool]),
    "llama_memory_seq_rm": (c_bool, [c_void_p, c_int32, c_int32, c_int32]),
    "llama_memory_seq_cp": (None, [c_void_p, c_int32, c_int32, c_int32, c_int32]),
    "llama_adapter_lora_init": (c_void_p, [c_void_p, ctypes.c_char_p]),
    "llama_adapter_lora_free": (None, [c_void_p]),
    "llama_set_adapters_lora": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p]),
    "llama_decode": (c_int32, [c_void_p, Batch]),
    "llama_get_logits": (POINTER(c_float), [c_void_p]),
    "llama_sampler_free": (None, [c_void_p]),
}


_SILENT = _LOG(lambda level, text, data: None)


@cache
def library() -> Any:
    """The loaded library; raises ArtefactError if it is another version's."""
    import xllamacpp.xllamacpp as extension

    loaded = ctypes.CDLL(extension.__file__)
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    context, model = loaded.llama_context_default_params(), loaded.llama_model_default_params()
    known = (
        (context.n_ctx, context.n_batch, context.n_ubatch, context.n_seq_max),
        (context.pooling_type, context.yarn_ext_factor, context.defrag_thold),
        (context.type_k, context.type_v, context.offload_kqv, context.kv_unified),
        (model.load_mode, model.use_extra_bufts, model.vocab_only, model.no_alloc),
    )
    expected = ((512, 2048, 512, 1), (-1, -1, -1), (F16, F16, True, False), (-1, True, 0, 0))
    if known != expected:
        raise ArtefactError(
            "this llama.cpp has another interface than the one known here",
            where=extension.__file__,
            fix="install the xllamacpp version that denizen pins, or set rl.rollouts: transformers",
        )
    loaded.llama_log_set(_SILENT, None)
    loaded.llama_backend_init()
    return loaded


def rest() -> None:
    """End the calling thread's OpenMP team, as a thread should before it waits for work.

    libgomp counts idle teams, too: with more threads of theirs than cores, those that compute no
    longer spin at their barriers, which costs another llama.cpp in this process a third of its
    speed.  The next decode makes the team again, in well under a millisecond.
    """
    pause = getattr(library(), "omp_pause_resource_all", None)  # OpenMP 5.0; not in every build
    if pause is not None:
        pause(_PAUSE_SOFT)

"""The one seam to llama.cpp's C interface: a context that decodes branches of many sequences.

xllamacpp offers a server, which hands out one token or a list of probabilities a request; sampling
a tree of answers needs the logits of many branches at once, and so does knowing how sure a choice
was.  Its shared library exports llama.h (`llama_library`).  A test compares the logits with
transformers'.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from ctypes import c_float, c_void_p
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from denizen.models.llama_library import (
    CONTROL,
    F16,
    F32,
    FLASH,
    MMAP,
    UNKNOWN,
    Batch,
    library,
)
from denizen.project.errors import ArtefactError

if TYPE_CHECKING:
    import numpy as np

# How many sequences llama.cpp can tell apart.
MAX_SEQUENCES = 256


class Fresh(NamedTuple):
    """Tokens to be decoded at the end of a sequence; `position` is that of the first."""

    sequence: int
    position: int
    tokens: Sequence[int]


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
        self._library = library()
        how = self._library.llama_model_default_params()
        how.load_mode, how.use_extra_bufts, how.n_gpu_layers = MMAP, repacked, 0
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
        what.kv_unified, what.flash_attn_type = True, 0 if precise else FLASH
        what.type_k = what.type_v = F32 if precise else F16
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
        failed = self._library.llama_decode(self._context, Batch(len(flat), *places))
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

    def tokenize(self, text: str, *, special: bool = True, begin: bool = False) -> list[int]:
        """Token ids of rendered text, special tokens parsed (unless not `special`), none added.

        `begin` adds what the file says a text begins and ends with.  Safe from any thread.
        """
        import numpy as np

        data = text.encode("utf-8", "replace")
        room = np.empty(len(data) + 8, dtype=np.int32)
        count = self._library.llama_tokenize(
            self._tokens, data, len(data), room.ctypes.data, len(room), begin, special
        )
        if count < 0:
            raise ArtefactError("llama.cpp cannot tokenise the text", where=repr(text[:60]))
        return [int(token) for token in room[:count]]

    def special_tokens(self) -> dict[str, int]:
        """Texts that are a token of their own only when special tokens are parsed."""
        attributes, name = self._library.llama_vocab_get_attr, self._library.llama_vocab_get_text
        return {
            name(self._tokens, token).decode("utf-8", "replace"): token
            for token in range(self.vocabulary)
            if attributes(self._tokens, token) & (UNKNOWN | CONTROL)
        }

    @property
    def parameters(self) -> int:
        """Weights of the model."""
        return int(self._library.llama_model_n_params(self._model))

    def load_adapter(self, path: Path) -> int:
        """A handle for `use_adapter`; raises ArtefactError if llama.cpp cannot put it on."""
        handle = self._library.llama_adapter_lora_init(self._model, str(path).encode())
        if not handle:
            raise ArtefactError(
                "llama.cpp cannot put this adapter on the model",
                where=str(path),
                fix="give a LoRA-GGUF that was made for this base (denizen export)",
            )
        return int(handle)

    def free_adapter(self, handle: int) -> None:
        """Forget an adapter; no context may use it."""
        self._library.llama_adapter_lora_free(handle)

    def use_adapter(self, handle: int | None) -> None:
        """Decode with this adapter from now on; None: with the base alone."""
        handles = (c_void_p * 1)(handle)
        count = 0 if handle is None else 1
        if self._library.llama_set_adapters_lora(self._context, handles, count, (c_float * 1)(1.0)):
            raise ArtefactError("llama.cpp cannot use the adapter", fix="load it again")

    def copy(self, source: int, target: int, upto: int = -1) -> None:
        """Let sequence `target` be what `source` is now, or its first `upto` tokens.

        Their cells are shared.
        """
        self._library.llama_memory_seq_rm(self._memory, target, -1, -1)
        self._library.llama_memory_seq_cp(self._memory, source, target, -1, upto)

    def cut(self, sequence: int, length: int) -> None:
        """Forget all but the first `length` tokens of a sequence."""
        self._library.llama_memory_seq_rm(self._memory, sequence, length, -1)

    def drop(self, sequence: int) -> None:
        """Forget a sequence."""
        self._library.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def clear(self) -> None:
        """Forget everything."""
        self._library.llama_memory_clear(self._memory, False)


def _free(library: Any, context: int, model: int) -> None:
    library.llama_free(context)
    library.llama_model_free(model)

"""Grammars of many llama.cpp servers in one process: only one server's begin at a time.

llama.cpp keeps the tokenizer of the last llguidance grammar in a static variable, unlocked, and
finds it again by the address of its vocabulary.  Once a model was freed, another one's vocabulary
may lie there: llama.cpp then ends the process, or masks the tokens of the freed model.  So servers
take turns, and between two of them the variable is set to a vocabulary that is never freed.
"""

from __future__ import annotations

import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import c_char_p, c_void_p
from functools import cache
from pathlib import Path

from denizen.models.llama_library import library
from denizen.project.errors import ArtefactError

# C++: llama_sampler_init_llg(const llama_vocab *, const char *, const char *)
_INIT = "_Z22llama_sampler_init_llgPK11llama_vocabPKcS3_"


class GrammarTurns:
    """First come, first served; those of one server are in together, as it is one thread."""

    def __init__(self, forget: Callable[[], None]) -> None:
        self._forget = forget
        self._news = threading.Condition()
        self._waiting: deque[object] = deque()
        self._server: int | None = None
        self._begin = 0

    @contextmanager
    def turn(self, server: int) -> Iterator[Callable[[], None]]:
        """Wait until `server` (a number never given twice) may begin a grammar.

        Call what is given once llama.cpp has answered with anything: the next may begin.
        """
        self._enter(server)
        begins = True

        def begun() -> None:
            nonlocal begins
            if begins:
                begins = False
                with self._news:
                    self._begin -= 1
                    self._news.notify_all()

        try:
            yield begun
        finally:
            begun()

    def _enter(self, server: int) -> None:
        me = object()
        with self._news:
            self._waiting.append(me)
            try:
                self._news.wait_for(
                    lambda: self._waiting[0] is me and (not self._begin or self._server == server)
                )
                if self._server != server:
                    self._forget()
                    self._server = server
                self._begin += 1
            finally:
                self._waiting.remove(me)
                self._news.notify_all()


def forget() -> None:
    """Make llama.cpp's next grammar look at its own vocabulary again; some milliseconds."""
    loaded, vocabulary = library(), _lasting()
    begin = getattr(loaded, _INIT, None)
    if begin is None:  # hidden in this build; the servers still take turns
        return
    begin.restype, begin.argtypes = c_void_p, [c_void_p, c_char_p, c_char_p]
    free = loaded.llama_sampler_free
    free.restype, free.argtypes = None, [c_void_p]
    free(begin(vocabulary, b"lark", b'start: "a"'))


@cache
def _lasting() -> c_void_p:
    """A vocabulary of bytes that stays to the end of the process, and so does its address."""
    from gguf import GGUFWriter, TokenType

    special, octets = ["<unk>", "<s>", "</s>"], [f"<0x{octet:02X}>" for octet in range(256)]
    kinds = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bytes.gguf"
        writer = GGUFWriter(path, "llama")
        writer.add_tokenizer_model("llama")
        writer.add_token_list([*special, *octets])
        writer.add_token_scores([0.0] * 259)
        writer.add_token_types([*kinds, *([TokenType.BYTE] * 256)])
        writer.add_unk_token_id(0)
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        how = library().llama_model_default_params()
        how.vocab_only, how.n_gpu_layers = True, 0
        model = library().llama_model_load_from_file(str(path).encode(), how)
    if not model:
        raise ArtefactError("llama.cpp has no room for a vocabulary", fix="free some memory")
    return c_void_p(library().llama_model_get_vocab(c_void_p(model)))


TURNS = GrammarTurns(forget)

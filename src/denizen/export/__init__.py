"""Export: merge the adapter, write and quantise GGUF, Modelfile, and proof of token parity."""

from denizen.export.gguf_writer import write_gguf
from denizen.export.merge import BASE_HASH_KEY, check_adapter, merge_adapter
from denizen.export.modelfile import modelfile
from denizen.export.parity import ParityProof, golden_conversations, prove_tokens
from denizen.export.rounding import Rounding

__all__ = [
    "BASE_HASH_KEY",
    "ParityProof",
    "Rounding",
    "check_adapter",
    "golden_conversations",
    "merge_adapter",
    "modelfile",
    "prove_tokens",
    "write_gguf",
]

"""Export: merge the adapter, write and quantise GGUF, adapters, Modelfile, card, parity proof."""

from denizen.export.gguf_writer import write_gguf
from denizen.export.lora_gguf import write_lora_gguf
from denizen.export.merge import BASE_HASH_KEY, check_adapter, merge_adapter
from denizen.export.model_card import CardFacts, model_card
from denizen.export.modelfile import modelfile
from denizen.export.parity import ParityProof, golden_conversations, prove_tokens
from denizen.export.recipe import FILE_TYPES
from denizen.export.rounding import Rounding
from denizen.export.templates import find_template
from denizen.export.vllm_adapter import write_vllm_adapter

# What can be named in export.ladder.
QUANTS = tuple(FILE_TYPES)

__all__ = [
    "BASE_HASH_KEY",
    "QUANTS",
    "CardFacts",
    "ParityProof",
    "Rounding",
    "check_adapter",
    "find_template",
    "golden_conversations",
    "merge_adapter",
    "model_card",
    "modelfile",
    "prove_tokens",
    "write_gguf",
    "write_lora_gguf",
    "write_vllm_adapter",
]

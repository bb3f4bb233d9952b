"""Base models: registry, fetching, loading, the one chat renderer, and two ways to generate."""

from denizen.models.batched_llama import BatchedLlama
from denizen.models.chat import (
    SYSTEM,
    Message,
    Rendered,
    conversation,
    encode,
    render,
    render_prompt,
)
from denizen.models.fetch import ModelFiles, cached, ensure
from denizen.models.generate import Generator
from denizen.models.llama import Completion, LlamaEngine
from denizen.models.loading import checkpoint, choose_precision, load_model, load_tokenizer
from denizen.models.matching import matcher_of
from denizen.models.registry import MODELS, ModelEntry, PackageSource, find_model

__all__ = [
    "MODELS",
    "SYSTEM",
    "BatchedLlama",
    "Completion",
    "Generator",
    "LlamaEngine",
    "Message",
    "ModelEntry",
    "ModelFiles",
    "PackageSource",
    "Rendered",
    "cached",
    "checkpoint",
    "choose_precision",
    "conversation",
    "encode",
    "ensure",
    "find_model",
    "load_model",
    "load_tokenizer",
    "matcher_of",
    "render",
    "render_prompt",
]

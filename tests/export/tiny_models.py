"""Random tiny models of every exported architecture, each with a tokenizer, made on the spot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_WORDS = ("ab", "the", "fee", "swap", " swap", " fee", "\n\n")
_SPACE = "\u2581"

_COMMON: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
    "initializer_range": 0.2,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 1000.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
_LONG = {
    "rope_type": "longrope",
    "rope_theta": 1000.0,
    "short_factor": [1.0, 1.1, 1.2, 1.3, 1.4, 1.5],
    "long_factor": [1.0, 1.5, 2.0, 3.0, 4.0, 5.0],
}
_YARN = {
    "rope_type": "yarn",
    "rope_theta": 1000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 128,
}
_GEMMA: dict[str, Any] = {
    "head_dim": 32,
    "query_pre_attn_scalar": 32,
    "sliding_window": 8,
    "num_hidden_layers": 4,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
}


def _gemma_rope(**full: Any) -> dict[str, Any]:
    return {
        "full_attention": {"rope_type": "default", "rope_theta": 1e4, **full},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e2},
    }


# name: (transformers' config class, what differs from _COMMON)
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {"tie_word_embeddings": True}),
    "llama-3.1": ("Llama", {"rope_parameters": LLAMA3}),
    "llama-biased": ("Llama", {"attention_bias": True, "mlp_bias": True, "head_dim": 32}),
    "llama-linear": (
        "Llama",
        {"rope_parameters": {"rope_type": "linear", "rope_theta": 1000.0, "factor": 3.0}},
    ),
    "mistral": ("Mistral", {"head_dim": 32, "sliding_window": None}),
    "qwen2": ("Qwen2", {"tie_word_embeddings": True}),
    "qwen2-yarn": ("Qwen2", {"rope_parameters": _YARN}),
    "qwen3": ("Qwen3", {"head_dim": 32}),
    "gemma3": ("Gemma3Text", {**_GEMMA, "rope_parameters": _gemma_rope()}),
    "gemma3-linear": (
        "Gemma3Text",
        {**_GEMMA, "rope_parameters": _gemma_rope(rope_type="linear", factor=8.0)},
    ),
    "phi3": ("Phi3", {}),
    "phi3-long": (
        "Phi3",
        {
            "rope_parameters": _LONG | {"partial_rotary_factor": 0.75},
            "original_max_position_embeddings": 256,  # llama.cpp's contexts are multiples of 256
            "tie_word_embeddings": True,
        },
    ),
    "phi2": ("Phi", {"num_key_value_heads": 4}),
}


def make(folder: Path, name: str, *, tokenizer: Any = None, seed: int = 0, **changes: Any) -> Path:
    """A transformers folder with a model of MODELS, and a tokenizer (byte-level BPE)."""
    import torch
    import transformers

    tokenizer = tokenizer or byte_level()
    kind, further = MODELS[name]
    settings = {**_COMMON, **further, **changes, "vocab_size": -(-len(tokenizer) // 32) * 32}
    config = getattr(transformers, f"{kind}Config")(**settings)
    torch.manual_seed(seed)
    model = getattr(transformers, f"{kind.removesuffix('Text')}ForCausalLM")(config)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if parameter.dim() == 1:  # norms and biases of no effect would prove nothing
                parameter += 0.2 * torch.randn_like(parameter)
            assert parameter.isfinite().all(), key
    folder.mkdir(parents=True, exist_ok=True)
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _merged(vocabulary: dict[str, int], words: tuple[str, ...]) -> list[tuple[str, str]]:
    """Merges that build each word from the left; every new piece gets an id."""
    merges = []
    for word in words:
        left = word[0]
        for char in word[1:]:
            if left + char not in vocabulary:
                merges.append((left, char))
                vocabulary[left + char] = len(vocabulary)
            left += char
    return merges


def byte_level(pre: Any = None, **model: Any) -> Any:
    """Byte-level BPE with SmolLM2's pre-tokenizer, or `pre`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {t: i for i, t in enumerate((*SPECIALS, *alphabet))}
    words = tuple(word.replace(" ", "\u0120").replace("\n", "\u010a") for word in _WORDS)
    merges = _merged(vocabulary, words)
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, **model))
    tokenizer.pre_tokenizer = pre or pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIALS))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=SPECIALS[1], eos_token=SPECIALS[2]
    )


def sentencepiece_like(scheme: str = "legacy", words: tuple[str, ...] = _WORDS) -> Any:
    """BPE with byte fallback as in Llama 2 ("legacy"), Gemma ("gemma") or by Metaspace's scheme."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {t: i for i, t in enumerate(("<unk>", "<s>", "</s>", *SPECIALS))}
    for byte in range(256):
        vocabulary[f"<0x{byte:02X}>"] = len(vocabulary)
    for code in (*range(0x21, 0x7F), 0x2581):
        vocabulary.setdefault(chr(code), len(vocabulary))
    pieces = _merged(vocabulary, tuple(w.replace(" ", _SPACE) for w in words if "\n" not in w))
    # As SentencePiece's models are converted: each piece may be made from any two others.
    merges = [
        (piece[:cut], piece[cut:])
        for piece in map("".join, pieces)
        for cut in range(1, len(piece))
        if piece[:cut] in vocabulary and piece[cut:] in vocabulary
    ]
    tokenizer = Tokenizer(
        models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    if scheme in ("legacy", "gemma"):
        steps = [normalizers.Prepend(_SPACE)] if scheme == "legacy" else []
        tokenizer.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", _SPACE)])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(
            replacement=_SPACE, prepend_scheme=scheme, split=False
        )
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>", *SPECIALS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def edit(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file; None removes."""
    data = json.loads(path.read_text("utf-8")) | changes
    path.write_text(json.dumps({k: v for k, v in data.items() if v is not None}), "utf-8")

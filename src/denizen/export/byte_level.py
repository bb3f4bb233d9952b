"""Byte-level BPE (GPT-2, Llama 3, Qwen, SmolLM, Phi-4): llama.cpp's "gpt2" tokenizer.

llama.cpp knows pre-tokenizers by name, not by regex; the regex of tokenizer.json, and whether whole
words skip the merges, tell which name is right.  An unknown regex is refused: guessing one gives
other tokens than the model learnt.
"""

from __future__ import annotations

from typing import Any

from denizen.export.token_table import TokenTable

_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_SPACES = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
_WORDS_LLAMA = _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*" + _SPACES
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_WORDS_CASED = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+%(after)s|"
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*%(after)s|"
    r"%(digits)s| ?[^\s\p{L}\p{N}]+[\r\n/]*" + _SPACES
)
_ONE, _THREE = r"\p{N}", r"\p{N}{1,3}"
# (regex, ignore_merges): name.  ByteLevel's own regex is GPT-2's.
_GPT2, _DIGITS_GPT2 = "gpt-2", "digits, gpt-2"
_NAMES = {
    (_GPT2, False): "gpt-2",
    (_DIGITS_GPT2, False): "smollm",
    (_WORDS_LLAMA % _ONE, False): "qwen2",
    (_WORDS_LLAMA % _THREE, True): "llama-bpe",
    (_WORDS_LLAMA % _THREE, False): "smaug-bpe",
    (_WORDS_CASED % {"after": f"{_CONTRACTIONS}?", "digits": _THREE}, False): "gpt-4o",
    (_WORDS_CASED % {"after": "", "digits": _ONE}, True): "tekken",
}


def write(writer: Any, data: dict[str, Any], table: TokenTable) -> str | None:
    """Write the "gpt2" metadata; returns why it cannot be, if so."""
    normaliser = data.get("normalizer")
    # llama.cpp normalises nothing; NFC (Qwen) leaves text as people type it alone.
    if normaliser is not None and normaliser.get("type") != "NFC":
        return f"it normalises text ({normaliser.get('type')})"
    regex = pre_tokenizer(data.get("pre_tokenizer"))
    name = _NAMES.get((regex or "", bool(data["model"].get("ignore_merges"))))
    if name is None:
        return f"llama.cpp has no name for its pre-tokenizer {str(regex)[:60]!r}"
    merges = [m if isinstance(m, str) else " ".join(m) for m in data["model"]["merges"]]
    if not merges:
        return "it has no merges"
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(name)
    writer.add_token_merges(merges)
    writer.add_add_space_prefix(False)
    return None


def pre_tokenizer(spec: dict[str, Any] | None) -> str | None:
    """The regex that a pre-tokenizer splits by, or one of the two names above; None: unknown."""
    steps = spec.get("pretokenizers", [spec]) if spec else []
    if not steps or steps[-1].get("type") != "ByteLevel" or steps[-1].get("add_prefix_space"):
        return None
    before, own = steps[:-1], steps[-1].get("use_regex", True)
    if not before:
        return _GPT2 if own else None
    if len(before) > 1:
        return None
    only = before[0]
    if only.get("type") == "Digits" and only.get("individual_digits") and own:
        return _DIGITS_GPT2
    kept = (only.get("behavior"), bool(only.get("invert"))) in (
        ("Isolated", False),
        ("Removed", True),
    )
    if only.get("type") != "Split" or not kept or own:
        return None
    found: str | None = only.get("pattern", {}).get("Regex")
    return found

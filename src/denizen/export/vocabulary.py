"""Tokenizer metadata of a GGUF: copied from the base's own GGUF, or built from tokenizer.json.

Contract: byte-level BPE becomes llama.cpp's "gpt2" with the pre-tokenizer its regex names;
SentencePiece-like BPE (byte fallback) becomes "llama" with scores from the merges' ranks.  A
tokenizer that llama.cpp would read otherwise is refused.  No token is added at either end, as
chat templates write their own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from denizen.export import byte_level, sentencepiece
from denizen.export.token_table import TokenTable
from denizen.project.errors import ArtefactError


def copy_vocabulary(writer: Any, base: Path, size: int) -> None:
    """The tokenizer keys of `base`; its tokens must be as many as the model's embeddings."""
    import gguf

    fields = gguf.GGUFReader(str(base)).fields
    tokens = fields.get("tokenizer.ggml.tokens")
    if tokens is None or len(tokens.data) != size:
        found = 0 if tokens is None else len(tokens.data)
        raise ArtefactError(
            f"the tokenizer's GGUF has {found} tokens, the model {size} embeddings",
            where=str(base),
            fix="name the GGUF of the same base model, or none",
        )
    for key, field in fields.items():
        if not key.startswith("tokenizer."):
            continue
        kind = field.types[0]
        sub = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(key, field.contents(), kind, sub_type=sub)


def build_vocabulary(writer: Any, checkpoint: Path, config: dict[str, Any]) -> bool:
    """Write what tokenizer.json says; True if white space after a special token is dropped.

    llama.cpp does that for models named phi-3 alone: the caller names the model so.
    """
    path = checkpoint / "tokenizer.json"
    try:
        data = json.loads(path.read_text("utf-8"))
        model = data["model"]
    except (OSError, ValueError, KeyError) as error:
        raise ArtefactError(
            f"the tokenizer cannot be read: {error}",
            where=str(path),
            fix="save the fast tokenizer beside the model, or name the base's GGUF",
        ) from error
    if model.get("type") != "BPE":
        raise refused(path, f"its model is {model.get('type')}, not BPE")
    for key in ("continuing_subword_prefix", "end_of_word_suffix", "dropout"):
        if model.get(key):
            raise refused(path, f"it has a {key}")
    table = TokenTable.read(data, int(config["vocab_size"]), path)
    kind = sentencepiece if model.get("byte_fallback") else byte_level
    problem = kind.write(writer, data, table)
    if problem:
        raise refused(path, problem)
    writer.add_token_list(table.texts)
    writer.add_token_types(table.types)
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    _write_special(writer, checkpoint, config, table)
    template = chat_template(checkpoint)
    if template:
        writer.add_chat_template(template)
    added = data.get("added_tokens", [])
    return kind is sentencepiece and any(t.get("rstrip") and t.get("special") for t in added)


def refused(path: Path, why: str) -> ArtefactError:
    """The error for a tokenizer that llama.cpp cannot represent."""
    return ArtefactError(
        f"llama.cpp cannot represent this tokenizer: {why}",
        where=str(path),
        fix="name a GGUF of the base model, or choose another base",
    )


def _write_special(
    writer: Any, checkpoint: Path, config: dict[str, Any], table: TokenTable
) -> None:
    path = checkpoint / "tokenizer_config.json"
    settings = json.loads(path.read_text("utf-8")) if path.exists() else {}
    found: dict[str, int] = {}
    for name in ("bos", "eos", "pad"):
        token = settings.get(f"{name}_token")
        content = str(token["content"] if isinstance(token, dict) else token)
        number = config.get(f"{name}_token_id")
        number = number[0] if isinstance(number, list) and number else number
        if content in table.ids:
            found[name] = table.ids[content]
        elif isinstance(number, int) and 0 <= number < len(table.texts):
            found[name] = number
    if "eos" not in found:
        raise refused(path, "no token ends a text (eos_token)")
    writer.add_eos_token_id(found["eos"])
    if "bos" in found:
        writer.add_bos_token_id(found["bos"])
    if "pad" in found:
        writer.add_pad_token_id(found["pad"])


def chat_template(checkpoint: Path) -> str | None:
    """The folder's chat template, if it has one."""
    path = checkpoint / "chat_template.jinja"
    if path.exists():
        return path.read_text("utf-8")
    settings = checkpoint / "tokenizer_config.json"
    if settings.exists():
        found = json.loads(settings.read_text("utf-8")).get("chat_template")
        return str(found) if found else None
    return None

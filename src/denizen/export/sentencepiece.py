"""BPE with byte fallback (Llama 2, Mistral, Gemma, Phi-3): llama.cpp's "llama" tokenizer.

llama.cpp merges the two neighbours whose union has the highest score, whichever they are; a
tokenizer.json merges pairs by rank.  The two agree where every split of a piece into two pieces is
a merge and a piece's merges stand together, as they do in what SentencePiece made; then a piece's
score is less its rank.  Only ties within one piece may fall otherwise, which the parity proof sees.
"""

from __future__ import annotations

from typing import Any

from denizen.export.token_table import BYTE, NORMAL, TokenTable

_SPACE = "\u2581"
# Below every merge: what no merge makes.
_NEVER = -1e9


def write(writer: Any, data: dict[str, Any], table: TokenTable) -> str | None:
    """Write the "llama" metadata; returns why it cannot be, if so."""
    if sum(kind == BYTE for kind in table.types) != 256:
        return "it falls back to bytes but has not all 256"
    prefix = space_prefix(data)
    if prefix is None:
        return "it treats spaces in a way llama.cpp does not"
    scores = piece_scores(data["model"], table)
    if isinstance(scores, str):
        return scores
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_scores(scores)
    writer.add_add_space_prefix(prefix)
    unknown = data["model"].get("unk_token")
    if unknown in table.ids:
        writer.add_unk_token_id(table.ids[unknown])
    return None


def space_prefix(data: dict[str, Any]) -> bool | None:
    """Whether a space is put before text at the start and after special tokens; None: otherwise.

    Metaspace's schemes are read as what they do in rendered chats, which begin with a special
    token: "first" (only where nothing stands before) is False there, and "always" True, though it
    spares text that begins with a space.  Raw text may differ; the parity proof sees it.
    """
    normaliser, pre = data.get("normalizer") or {}, data.get("pre_tokenizer") or {}
    steps = normaliser.get("normalizers", [normaliser] if normaliser else [])
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE}
    prepend = {"type": "Prepend", "prepend": _SPACE}
    splits = {"type": "Split", "pattern": {"String": " "}, "invert": False}
    if steps:
        # No space is left to split at once they are replaced.
        if pre and {key: pre.get(key) for key in splits} != splits:
            return None
        if steps == [replace]:
            return False
        return True if steps == [prepend, replace] else None
    if pre.get("type") != "Metaspace" or pre.get("replacement") != _SPACE or pre.get("split"):
        return None
    return {"always": True, "first": False, "never": False}.get(str(pre.get("prepend_scheme")))


def piece_scores(model: dict[str, Any], table: TokenTable) -> list[float] | str:
    """A score for each token, or why llama.cpp would merge otherwise."""
    merges = [m.split(" ") if isinstance(m, str) else m for m in model["merges"]]
    if not merges:
        return "it has no merges"
    ranks: dict[str, int] = {}
    pairs, last = set(), ""
    for left, right in merges:
        piece = left + right
        if piece != last and piece in ranks:
            return f"merges into {piece!r} stand apart"
        last = piece
        ranks.setdefault(piece, len(ranks))
        pairs.add((left, right))
    pieces = {text for text, kind in zip(table.texts, table.types, strict=True) if kind == NORMAL}
    made = {text for text in pieces if len(text) == 1 or text in ranks}
    for text in pieces:
        for cut in range(1, len(text)):
            pair = (text[:cut], text[cut:])
            if pair[0] in made and pair[1] in made and pair not in pairs:
                return f"{pair[0]!r} and {pair[1]!r} are never merged, though {text!r} is a token"
    return [-float(ranks[t]) if t in ranks else _NEVER for t in table.texts]

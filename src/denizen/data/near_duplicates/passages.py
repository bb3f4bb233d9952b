"""What the near-duplicate check reads: the passages of a row, their masked wording, their shingles.

Contract: `passages(row)` is every text of a row that a model learns from, the system message left
out; `masked` keeps the wording and hides quantities, token symbols and protocol versions, so that
one template with other numbers is one text.  Works in any script: words are runs of letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from denizen.tasks import find_spans

_TOKEN = re.compile(r"\b[A-Za-z]*[A-Z][A-Za-z0-9]*[A-Z][A-Za-z0-9]*\b")
_MARK = re.compile(r"[#@$]")
_VERSION = re.compile(r"\b(?:uniswap )?v\d+\b")
_WORD = re.compile(r"[^\W\d_]+|[#@$]")
_FIGURE = re.compile(r"\b\d[\w,.]*")
_PLAIN = re.compile(r"[^\W\d_]+|#")
_CHARACTERS = 5
# Longer passages are also read in windows: an embedder sees 256 word pieces, and one question
# among many words moves the mean of a whole document little.
_LONG, _WINDOW, _STRIDE = 120, 60, 30

Gram = tuple[str, ...]


def passages(row: Any) -> list[str]:
    """The texts of a row, without repeats.

    Reads `question` or `prompt` if it is a string, and the turns of `messages`, `prompt`,
    `chosen`, `rejected` and `completion`, but no system turn.  A string is its own passage.
    """
    if isinstance(row, str):
        return [row]
    found: list[str] = []
    for name in ("question", "messages", "prompt", "chosen", "rejected", "completion", "text"):
        value = getattr(row, name, None)
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += [
                turn["content"]
                for turn in value
                if isinstance(turn, dict)
                and turn.get("role") != "system"
                and isinstance(turn.get("content"), str)
            ]
    return [text for text in dict.fromkeys(found) if text.strip()]


def masked(text: str) -> str:
    """The wording alone: lower-case words, # for a quantity, @ for a token, $ for a version."""
    spans = sorted(find_spans(text), key=len, reverse=True)
    figure = rf"(?<!\w)(?:{'|'.join(map(re.escape, spans))})(?!\w)"
    # A mark of ours stands for nothing in the text itself, except within a figure ("$21.7M").
    parts = re.split(figure, text) if spans else [text]
    plain = " # ".join(_MARK.sub(" ", part) for part in parts)
    plain = _VERSION.sub(" $ ", _TOKEN.sub(" @ ", plain).lower())
    return " ".join(_WORD.findall(plain))


def folded(text: str) -> str:
    """The words in lower case with # for each figure: the same however the text is typed.

    `masked` knows a token symbol by its capitals, which a shouted or a lower-case copy has lost.
    """
    return " ".join(_PLAIN.findall(_FIGURE.sub(" # ", _MARK.sub(" ", text.lower()))))


def word_grams(wording: str) -> frozenset[Gram]:
    """Word trigrams of a masked text; where it begins and ends is left out."""
    words = wording.split()
    return frozenset(zip(words, words[1:], words[2:], strict=False))


def character_grams(wording: str) -> frozenset[str]:
    """Runs of five characters of a masked text; a shorter text is one run."""
    last = max(1, len(wording) - _CHARACTERS + 1)
    return frozenset(wording[i : i + _CHARACTERS] for i in range(last))


def windows(wording: str) -> Iterator[str]:
    """The text, and if it is long its overlapping windows of 60 words."""
    yield wording
    words = wording.split()
    if len(words) > _LONG:
        for start in range(0, len(words) - _STRIDE, _STRIDE):
            yield " ".join(words[start : start + _WINDOW])


def jaccard(a: frozenset[Any], b: frozenset[Any]) -> float:
    """Shared over all, in [0, 1]."""
    union = len(a | b)
    return len(a & b) / union if union else 0.0

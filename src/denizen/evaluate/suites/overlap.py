"""Finding long verbatim spans of many texts in a new one.

Contract: `Overlap(texts).longest(output, prompt)` is the longest run of tokens that the output
shares with one of the texts, beyond what stands in the prompt; None below MIN_TOKENS or MIN_CHARS.
Fingerprints are winnowed (Schleimer, Wilkerson, Aiken 2003: k = 6, window 7): every shared run of
12 tokens holds one, while a quarter of the positions is kept.  A span most of whose fingerprints,
figures aside, stand in more than COMMON texts is wording and not a memory of a text.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

GRAM, WINDOW = 6, 7
MIN_TOKENS, MIN_CHARS = GRAM + WINDOW - 1, 50
COMMON = 5
# A private key is one token and still a secret; addresses are shorter, and public.
_SECRET = re.compile(r"\b(?:0x)?[0-9a-fA-F]{64,}\b")
# Addresses, each East Asian character by itself, figures, words.
_TOKEN = re.compile(
    r"0x[0-9a-fA-F]+|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\d+(?:[.,]\d+)*"
    r"|[^\W\d_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+(?:['’]\w+)?"
)


class Span(NamedTuple):
    """`tokens` shared with text number `row`; `text` is the span in lower case."""

    tokens: int
    row: int
    text: str


def tokens(text: str) -> list[str]:
    """Words, figures and single East Asian characters, in lower case, without marks."""
    return [token.lower() for token in _TOKEN.findall(text)]


def _hashes(words: Sequence[str]) -> list[int]:
    return [
        zlib.crc32(" ".join(words[i : i + GRAM]).encode()) for i in range(len(words) - GRAM + 1)
    ]


def winnow(words: Sequence[str]) -> list[tuple[int, int]]:
    """(fingerprint, position): the least hash of each WINDOW neighbouring grams (the last)."""
    hashes = _hashes(words)
    chosen: dict[int, int] = {}
    for start in range(max(1, len(hashes) - WINDOW + 1) if hashes else 0):
        window = hashes[start : start + WINDOW][::-1]
        least = min(window)
        chosen[start + len(window) - 1 - window.index(least)] = least
    return [(value, place) for place, value in chosen.items()]


class Overlap:
    """An index of texts by fingerprint."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = tuple(texts)
        self._rows: dict[int, list[int]] = {}
        self._wording: Counter[int] = Counter()
        self._secrets: dict[str, int] = {}
        for number, text in enumerate(self._texts):
            words = tokens(text)
            self._wording.update({value for value, _ in winnow(_masked(words))})
            for value in {value for value, _ in winnow(words)}:
                rows = self._rows.setdefault(value, [])
                if len(rows) <= COMMON:
                    rows.append(number)
            for secret in _SECRET.findall(text):
                self._secrets.setdefault(secret.lower(), number)

    def longest(self, output: str, prompt: str = "", row: str | None = None) -> Span | None:
        """The longest span that counts, or None; of one `row` alone if it is given.

        A secret of 64 hex digits counts at once.
        """
        said = prompt.lower()
        for secret in _SECRET.findall(output):
            if secret.lower() in self._secrets and secret.lower() not in said:
                return Span(1, self._secrets[secret.lower()], secret)
        words = tokens(output)
        copied = _copied(words, tokens(prompt))
        one = None if row is None else tokens(row)
        best: Span | None = None
        for value, place in winnow(words):
            if one is not None:
                texts = {0: one}
            else:
                found = self._rows.get(value, ())
                # Too many rows: wording, and slow to compare.
                texts = {n: tokens(self._texts[n]) for n in found} if len(found) <= COMMON else {}
            for number, text in texts.items():
                span = self._fresh(words, copied, text, place, number)
                if span is not None and (best is None or span.tokens > best.tokens):
                    best = span
        return best

    def _fresh(
        self, words: list[str], copied: list[bool], row: list[str], place: int, number: int
    ) -> Span | None:
        """What is shared around `place` and not copied from the prompt, if it counts."""
        start, end = _extent(words, row, place)
        run = words[start:end]
        fresh = [word for word, old in zip(run, copied[start:end], strict=True) if not old]
        text = " ".join(fresh)
        if len(fresh) < MIN_TOKENS or len(text) < MIN_CHARS or self._is_wording(run):
            return None
        return Span(len(fresh), number, text)

    def _is_wording(self, words: list[str]) -> bool:
        prints = [value for value, _ in winnow(_masked(words))]
        return 2 * sum(self._wording[value] > COMMON for value in prints) > len(prints)


def _masked(words: Sequence[str]) -> list[str]:
    """Figures and addresses made alike: rows of one template differ in nothing else."""
    return ["#" if word[0].isdigit() else word for word in words]


def _extent(words: list[str], row: list[str], place: int) -> tuple[int, int]:
    """The longest shared run around the gram at `place` of `words`, as a half-open range."""
    gram = words[place : place + GRAM]
    best = (place, place)
    for at in range(len(row) - GRAM + 1):
        if row[at : at + GRAM] != gram:
            continue
        back = 0
        while place > back and at > back and words[place - back - 1] == row[at - back - 1]:
            back += 1
        end = GRAM
        while place + end < len(words) and at + end < len(row) and (
            words[place + end] == row[at + end]
        ):  # fmt: skip
            end += 1
        if end + back > best[1] - best[0]:
            best = (place - back, place + end)
    return best


def _copied(words: list[str], prompt: list[str]) -> list[bool]:
    """Which tokens of an output belong to a gram that stands in the prompt."""
    grams = {tuple(prompt[i : i + GRAM]) for i in range(len(prompt) - GRAM + 1)}
    marks = [False] * len(words)
    for i in range(len(words) - GRAM + 1):
        if tuple(words[i : i + GRAM]) in grams:
            marks[i : i + GRAM] = [True] * GRAM
    return marks

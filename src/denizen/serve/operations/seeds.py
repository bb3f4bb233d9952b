"""Seed phrases (BIP-39) in running text: runs of words that stand in one of its word lists.

Contract: `seed_spans(text)` gives (start, end) of every run of 12 words or more, or of 8 after
words such as "seed phrase"; numbers, commas and line breaks between them do not hide it, nor do
capitals or missing accents. The checksum is not asked for: a phrase with a typing error is a
secret as well. Ordinary prose does not do this, for "the", "of", "and" stand in no list. Linear.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator, Mapping

from denizen.serve.guard.seedwords import LANGUAGES

_LEAST, _LEAST_IF_NAMED = 12, 8
_GAP = 8  # characters between two words of one phrase, at most
_BEFORE = 60
# A placeholder is a word of no list: it ends a run.
_WORD = re.compile(r"\[[A-Z_]{2,20}_[0-9]{1,7}\]|(?:[^\W\d_]|[\u0300-\u036f\u3099\u309a])+")
# Eight words of three letters and more in a row: rare in prose, and found at the speed of C.
_LIKELY = re.compile(r"(?<![A-Za-z])(?:[A-Za-z]{3,16}[^A-Za-z]{1,8}){7}[A-Za-z]{3}")
_NAMED = re.compile(r"seed|mnemonic|recovery|backup (?:phrase|words)|secret phrase", re.I)


def seed_spans(text: str) -> Iterator[tuple[int, int]]:
    """Spans of seed phrases, in order and apart."""
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(_runs(text)):
        # Languages share words (half of both Chinese lists): a run of one may go on in the other.
        if merged and start < merged[-1][1]:
            merged[-1] = merged[-1][0], max(stop, merged[-1][1])
        else:
            merged.append((start, stop))
    yield from merged


def _runs(text: str) -> Iterator[tuple[int, int]]:
    if text.isascii() and _LIKELY.search(text) is None:
        return
    lists, count = _lists(), len(LANGUAGES)
    begun, length = [0] * count, [0] * count
    last = 0  # end of the word before
    running = 0  # languages with an open run, as bits
    for word in _WORD.finditer(text):
        spoken = lists.get(_plain(word[0]), 0) if len(word[0]) <= 16 else 0
        if word.start() - last > _GAP:
            yield from _closed(text, running, begun, length, last)
            running = 0
        if ended := running & ~spoken:
            yield from _closed(text, ended, begun, length, last)
        for bit in _bits(spoken):
            if not running >> bit & 1:
                begun[bit], length[bit] = word.start(), 0
            length[bit] += 1
        running, last = spoken, word.end()
    yield from _closed(text, running, begun, length, last)


def _closed(
    text: str, ended: int, begun: list[int], length: list[int], last: int
) -> Iterator[tuple[int, int]]:
    for bit in _bits(ended):
        if length[bit] >= _LEAST_IF_NAMED:
            start = begun[bit]
            # "seed phrase" are words of the list themselves, so they may stand inside the run.
            named = _NAMED.search(text, max(0, start - _BEFORE), start + 24)
            if length[bit] >= _LEAST or named:
                yield start, last


def _bits(languages: int) -> Iterator[int]:
    while languages:
        lowest = languages & -languages
        yield lowest.bit_length() - 1
        languages ^= lowest


def _plain(word: str) -> str:
    """In small letters without accents."""
    if word.isascii():
        return word.lower()
    parts = unicodedata.normalize("NFKD", word.lower()).replace("ı", "i")  # as Turkish I's become
    return "".join(c for c in parts if not unicodedata.combining(c))


@functools.cache
def _lists() -> Mapping[str, int]:
    """Word -> the languages it stands in, as bits."""
    from mnemonic import Mnemonic

    found: dict[str, int] = {}
    for bit, language in enumerate(LANGUAGES):
        for word in Mnemonic(language).wordlist:
            found[_plain(word)] = found.get(_plain(word), 0) | 1 << bit
    return found

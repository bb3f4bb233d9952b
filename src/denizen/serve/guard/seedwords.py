"""Secrets by their shape: recovery phrases (BIP-39), WIF and extended keys, PEM private keys.

Contract: `find_secrets(folded)` gives the ranges to hide. A recovery phrase is twelve or more words
in a row of one BIP-39 list, numbered or separated as they may be; the checksum is not asked for,
since an invented phrase is as dangerous to show. `run_start` tells a stream from where on words
might still become one. Lists: all of package `mnemonic` (MIT), read as folding.py reads a text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache

from denizen.serve.guard.addresses import KEY, Hidden
from denizen.serve.guard.folding import fold

PHRASE = "seed phrase withheld"
FEWEST = 12
LANGUAGES = (
    "english", "french", "italian", "spanish", "portuguese", "czech", "turkish", "russian",
    "japanese", "korean", "chinese_simplified", "chinese_traditional",
)  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+")
_BETWEEN = re.compile(r"[\W\d_]{1,16}")
# Folding makes round letters of other scripts a zero, as an address would have it.
_ROUND = re.compile(r"(?<=[^\W\d_])0|0(?=[^\W\d_])")
# A key as wallets of other chains write it to a file: 32 or 64 bytes as whole numbers.
_BYTE = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
NUMBERS = re.compile(rf"\[\s*((?:{_BYTE}\s*,\s*){{31}}(?:(?:{_BYTE}\s*,\s*){{32}})?{_BYTE})\s*\]")
_OPEN_NUMBERS = re.compile(r"\[[\s\d,]{0,600}\Z")
_BASE58 = "[1-9A-HJ-NP-Za-km-z]"
WIF = re.compile(
    r"(?<![0-9A-Za-z])[5KL](?=[0-9a-z]{0,50}[A-Z])(?=[0-9A-Z]{0,50}[a-z])"
    rf"{_BASE58}{{50,51}}(?![0-9A-Za-z])"
)
EXTENDED = re.compile(rf"(?<![0-9A-Za-z])[xyztuv]prv{_BASE58}{{60,}}")
_PEM = re.compile(
    r"-----BEGIN[^-\n]{0,40}PRIVATE KEY-----.*?(?:-----END[^-\n]{0,40}-----|\Z)", re.DOTALL
)
_OPEN = re.compile(
    r"-----BEGIN(?:[^-\n]{0,52}-{0,4}\Z"
    r"|[^-\n]{0,40}PRIVATE KEY-----(?:(?!-----END[^-\n]{0,40}-----).)*\Z)",
    re.DOTALL,
)


def find_secrets(folded: str) -> list[Hidden]:
    """Ranges of keys and recovery phrases."""
    found: list[Hidden] = []
    if len(_WORD.findall(folded)) >= FEWEST:
        found += [Hidden(start, end, PHRASE) for start, end, n in _phrases(folded) if n >= FEWEST]
    for pattern in (WIF, EXTENDED, _PEM, NUMBERS):
        found += [Hidden(*match.span(), KEY) for match in pattern.finditer(folded)]
    return found


def run_start(folded: str, end: int) -> int:
    """Where the row of list words begins that ends right before `end`; `end` if there is none."""
    text = _ROUND.sub("o", folded[:end])
    lists, start = _lists(), end
    going: set[int] | None = None
    # Backwards: of most texts the last word or two decide, and a stream asks for every piece.
    for match in reversed(list(_WORD.finditer(text))):
        if match.end() < start and not _BETWEEN.fullmatch(text, match.end(), start):
            break
        found = set(lists.get(_bare(match[0].lower()), ()))
        going = found if going is None else going & found
        if not going:
            break
        start = match.start()
    return start


def open_key(folded: str) -> int | None:
    """Where a PEM block or a row of bytes begins that has not ended yet."""
    found = [
        match.start() for match in (_OPEN.search(folded), _OPEN_NUMBERS.search(folded)) if match
    ]
    return min(found, default=None)


def _phrases(folded: str) -> Iterator[tuple[int, int, int]]:
    """(start, end, words) of every longest row of words of one list."""
    lists, folded = _lists(), _ROUND.sub("o", folded)
    rows: dict[int, tuple[int, int, int]] = {}
    last = 0
    for match in _WORD.finditer(folded):
        word = _bare(match[0].lower())
        joined = last and _BETWEEN.fullmatch(folded, last, match.start()) is not None
        going: dict[int, tuple[int, int, int]] = {}
        for number in lists.get(word, ()):
            start, _, count = rows.get(number, (match.start(), 0, 0))
            if not joined:
                start, count = match.start(), 0
            going[number] = (start, match.end(), count + 1)
        yield from (row for number, row in rows.items() if number not in going or not joined)
        rows, last = going, match.end()
    yield from rows.values()


@cache
def _lists() -> dict[str, tuple[int, ...]]:
    """Every word of the lists, with the numbers of the lists that hold it."""
    from mnemonic import Mnemonic

    found: dict[str, tuple[int, ...]] = {}
    for number, language in enumerate(LANGUAGES):
        for word in Mnemonic(language).wordlist:
            key = _bare(_ROUND.sub("o", fold(word).text).lower())
            found[key] = (*found.get(key, ()), number)
    return found


def _bare(word: str) -> str:
    """Without accents: the lists come decomposed, people write either way."""
    if word.isascii():
        return word
    plain = unicodedata.normalize("NFKD", word).replace("ı", "i")  # as small Turkish I's become
    return "".join(c for c in plain if not unicodedata.combining(c))

"""Words as the lexical index sees them: identifiers whole and in parts, numbers with their names.

Contract: `terms(text)` gives lower-case terms, stop words left out. "EIP-20", "EIP 20" and "eip20"
share the term "eip20"; `sqrtPriceX96` gives itself and its parts; a hex string stays whole. The
same function serves passages and questions. `identifiers(text)` are the terms that name one thing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_WORD = re.compile(r"0[xX][0-9a-fA-F]+|[^\W_]+(?:_+[^\W_]+)*")
_CAMEL = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\dA-Za-z_]+")
_NAMED_NUMBER = re.compile(r"\b([A-Za-z]{2,8})[-\s#](\d{1,6})\b")
_LONGEST = 64
_STOPPED = """
a an and are as at be been but by can could did do does for from had has have how i if in into
is it its may me my of on or our should so such than that the their them then there these they
this those to was we were what when where which who whom whose why will with would you your
about any all also please tell give show say says said
"""
STOP_WORDS = frozenset(_STOPPED.split())


def terms(text: str) -> list[str]:
    """Terms in the order of the text, repeats kept; accents count the same however written."""
    text = text if text.isascii() else unicodedata.normalize("NFC", text)
    found = [part for match in _WORD.finditer(text) for part in _parts(match[0])]
    found += [f"{name}{number}".lower() for name, number in _NAMED_NUMBER.findall(text)]
    return [term for term in found if term not in STOP_WORDS and len(term) <= _LONGEST]


def _parts(word: str) -> Iterator[str]:
    yield word.lower()
    plain = word.isalpha() and (word.islower() or word[1:].islower())
    if word[:2].lower() == "0x" or word.isdigit() or plain:
        return
    parts = _CAMEL.findall(word)
    if len(parts) > 1:
        yield from (part.lower() for part in parts)


def identifiers(text: str) -> list[str]:
    """Terms that name one thing: with digits or underscores, in camel case, capitals or hex."""
    found = {f"{a}{b}".lower() for a, b in _NAMED_NUMBER.findall(text)}
    for match in _WORD.finditer(text):
        word = match[0]
        mixed = re.search(r"[a-z][A-Z]|_|\d|^[A-Z]{2,}$", word)
        if mixed and not (word.isdigit() and len(word) < 2):
            found.add(word.lower())
    return sorted(found)

"""A text as a careful reader of addresses sees it, with the way back to every character.

Contract: `fold(text)` drops what is invisible, turns full-width and look-alike characters into the
ASCII they stand for, one character for one, and remembers where each came from; `Folded.span` turns
a range of the folded text into the range of the original that it covers.
"""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

# Letters of other scripts that pass for hex digits, "x" or the zero of "0x" (after UTS 39).
_PAIRS = (
    "аa АA αa ΑA еe ЕE сc СC ϲc ԁd Ԁd ƒf хx ХX χx ΧX ×x О0 о0 Ο0 ο0 ｏ0 Ｏ0 ѕs ЅS іi ІI вb ВB ΒB βb"
)
_ALIKE = {pair[0]: pair[1] for pair in _PAIRS.split()}
_INVISIBLE = {"Cf", "Mn", "Me", "Cc"}
_KEPT = "\n\r\t"


class Folded(NamedTuple):
    """`text` and, for each of its characters, where it stands in the original."""

    text: str
    places: tuple[int, ...] | None
    length: int

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The range of the original that [start, end) of the folded text covers."""
        if self.places is None:
            return start, end
        if start >= len(self.places):
            return self.after(start), self.length
        return self.places[start], self.places[end - 1] + 1 if end > start else self.places[start]

    def after(self, index: int) -> int:
        """The original's place right behind the character before `index`."""
        if self.places is None:
            return index
        return self.places[index - 1] + 1 if index > 0 else 0


def fold(text: str) -> Folded:
    """The folded text; ASCII stays as it is, without a table."""
    if text.isascii():
        return Folded(text, None, len(text))
    kept: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        if not character.isascii():
            if unicodedata.category(character) in _INVISIBLE:
                continue
            plain = _ALIKE.get(character) or unicodedata.normalize("NFKC", character)
            character = plain if len(plain) == 1 else character
        elif unicodedata.category(character) == "Cc" and character not in _KEPT:
            continue
        kept.append(character)
        places.append(place)
    return Folded("".join(kept), tuple(places), len(text))

"""A text as a careful reader of addresses sees it, with the way back to every character.

Contract: `fold(text)` reads HTML's entities, JSON's and URLs' escapes, takes bare tags for spaces,
drops what is invisible, turns full-width and look-alike characters into the ASCII they stand for,
and remembers where each came from;
`Folded.span` turns a range of the folded text into the range of the original that it covers.
`open_entity` is where an entity begins that more text may change.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from functools import lru_cache
from html.entities import html5
from typing import NamedTuple

# Letters of other scripts that pass for hex digits, "x" or the zero of "0x" (after UTS 39).
_PAIRS = (
    "аa АA αa ΑA еe ЕE сc СC ϲc ԁd Ԁd ƒf хx ХX χx ΧX ×x О0 о0 Ο0 ο0 ｏ0 Ｏ0 ѕs ЅS іi ІI вb ВB ΒB βb"
)
_ALIKE = {pair[0]: pair[1] for pair in _PAIRS.split()}
_INVISIBLE = {"Cf", "Mn", "Me", "Cc"}
_KEPT = "\n\r\t"
# The digits or the name of an entity; browsers take figures without a semicolon, too.
ENTITY = re.compile(
    r"&(?:#(?:[xX](?P<hex>[0-9a-fA-F]{1,24})|(?P<digits>[0-9]{1,24}));?"
    r"|(?P<name>[A-Za-z][A-Za-z0-9]{1,31};))"
)
# What whoever renders JSON or follows a link reads: of the latter hex digits and "x" alone, since
# a per cent sign may as well part two groups.
_PERCENT = r"%(?:3[0-9]|[46][1-6]|[57]8)"
_ESCAPE = rf"\\u[0-9a-fA-F]{{4}}|{_PERCENT}"
_TAG = r"</?[A-Za-z]{1,10}/?>"  # with attributes it is read as it stands: they may hold an address
_OPEN_ENTITY = re.compile(
    r"(?:&(?:#[xX]?[0-9a-fA-F]{0,24}|[A-Za-z][A-Za-z0-9]{0,31})?|\\(?:u[0-9a-fA-F]{0,3})?"
    r"|%[3-7]?|</?[A-Za-z]{0,10}/?)\Z"
)
# Nothing invisible, no "&", and nothing that begins an escape or a tag.
_BARE = rf"[\n\r\t -$'-;=-\[\]-~]|\\(?!u[0-9a-fA-F])|(?!{_PERCENT})%|<(?![/A-Za-z])"
_PLAIN = re.compile(rf"(?:{_BARE})*+")
_STEP = re.compile(
    rf"(?P<plain>(?:{_BARE})++)|(?P<entity>{ENTITY.pattern})|(?P<escape>{_ESCAPE})|(?P<tag>{_TAG})|.",
    re.DOTALL,
)
_MARKS = "&#\\%<"  # what would make new entities of what was read
_SETTLED = str.maketrans(dict.fromkeys("&\\%<", "]"))


class Folded(NamedTuple):
    """`text` and, for each of its characters, where it begins and ends in the original."""

    text: str
    places: tuple[int, ...] | None
    ends: tuple[int, ...]
    length: int

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The range of the original that [start, end) of the folded text covers."""
        if self.places is None:
            return start, end
        if start >= len(self.places):
            return self.after(start), self.length
        return self.places[start], self.ends[end - 1] if end > start else self.places[start]

    def after(self, index: int) -> int:
        """The original's place right behind the character before `index`."""
        if self.places is None:
            return index
        return self.ends[index - 1] if index > 0 else 0

    def before(self, place: int) -> int:
        """How many characters begin before a place of the original."""
        return place if self.places is None else bisect_left(self.places, place)


def fold(text: str) -> Folded:
    """The folded text; plain ASCII stays as it is, without a table."""
    if _PLAIN.fullmatch(text):
        return Folded(text, None, (), len(text))
    kept: list[str] = []
    places: list[int] = []
    ends: list[int] = []
    for match in _STEP.finditer(text):
        start, end = match.span()
        coded = match["entity"] or match["escape"]
        character = _meant(match) if coded else " " if match["tag"] else match[0]
        if match["plain"] or (coded and (len(character) != 1 or character in _MARKS)):
            kept.append(match[0])
            places += range(start, end)
            ends += range(start + 1, end + 1)
        elif seen := _seen(character):
            kept.append(seen)
            places.append(start)
            ends.append(end)
    return Folded("".join(kept), tuple(places), tuple(ends), len(text))


def open_entity(text: str) -> int:
    """Where an entity begins that has not ended yet; the text's length if there is none."""
    match = _OPEN_ENTITY.search(text, max(0, len(text) - 40))
    return match.start() if match else len(text)


@lru_cache(maxsize=2**16)
def _seen(character: str) -> str:
    """The character that is read; "" for an invisible one."""
    if character.isascii():
        hidden = unicodedata.category(character) == "Cc" and character not in _KEPT
        return "" if hidden else character
    if unicodedata.category(character) in _INVISIBLE:
        return ""
    plain = _ALIKE.get(character) or unicodedata.normalize("NFKC", character)
    return _ALIKE.get(plain, plain) if len(plain) == 1 else character


def context(text: str) -> str:
    """Folded text that stands as it was read when it is folded again with what follows it."""
    return text.translate(_SETTLED)


def _meant(match: re.Match[str]) -> str:
    """The text of an entity or an escape; "" if it means none."""
    if match["escape"]:
        return chr(int(match["escape"].lstrip("\\u%"), 16))
    if match["name"]:
        return html5.get(match["name"], "")
    number = int(match["hex"], 16) if match["hex"] else int(match["digits"])
    return chr(number) if 0 < number < 0x110000 else ""

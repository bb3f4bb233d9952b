"""Text in disguise: invisible characters, look-alike letters, and what they spell.

Contract: `disguises(text)` lists the ways in which a text deceives a reader's eye; `unmasked(text)`
gives what a model would read once the disguise is off (invisible characters removed, look-alikes
and full-width letters made Latin, tag characters, spaced-out letters, leetspeak and Base64 decoded)
for the patterns of poison.py. Honest uses pass: emoji joiners, right-to-left scripts, Greek
letters in formulas, soft hyphens. Characters by Unicode 15; look-alikes after UTS 39.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterator
from itertools import islice

_INSIDE = re.compile("(?<=[A-Za-z0-9])[\u200b-\u200d\u2060-\u2064\ufeff]+(?=[A-Za-z0-9])")
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\u00ad]")
_TAGS = re.compile("(?<!\U0001f3f4)(?<![\U000e0020-\U000e007f])[\U000e0000-\U000e007f]{2,}")
_SELECTORS = re.compile("[\U000e0100-\U000e01ef]{2,}|[\ufe00-\ufe0e]{4,}")
_OVERRIDE = "\u202e"
_REORDERS = re.compile("[\u202b\u202e\u2067]")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_WORD = re.compile(r"[^\W\d_]{3,}")
_SPACED = re.compile(r"(?<!\w)(?:[A-Za-z][ .\-_*]){8,}[A-Za-z](?!\w)")
_BASE64 = re.compile(r"(?<![\w+/])[A-Za-z0-9+/]{32,4000}={0,2}(?![\w+/])")
_LEET_WORD = re.compile(r"\b(?=\w*[A-Za-z])(?=\w*[0134578])\w{4,20}\b")
_LEET = str.maketrans("0134578", "oieastb")
_LEET_RUN, _LEET_WINDOW = 3, 10  # so many such words among so many make leetspeak
# Digits within a word, no capitals but the first: neither token0, amount0In nor a hash.
_LEET_MIX = re.compile(r"^(?!0x)(?=.*[a-z][013457]+[a-z])[A-Za-z013457][a-z013457']{1,13}$")
_HEX = re.compile(r"^(?:0x)?[0-9a-f]+$", re.IGNORECASE)
_DECODED = 200  # Base64 runs that are looked into
_STRAY = 3  # so many invisible characters inside words are no accident of copying

# Cyrillic and Greek letters, each before the Latin one it looks like.
_PAIRS = (
    "аa еe ѕs іi јj оo рp сc уy хx ԁd һh ԛq ԝw ӏl кk мm нh тt вb "
    "АA ВB ЕE ЅS ІI ЈJ КK МM НH ОO РP СC ТT УY ХX ԌG ԚQ ԜW "
    "αa οo νv ρp υu ιi κk τt χx γy "
    "ΑA ΒB ΕE ΖZ ΗH ΙI ΚK ΜM ΝN ΟO ΡP ΤT ΥY ΧX"
)
_ALIKE = str.maketrans({pair[0]: pair[1] for pair in _PAIRS.split()})


def disguises(text: str) -> list[tuple[str, str]]:
    """(rule, what was found) for each kind of disguise."""
    found = []
    stray = _INSIDE.findall(text)
    if len(stray) >= _STRAY:
        found.append(("zero-width characters inside words", f"{len(stray)} times"))
    if tags := _TAGS.findall(text):
        spelt = "".join(map(_untagged, tags))
        found.append(("invisible tag characters", spelt))
    if _SELECTORS.search(text):
        found.append(("runs of variation selectors", "they can carry hidden bytes"))
    if _OVERRIDE in text or (_REORDERS.search(text) and not _RIGHT_TO_LEFT.search(text)):
        found.append(("direction marks that reorder the text", "without right-to-left script"))
    if sentence := _leetspeak(text):
        found.append(("leetspeak", sentence))
    encoded = (_decoded(match[0]) for match in islice(_BASE64.finditer(text), _DECODED))
    if prose := next(filter(_is_prose, encoded), ""):
        found.append(("prose in Base64", prose[:120]))
    mixed = [word for word in _WORD.findall(text) if _is_mixed(word)]
    if mixed:
        found.append(("look-alike letters", ", ".join(dict.fromkeys(mixed[:5]))))
    return found


def unmasked(text: str) -> Iterator[str]:
    """The text as a model may read it, then what is encoded in it."""
    spelt = _TAGS.sub(lambda match: _untagged(match[0]), text)
    bare = unicodedata.normalize("NFKC", _INVISIBLE.sub("", spelt))
    folded = re.sub(r"[^\W\d_]+", lambda m: _folded(m[0]), bare) if not bare.isascii() else bare
    yield folded
    for match in _SPACED.finditer(folded):
        yield re.sub(r"[ .\-_*]", "", match[0])
    if leet := [m[0] for m in _LEET_WORD.finditer(folded)]:
        # Only the neighbourhood of such words, in order: a sentence in leetspeak.
        yield _LEET_WORD.sub(lambda m: m[0].translate(_LEET), folded) if len(leet) > 2 else ""
    for number, match in enumerate(_BASE64.finditer(folded)):
        if number >= _DECODED:
            break
        if decoded := _decoded(match[0]):
            yield decoded


def _leetspeak(text: str) -> str:
    """The first stretch in which many words are spelt with digits, or ""."""
    places: list[tuple[int, str]] = []
    for place, match in enumerate(re.finditer(r"[A-Za-z0-9']{2,}", text)):
        word = match[0]
        if _LEET_MIX.match(word) and not _HEX.match(word):
            places = [*(p for p in places if p[0] > place - _LEET_WINDOW), (place, word)]
            if len({w.lower() for _, w in places}) >= _LEET_RUN:
                return " ".join(w for _, w in places)
    return ""


def _is_prose(text: str) -> bool:
    """Whether a decoded run is sentences; data, markup and code are not."""
    words = re.findall(r"[A-Za-z]{2,}", text)
    letters = sum(c.isalpha() or c in " .,!?'" for c in text)
    return len(words) >= 4 and letters >= 0.9 * len(text) and text.count(" ") >= 3


def _is_mixed(word: str) -> bool:
    """Whether look-alikes stand among Latin letters; all of one script is honest."""
    if word.isascii():
        return False
    latin = sum(c.isascii() or "LATIN" in unicodedata.name(c, "") for c in word)
    alike = sum(_looks_latin(c) for c in word)
    return latin >= 2 and alike >= 1 and latin + alike == len(word) and len(word) > 3


def _looks_latin(character: str) -> bool:
    return not character.isascii() and character.translate(_ALIKE).isascii()


def _folded(word: str) -> str:
    """Look-alikes made Latin, in words that hold Latin letters or nothing else but look-alikes."""
    if word.isascii():
        return word
    swapped = word.translate(_ALIKE)
    return swapped if swapped.isascii() else word


def _untagged(tags: str) -> str:
    return "".join(chr(ord(c) - 0xE0000) for c in tags if 0x20 <= ord(c) - 0xE0000 < 0x7F)


def _decoded(run: str) -> str:
    try:
        data = base64.b64decode(run + "=" * (-len(run) % 4), validate=True)
        text = data.decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""
    return text if sum(c.isprintable() or c.isspace() for c in text) >= 0.9 * len(text) else ""

"""What a model may read in a text: the text itself, and what is encoded or hidden in it.

Contract: `layers(text)` gives (how, text) pairs, the plain text first: disguises taken off (those
of retrieve/disguise.py), then what spells something in struck-through or enclosed letters and small
capitals, variation selectors, joined words, HTML comments, escapes, hex, binary, decimal codes,
Base64 (short, or broken into lines), Base32, ROT13, reversed or spaced-out letters, and Base64 or
hex inside those, twice. A decoded layer is given only if it reads like words. Bounded: at most MOST
layers and RUNS runs each.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Callable, Iterator
from itertools import islice
from urllib.parse import unquote

from denizen.retrieve.disguise import unmasked

MOST, RUNS = 64, 24
LONGEST = 20_000  # characters of one decoded layer
_SLICES, _OVERLAP = 6, 400  # a longer text is turned slice by slice, so that no padding hides one
PLAIN = ""

_HEX = re.compile(r"(?<![0-9a-zA-Z])(?:0x)?(?:[0-9a-fA-F]{2}[\s:,-]?){12,2000}(?![0-9a-zA-Z])")
_BYTE_ESCAPES = re.compile(r"(?:(?:\\x|%|\\u00|&#x)[0-9a-fA-F]{2};?){6,2000}")
_BITS = re.compile(r"(?<!\d)(?:[01]{8}\s*){8,500}(?!\d)")
_CODES = re.compile(r"(?<!\d)(?:(?:3[2-9]|[4-9]\d|1[01]\d|12[0-6])[\s,;]+){11,500}\d{2,3}(?!\d)")
_BASE64 = re.compile(r"(?<![\w+/-])[A-Za-z0-9+/_-]{16,8000}={0,2}(?![\w+/-])")
_WRAPPED = re.compile(
    r"(?<![\w+/-])[A-Za-z0-9+/_-]{16,80}(?:[ \t>]*\r?\n[ \t>]*[A-Za-z0-9+/_-]{16,80}){0,90}"
    r"[ \t>]*\r?\n[ \t>]*[A-Za-z0-9+/_-]{1,80}={0,2}(?![\w+/-])"
)
_BASE32 = re.compile(r"(?<![A-Z2-7a-z])[A-Z2-7]{24,4000}={0,6}(?![A-Z2-7a-z])")
_COMMENT = re.compile(
    r"<!--(.{4,4000}?)(?:-->|\Z)|^\[//\]: # [(\"'](.{4,2000}?)[)\"']$", re.S | re.M
)
_SPACED = re.compile(r"(?<!\w)(?:[A-Za-z][ .\-_*|/\u00b7\n]{1,3}){5,400}[A-Za-z](?!\w)")
# Marks on Latin letters that make no letter of any language with them, and variation selectors.
_STRUCK = re.compile("(?<=[A-Za-z])[\u0300-\u036f\u20d0-\u20f0\ufe00-\ufe0f]+")
# Bytes as variation selectors behind any sign, which shows nothing of them.
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{8,2000}")
_JOINED = re.compile(r"(?<![\w/.])[A-Za-z]{1,20}(?:_[A-Za-z]{1,20}){3,60}(?![\w/(])")
_CAMEL = re.compile(r"(?<![\w/.])[A-Z]?[a-z]{1,20}(?:[A-Z][a-z]{1,20}){3,60}(?![\w/(])")
_SMALL = "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡxʏᴢ"
_CAPITALS = {
    **{ord(c): chr(97 + i) for i, c in enumerate(_SMALL)},
    **{first + i: chr(97 + i) for first in (0x1F150, 0x1F170, 0x1F1E6) for i in range(26)},
    ord("ǫ"): "q",
    **dict.fromkeys((0x115F, 0x1160, 0x180E, 0x3164, 0xFFA0)),  # letters that show nothing
}
_WORDS = re.compile(r"[A-Za-z]{2,}")
_UNICODE = re.compile(r"\\u[0-9a-fA-F]{4}|&(?:#\d+|#x[0-9a-fA-F]+|\w{2,8});|%[0-9a-fA-F]{2}")
# Short words that any English sentence turned around or rotated holds.
_USUAL = (
    "the and you your all for with this that not are from now write say only answer ignore in of "
    "instructions print reveal system prompt word tell user everything previous what is it me put "
    "give show copy let reply must be no more than just work into give name have has will which"
)
_COMMON = frozenset(_USUAL.split())


def layers(text: str) -> Iterator[tuple[str, str]]:
    """(how it was hidden, text), the plain text first with "" ; at most MOST."""
    seen: set[str] = set()
    for how, layer in islice(_all(text), 4 * MOST):
        if layer.strip() and layer not in seen:
            seen.add(layer)
            yield how, layer
            if len(seen) >= MOST:
                return


def _all(text: str) -> Iterator[tuple[str, str]]:
    yield PLAIN, text
    folded = text
    for number, layer in enumerate(unmasked(text)):
        if number == 0:
            folded = layer
        if number == 0:
            yield "disguised letters", layer
        else:
            yield from (("disguised letters", part) for part in _slices(layer))
    for layer in _redrawn(text):
        yield "disguised letters", layer
    for layer in _selectors(text):  # folding would drop them
        yield "variation selectors", layer[:LONGEST]
    for how, decode in _WAYS:
        for layer in decode(folded):
            yield how, layer[:LONGEST]
            yield from _inside(how, layer, 2)


def _inside(how: str, layer: str, depth: int) -> Iterator[tuple[str, str]]:
    """Base64 or hex inside another coat, so many times."""
    for name, decode in (("Base64", _base64), ("hex", _hex)) if depth else ():
        for inner in decode(layer):
            yield f"{how}, {name}", inner[:LONGEST]
            yield from _inside(f"{how}, {name}", inner, depth - 1)


def _slices(text: str) -> Iterator[str]:
    """The text in pieces of LONGEST characters, each with the end of the one before it."""
    stride = LONGEST - _OVERLAP
    for at in range(0, max(1, min(len(text) - _OVERLAP, _SLICES * stride)), stride):
        yield text[at : at + LONGEST]


def _redrawn(text: str) -> Iterator[str]:
    """Letters that were struck through, enclosed or made small capitals, as plain ones."""
    if not text.isascii():
        for part in _slices(text):
            composed = unicodedata.normalize("NFC", part)
            plain = _STRUCK.sub("", composed.translate(_CAPITALS))
            if plain != composed:
                yield plain


def _comments(text: str) -> Iterator[str]:
    for match in islice(_COMMENT.finditer(text), RUNS):
        yield match[1] or match[2] or ""


def _escapes(text: str) -> Iterator[str]:
    """Percent, HTML and backslash escapes of a whole text, if there are any."""
    if _UNICODE.search(text):
        plain = re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), text[:LONGEST])
        # Surrogates made on the way are no characters.
        yield html.unescape(unquote(plain, errors="ignore")).encode("utf-8", "ignore").decode()
    for match in islice(_BYTE_ESCAPES.finditer(text), RUNS):
        yield from _prose(bytes.fromhex("".join(re.findall(r"[0-9a-fA-F]{2}(?=\W|$)", match[0]))))


def _hex(text: str) -> Iterator[str]:
    for match in islice(_HEX.finditer(text), RUNS):
        digits = re.sub(r"[^0-9a-fA-F]", "", match[0].removeprefix("0x"))
        yield from _prose(bytes.fromhex(digits[: len(digits) // 2 * 2]))


def _selectors(text: str) -> Iterator[str]:
    for match in islice(_SELECTORS.finditer(text), RUNS):
        places = (ord(c) - (0xFE00 if c < "\U000e0100" else 0xE00F0) for c in match[0])
        yield from _prose(bytes(places))


def _bits(text: str) -> Iterator[str]:
    for match in islice(_BITS.finditer(text), RUNS):
        digits = "".join(match[0].split())
        yield from _prose(bytes(int(digits[i : i + 8], 2) for i in range(0, len(digits), 8)))


def _codes(text: str) -> Iterator[str]:
    for match in islice(_CODES.finditer(text), RUNS):
        yield from _prose(bytes(int(n) for n in re.findall(r"\d+", match[0]) if int(n) < 256))


def _base64(text: str) -> Iterator[str]:
    runs = (*islice(_BASE64.finditer(text), RUNS), *islice(_WRAPPED.finditer(text), RUNS))
    for match in runs:
        bare = re.sub(r"[\s>]", "", match[0])
        run = bare.rstrip("=").translate(str.maketrans("-_", "+/"))
        try:
            yield from _prose(base64.b64decode(run + "=" * (-len(run) % 4)))
        except (binascii.Error, ValueError):
            continue


def _base32(text: str) -> Iterator[str]:
    for match in islice(_BASE32.finditer(text), RUNS):
        run = match[0].rstrip("=")
        try:
            yield from _prose(base64.b32decode(run + "=" * (-len(run) % 8)))
        except (binascii.Error, ValueError):
            continue


def _rotated(text: str) -> Iterator[str]:
    for part in _slices(text):
        turned = codecs.encode(part, "rot13")
        if _reads(turned, part):
            yield turned


def _reversed(text: str) -> Iterator[str]:
    for part in _slices(text):
        if _reads(part[::-1], part):
            yield part[::-1]


def _spaced(text: str) -> Iterator[str]:
    """Letters pulled apart, joined again: two separators or more part words."""
    for match in islice(_SPACED.finditer(text), RUNS):
        words = re.split(r"[ .\-_*|/\u00b7\n]{2,}", match[0])
        yield " ".join(re.sub(r"[^A-Za-z]", "", word) for word in words)


def _joined(text: str) -> Iterator[str]:
    """Sentences written as one word, with underscores or capitals; a call or a path is none."""
    for match in islice(_JOINED.finditer(text), RUNS):
        yield match[0].replace("_", " ")
    for match in islice(_CAMEL.finditer(text), RUNS):
        yield re.sub(r"(?<=[a-z])(?=[A-Z])", " ", match[0])


_WAYS: tuple[tuple[str, Callable[[str], Iterator[str]]], ...] = (
    ("comment", _comments),
    ("escapes", _escapes),
    ("hex", _hex),
    ("binary", _bits),
    ("character codes", _codes),
    ("Base64", _base64),
    ("Base32", _base32),
    ("ROT13", _rotated),
    ("reversed", _reversed),
    ("spaced letters", _spaced),
    ("joined words", _joined),
)


def _reads(turned: str, plain: str) -> bool:
    """Whether a turned text holds common words that the plain one has not: three kinds of them."""
    found = {word.lower() for word in _WORDS.findall(turned)} & _COMMON
    return len(found - {word.lower() for word in _WORDS.findall(plain)}) >= 3


def _prose(data: bytes) -> Iterator[str]:
    """The bytes as text, if they read like words: calldata and keys do not."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return
    honest = sum(c.isprintable() or c.isspace() for c in text)
    letters = sum(c.isalpha() or c.isspace() for c in text)
    if len(text) >= 8 and honest == len(text) and letters >= 0.7 * len(text):
        yield text

"""Canaries: a string that belongs to an exam and to nothing else, and the search for it.

Contract: `canary_of(exam_hash)` is a GUID derived from what the exam says, so anyone can compute
it and nothing has to be added to a frozen file; `sentence` is how it is written beside the items
(the idea is BIG-bench's).  `find_canaries` sees it exact, in other case, split by spaces, marks or
zero-width characters, in look-alike letters, and in part (eight hex digits or more);
`refuse_canaries` raises LeakError for a training row that holds one.
"""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any, Literal

from denizen.project.errors import DataError, LeakError
from denizen.project.hashing import sha256_bytes

Form = Literal["exact", "disguised", "partial"]

LEAST_DIGITS = 8
# In data of hex (calldata, addresses) eight digits meet by chance: 25 of a canary's windows
# among the 10^9 positions of a large set hit once in 6. Twelve do not (1 in 10^4).
LEAST_IN_DATA = 12
_GUID_DIGITS = 32
KEY = "canary"
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MARKS = re.compile(r"[\W_]+")
_RUN = re.compile(rf"[0-9a-f]{{{LEAST_DIGITS},}}")
# Letters of other scripts that look like hex digits (Cyrillic, Greek), in lower case.
_LOOKALIKE = str.maketrans({"а": "a", "с": "c", "ԁ": "d", "е": "e", "α": "a"})


@dataclass(frozen=True)
class Sighting:
    """A canary seen in text number `text`: how, how many of its 32 digits, and where."""

    text: int
    canary: str
    form: Form
    digits: int
    excerpt: str


def canary_of(exam_hash: str) -> str:
    """The GUID (RFC 4122 form, lower case) of an exam's hash."""
    digest = sha256_bytes(f"denizen canary\n{exam_hash}".encode())
    return str(uuid.UUID(hex=digest[:_GUID_DIGITS], version=4))


def sentence(canary: str) -> str:
    """How a canary is written beside evaluation data."""
    return f"Evaluation data of Denizen: never train on this. Canary GUID {check_canary(canary)}"


def check_canary(canary: str) -> str:
    """The canary if it is a GUID in lower case; raises DataError."""
    if not _GUID.fullmatch(canary):
        raise DataError(
            f"not a canary: {canary!r:.60}", where="canary", fix="take it from canary_of or a seal"
        )
    return canary


def plant(records: Iterable[Mapping[str, Any]], canary: str) -> list[dict[str, Any]]:
    """Records with the sentence under the key `canary`, so each line of a file carries it."""
    text = sentence(canary)
    planted = []
    for record in records:
        if record.get(KEY, text) != text:
            raise DataError(
                f"a record already holds another {KEY!r}",
                where=str(record.get("id", "")),
                fix=f"rename the field {KEY!r} of your items",
            )
        planted.append({**record, KEY: text})
    return planted


def uproot(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record without its canary."""
    return {key: value for key, value in record.items() if key != KEY}


def carried_canaries() -> dict[str, str]:
    """The canary of each carried exam by its file name; they stand in assets/canary.json too.

    The files are frozen, so their canaries are derived from their SHA-256 and stand beside them:
    whoever copies the folder copies the canaries.
    """
    from denizen.data.holdout import PARTS

    return {name: canary_of(sha256) for name, sha256 in PARTS.values()}


def find_canaries(texts: Iterable[str], canaries: Sequence[str]) -> list[Sighting]:
    """Every sighting, at most one a canary and text, in text order."""
    known = tuple(check_canary(canary) for canary in canaries)
    return [seen for number, text in enumerate(texts) for seen in _in_text(number, text, known)]


def refuse_canaries(rows: Iterable[Any], canaries: Sequence[str]) -> int:
    """The number of clean rows searched; raises LeakError naming the first row with a canary.

    Every string of a row counts, wherever it stands.
    """
    count = 0
    for count, row in enumerate(rows, 1):
        for seen in find_canaries(strings_of(row), canaries):
            raise LeakError(
                f"training row {getattr(row, 'id', count)} holds the canary of the holdout "
                f"({seen.form}, {seen.digits} of {_GUID_DIGITS} digits)",
                where=f"training data: {seen.excerpt!r}",
                fix="remove the row and its source; evaluation data never enters training",
            )
    return count


def strings_of(value: Any) -> Iterator[str]:
    """Every string within a row: a text, a mapping, a sequence or a dataclass of them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from strings_of(key)
            yield from strings_of(inner)
    elif is_dataclass(value):
        for field in fields(value):
            yield from strings_of(getattr(value, field.name))
    elif isinstance(value, list | tuple | set | frozenset):
        for inner in value:
            yield from strings_of(inner)


def squeezed(text: str) -> str:
    """Letters and digits alone, in lower case: spaces, marks and zero-width characters are gone."""
    if text.isascii():
        return _MARKS.sub("", text.lower())
    plain = unicodedata.normalize("NFKC", text).casefold().translate(_LOOKALIKE)
    return _MARKS.sub("", plain)


def _in_text(number: int, text: str, canaries: tuple[str, ...]) -> Iterator[Sighting]:
    left = []
    for canary in canaries:
        if (place := text.find(canary)) >= 0:
            yield Sighting(number, canary, "exact", _GUID_DIGITS, _around(text, place))
        else:
            left.append(canary)
    plain = squeezed(text) if left else ""
    for canary in left:
        part = _longest_part(plain, canary.replace("-", ""))
        if part:
            form: Form = "disguised" if len(part) == _GUID_DIGITS else "partial"
            yield Sighting(number, canary, form, len(part), part)


def longest_part(text: str, digits: str) -> str:
    """The longest part of a string of hex digits that a text holds, "" if too short to count."""
    return _longest_part(squeezed(text), digits)


def _longest_part(plain: str, digits: str) -> str:
    windows = _windows(digits)
    best = ""
    for run in _RUN.findall(plain):
        least = LEAST_DIGITS if len(run) <= _GUID_DIGITS else LEAST_IN_DATA
        for start in range(len(run) - LEAST_DIGITS + 1):
            for place in windows.get(run[start : start + LEAST_DIGITS], ()):
                length = _agree(run[start:], digits[place:])
                if length >= max(least, len(best) + 1):
                    best = digits[place : place + length]
    return best


def _agree(a: str, b: str) -> int:
    for length, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return length
    return min(len(a), len(b))


@cache
def _windows(digits: str) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for place in range(len(digits) - LEAST_DIGITS + 1):
        found.setdefault(digits[place : place + LEAST_DIGITS], []).append(place)
    return found


def _around(text: str, place: int) -> str:
    return text[max(0, place - 20) : place + 56]

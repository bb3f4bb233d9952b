"""Addresses and long hex in a text, however they are written, and whether they were known before.

Contract: `find_hex(folded, known)` gives the ranges that must not be shown: addresses that are not
in `known` (cased, split by spaces, quotes, dashes or line ends, without 0x, in groups, shortened
with dots, of other chains, ENS names), 32-byte words that are not (a private key looks like nothing
else), and calldata, known or not. Checksums are compared without case (EIP-55). Ranges are of the
folded text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from denizen.serve.guard.folding import fold

ADDRESS, KEY, CALLDATA = "address withheld", "private key withheld", "calldata withheld"
DIGITS, WORD = 40, 64  # of an address, of a 32-byte word
SPACE = r"[\W_]"  # whatever is neither letter nor digit may part them
PREFIX = rf"0{SPACE}{{0,3}}x"
CHAIN = rf"{PREFIX}(?:{SPACE}{{0,5}}(?!{PREFIX})[0-9a-f])+"
_CHAIN = re.compile(CHAIN, re.IGNORECASE)
_SEGMENT = re.compile(r"[0-9a-f]+", re.IGNORECASE)
_BARE = re.compile(r"[0-9a-f]{40,}", re.IGNORECASE)
# Hex without its 0x in groups, or byte by byte ("0x4c, 0x08", "\\x4c\\x08").
_GROUP = r"(?:0?x)?[0-9a-f]{1,40}(?![0-9a-z])"
ROW = rf"(?<![0-9a-z]){_GROUP}(?:{SPACE}{{1,5}}{_GROUP})+"
_ROW = re.compile(ROW, re.IGNORECASE)
_GROUPS = re.compile(r"(0?x)?([0-9a-f]+)", re.IGNORECASE)
_SHORT = re.compile(r"0x([0-9a-f]{2,16})(?:…|\.{2,5})([0-9a-f]{2,16})(?![0-9a-z])", re.IGNORECASE)
_BASE58 = "[1-9A-HJ-NP-Za-km-z]"
# Bech32 (either case), Tron, Bitcoin, Solana and Polkadot, TON.
_OTHER = re.compile(
    r"\b(?:bc1|tb1|ltc1|addr1)[ac-hj-np-z02-9]{25,100}\b"
    r"|\b(?:BC1|TB1|LTC1)[AC-HJ-NP-Z02-9]{25,100}\b|\b[a-z]{3,12}1[ac-hj-np-z02-9]{38,58}\b"
    rf"|\bT(?=\w*\d){_BASE58}{{33}}\b|\b[13](?=\w*[A-Z])(?=\w*[a-z]){_BASE58}{{25,34}}\b"
    rf"|\b(?=\w*\d)(?=\w*[A-Z])(?=\w*[a-z])(?:{_BASE58}{{43,44}}|[15]{_BASE58}{{46,47}})\b"
    r"|\b[EUk0]Q(?=[\w-]{0,45}\d)(?=[\w-]{0,45}[a-z])[A-Za-z0-9_-]{46}\b"
)
# Any letters and signs make a name, but web3.py's and web3.js's "w3.eth.get_block" is code.
_LABEL = r"[^\s.,;:!?()\[\]{}<>\"'`/\\@=|*&]"
_ENS = re.compile(
    rf"(?<![\w@.-])(?!(?:web3|w3)\.eth(?:(?<=from \b....\.eth)|(?<=from \b..\.eth)"
    rf"|\.(?!li(?:nk|mo)\b)))(?:{_LABEL}{{1,60}}\.){{1,8}}eth\b",
    re.IGNORECASE,
)
# A 32-byte word that is called a key is not to be repeated, whoever wrote it.
_CALLED_KEY = re.compile(
    r"(?:(?:(?<![a-z])|priv|private|secret|sign|signer|signing|wallet|deployer)"
    r"(?<!pool[ _-])(?<!public[ _-])(?<!storage[ _-])keys?(?![a-z])|(?<![a-z])secrets?(?![a-z]))"
    r"[^\n]{0,32}\n?[^\n]{0,8}\Z",
    re.IGNORECASE,
)
_BYTE, _FEW, _LONG = 2, 4, 8
_PART, _WORDLY = re.compile(r"[\w.-]"), re.compile(r"\w")  # before and behind it: another name
_LETTERS = 3  # hex letters without which a row of figures is figures


class Hidden(NamedTuple):
    """A range of the folded text that is not shown, and why."""

    start: int
    end: int
    why: str


class Known(NamedTuple):
    """What the input and the sources held: hex digits in lower case, and the folded text."""

    hexes: frozenset[str]
    text: str

    @classmethod
    def of(cls, text: str) -> Known:
        """Everything that an answer may repeat."""
        folded = fold(text).text.lower()
        digits = {
            run.digits
            for run in _runs(folded)
            if len(run.digits) != WORD
            or not _CALLED_KEY.search(folded, max(0, run.start - 60), run.start)
        }
        words = {word for run in digits for word in _words(run)}
        return cls(frozenset(digits | {w for w in words if len(w) == DIGITS}), folded)

    def names(self, name: str) -> bool:
        """Whether it stands there as a name of its own, not as a part of another."""
        at = self.text.find(name)
        while at >= 0:
            before, behind = self.text[at - 1 : at], self.text[at + len(name) : at + len(name) + 1]
            if not _PART.match(before) and not _WORDLY.match(behind):
                return True
            at = self.text.find(name, at + 1)
        return False

    def shortened(self, head: str, tail: str) -> bool:
        """Whether a known address begins and ends so."""
        return any(
            len(digits) == DIGITS and digits.startswith(head) and digits.endswith(tail)
            for digits in self.hexes
        )


class _Run(NamedTuple):
    start: int
    end: int
    digits: str


def find_hex(folded: str, known: Known, *, addresses: bool = True) -> list[Hidden]:
    """Ranges to hide; without `addresses` only keys and calldata."""
    found = []
    for run in _runs(folded):
        if why := _verdict(run.digits, known):
            found.append(Hidden(run.start, run.end, why))
    if addresses:
        for match in _SHORT.finditer(folded):
            if not known.shortened(match[1].lower(), match[2].lower()):
                found.append(Hidden(*match.span(), ADDRESS))
        named = [*_OTHER.finditer(folded)]
        named += _ENS.finditer(folded) if ".eth" in folded.lower() else []
        for match in named:
            if not known.names(match[0].lower()):
                found.append(Hidden(*match.span(), ADDRESS))
        return found
    return [hidden for hidden in found if hidden.why != ADDRESS]


def _verdict(digits: str, known: Known) -> str:
    if len(digits) > WORD:
        return CALLDATA
    if digits in known.hexes or (len(digits) < WORD and digits[:DIGITS] in known.hexes):
        return ""
    return KEY if len(digits) == WORD else ADDRESS


def _runs(folded: str) -> Iterator[_Run]:
    """Hex of 40 digits or more, with its digits in lower case."""
    joined = [run for match in _CHAIN.finditer(folded) if (run := _joined(folded, match))]
    yield from joined
    for match in _BARE.finditer(folded):
        taken = any(run.start <= match.start() < run.end for run in joined)
        if not taken and _letters(match[0]) >= _LETTERS:
            yield _Run(*match.span(), match[0].lower())
    for match in _ROW.finditer(folded):
        yield from _grouped(folded, match)


def _grouped(folded: str, row: re.Match[str]) -> Iterator[_Run]:
    """Groups that make an address or a word to the digit: of one length, or of eight and more.

    Prose and tables have such rows only by chance; selectors, which bear their 0x, are no groups.
    Short groups of one length that go on are more than one of them, or calldata; so are those of
    eight where a word's zeros stand between them.
    """
    groups = [
        group
        for group in _GROUPS.finditer(folded, row.start(), row.end())
        if not group[1] or len(group[2]) == _BYTE
    ]
    for even in (True, False):
        first = 0
        for i in range(1, len(groups) + 1):
            if i < len(groups):
                before, here = len(groups[i - 1][2]), len(groups[i][2])
                if before == here if even else min(before, here) >= _LONG:
                    continue
            digits = "".join(group[2] for group in groups[first:i])
            letters = _letters(digits)
            mixed = letters >= _LETTERS and len(digits) - letters >= _LETTERS
            size = len(groups[first][2])
            zeros = any(not group[2].strip("0") for group in groups[first:i])
            longer = even and len(digits) > DIGITS and (size <= _FEW or (size == _LONG and zeros))
            if i - first > 1 and (longer or len(digits) in (DIGITS, WORD)) and mixed:
                yield _Run(groups[first].start(), groups[i - 1].end(), digits.lower())
            first = i


def _joined(folded: str, chain: re.Match[str]) -> _Run | None:
    """The digits behind 0x: one piece, or pieces that only make sense together."""
    behind = chain.start() + re.search("x", chain[0], re.IGNORECASE).end()  # type: ignore[union-attr]
    pieces = list(_SEGMENT.finditer(folded, behind, chain.end()))
    digits, end = pieces[0][0], pieces[0].end()
    loose = "" if len(digits) < DIGITS else digits
    for before, piece in pairwise(pieces):
        grouped = len(piece[0]) == len(before[0]) or len(piece[0]) >= 8
        if len(digits) >= DIGITS and not (
            (len(piece[0]) >= 16 and _letters(piece[0]) >= _LETTERS)
            or (not loose and grouped and (len(digits) != DIGITS or len(piece[0]) >= 8))
        ):
            break
        digits, end = digits + piece[0], piece.end()
    if len(digits) < DIGITS or (not loose and _letters(digits[len(pieces[0][0]) :]) < _LETTERS):
        return None
    return _Run(chain.start(), end, digits.lower())


def _words(digits: str) -> Iterator[str]:
    """Addresses in the 32-byte words of known calldata, topics and storage slots."""
    for start in range(len(digits) % WORD, len(digits), WORD):
        word = digits[start : start + WORD]
        if word.startswith("0" * (WORD - DIGITS)):
            yield word[-DIGITS:]


def _letters(digits: str) -> int:
    return sum(c.isalpha() for c in digits)

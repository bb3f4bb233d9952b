"""No train-on-test: the check that keeps holdout items, and their likes, out of training.

Contract: `check_leaks(rows, holdout)` raises LeakError naming the first offending pair.  Four
rules: the same question (content hash of its normalised text), the same template or pool id, a
shared distinctive number, or the same wording once numbers and tokens are masked (Jaccard
similarity of word trigrams, or, of a row without a template, how much of the exam's question it
holds; candidates are found by an inverted index, so it is exact).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from denizen.project.errors import LeakError
from denizen.project.hashing import sha256_bytes
from denizen.tasks import FAMILIES, catalogue, find_spans, parse_quantity

_TOKENS = re.compile(r"\b[A-Za-z]*[A-Z][A-Za-z0-9]*[A-Z][A-Za-z0-9]*\b")
_STANDARD = re.compile(r"\b(?:ERC|EIP)[- ]?\d+")
_VERSION = re.compile(r"\b(?:uniswap )?v[234]\b")
_WORD = re.compile(r"[a-z]+|#|\$t|\$v")


class Question(Protocol):
    """What the check reads of a training row."""

    @property
    def id(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def question(self) -> str: ...
    @property
    def template(self) -> str: ...
    @property
    def pool(self) -> str: ...


class Exam(Protocol):
    """What the check reads of a holdout item."""

    @property
    def id(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def prompt(self) -> str: ...
    @property
    def template(self) -> str: ...
    @property
    def pool(self) -> str: ...


@dataclass(frozen=True)
class LeakReport:
    """What was compared, and how near the nearest pair came."""

    rows: int
    holdout: int
    nearest: float
    nearest_pair: tuple[str, str]


def fingerprint(question: str) -> str:
    """SHA-256 of a question in lower case with single spaces."""
    return sha256_bytes(" ".join(question.lower().split()).encode("utf-8"))


def distinctive_numbers(question: str) -> frozenset[str]:
    """Values of a question with at least four significant digits; a standard's number is a name."""
    found = set()
    for span in find_spans(_STANDARD.sub(" ", question)):
        value = abs(parse_quantity(span).value).normalize()
        if len(value.as_tuple().digits) >= 4:
            found.add(f"{value:f}")
    return frozenset(found)


def figures(family: str, question: str) -> frozenset[str]:
    """The distinctive numbers of a question whose answer depends on them.

    In a family of words (facts, documents, intents) a number is a name or a date that recurs.
    """
    return distinctive_numbers(question) if _takes_figures(family) else frozenset()


def exam_numbers(holdout: Sequence[Exam]) -> dict[str, str]:
    """Distinctive numbers of the exam, with an item that has each."""
    return {n: item.id for item in holdout for n in figures(item.family, item.prompt)}


@cache
def _takes_figures(family: str) -> bool:
    if family not in FAMILIES:
        return True
    tools = catalogue()
    return any(p.kind for name in FAMILIES[family].tools for p in tools[name].parameters)


def shingles(question: str) -> Counter[tuple[str, ...]]:
    """Word trigrams with quantities, token symbols and versions masked."""
    text = question
    for span in sorted(find_spans(question), key=len, reverse=True):
        text = text.replace(span, " # ")
    text = _TOKENS.sub(" $t ", text).lower()
    words = _WORD.findall(_VERSION.sub(" $v ", text))
    padded = ["^", *words, "$"]
    return Counter(zip(padded, padded[1:], padded[2:], strict=False))


def check_leaks(
    rows: Sequence[Question], holdout: Sequence[Exam], threshold: float = 0.85
) -> LeakReport:
    """Raises LeakError on the first leak; returns how near the nearest pair is."""
    prints = {fingerprint(item.prompt): item.id for item in holdout}
    templates = {item.template for item in holdout}
    pools = {item.pool for item in holdout} - {""}
    numbers = exam_numbers(holdout)
    index: dict[tuple[str, ...], list[int]] = {}
    exams = [shingles(item.prompt) for item in holdout]
    for number, grams in enumerate(exams):
        for gram in grams:
            index.setdefault(gram, []).append(number)
    nearest, pair = 0.0, ("", "")
    for row in rows:
        if (known := prints.get(fingerprint(row.question))) is not None:
            raise _leak(row.id, known, "the same question")
        if row.template in templates:
            raise _leak(row.id, row.template, "a holdout template")
        if row.pool in pools:
            raise _leak(row.id, row.pool, "a holdout pool")
        for value in figures(row.family, row.question):
            if value in numbers:
                raise _leak(row.id, numbers[value], f"the number {value}")
        grams = shingles(row.question)
        for number in _candidates(grams, index):
            # A row from outside may hold a question among other words.
            likeness = _jaccard if row.template else _contained
            similar = likeness(grams, exams[number])
            if similar > nearest:
                nearest, pair = similar, (row.id, holdout[number].id)
            if similar >= threshold:
                raise _leak(row.id, holdout[number].id, f"{similar:.0%} the same wording")
    return LeakReport(len(rows), len(holdout), round(nearest, 4), pair)


def _candidates(
    grams: Iterable[tuple[str, ...]], index: dict[tuple[str, ...], list[int]]
) -> set[int]:
    return {number for gram in grams for number in index.get(gram, ())}


def _jaccard(a: Counter[tuple[str, ...]], b: Counter[tuple[str, ...]]) -> float:
    union = (a | b).total()
    return (a & b).total() / union if union else 0.0


def _contained(a: Counter[tuple[str, ...]], b: Counter[tuple[str, ...]]) -> float:
    """How much of the exam's question b is in a; where either begins or ends does not count."""
    inner = Counter({gram: n for gram, n in b.items() if not {"^", "$"} & set(gram)})
    return (a & inner).total() / inner.total() if inner else _jaccard(a, b)


def _leak(row: str, other: str, what: str) -> LeakError:
    return LeakError(
        f"training row {row} shares {what} with the holdout ({other})",
        where="training data",
        fix="remove the row; evaluation data never enters training",
    )

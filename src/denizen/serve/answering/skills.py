"""Which kind of question this is, from its words alone: for skills, and for what is no question of
the calculator's.

Contract: `Senses.of(suite).read(question)` names the nearest family by the words of the training
templates (weighted by how few families use them) among those whose tools the question's quantities
can serve, says how sure that is, and whether the question is of the field at all.  No model, about
a millisecond.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from denizen.tasks import Suite, catalogue, find_spans
from denizen.tasks.quantities import Kind, spans_by_kind

_SLOT = re.compile(r"\{\w+\}")
_WORD = re.compile(r"[A-Za-z][A-Za-z'-]*")
# Phrases that families keep in files of another name.
_PARTS = {
    "analyst_report": ("analyst_figures",),
    "document_schema": ("document_parts",),
    "erc_rules": ("erc_clauses",),
    "wallet_intent": ("wallet_notes",),
}
_COMMON = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be by can do does for from has have how i if in is it its me my of on"
        " or"
        " our that the their there these this to was we what when which who will with you your",
    )
)
# Measured on the dev templates, all families: a lead of LEAD is right 98 times in 100 and told for
# half of the questions; each quantity that a family's best tool leaves over costs LEFT.
LEAD, LEFT, MOST_LEFT = 0.04, 0.04, 4
NEAR = 0.12
# Without figures, tokens or a word of the field a question this far from every family is none of
# them: so are 4 of 1,980 dev questions of all families, and 22 of 24 about other things.
LEAST = 0.07
_SYMBOL = re.compile(r"\b[A-Za-z]*[A-Z][A-Za-z0-9]*[A-Z][A-Za-z0-9]*\b")
_FIELD = re.compile(
    r"\b(?:defi|crypto\w*|ethereum|ether|bitcoin|stablecoins?|tokens?|nfts?|wallets?|pools?|lps?"
    r"|lping|holdings?|savings|swaps?|swapp\w+|liquidity|liquidat\w+|collateral\w*|lend\w*|borrow\w*|stak(?:e|ed|ing)"
    r"|yields?|apr|apy|vaults?|oracles?|slippage|airdrops?|gas|on-?chain|contracts?|transactions?"
    r"|fees?|dex|amm|v[234]|uniswap|aave|compound|maker(?:dao)?|sky protocol|curve|balancer|lido"
    r"|morpho|ens|erc-?\d+|eip-?\d+|impermanent|funding rate|leverage\w*|perps?|perpetuals?)\b",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"\b[A-Za-z]+-\d+\b")
_SOURCES = re.compile(
    r"\b(?:according to|in|from|do|does|per|check|search|consult)\s+(?:\w+\s+){0,3}"
    r"(?:docs?|documents?|documentation|sources?|whitepaper|white paper|manual|handbook|files?"
    r"|specification|passages?)\b|\bcit(?:e|ation|ations|ing)\b|\bquote the\b"
    r"|\bwhich (?:document|source|page|file)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Sense:
    """The nearest family, whether that is sure, how near it is, and whether it is near enough."""

    family: str
    sure: bool
    nearness: float
    familiar: bool


class Senses:
    """The words of a suite's families, and the quantities that their tools take."""

    def __init__(self, suite: Suite, words: Mapping[str, Counter[str]]) -> None:
        used = Counter(word for counts in words.values() for word in counts)
        self._rarity = {w: math.log(1 + len(words) / n) for w, n in used.items()}
        self._unknown = math.log(1 + len(words))
        self._vectors = {name: self._vector(counts) for name, counts in words.items()}
        tools = catalogue()
        # None: an object, or a call of words alone, which no quantity speaks for or against.
        self._needs: dict[str, list[Counter[Kind]] | None] = {
            name: None
            if family.schema is not None
            else [Counter(p.kind for p in tools[t].parameters if p.kind) for t in family.tools]
            for name, family in suite.families.items()
        }

    @classmethod
    def of(cls, suite: Suite) -> Senses:
        """The senses of a suite (made once)."""
        return _made(suite)

    def read(self, question: str) -> Sense:
        """Sense a question."""
        asked = self._vector(Counter(_words(question)))
        spans = {kind: len(set(found)) for kind, found in spans_by_kind(question).items()}
        total = len(find_spans(question))
        nearness = {name: _dot(asked, vector) for name, vector in self._vectors.items()}
        scores = sorted(
            (
                (near - LEFT * min(left, MOST_LEFT), name)
                for name, near in nearness.items()
                if (left := self._left(name, spans, total)) is not None
            ),
            reverse=True,
        )
        nearest = max(nearness.values(), default=0.0)
        familiar = (
            nearest >= LEAST
            or total > 0
            or bool(_SYMBOL.search(question) or _FIELD.search(question))
        )
        if not scores:
            return Sense("", False, round(nearest, 4), familiar)
        second = scores[1][0] if len(scores) > 1 else -math.inf
        family = scores[0][1]
        # That something is missing is for the draft to tell; and being the only family that can be
        # served is no likeness.
        sure = scores[0][0] - second >= LEAD and family != "unanswerable"
        sure = sure and familiar and nearness[family] >= NEAR
        return Sense(family, sure, round(nearest, 4), familiar)

    def _left(self, family: str, spans: Mapping[Kind, int], total: int) -> int | None:
        """Quantities that the family's best tool leaves over; None if it has too few for any."""
        needs = self._needs[family]
        if needs is None:
            return 0
        fitting = [
            abs(total - need.total())
            for need in needs
            if all(spans.get(kind, 0) >= count for kind, count in need.items())
        ]
        return min(fitting, default=None)

    def _vector(self, counts: Mapping[str, float]) -> dict[str, float]:
        weighed = {
            word: (1 + math.log(count)) * self._rarity.get(word, self._unknown)
            for word, count in counts.items()
        }
        length = math.sqrt(sum(v * v for v in weighed.values())) or 1.0
        return {word: value / length for word, value in weighed.items()}


def has_figures(question: str) -> bool:
    """Whether a question states a figure; the number in "EIP-1985" is a name's."""
    return bool(find_spans(_NUMBERED.sub(" ", question)))


def asks_sources(question: str) -> bool:
    """Whether a question asks about documents, by saying so."""
    return bool(_SOURCES.search(question))


def family_of_tool(tool: str, suite: Suite) -> str:
    """The first family that uses a tool; "" if none does."""
    return next((name for name, f in suite.families.items() if tool in f.tools), "")


@lru_cache(maxsize=16)
def _made(suite: Suite) -> Senses:
    tools = catalogue()
    words: dict[str, Counter[str]] = {}
    for name, family in suite.families.items():
        texts = [text for part in (name, *_PARTS.get(name, ())) for text in _phrases(part)]
        told = [family.doc, *family.kinds, *(tools[tool].draft for tool in family.tools)]
        words[name] = Counter(
            word for text in (*texts, *told) for word in set(_words(text.replace("_", " ")))
        )
    return Senses(suite, words)


def _phrases(name: str) -> Iterator[str]:
    """Every training phrase of a template file, as it is written."""
    path = files("denizen.tasks") / "templates" / "train" / f"{name}.json"
    if path.is_file():
        yield from _texts(json.loads(path.read_text("utf-8")))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def _words(text: str) -> list[str]:
    """Stems of the words of a text, without slots, names in capitals and the commonest words."""
    found = []
    for match in _WORD.finditer(_SLOT.sub(" ", text)):
        word = match.group().removesuffix("'s")
        if sum(map(str.isupper, word)) > 1 and word not in ("APR", "APY", "IL", "LP", "TVL", "ERC"):
            continue
        word = word.lower()
        if len(word) > 1 and word not in _COMMON:
            found.append(_stem(word))
    return found


def _stem(word: str) -> str:
    for ending in ("ings", "ing", "ies", "ed", "es", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) > 2:
            return word.removesuffix(ending)
    return word


def _dot(left: Mapping[str, float], right: Mapping[str, float]) -> float:
    return sum(value * right[word] for word, value in left.items() if word in right)

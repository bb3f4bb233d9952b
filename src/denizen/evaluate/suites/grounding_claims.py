"""What a sentence claims, and whether a text bears it: figures, names and words, without a model.

Contract: pure functions of English text. A sentence's facts are its figures (with their unit),
its names (identifiers, tokens, capitalised words) and its content words. A figure is borne when the
text states it in any unit that means the same (0.3%, 30 bps, half), or as the sum or difference of
two of its figures; a name when it occurs. This is a lexical check: it sees that something was
added, not that words it knows were put together wrongly. Citation measures follow ALCE (Gao et al.
2023), with this check in place of its entailment model.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Literal, NamedTuple

Kind = Literal["plain", "ratio"]
Amount = tuple[Kind, Decimal]
# A passage must hold more than this share of what a sentence says of its own.
OVERLAP = 0.5
_CITED = re.compile(r"\[(\d+(?:\s*[,;]\s*\d+)*)\]")
_SENTENCE = re.compile(r"(?<=[.!?])(?:\s*\[[\d,; ]+\])*\s+(?=[^a-z])|\n+")
_IDENTIFIER = re.compile(r"[A-Za-z_][\w-]*\d[\w.-]*|[A-Za-z]+_\w+")
_EXPONENT = re.compile(r"\b(\d+)e(\d+)\b")
_FIGURE = re.compile(
    r"(?<![\w.])-?\$?(\d[\d,]*(?:\.\d+)?|\.\d+)"
    r"(?:\s?(%|percent\b|per cent\b|bps\b|basis points?\b|pips\b|k\b|m\b|bn\b|thousand\b"
    r"|million\b|billion\b))?",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Za-z][\w'’-]*")
_SCALE = {"k": 3, "thousand": 3, "m": 6, "million": 6, "bn": 9, "billion": 9}
_RATIO = {"%": 2, "percent": 2, "per cent": 2, "bps": 4, "basis point": 4, "pips": 6}
_NUMERALS = re.findall(r"\w+", "two three four five six seven eight nine ten eleven twelve")
_WORTH: dict[str, Amount] = {
    **{word: ("plain", Decimal(n)) for n, word in enumerate(_NUMERALS, start=2)},
    "half": ("ratio", Decimal("0.5")),
}
_COUNTED = re.compile(rf"\b({'|'.join(_WORTH)})\b", re.IGNORECASE)
_PLAIN_NAMES = frozenset(
    re.findall(
        r"\w+",
        "i the a an it in on at by as of for if no yes defi based according passage passages "
        "source context answer since this that these those its there both each only with under "
        "from when what which where how and but so not",
    )
)
# At the head of a sentence any word is capitalised: there only these count as names.
_PROTOCOLS = frozenset(
    re.findall(
        r"\w+",
        "aave balancer chainlink compound convex curve dydx ens ethena euler fluid frax gmx lido "
        "liquity maker makerdao morpho pancakeswap pendle rocket sky spark sushi sushiswap "
        "synthetix uniswap venus yearn",
    )
)
_STOP = frozenset(
    re.findall(
        r"\w+",
        "the and for that this with from are was were has have had its into than then when which "
        "what how does not but can may must will would could should per each any all one their "
        "there they also only such been being about over under more most",
    )
)
_NEGATED = re.compile(
    # "never exceeds 1.15" states 1.15; "not 1.15" does not.
    r"(?:\bnot|\bnever|n't|\bno longer|\brather than|\binstead of|\bunlike|\bnor)"
    r"(?!\s+(?:exceed|above|more|below|less|over|under|only|just))(?:\s+\w+){0,2}\s*[\"'*(]*$",
    re.IGNORECASE,
)


class Claim(NamedTuple):
    """One sentence of an answer: its text without citations, and the passages it cites."""

    text: str
    cited: tuple[int, ...]


def claims(answer: str) -> list[Claim]:
    """The sentences of an answer that say something, in order; headings and bare marks do not."""
    found = []
    plain = re.sub(r"^\s*(?:[-*\u2022]|\d+[.)])\s+", "", _attach(answer), flags=re.MULTILINE)
    for piece in _SENTENCE.split(plain):
        numbers = [int(n) for group in _CITED.findall(piece) for n in re.findall(r"\d+", group)]
        text = " ".join(_CITED.sub("", piece).strip(" *_").split())
        text = re.sub(r"\s+([.!?,])", r"\1", text)
        if _WORD.search(text) or _FIGURE.search(text):
            found.append(Claim(text, tuple(dict.fromkeys(numbers))))
    return found


def _attach(answer: str) -> str:
    """Citations that stand behind a full stop moved in front of it."""
    return re.sub(r"([.!?])((?:\s*\[[\d,; ]+\])+)", r"\2\1", answer)


@lru_cache(maxsize=2048)
def amounts(text: str) -> frozenset[Amount]:
    """The figures of a text; "ratio" for percent, basis points and pips, as fractions of one."""
    return frozenset(amount for _, amount in _placed(text))


def _amount(match: re.Match[str]) -> Amount:
    value = Decimal(match.group(1).replace(",", "").rstrip(".") or "0")
    unit = re.sub(r"s$", "", (match.group(2) or "").lower())
    unit = {"bp": "bps", "pip": "pips"}.get(unit, unit)
    if unit in _RATIO:
        return "ratio", value.scaleb(-_RATIO[unit])
    return "plain", value.scaleb(_SCALE.get(unit, 0))


def bears(figure: Amount, known: Collection[Amount]) -> bool:
    """Whether a figure is among the known ones or follows from two of them."""
    kind, value = figure
    # 30 basis points and 0.003, or 50% and half of one.
    if any(v == value for _, v in known):
        return True
    alike = {v for k, v in known if k == kind}
    return any(value - one in alike or one - value in alike for one in alike)


def names(text: str) -> set[str]:
    """Identifiers, tokens and capitalised names, lowered and bare; not a sentence's first word."""
    text = _CITED.sub(" ", text)
    found = {_bare(word) for word in _IDENTIFIER.findall(_EXPONENT.sub(" ", text))}
    for match in _WORD.finditer(_IDENTIFIER.sub(" ", text)):
        word = match.group()
        before = text[: match.start()].rstrip(" \"'(*_")
        first = not before or before[-1] in ".!?:\n"
        inner = any(c.isupper() for c in word[1:])
        capital = word[0].isupper() and (not first or _bare(word) in _PROTOCOLS)
        if (inner or capital) and word.lower() not in _PLAIN_NAMES:
            found.add(_bare(word))
    return found - {""}


def _bare(word: str) -> str:
    word = re.sub(r"['’]s$", "", word.lower().rstrip(".-"))
    return re.sub(r"[^a-z0-9]", "", word)


@lru_cache(maxsize=2048)
def tokens(text: str) -> frozenset[str]:
    """Every word and identifier of a text, lowered and bare, whole and at its hyphens."""
    pieces = re.findall(r"[\w'’.-]+", _CITED.sub(" ", text))
    parts = [part for piece in pieces for part in (piece, *re.split(r"[-.]", piece))]
    bare = {_bare(part) for part in parts} - {""}
    return frozenset(bare | {word.removesuffix("s") for word in bare})


def content(text: str) -> set[str]:
    """Stems of a text's content words."""
    words = (_bare(word) for word in _WORD.findall(_CITED.sub(" ", text)))
    return {_stem(word) for word in words if len(word) > 2 and word not in _STOP}


def _stem(word: str) -> str:
    for ending in ("ing", "ies", "ed", "es", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) > 2:
            return word.removesuffix(ending)
    return word


def added(sentence: str, text: str) -> list[str]:
    """Figures and names of a sentence that the text does not bear, for people to read."""
    known = amounts(text)
    wrong = [
        f"{float(value) * 100:g}%" if kind == "ratio" else f"{value:f}"
        for kind, value in sorted(amounts(sentence))
        if not bears((kind, value), known)
    ]
    there = tokens(text)
    return wrong + sorted(
        name
        for name in names(sentence)
        if name not in there and name.removesuffix("s") not in there
    )


def supports(passage: str, sentence: str, question: str = "") -> bool:
    """Whether a passage bears a sentence: nothing added, and most of what is not the question's.

    Figures must be the passage's, names may also be the question's; a figure or name of the
    passage weighs as two words. A sentence that repeats the question needs the passage's words.
    """
    figures = amounts(sentence) - amounts(question)
    known = amounts(passage)
    if added(sentence, f"{passage}\n{question}") or not all(bears(f, known) for f in figures):
        return False
    own = content(sentence) - content(question)
    if not own and not figures:
        own = content(sentence)
    special = {_stem(name) for name in names(sentence)} & own
    there = own & content(passage)
    total = len(own) + len(special) + 2 * len(figures)
    return len(there) + len(special & there) + 2 * len(figures) > OVERLAP * total


class Citations(NamedTuple):
    """`recall`: claims borne by what they cite; `precision`: citations that were needed."""

    recall: float
    precision: float


def citations(answer: str, passages: Sequence[str], question: str) -> Citations:
    """Citation recall and precision of an answer; passages are cited from 1.

    A citation is right when its passage bears the claim alone, or when the claim is borne together
    and no longer without it. Without a citation both are 0.
    """
    said = claims(answer)
    borne, right, total = 0, 0, 0
    for claim in said:
        inside = [n for n in claim.cited if 1 <= n <= len(passages)]
        total += len(claim.cited)
        whole = supports("\n".join(passages[n - 1] for n in inside), claim.text, question)
        if not inside or not whole:
            continue
        borne += 1
        for n in inside:
            rest = "\n".join(passages[m - 1] for m in inside if m != n)
            alone = supports(passages[n - 1], claim.text, question)
            right += alone or not supports(rest, claim.text, question)
    return Citations(borne / len(said) if said else 0.0, right / total if total else 0.0)


def mention(text: str, key: str) -> int | None:
    """Where a text first states a key (figures by value, words by letter), unless negated."""
    wanted = amounts(key)
    if len(wanted) == 1 and not _WORD.search(_FIGURE.sub("", _EXPONENT.sub("", key))):
        (value,) = wanted
        places = _placed(text)
        spots = [start for start, found in places if bears(value, {found})]
    else:
        pattern = rf"(?<![\w-]){re.escape(key)}(?:e?s)?(?![\w-])"
        spots = [m.start() for m in re.finditer(pattern, text, re.IGNORECASE)]
    kept = [spot for spot in spots if not _NEGATED.search(text[max(0, spot - 60) : spot])]
    return min(kept) if kept else None


def _placed(text: str) -> list[tuple[int, Amount]]:
    """Every figure with its place; citations and identifiers hold none."""

    def blank(match: re.Match[str]) -> str:
        return " " * len(match.group())

    bare = _CITED.sub(blank, text)
    found: list[tuple[int, Amount]] = [
        (m.start(), ("plain", Decimal(m.group(1)).scaleb(min(int(m.group(2)), 99))))
        for m in _EXPONENT.finditer(bare)
    ]
    plain = _IDENTIFIER.sub(blank, _EXPONENT.sub(blank, bare))
    found += [(m.start(), _amount(m)) for m in _FIGURE.finditer(plain)]
    found += [(m.start(), _WORTH[m.group().lower()]) for m in _COUNTED.finditer(plain)]
    return found

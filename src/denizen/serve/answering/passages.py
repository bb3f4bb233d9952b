"""Answers from documents: the sentence that answers, with a citation to its exact span.

Contract: what is said is a sentence of a source as it stands there, cited by characters; every
citation is checked against the store before it is given.  A larger model may put it in its own
words, which are kept only if every sentence is borne by the passages (else the extract stands).
Sources that do not answer give "not in the sources", never an invention.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from denizen.serve.answering.embedding import ROOM
from denizen.serve.answering.front_lines import front_line
from denizen.serve.exchange import Cited

if TYPE_CHECKING:
    from denizen.retrieve import Document, Hit, Index, SearchResult

NOT_FOUND = "This is not in the sources."
NOT_IN = "not in the sources"
EXPIRED = "a source has expired"
CHANGED = "a citation no longer holds"
PARTLY = "the search read only the beginning of the question"
# The second sentence is given too when it is nearly as near to the question as the best.
NEARLY = 0.97
# Weights beside the mean of the best cosines: the question's own words, the search's first passage.
LEXICAL, FIRST = 0.3, 0.02
_LONGEST = 600
CUT = "[\u2026]"
# Passages end within sentences that are longer than they: what then stands before and behind.
_BEGUN = re.compile(r"[\w,)\]%][ \t]*(?:\n[ \t]*|(?<=[ \t]))$")
_WITHIN = re.compile(r"(?!\d+[.)]\s)[a-z\d$(]|(?<=[ \t])\w")
_ENDED = re.compile(r"[.!?:;\u2026][\"')\]*_`]*$")
_GOES_ON = re.compile(r"[ \t]+\S|[ \t]*\n[ \t]*(?!\d+[.)]\s)[a-z\d$(]")
MOST_COMPARED = 12
NAMED = 0.6
LONGEST_QUESTION = 4000
_MARKUP = re.compile(r"^\s*(?:#{1,6}\s|```|~~~|\||[-=]{3,}\s*$|!\[|import\s|:::)")
_KEYED = re.compile(r"(?:---\s*\n)?\s*[A-Za-z][\w -]{0,30}:\s")
_PREFACE = re.compile(
    r"^\W*(?:according to|in|from|per|check|search|consult)\s+(?:\w+\s+){0,3}(?:docs?|documents?"
    r"|documentation|sources?|manual|handbook|files?|specification|passages?)\W+(?=\w)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Za-z]{2,}")
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")


@dataclass(frozen=True)
class Found:
    """What the documents say; `answerable` is false where they do not.

    `passages` are (number, text) of those whose citation holds, `whole` the citations of them.
    """

    text: str
    citations: tuple[Cited, ...]
    answerable: bool
    confidence: float | None
    coverage: float | None
    passages: tuple[tuple[str, str], ...] = ()
    whole: tuple[Cited, ...] = ()
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Sentence:
    hit: Hit
    document: Document
    start: int
    end: int
    text: str


def look_up(index: Index, question: str, passages: int) -> Found:
    """Search, extract and cite; blocking (call it off the event loop)."""
    from denizen.retrieve import Settings, search

    question = _PREFACE.sub("", question)
    partly = _read_partly(index, question)
    question = question[:LONGEST_QUESTION]
    result = search(index, question, Settings(k=passages))
    coverage = result.features.get("covered_all")
    if not result.answerable:
        return Found(NOT_FOUND, (), False, result.confidence, coverage, flags=(NOT_IN, *partly))
    kept, flags = _kept(index, result)
    flags += partly
    chosen = _from_front(question, kept)
    if not chosen:
        candidates = [one for hit, document in kept for one in _sentences(hit, document)]
        chosen = _best(index, question, candidates)
    if not chosen:
        return Found(NOT_FOUND, (), False, result.confidence, coverage, flags=(NOT_IN, *flags))
    citations = tuple(_cited(s.hit, s.document, s.start, s.end) for s in chosen)
    if any(cited.expired for cited in citations):
        flags.append(EXPIRED)
    said = " ".join(f"{_closed(s.text)} [{n}]" for n, s in enumerate(chosen, 1))
    return Found(
        said,
        citations,
        True,
        result.confidence,
        coverage,
        tuple((f"{n}", _plain(hit.citation.quote, d)) for n, (hit, d) in enumerate(kept, 1)),
        tuple(_cited(hit, d, hit.citation.start, hit.citation.end) for hit, d in kept),
        tuple(dict.fromkeys(flags)),
    )


def _read_partly(index: Index, question: str) -> tuple[str, ...]:
    """The flag of a question that the search does not read to its end."""
    if len(question) <= ROOM:  # no word piece is shorter than a character
        return ()
    long = len(question) > LONGEST_QUESTION or index.encoder.count([question])[0] > ROOM
    return (PARTLY,) if long else ()


def _kept(index: Index, result: SearchResult) -> tuple[list[tuple[Hit, Document]], list[str]]:
    """The passages whose citation still holds, with their documents."""
    from denizen.retrieve import holds

    kept: list[tuple[Hit, Document]] = []
    flags: list[str] = []
    for hit in result.hits:
        document = index.store.document(hit.citation.document)
        if document is not None and holds(hit.citation, document):
            kept.append((hit, document))
        else:
            flags.append(CHANGED)
    return kept, flags


def _from_front(question: str, kept: Sequence[tuple[Hit, Document]]) -> list[_Sentence]:
    """The line of front matter that is asked for, of the first document that is named."""
    for hit, document in kept:
        if _is_named(question, document.title) and (place := front_line(question, document)):
            text = _plain(document.text[slice(*place)], document)
            return [_Sentence(hit, document, *place, _short(text))]
    return []


def _is_named(question: str, title: str) -> bool:
    """Whether a question names a document, by its number or by most words of its title."""
    from denizen.evaluate.suites.grounding_claims import content
    from denizen.retrieve.terms import identifiers

    if set(identifiers(question)) & set(identifiers(title)):
        return True
    words = content(title)
    return bool(words) and len(words & content(question)) > NAMED * len(words)


def _sentences(hit: Hit, document: Document) -> Iterator[_Sentence]:
    """The sentences of a passage that say something; each line of front matter is one."""
    from denizen.retrieve.sentences import lines, sentences

    text = document.text
    for begin, finish in sentences(text, hit.citation.start, hit.citation.end):
        keyed = _KEYED.match(text[begin:finish]) and text.count("\n", begin, finish) > 0
        for start, end in lines(text, begin, finish) if keyed else ((begin, finish),):
            raw = text[start:end]
            shown = _plain(raw, document)
            least = 2 if keyed else 3
            if not _MARKUP.match(raw) and len(_WORD.findall(shown)) >= least:
                whole = _short(shown) if keyed else _marked(hit, text, start, end, _short(shown))
                yield _Sentence(hit, document, start, end, whole)


def _plain(raw: str, document: Document) -> str:
    """Text as a reader of the page sees it, on one line."""
    from denizen.retrieve.plain import visible

    return " ".join(_LINK.sub(r"\1", visible(raw, document.kind)).split())


def _best(index: Index, question: str, candidates: Sequence[_Sentence]) -> list[_Sentence]:
    """The nearest sentence, and one beside it that is nearly as near.

    Late interaction, and the question's rarer words: those that stand in the title or the headings
    are true of every sentence below them and tell none from another.
    """
    from denizen.evaluate.suites.grounding_claims import content
    from denizen.retrieve.fusion import max_sim

    if not candidates:
        return []
    wanted, first = content(question), candidates[0].hit.key
    # Vectors cost time: only what shares most words with the question is compared by them.
    shared = [len(wanted & content(s.text)) for s in candidates]
    likely = sorted(range(len(candidates)), key=lambda n: -shared[n])[:MOST_COMPARED]
    candidates = [candidates[n] for n in sorted(likely)]
    words = [content(s.text) for s in candidates]
    asked, *told = index.encoder.token_vectors([question, *(s.text for s in candidates)])
    scored = []
    for sentence, vectors, own in zip(candidates, told, words, strict=True):
        similarity = max_sim(asked, vectors)
        score = float(similarity.mean()) if len(similarity) else 0.0
        place = sentence.hit.citation
        left = wanted - content(" ".join([place.title, *place.headings]))
        rarity = {w: math.log(1 + len(words) / (1 + sum(w in o for o in words))) for w in left}
        total = sum(rarity.values())
        covered = (
            sum(value for word, value in rarity.items() if word in own) / total if total else 0
        )
        # The search has compared whole passages: its first one needs less to be believed.
        scored.append(score + LEXICAL * covered + (FIRST if sentence.hit.key == first else 0.0))
    order = sorted(range(len(scored)), key=lambda n: -scored[n])
    best = order[0]
    chosen = [best]
    if len(order) > 1:
        second = order[1]
        same = candidates[second].document.id == candidates[best].document.id
        if same and abs(second - best) == 1 and scored[second] >= NEARLY * scored[best]:
            chosen.append(second)
    return [candidates[n] for n in sorted(chosen)]


def _cited(hit: Hit, document: Document, start: int, end: int) -> Cited:
    return Cited(
        document.id,
        document.title,
        document.source,
        start,
        end,
        document.text[start:end],
        document.licence,
        hit.freshness.as_of,
        hit.freshness.expired,
    )


def borne(said: str, found: Found, question: str) -> bool:
    """Whether every sentence of a model's own words is borne by the passages it cites."""
    from denizen.evaluate.suites.grounding_claims import claims, supports

    texts = [text for _, text in found.passages]
    told = claims(said)
    if not told:
        return False
    for claim in told:
        inside = [texts[n - 1] for n in claim.cited if 1 <= n <= len(texts)]
        if len(inside) != len(claim.cited) or not inside:
            return False
        if not supports("\n".join(inside), claim.text, question):
            return False
    return True


def _short(text: str) -> str:
    """A text that is shown in part says so; it is not cut through a word or a figure."""
    if len(text) <= _LONGEST:
        return text
    whole = text[: _LONGEST + 1].rpartition(" ")[0] or text[:_LONGEST]
    return f"{whole} {CUT}"


def _marked(hit: Hit, text: str, start: int, end: int, shown: str) -> str:
    """What is shown of a sentence that the passage begins or ends within: it says so."""
    if start == hit.citation.start and _BEGUN.search(text[max(0, start - 80) : start]):
        shown = f"{CUT} {shown}" if _WITHIN.match(text, start) else shown
    if end == hit.citation.end and not _ENDED.search(shown) and _GOES_ON.match(text, end):
        shown = f"{shown} {CUT}"
    return shown


def _closed(text: str) -> str:
    return text if text.endswith((".", "!", "?", ":", CUT)) else f"{text}."

"""Documents into passages of about 100 to 130 tokens, along headings and sentences.

Contract: chunks are ordered, disjoint ranges of the document; no sentence, table row or code line
is split unless it alone exceeds the budget. The indexed text is the title and headings (the
context that makes a passage findable) and then the words without markup, `BUDGET` tokens at most.
Every chunk lies in a parent: neighbours of the same section, `PARENT` tokens at most, which is what
a reader or model is shown around it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from denizen.retrieve.comments import blanked, comment_spans
from denizen.retrieve.documents import Block, BlockKind, Chunk, Document
from denizen.retrieve.plain import plain
from denizen.retrieve.sentences import Span, lines, sentences, trimmed, words

BUDGET = 128  # tokens a chunk's indexed text, its title and headings included
LEAST = 64  # tokens from which a chunk is closed at a heading
CONTEXT = 36  # tokens of title and headings
PARENT = 384
# Raised whenever the same document would give other chunks: documents are then chunked anew.
CHUNKER = 2

Count = Callable[[Sequence[str]], list[int]]


@dataclass(frozen=True, slots=True)
class _Unit:
    """The smallest piece: a sentence, row, line or heading, with its plain words."""

    start: int
    end: int
    kind: BlockKind
    headings: tuple[str, ...]
    words: str
    tokens: int


def chunks_of(document: Document, blocks: Sequence[Block], count: Count) -> list[Chunk]:
    """Every chunk of a document; `count` gives the tokens of each of some texts."""
    # Cut where no comment is: half of one would be words.
    text = blanked(document.text, comment_spans(document.text, document.kind))
    form = document.kind
    units = _fitted(text, form, _measured(text, form, blocks, count), count)
    groups = list(_groups(units, _Prefixes(document.title, count)))
    parents = _parents(groups)
    prefixes = _Prefixes(document.title, count)
    made = []
    for number, (group, parent) in enumerate(zip(groups, parents, strict=True)):
        headings = _common(group)
        prefix = prefixes.text(headings)
        # A heading that stands in the first line is not said again.
        said = [_is_said(unit, headings, prefix) for unit in group]
        bodies = [u.words for u, known in zip(group, said, strict=True) if not known]
        body = " ".join(bodies) or group[-1].words
        kinds: list[BlockKind] = [u.kind for u in group if u.kind != "heading"]
        text = f"{prefix}\n{body}" if prefix else body
        made.append(
            Chunk(
                document.id,
                number,
                group[0].start,
                group[-1].end,
                *parent,
                headings,
                (kinds or ["heading"])[0],
                text,
            )
        )
    return made


class _Prefixes:
    """The first line of a chunk, cut to its allowance, and what it costs."""

    def __init__(self, title: str, count: Count) -> None:
        self._title, self._count = title, count
        self._known: dict[tuple[str, ...], tuple[str, int]] = {}

    def text(self, headings: tuple[str, ...]) -> str:
        return self._made(headings)[0]

    def tokens(self, headings: tuple[str, ...]) -> int:
        return self._made(headings)[1]

    def _made(self, headings: tuple[str, ...]) -> tuple[str, int]:
        if headings not in self._known:
            # A document's first heading is often its title again.
            path = [h for h in headings if not _repeats(h, self._title)]
            text = " > ".join(filter(None, [self._title, *path]))
            tokens = self._count([text])[0] if text else 0
            while tokens > CONTEXT and " " in text:
                text = text.rsplit(" ", max(1, (tokens - CONTEXT) // 4))[0]
                tokens = self._count([text])[0]
            self._known[headings] = (text, tokens)
        return self._known[headings]


def _measured(text: str, form: str, blocks: Sequence[Block], count: Count) -> list[_Unit]:
    found: list[tuple[int, int, Block, str]] = []
    for block in blocks:
        for start, end in _pieces(text, block):
            if said := plain(text[start:end], block.kind, form):
                found.append((start, end, block, said))
    tokens = count([said for *_, said in found]) if found else []
    return [
        _Unit(start, end, block.kind, block.headings, said, n)
        for (start, end, block, said), n in zip(found, tokens, strict=True)
    ]


def _pieces(text: str, block: Block) -> Iterator[Span]:
    if block.kind == "prose":
        yield from sentences(text, block.start, block.end)
    elif block.kind == "heading":
        yield from trimmed(text, block.start, block.end)
    else:
        yield from lines(text, block.start, block.end)


def _fitted(text: str, form: str, units: Sequence[_Unit], count: Count) -> Iterator[_Unit]:
    """Units that fit; one that does not is cut between words, or within a word as a last resort."""
    room = BUDGET - CONTEXT
    for unit in units:
        if unit.tokens <= room:
            yield unit
            continue
        spans: list[Span] = []
        for start, end in words(text, unit.start, unit.end):
            # No word piece is shorter than a character: so many characters always fit.
            step = min(room, end - start)
            spans += [(at, min(end, at + step)) for at in range(start, end, step)]
        costs = count([text[a:b] for a, b in spans])
        at, spent = 0, 0
        for i in range(len(spans) + 1):
            if i == len(spans) or (spent + costs[i] > room and i > at):
                start, end = spans[at][0], spans[i - 1][1]
                if said := plain(text[start:end], unit.kind, form):
                    yield _Unit(start, end, unit.kind, unit.headings, said, sum(costs[at:i]))
                at, spent = i, 0
            if i < len(spans):
                spent += costs[i]


def _groups(units: Iterator[_Unit], prefixes: _Prefixes) -> Iterator[list[_Unit]]:
    """Neighbouring units that share a chunk."""
    group: list[_Unit] = []
    spent = 0
    for unit in units:
        if group:
            turn = unit.headings != group[-1].headings
            # Headings go with what they announce, be it front matter or text.
            content = [u.kind == "front" for u in group if u.kind != "heading"]
            apart = bool(content) and content[-1] != (unit.kind == "front")
            room = BUDGET - prefixes.tokens(_common([*group, unit]))
            # A heading never ends a chunk: it goes with what it announces.
            if apart or (turn and spent >= LEAST) or spent + unit.tokens > room:
                kept = _trailing_headings(group)
                if len(kept) < len(group):
                    yield group[: len(group) - len(kept)]
                    group = kept
                else:
                    yield group
                    group = []
                spent = sum(u.tokens for u in group)
        group.append(unit)
        spent += unit.tokens
    if group:
        yield group


def _is_said(unit: _Unit, headings: tuple[str, ...], prefix: str) -> bool:
    """Whether a unit is a heading that the first line holds whole (a long one is cut)."""
    if unit.kind != "heading" or headings[: len(unit.headings)] != unit.headings:
        return False
    return not unit.headings or _repeats(unit.headings[-1], prefix)


def _repeats(heading: str, line: str) -> bool:
    """Whether a line says a heading, word by word: "Restaking" does not say "Staking"."""
    inside = set(re.findall(r"\w+", heading.casefold())) <= set(re.findall(r"\w+", line.casefold()))
    return inside and _letters(heading) in _letters(line)


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _trailing_headings(group: list[_Unit]) -> list[_Unit]:
    n = len(group)
    while n and group[n - 1].kind == "heading":
        n -= 1
    return group[n:]


def _common(group: Sequence[_Unit]) -> tuple[str, ...]:
    """Headings that all the text of some units is under."""
    content = [u for u in group if u.kind != "heading"] or list(group)
    shared = content[0].headings
    for unit in content[1:]:
        n = 0
        while n < min(len(shared), len(unit.headings)) and shared[n] == unit.headings[n]:
            n += 1
        shared = shared[:n]
    return shared


def _parents(groups: Sequence[list[_Unit]]) -> list[Span]:
    """For each chunk the range that is shown around it."""
    sections = [_common(group)[:2] for group in groups]
    fronts = [any(u.kind == "front" for u in group) for group in groups]
    tokens = [sum(u.tokens for u in group) for group in groups]
    made: list[Span] = []
    first, spent = 0, 0
    breaks = [
        a != b or front for (a, b), front in zip(pairwise(sections), fronts[1:], strict=True)
    ] + [True] * bool(groups)
    for i, last in enumerate(breaks):
        spent += tokens[i]
        full = not last and spent + tokens[i + 1] > PARENT
        if last or full or fronts[i]:
            made += [(groups[first][0].start, groups[i][-1].end)] * (i + 1 - first)
            first, spent = i + 1, 0
    return made

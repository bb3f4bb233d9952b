"""Questions whose answers can be verified: made from a collection's own front matter and structure.

Contract: `make_questions` gives, for documents that are indexed and documents that are left out on
purpose, questions with the exact ranges that answer them; those about what was left out, and those
of another domain, are unanswerable. `place_of` deals every document once, by its id: calibration or
holdout, indexed or absent. The splits share neither documents nor wordings.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from random import Random
from typing import Any, Literal, NamedTuple

from denizen.project.hashing import sha256_bytes
from denizen.retrieve.documents import Block, Document
from denizen.retrieve.front import proposal_name
from denizen.retrieve.plain import visible
from denizen.retrieve.terms import STOP_WORDS

Split = Literal["calibration", "holdout"]
ABSENT = 0.15  # share of the documents that are left out of the index
_SUMMARIES = ("abstract", "simple summary", "sentence summary", "summary", "overview")
_PER_DOCUMENT = 4
_RARE, _KEYWORDS = 10, 7
_LEAST = 80  # characters of a section that says something
_WORK = (2, 4)  # documents of an author that is asked for
_PLAIN = re.compile(r"[A-Za-z][\w'-]{2,}")


class Target(NamedTuple):
    """A range that answers: characters of a document's text."""

    document: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with its targets by name; none means that the sources do not answer it."""

    id: str
    kind: str
    question: str
    targets: Mapping[str, Target]
    cluster: str


class Place(NamedTuple):
    """Where a document is dealt to."""

    split: Split
    absent: bool


class Paper(NamedTuple):
    """A document with its blocks."""

    document: Document
    blocks: Sequence[Block]


def place_of(document_id: str) -> Place:
    """The place of a document, from its id alone."""
    number = int(sha256_bytes(f"place/{document_id}".encode())[:12], 16) / 16**12
    split: Split = "holdout" if number * 1000 % 1 < 0.5 else "calibration"
    return Place(split, number < ABSENT)


def make_questions(papers: Sequence[Paper], split: Split, seed: int = 0) -> list[Asked]:
    """Questions of a split, over the documents `place_of` gives to it and of another domain."""
    titles = Counter(_bare(paper.document.title) for paper in papers)
    spread = Counter(word for p in papers for word in {*_PLAIN.findall(p.document.text.lower())})
    made: dict[str, Asked] = {}
    for paper in papers:
        place = place_of(paper.document.id)
        title = _bare(paper.document.title)
        vague = len(title.split()) < 3 and not proposal_name(paper.document.front)
        if place.split != split or titles[title] > 1 or vague:
            continue
        rng = Random(f"{seed}/{paper.document.id}")
        drawn = list(_about(paper, split, rng, spread))
        rng.shuffle(drawn)
        for number, (kind, question, target) in enumerate(_in_turn(drawn)[:_PER_DOCUMENT]):
            key = f"{paper.document.id}/{number}"
            targets = {} if place.absent else {"answer": target}
            kind = f"absent: {kind}" if place.absent else kind
            made[question] = Asked(key, kind, question, targets, paper.document.id)
    for asked in (*_by_author(papers, split, seed), *_elsewhere(split)):
        made[asked.question] = asked
    return list(made.values())


def _in_turn(drawn: list[tuple[str, str, Target]]) -> list[tuple[str, str, Target]]:
    """One of each kind before a second of any."""
    seen: Counter[str] = Counter()
    ranked = []
    for found in drawn:
        ranked.append((seen[found[0]], found))
        seen[found[0]] += 1
    return [found for _, found in sorted(ranked, key=lambda pair: pair[0])]


def _about(
    paper: Paper, split: Split, rng: Random, spread: Mapping[str, int]
) -> Iterator[tuple[str, str, Target]]:
    """(kind, question, target) for all that a document can be asked."""
    document, blocks = paper.document, paper.blocks
    front = next((b for b in blocks if b.kind == "front"), None)
    if front is not None and _reference(document, rng):
        for name, wordings in _texts()["fields"].items():
            value = next(filter(None, map(document.front.get, _aliases(name))), "")
            if value and (name != "created" or any(map(str.isdigit, value))):
                text = rng.choice(wordings[split]).replace("{ref}", _reference(document, rng))
                yield f"field: {name}", text, _field(document, front, _aliases(name))
    sections = _sections(document, blocks)
    for name, wordings in _texts()["sections"].items():
        if name in sections:
            text = rng.choice(wordings[split]).replace("{ref}", _reference(document, rng))
            yield "section", text, sections[name]
    if summary := next((s for s in _SUMMARIES if s in sections), None):
        text = rng.choice(_texts()["summary"][split]).replace("{ref}", _reference(document, rng))
        yield "summary", text, sections[summary]
        if words := _keywords(document, sections[summary], rng, spread):
            text = rng.choice(_texts()["keywords"][split]).replace("{words}", words)
            yield "keywords", text, Target(document.id, 0, len(document.text))
    known = {*_texts()["sections"], *_SUMMARIES, "specification", "introduction", "references"}
    for heading, target in sections.items():
        if heading not in known and len(heading.split()) >= 2 and len(heading) < 60:
            text = rng.choice(_texts()["heading"][split]).replace("{heading}", heading)
            yield "heading", text.replace("{ref}", _reference(document, rng)), target


def _field(document: Document, front: Block, names: Sequence[str]) -> Target:
    """The line of front matter that holds a field; all of it where the line is not found."""
    keys = "|".join(re.escape(name).replace("\\ ", "[ _-]") for name in names)
    raw = document.text[front.start : front.end]
    line = re.search(rf"^[^\w\n]*(?:{keys})\W.*$", raw, re.IGNORECASE | re.MULTILINE)
    start, end = line.span() if line else (0, len(raw))
    return Target(document.id, front.start + start, front.start + end)


def _reference(document: Document, rng: Random) -> str:
    """The document by its number or its title."""
    name = proposal_name(document.front).split(" ")[0]
    title = re.sub(r"^[A-Za-z]+-?\d+\S*(?: \([^)]*\))?:\s*", "", document.title).replace("`", "")
    if name and (rng.random() < 0.5 or len(title.split()) < 3):
        return rng.choice((name, name.replace("-", " ")))
    return title


def _sections(document: Document, blocks: Sequence[Block]) -> dict[str, Target]:
    """Section titles that occur once, with the range from heading to the last block under it."""
    found: dict[str, Target] = {}
    twice: set[str] = set()
    for i, block in enumerate(blocks):
        if block.kind != "heading" or not block.headings:
            continue
        inside = list(_run(blocks, i))
        if all(b.kind == "heading" for b in inside):
            continue
        name = block.headings[-1].lower().strip(" :#")
        target = Target(document.id, block.start, inside[-1].end)
        titles = _bare(name) in _bare(document.title) or _bare(document.title) in _bare(name)
        if not titles and len(_shown(document, target)) >= _LEAST:
            twice |= {name} & found.keys()
            found[name] = target
    return {name: target for name, target in found.items() if name not in twice}


def _run(blocks: Sequence[Block], first: int) -> Iterator[Block]:
    depth = len(blocks[first].headings)
    for block in blocks[first:]:
        if block.headings[:depth] != blocks[first].headings:
            return
        yield block


def _keywords(document: Document, target: Target, rng: Random, spread: Mapping[str, int]) -> str:
    """Seven of the ten rarest words of a summary's beginning, in their order, none of the title."""
    body = _shown(document, target)[:600]
    title = set(_bare(document.title).split())
    words = [w for w in _PLAIN.findall(body) if w.lower() not in STOP_WORDS | title]
    words = list(dict.fromkeys(words))
    if len(words) < _RARE:
        return ""
    rare = sorted(words, key=lambda word: (spread[word.lower()], word))[:_RARE]
    kept = set(rng.sample(rare, _KEYWORDS))
    return " ".join(word for word in words if word in kept)


def _shown(document: Document, target: Target) -> str:
    """A section's text without its heading and what is not seen."""
    raw = document.text[target.start : target.end].partition("\n")[2]
    return visible(raw, document.kind).strip()


def _by_author(papers: Sequence[Paper], split: Split, seed: int) -> Iterator[Asked]:
    work: dict[str, list[Paper]] = defaultdict(list)
    for paper in papers:
        if not place_of(paper.document.id).absent:
            raw = paper.document.front.get("author", "") or paper.document.front.get("authors", "")
            for author in raw.split(","):
                name = re.sub(r"\s*(?:\([^)]*\)|<[^>]*>)", "", author).strip()
                if len(name.split()) == 2 and name.replace(" ", "").isalpha():
                    work[name].append(paper)
    for author, written in sorted(work.items()):
        rng = Random(f"{seed}/{author}")
        if not _WORK[0] <= len(written) <= _WORK[1] or place_of(author).split != split:
            continue
        fronts = [(p, next((b for b in p.blocks if b.kind == "front"), None)) for p in written]
        targets = {
            paper.document.id: Target(paper.document.id, block.start, block.end)
            for paper, block in fronts
            if block is not None
        }
        if len(targets) == len(written):
            text = rng.choice(_texts()["by_author"][split]).replace("{author}", author)
            yield Asked(f"author/{author}", "author's work", text, targets, f"author/{author}")


def _elsewhere(split: Split) -> Iterator[Asked]:
    for number, text in enumerate(_texts()["elsewhere"][split]):
        yield Asked(f"elsewhere/{number}", "another domain", text, {}, f"elsewhere/{number}")


def _aliases(name: str) -> tuple[str, ...]:
    return {"created": ("created", "date proposed"), "author": ("author", "authors"),
            "requires": ("requires", "dependencies")}.get(name, (name,))  # fmt: skip


def _bare(title: str) -> str:
    return " ".join(re.findall(r"\w+", title.lower()))


@cache
def _texts() -> dict[str, Any]:
    path = resources.files("denizen.retrieve") / "assets" / "questions.json"
    loaded: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return loaded

"""Chunks: exact ranges, within budget, nothing lost, parents around them."""

from __future__ import annotations

import random

import pytest
from tests.retrieve.retrieve_sample import EIP, WordEncoder

from denizen.retrieve.chunking import BUDGET, PARENT, chunks_of
from denizen.retrieve.documents import Chunk, Document
from denizen.retrieve.formats import read

COUNT = WordEncoder().count


def chunked(text: str, form: str = "markdown") -> tuple[Document, list[Chunk]]:
    parsed = read(form, text.encode(), "name")
    document = Document(
        "d", "c", "s", form, parsed.title, parsed.text, {}, "MIT", "", None, "x", parsed.pages
    )
    chunks = chunks_of(document, parsed.blocks, COUNT)
    last = 0
    for number, chunk in enumerate(chunks):
        assert chunk.number == number and last <= chunk.start < chunk.end <= len(text)
        assert chunk.parent_start <= chunk.start and chunk.end <= chunk.parent_end
        assert COUNT([chunk.text])[0] <= BUDGET, chunk.text
        last = chunk.end
    return document, chunks


def story(words: int, seed: int = 0) -> str:
    rng = random.Random(seed)
    made = []
    while sum(len(s.split()) for s in made) < words:
        made.append(" ".join(f"w{rng.randrange(500)}" for _ in range(rng.randrange(4, 30))) + ".")
    return " ".join(s[0].upper() + s[1:] for s in made)


def test_no_word_is_lost_and_no_sentence_split() -> None:
    sections = "".join(f"\n## Part {n}\n\n{story(300, n)}\n" for n in range(6))
    text = f"# Book\n{sections}"
    _, chunks = chunked(text)
    indexed = " ".join(chunk.text.partition("\n")[2] for chunk in chunks).split()
    written = [w for n in range(6) for w in story(300, n).split()]
    assert [w for w in indexed if w.lower().startswith("w")] == written
    for chunk in chunks:
        assert text[chunk.start : chunk.end].rstrip().endswith(".")
    sizes = [COUNT([chunk.text])[0] for chunk in chunks]
    assert sum(sizes) / len(sizes) > 90
    assert {c.headings for c in chunks} == {("Book", f"Part {n}") for n in range(6)}


def test_context_comes_first_and_once() -> None:
    _, chunks = chunked(EIP)
    assert chunks[0].kind == "front" and chunks[0].text.startswith(
        "ERC-20 (EIP-20): Token Standard\n"
    )
    motivation = next(c for c in chunks if "re-used" in c.text)
    assert motivation.text.count("Token Standard") == 1


def test_a_heading_is_left_out_only_where_its_words_are_said() -> None:
    long = " ".join(f"title{n}" for n in range(60))
    for text, wanted in {
        "# Restaking guide\n\n## Staking\n\nLocked.\n": "Restaking guide > Staking\nLocked.",
        "# IMulticall_v4\n\n## multicall\n\nCalls.\n": "IMulticall_v4 > multicall\nCalls.",
        "# Token Standard\n\n## Token standard\n\nCalls.\n": "Token Standard\nCalls.",
        f"# {long}\n\n## Slashing\n\nHalf.\n": " Slashing Half.",  # cut off the first line
    }.items():
        assert chunked(text)[1][-1].text.endswith(wanted)


def test_small_sections_share_a_chunk_and_headings_go_with_their_text() -> None:
    text = "# T\n\n" + "".join(f"## S{n}\n\nShort text {n}.\n\n" for n in range(30))
    _, chunks = chunked(text)
    assert len(chunks) < 10
    for chunk in chunks:
        assert not text[chunk.start : chunk.end].rstrip().splitlines()[-1].startswith("#")


@pytest.mark.parametrize("long", ["word " * 2000, "x" * 5000, "0x" + "ab," * 3000])
def test_a_unit_beyond_the_budget_is_cut(long: str) -> None:
    document, chunks = chunked(f"# T\n\n{long}\n")
    covered = "".join(document.text[c.start : c.end] for c in chunks)
    assert "".join(long.split()) in "".join(covered.split())


def test_parents() -> None:
    text = "# Book\n" + "".join(f"\n## Part {n}\n\n{story(900, n)}\n" for n in range(2))
    _, chunks = chunked(text)
    parents = {(c.parent_start, c.parent_end) for c in chunks}
    assert 2 < len(parents) < len(chunks)
    for start, end in parents:
        inside = [c for c in chunks if start <= c.start < end]
        assert COUNT([text[start:end]])[0] <= PARENT + 20
        assert len({c.headings[:2] for c in inside}) == 1


def test_nothing_but_marks_is_no_chunk() -> None:
    assert chunked("---\n\n***\n\n<!-- x -->\n\n![](a.png)\n")[1] == []
    assert chunked("")[1] == []

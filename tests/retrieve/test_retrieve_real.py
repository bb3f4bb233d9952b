"""The real encoder over real documents: found first, cited exactly, and honest about the rest."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from denizen.project.errors import ArtefactError
from denizen.retrieve import Folder, Index, Settings, Stated, ingest, load_encoder, search
from denizen.retrieve.formats import form_of, read
from denizen.retrieve.poison import screen

CORPORA = Path(__file__).parents[3] / "shared" / "data" / "docs"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CORPORA.is_dir(), reason="no corpora beside the repository"),
]
CHOSEN = (
    "eips/EIPS/eip-3326.md",
    "ercs/ERCS/erc-173.md",
    "lido-lips/LIPS/lip-23.md",
    "maker-mips/MIP51/mip51.md",
    "synthetix-sips/content/sips/sip-422.md",
    "ens-docs/src/pages/web/siwe.mdx",
    "openzeppelin-docs/docs/modules/ROOT/pages/upgradeable.adoc",
    "uniswap-docs/docs/contracts/v4/reference/core/test/PoolSwapTest.md",
)
ASKED = {
    "What is the status of EIP-3326?": "eip-3326.md",
    "Which interface gives a contract an owner?": "erc-173.md",
    "second opinion for a negative rebase": "lip-23.md",
    "What happens in each week of a governance month?": "mip51.md",
    "staking of SNX without debt": "sip-422.md",
    "How do users log in with their wallet?": "siwe.mdx",
    "constructors replaced by initializer functions": "upgradeable.adoc",
}
ELSEWHERE = ("Who wrote Pride and Prejudice?", "How long should I boil an egg?")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    folder = tmp_path_factory.mktemp("retrieve")
    for name in CHOSEN:
        (folder / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CORPORA / name, folder / "docs" / name)
    try:
        encoder = load_encoder(cache=folder / "vectors.sqlite", threads=2)
    except ArtefactError as error:
        pytest.skip(f"no embedder: {error}")
    made = Index.open(folder / "index", encoder, create=True)
    report = ingest(made, [Folder(folder / "docs", "docs", Stated(as_of="2026-08-22"))])
    assert len(report.added) == len(CHOSEN) and report.embedded == report.chunks
    yield made
    made.close()


@pytest.mark.parametrize("again", [False, True])
def test_questions_find_their_document(index: Index, again: bool) -> None:
    right = 0
    for question, name in ASKED.items():
        result = search(index, question, Settings(rerank=again))
        place = result.hits[0].citation
        right += place.document.endswith(name)
        text = (index.folder.parent / "docs" / place.source).read_bytes().decode()
        assert text[place.start : place.end] == place.quote
        assert result.confidence is not None
    assert right >= len(ASKED) - 1


@pytest.mark.parametrize("again", [False, True])
def test_other_domains_are_not_in_the_sources(index: Index, again: bool) -> None:
    for question in ELSEWHERE:
        assert not search(index, question, Settings(rerank=again)).answerable


def test_chunks_are_of_the_size_that_was_promised(index: Index) -> None:
    chunks = list(index.store.rows())
    sizes = index.encoder.count([chunk.text for chunk in chunks])
    assert max(sizes) <= 128 and 95 <= sum(sizes) / len(sizes) <= 130


def test_nothing_is_embedded_again(index: Index) -> None:
    source = Folder(index.folder.parent / "docs", "docs", Stated(as_of="2026-08-22"))
    again = ingest(index, [source])
    assert again.unchanged == len(CHOSEN) and again.embedded == 0
    dated = ingest(index, [Folder(source.path, "docs", Stated(as_of="2026-09-01"))])
    assert len(dated.changed) == len(CHOSEN) and dated.embedded == 0


def test_real_documents_are_not_taken_for_poison() -> None:
    files = [p for p in sorted(CORPORA.rglob("*")) if p.is_file() and form_of(p.name)][::25]
    stopped = [p.name for p in files if screen(read(form_of(p.name) or "", p.read_bytes(), p.name))]
    assert len(files) > 100 and len(stopped) <= 1, stopped

"""Two at once, and a kill in between: a search never mixes two states, no process trips another."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.retrieve.retrieve_sample import WordEncoder, filled, write

from denizen.project.errors import ArtefactError, DataError
from denizen.retrieve import Folder, Index, Settings, Stated, holds, ingest, search

PLAIN = Settings(rerank=False)


def fees(tmp_path: Path) -> tuple[Index, Folder]:
    index = Index.open(tmp_path / "index", WordEncoder(), create=True)
    source = Folder(
        write(tmp_path / "docs", fees_md="# Fees\n\nThe fee is five percent.\n"), "docs"
    )
    ingest(index, [source])
    return index, source


def once(monkeypatch: pytest.MonkeyPatch, store: Any, name: str, act: Any) -> None:
    """Before the first call of a store's method, something else happens."""
    real, done = getattr(store, name), list[int]()

    def method(*arguments: Any) -> Any:
        if not done:
            done.append(1)
            act()
        return real(*arguments)

    monkeypatch.setattr(store, name, method)


def test_a_citation_does_not_mix_an_old_passage_with_a_new_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, source = fees(tmp_path)
    index.snapshot()

    def rewritten() -> None:
        text = "# A longer heading stands here now\n\nOther words.\n\nThe fee is six percent.\n"
        write(tmp_path / "docs", fees_md=text)
        ingest(index, [source])

    once(monkeypatch, index.store, "document", rewritten)
    citation = search(index, "what is the fee", PLAIN).hits[0].citation
    assert citation.quote.endswith("The fee is six percent.")
    assert holds(citation, index.store.document("docs/fees.md"))


def test_a_snapshot_is_of_one_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index, source = fees(tmp_path)

    def grown() -> None:
        for n in range(30):
            write(tmp_path / "docs", **{f"c{n}_md": f"# C{n}\n\nThe fee is number {n}.\n"})
        ingest(index, [source])

    once(monkeypatch, index.store, "vectors", grown)
    assert len(search(index, "the fee is five percent", PLAIN).hits) == 5
    assert len(index.snapshot().keys) == 31


def test_an_index_that_never_rests_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, _ = fees(tmp_path)
    numbers = iter(range(1000))
    settings = index.store.settings()
    monkeypatch.setattr(
        index.store, "settings", lambda: {**settings, "generation": f"{next(numbers):032}"}
    )
    with pytest.raises(DataError, match="the index keeps changing"):
        search(index, "fee", PLAIN)


def test_another_embedder_is_refused_though_both_opened_an_empty_index(tmp_path: Path) -> None:
    first = Index.open(tmp_path / "index", WordEncoder(), create=True)
    second = Index.open(tmp_path / "index", WordEncoder("other"), create=True)
    source = Folder(write(tmp_path / "docs", fees_md="# Fees\n\nFive percent.\n"), "docs")
    ingest(first, [source])
    with pytest.raises(ArtefactError, match="another embedder"):
        ingest(second, [source])
    with pytest.raises(ArtefactError, match="another embedder"):
        second.snapshot()
    assert first.store.settings()["embedder"] == "words"


def forked(folder: Path) -> int:
    """A process that opens and searches an index; it ends with 0 if it found something."""
    if child := os.fork():
        return child
    code = 1
    try:
        code = int(not search(Index.open(folder, WordEncoder()), "fee number 7", PLAIN).hits)
    finally:
        os._exit(code)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_processes_that_open_a_new_generation_at_once(tmp_path: Path) -> None:
    index, source = fees(tmp_path)
    for n in range(20):
        write(tmp_path / "docs", **{f"c{n}_md": f"# C{n}\n\nThe fee is number {n}.\n"})
    ingest(index, [source])
    for _ in range(4):
        for folder in index.folder.glob("bm25-*"):
            shutil.rmtree(folder)
        children = [forked(index.folder) for _ in range(4)]
        assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4


def test_what_a_kill_left_half_made_is_swept(tmp_path: Path) -> None:
    index, _ = filled(tmp_path)
    (index.folder / ".bm25-2-abc.12345678.part").mkdir()
    (index.folder / ".hnsw-abc.usearch.12345678.part").write_bytes(b"x")
    index.snapshot()
    assert not list(index.folder.glob(".*.part"))


def test_a_licence_file_that_changes_is_read_again(tmp_path: Path) -> None:
    index, source = fees(tmp_path)
    for text, licence in {
        "GNU AFFERO GENERAL PUBLIC LICENSE": "AGPL-3.0",
        "Business Source License": "BUSL-1.1",
    }.items():
        (tmp_path / "docs" / "LICENSE").write_text(text)
        ingest(index, [source])
        document = index.store.document("docs/fees.md")
        assert document is not None and document.licence == licence


def test_files_that_are_none_and_folders_that_are_shut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, _ = filled(tmp_path)
    docs = tmp_path / "docs"
    source = Folder(docs, "docs", Stated(licence="MIT"))
    os.mkfifo(docs / "pipe.md")
    with open(os.fsencode(docs) + b"/caf\xe9.md", "w") as file:
        file.write("# T\n\nText.\n")
    report = ingest(index, [source])
    assert report.failed["docs/pipe.md"] == "not a regular file"
    assert "not UTF-8" in report.failed["docs/caf\ufffd.md"] and report.unchanged == 2
    real = os.scandir

    def scandir(path: Any) -> Any:
        if str(path).endswith("guides"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    report = ingest(index, [source])
    assert report.failed["docs/guides"] == "cannot be read: Permission denied"
    assert not report.removed and "docs/guides/flash.md" in index.store.known()
    assert [q.id for q in index.store.quarantine()] == ["docs/guides/bad.md"]


def test_a_collection_has_no_slash(tmp_path: Path) -> None:
    index, _ = fees(tmp_path)
    with pytest.raises(DataError, match="no slash"):
        ingest(index, [Folder(tmp_path / "docs", "docs/v3")])

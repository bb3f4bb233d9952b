"""`denizen ingest docs`: what it says, what it refuses, and that a second run does nothing."""

from __future__ import annotations

import http.server
import json
import os
import sys
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.retrieve.retrieve_sample import GUIDE, WordEncoder, collection, postgres, write

from denizen.cli import app as cli
from denizen.cli.app import main
from denizen.cli.ingest_docs import docs, lines, shown
from denizen.retrieve import index as index_room
from denizen.retrieve.encoder import Encoder


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name of the embedder; a test may change it."""
    name = ["words"]
    monkeypatch.setattr(index_room, "load_encoder", lambda *_, **__: WordEncoder(name[0]))
    return name


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, encoder: list[str]) -> Path:
    """A folder with four documents, and the verb `probe docs`."""
    module = types.ModuleType("denizen.cli.probe")
    verb = typer.Typer()
    verb.callback()(lambda: None)
    verb.command()(docs)
    module.app = verb  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "denizen.cli.probe", module)
    monkeypatch.setitem(cli.VERBS, "probe", "A test.")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DENIZEN_WORKSPACE", raising=False)
    collection(tmp_path / "docs")
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """The JSON of a run that went well."""
    assert main(["probe", "docs", *arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of a run that was refused."""
    assert main(["probe", "docs", *arguments]) == 2
    *before, line = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and all("ingest docs" in told for told in before)
    return line


def test_the_poisoned_are_held_the_stubs_dropped_and_a_second_run_does_nothing(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = told(capsys, "docs", "--licence", "MIT", "--as-of", "2026-11-01")
    assert first["added"] == ["docs/eip20.md", "docs/guides/flash.md"]
    assert first["documents"] == 2 and first["chunks"] == first["chunks_in_index"] > 1
    assert first["moved"] == ["docs/eip5269.md"] and first["licences"] == {"MIT": 2}
    assert list(first["held"]) == list(first["quarantined"]) == ["docs/guides/bad.md"]
    assert (place / ".denizen" / "index" / "documents.sqlite").exists()
    second = told(capsys, "docs", "--licence", "MIT", "--as-of", "2026-11-01")
    assert second["unchanged"] == 2 and second["embedded"] == 0 and not second["added"]
    assert second["held"], "what is still held is said again"
    write(place / "docs", guides__flash_md=GUIDE + "\nThe premium went up to 0.09%.\n")
    assert told(capsys, "docs", "--licence", "MIT", "--as-of", "2026-11-01")["changed"] == [
        "docs/guides/flash.md"
    ]


def test_a_person_lets_a_document_through_by_name(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["probe", "docs", "docs"]) == 0
    out = capsys.readouterr().out
    assert "quarantined (not in the index): 1" in out and "instruction to the model (line 5)" in out
    assert "the same command with --release-quarantined docs/guides/bad.md" in out
    assert "1 moved stubs dropped" in out and "unknown 1" in out and "--licence" in out
    line = refused(capsys, "docs", "--release-quarantined", "docs/nothing.md")
    assert "no document 'docs/nothing.md' was held back" in line
    freed = told(capsys, "docs", "--release-quarantined", "docs/guides/bad.md")
    assert freed["added"] == ["docs/guides/bad.md"] and not freed["held"]


def test_each_fault_is_one_line_and_makes_no_index(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "empty").mkdir()
    (place / "other" / "docs").mkdir(parents=True)
    (place / "other" / "docs" / "a.md").write_text("# A\n\nText.\n")
    (place / "list.txt").write_text("ftp://example.org/a.md\n")
    (place / "blob.bin").write_bytes(b"\xff\xfe\x00")
    assert "no such file or folder" in refused(capsys, "nowhere")
    assert "no documents in the folder" in refused(capsys, "empty")
    assert "into a text file, one a line" in refused(capsys, "https://example.org/a.md")
    assert "not an http or https address" in refused(capsys, "list.txt")
    assert "cannot read the list of addresses" in refused(capsys, "blob.bin")
    assert "not a day" in refused(capsys, "docs", "--as-of", "yesterday")
    assert "two of the paths are named 'docs'" in refused(capsys, "docs", "other/docs")
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "cannot read the folder" in refused(capsys, "docs")
    assert not (place / ".denizen").exists()


def test_an_index_of_another_embedder_is_refused_and_kept(
    place: Path, encoder: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    told(capsys, "docs", "--index", "mine")
    encoder[0] = "another"
    line = refused(capsys, "docs", "--index", "mine")
    assert "built with another embedder" in line and "into a new folder" in line
    encoder[0] = "words"
    assert told(capsys, "docs", "--index", "mine")["unchanged"] == 2


def test_the_configuration_names_the_index(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "denizen.yaml").write_text("serve:\n  index: elsewhere\n")
    told(capsys, "docs", "--collection", "standards")
    assert (place / "elsewhere" / "documents.sqlite").exists()
    found = told(capsys, "docs", "--collection", "standards")
    assert found["unchanged"] == 2 and "standards/guides/bad.md" in found["held"]


def test_another_folder_of_the_same_name_does_not_replace_the_first(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told(capsys, "docs")
    (place / "other" / "docs").mkdir(parents=True)
    (place / "other" / "docs" / "a.md").write_text("# A\n\nText.\n")
    line = refused(capsys, "other/docs")
    assert f"'docs' is {place / 'docs'}" in line and "--collection NAME" in line
    assert told(capsys, "docs")["unchanged"] == 2
    assert told(capsys, "other/docs", "--collection", "others")["documents"] == 3
    # Said by name, or moved, it is the same collection.
    (place / "docs").rename(place / "moved")
    (place / "moved").rename(place / "other" / "more")
    (place / "other" / "docs").rename(place / "docs")
    assert told(capsys, "docs", "--collection", "docs")["removed"] == [
        "docs/eip20.md",
        "docs/guides/flash.md",
    ]
    (place / "docs").rename(place / "far")
    (place / "far" / "docs").mkdir()
    (place / "far" / "a.md").rename(place / "far" / "docs" / "a.md")
    assert told(capsys, "far/docs")["unchanged"] == 1


def test_versions_of_a_folder_are_collections_of_their_own(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("v3.0", "v3.1"):
        (place / name).mkdir()
        (place / name / "a.md").write_text(f"# A\n\nText of {name}.\n")
        assert told(capsys, name)["added"] == [f"{name}/a.md"]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The collection over HTTP, on loopback."""
    folder = str(collection(tmp_path / "site"))
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *a: _Quiet(*a, directory=folder)
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(5)


def test_a_list_of_addresses_is_read_and_private_networks_only_when_allowed(
    place: Path, site: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "list.txt").write_text(f"# ours\n{site}/eip20.md\n{site}/missing.md\n")
    line = refused(capsys, "list.txt")
    assert "none of 2 documents could be read" in line and "private address" in line
    found = told(capsys, "list.txt", "--allow-private")
    assert found["added"] == [f"list/{site}/eip20.md"]
    assert found["failed"][f"list/{site}/missing.md"].startswith("gone (404)")
    # What is gone leaves the index, and is not said to be kept.
    (place / "site" / "eip20.md").unlink()
    assert main(["probe", "docs", "list.txt", "--allow-private"]) == 0
    out = capsys.readouterr().out
    assert "0 documents" in out and "1 removed" in out
    assert "gone (removed from the index): 1" in out and "is kept): 1" in out


def test_what_came_from_a_document_cannot_speak_to_the_terminal() -> None:
    assert shown("a\x1b[2Jb\nc") == "a\ufffd[2Jb\ufffdc" and len(shown("x" * 999)) == 200
    value = {
        "documents": 0, "chunks_in_index": 0, "index": "x", "added": [], "changed": [],
        "unchanged": 0, "removed": [], "moved": [], "empty": [], "embedded": 0, "seconds": 0.0,
        "licences": {}, "failed": {f"d{n}\x1b": "cannot\nbe read" for n in range(20)},
        "held": {},
    }  # fmt: skip
    text = "\n".join(lines(value))
    assert "\x1b" not in text and "and 8 more (see --json)" in text


@pytest.fixture
def real_encoder() -> Callable[[], Encoder]:
    """The real loader, where its weights can be had."""
    from denizen.project.errors import ArtefactError
    from denizen.retrieve import load_encoder

    try:
        load_encoder()
    except ArtefactError as error:
        pytest.skip(str(error))
    return load_encoder


@pytest.mark.slow
def test_with_the_real_embedder(
    place: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    real_encoder: Callable[[], Encoder],
) -> None:
    from denizen.retrieve import Settings, open_index, search

    monkeypatch.setattr(index_room, "load_encoder", real_encoder)
    found = told(capsys, "docs", "--licence", "MIT")
    assert found["embedded"] == found["chunks"] > 1
    index = open_index(place / ".denizen" / "index")
    best = search(index, "How much does a flash loan cost?", Settings(k=1)).hits[0]
    assert best.citation.document == "docs/guides/flash.md" and "0.05%" in best.text
    assert best.citation.licence == "MIT"
    index.close()
    assert told(capsys, "docs", "--licence", "MIT")["embedded"] == 0


@pytest.mark.slow
def test_into_postgresql_with_the_real_embedder_the_results_are_the_same(
    place: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    real_encoder: Callable[[], Encoder],
) -> None:
    from denizen.retrieve import Settings, open_index, search

    with postgres() as url:
        told(capsys, "docs", "--index", "other", "--postgres", f"{url}")
        monkeypatch.setattr(index_room, "load_encoder", real_encoder)
        line = refused(capsys, "docs", "--index", "there", "--postgres", url)
        assert "built with another embedder" in line and "postgresql://" in line

    with postgres() as url:
        here = told(capsys, "docs", "--licence", "MIT", "--index", "here")
        there = told(capsys, "docs", "--licence", "MIT", "--index", "there", "--postgres", url)
        places = [one.pop("index") for one in (here, there)]
        assert "documents.sqlite" in places[0] and "schema denizen" in places[1]
        assert {**here, "seconds": 0} == {**there, "seconds": 0} and there["held"]
        assert not (place / "there" / "documents.sqlite").exists()
        # By the environment, as in the stack; and nothing is done a second time.
        monkeypatch.setenv("DENIZEN_POSTGRES", url)
        again = told(capsys, "docs", "--licence", "MIT", "--index", "there")
        assert again["unchanged"] == 2 and again["embedded"] == 0
        monkeypatch.delenv("DENIZEN_POSTGRES")
        pair = [open_index(place / "here"), open_index(place / "there", postgres=url)]
        for question in (
            "How much does a flash loan cost?",
            "Who wrote EIP-20?",
            "zebra",
            "prices",
        ):
            for settings in (Settings(k=5), Settings(k=5, rerank=False), Settings(mode="dense")):
                left, right = (search(index, question, settings) for index in pair)
                assert [hit.citation for hit in left.hits] == [hit.citation for hit in right.hits]
                scores = [hit.score for hit in right.hits]
                assert [hit.score for hit in left.hits] == pytest.approx(scores, abs=2e-6)
                assert left.answerable == right.answerable
        for index in pair:
            index.close()
    line = refused(capsys, "docs", "--index", "there", "--postgres", url)
    assert "cannot reach PostgreSQL" in line

"""Search: citations are exact, answers come from the present index, nothing is invented."""

from __future__ import annotations

import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from tests.retrieve.retrieve_sample import EIP, GUIDE, filled, write

from denizen.project.errors import DataError
from denizen.project.hashing import sha256_bytes
from denizen.retrieve import NOT_IN_SOURCES, Folder, Settings, Stated, holds, ingest, search
from denizen.retrieve.answerable import FEATURES, Answerability
from denizen.retrieve.bm25 import LEXICON, Lexical, stems
from denizen.retrieve.dense import Approximate, Exact
from denizen.retrieve.documents import Chunk
from denizen.retrieve.fusion import RRF, fuse, max_sim, rerank
from denizen.retrieve.terms import identifiers, terms


def test_a_citation_is_the_exact_span_of_the_file(tmp_path: Path) -> None:
    index, _ = filled(tmp_path)
    hit = search(index, "What is the premium of a flash loan?").hits[0]
    place, raw = hit.citation, (tmp_path / "docs/guides/flash.md").read_bytes()
    assert place.document == "docs/guides/flash.md" and place.source == "guides/flash.md"
    assert raw.decode()[place.start : place.end] == place.quote
    assert "The premium is 0.05%" in place.quote and place.digest == sha256_bytes(raw)
    lines = raw.decode().splitlines()[place.first_line - 1 : place.last_line]
    assert place.quote in "\n".join(lines)
    assert place.title == "Flash loans" and place.licence == "MIT"
    assert place.quote in hit.text
    assert holds(place, index.store.document(place.document))
    write(tmp_path / "docs", guides__flash_md=GUIDE.replace("0.05%", "0.09%"))
    ingest(index, [Folder(tmp_path / "docs", "docs")])
    assert not holds(place, index.store.document(place.document)) and not holds(place, None)


def test_front_matter_is_found_and_kept(tmp_path: Path) -> None:
    index, _ = filled(tmp_path)
    first = search(index, "status of ERC-20", Settings(mode="bm25")).hits[0].citation
    assert first.title == "ERC-20 (EIP-20): Token Standard" and "status: Final" in first.quote
    document = index.store.document("docs/eip20.md")
    assert document and document.front["category"] == "ERC" and document.text == EIP


def test_below_the_threshold_it_says_not_in_the_sources(tmp_path: Path) -> None:
    index, _ = filled(tmp_path)
    ones = dict.fromkeys(FEATURES, 1.0)
    weights = {"covered_first": 20.0}
    model = Answerability("words", False, weights, dict.fromkeys(FEATURES, 0.0), ones, -10, 0.5, {})
    model.save(tmp_path / "index/answerability.json")
    index._snapshot = None
    plain = Settings(rerank=False)
    good = search(index, "oracle manipulation attack", plain)
    assert good.answerable and good.confidence and good.confidence > 0.5 and not good.reason
    bad = search(index, "Who painted the Mona Lisa?", plain)
    assert not bad.answerable and bad.reason == NOT_IN_SOURCES and bad.confidence is not None
    assert search(
        index, "Who painted the Mona Lisa?", Settings(rerank=False, threshold=0.0)
    ).answerable
    model.save(tmp_path / "index/answerability-rerank.json")  # made without rerank: not for it
    index._snapshot = None
    assert search(index, "oracle", Settings(rerank=True)).confidence is None


def test_a_search_sees_the_index_change_under_it(tmp_path: Path) -> None:
    index, _ = filled(tmp_path)
    old = index.snapshot()
    write(tmp_path / "docs", guides__flash_md=GUIDE.replace("0.05%", "0.09%"))
    ingest(index, [Folder(tmp_path / "docs", "docs", Stated(licence="MIT"))])
    hit = search(index, "premium of a flash loan").hits[0]
    assert "0.09%" in hit.text and index.snapshot() is not old
    # What belonged to the old generation is swept away.
    assert len(list((tmp_path / "index").glob("bm25-*"))) == 1


def test_derived_indices_are_made_again(tmp_path: Path) -> None:
    import shutil

    index, _ = filled(tmp_path)
    before = search(index, "tokens balances").to_json()
    for folder in (tmp_path / "index").glob("bm25-*"):
        shutil.rmtree(folder)
    index._snapshot = None
    assert search(index, "tokens balances").to_json() == before


def test_a_lexical_index_of_an_older_version_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, _ = filled(tmp_path)
    before = search(index, "tokens balances").to_json()
    (old,) = (tmp_path / "index").glob("bm25-*")
    generation = index.snapshot().generation[:16]
    assert old.name == f"bm25-{LEXICON}-{generation}"
    # One of before there were versions, and one of the version before this.
    for name in (f"bm25-{generation}", f"bm25-{LEXICON - 1}-{generation}"):
        (tmp_path / "index" / name).mkdir()
        (tmp_path / "index" / name / "meta.json").write_text("{}", "utf-8")
    index._snapshot = None
    assert search(index, "tokens balances").to_json() == before
    assert list((tmp_path / "index").glob("bm25-*")) == [old]


def test_a_word_counts_the_same_in_a_heading_and_in_the_text(tmp_path: Path) -> None:
    texts = ("Premium\nwhat a lender gets", "Loans\nthe premium is small", "Votes\nwho decides it")
    chunks = [Chunk("d", n, 0, 1, 0, 1, (), "prose", text) for n, text in enumerate(texts)]
    lexical = Lexical.build(chunks, tmp_path / "lexical")
    assert {row for row, _ in lexical.search("premium", 3)} == {0, 1}
    # Two of three passages have it, whichever their line.
    assert lexical.idf("premium") == pytest.approx(math.log(1 + 1.5 / 2.5))


def test_freshness(tmp_path: Path) -> None:
    index, _ = filled(tmp_path)
    settings = Settings(max_age_days=100)
    (hit, *_) = search(index, "Token Standard", settings, today=date(2026, 2, 4)).hits
    assert (hit.freshness.as_of, hit.freshness.age_days) == ("2026-01-05", 30)
    assert not hit.freshness.expired
    assert (
        search(index, "Token Standard", settings, today=date(2027, 1, 1)).hits[0].freshness.expired
    )
    write(tmp_path / "docs", eip20_md=EIP.replace("updated:", "expires: 2026-02-01\nupdated:"))
    ingest(index, [Folder(tmp_path / "docs", "docs")])
    for day, expired in ((date(2026, 1, 31), False), (date(2026, 2, 1), True)):
        assert search(index, "Token Standard", today=day).hits[0].freshness.expired is expired


def test_odd_questions(tmp_path: Path) -> None:
    index, _ = filled(tmp_path)
    with pytest.raises(DataError, match="the question is empty"):
        search(index, " \n")
    syntax = 'title:"x" AND (foo OR -bar) ^2 *:* [a TO b] \\ "'
    assert search(index, syntax).hits  # terms, never syntax
    assert search(index, "\u200b the of and").hits  # stop words alone: dense finds something
    assert search(index, "loan " * 50_000).hits
    assert len(search(index, "token", Settings(k=2)).hits) == 2


@pytest.mark.parametrize("mode", ["bm25", "dense", "fused"])
@pytest.mark.parametrize("again", [False, True])
def test_modes_order_their_hits(tmp_path: Path, mode: str, again: bool) -> None:
    index, _ = filled(tmp_path)
    settings = Settings(mode=mode, rerank=again)  # type: ignore[arg-type]
    hits = search(index, "oracle manipulation of prices", settings).hits
    assert hits[0].citation.document == "docs/guides/flash.md"
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
    assert len({h.key for h in hits}) == len(hits)
    assert (hits[0].max_sim is not None) == (again and mode == "fused")


def test_many_threads_get_the_same(tmp_path: Path) -> None:
    index, _ = filled(tmp_path)
    questions = ["premium", "oracle attack", "status of EIP-20", "transfer event"] * 8
    alone = [search(index, q).to_json() for q in questions]
    index._snapshot = None
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda q: search(index, q).to_json(), questions))
    assert together == alone


def test_terms() -> None:
    assert {"eip20", "eip", "20"} <= set(terms("EIP-20")) & set(terms("eip 20"))
    assert {"sqrtpricex96", "sqrt", "price"} <= set(terms("sqrtPriceX96"))
    assert {"wallet_switchethereumchain", "switch", "wallet"} <= set(
        terms("wallet_switchEthereumChain")
    )
    assert terms("0xDEADbeef") == ["0xdeadbeef"] and terms("What is the") == []
    assert "v3" in terms("Uniswap v3") and stems("swaps swapping") == ["swap", "swap"]
    # An accent may be a character of its own (PDF, macOS), and is no seam of a word.
    assert terms("Ko\u0308nigsberg cafe\u0301") == terms("K\u00f6nigsberg caf\u00e9")
    assert terms("K\u00f6nigsberg") == ["k\u00f6nigsberg"]
    assert identifiers("Is GMX like ERC-20 or a swap?") == ["20", "erc", "erc20", "gmx"]


def test_fusion_and_late_interaction() -> None:
    assert [row for row, _ in fuse([([1, 2, 3], 1.0), ([3, 1, 4], 1.0)])] == [1, 3, 2, 4]
    assert fuse([([5], 1.0), ([4], 1.0)]) == [(4, 1 / (RRF + 1)), (5, 1 / (RRF + 1))]
    eye = np.eye(3, dtype=np.float32)
    assert max_sim(eye[:2], eye[1:]).tolist() == [0.0, 1.0]
    assert max_sim(eye[:2], eye[:0]).tolist() == [0.0, 0.0]
    order = rerank([(1, 0.03), (2, 0.0299), (3, 0.001)], {1: 0.1, 2: 0.9})
    assert [row for row, _ in order] == [2, 1, 3]
    assert [s for _, s in order] == sorted((s for _, s in order), reverse=True)


def test_approximate_search_agrees_and_survives_a_bad_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(2000, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[7] = vectors[3]  # a tie
    path = tmp_path / "graph.usearch"
    path.write_bytes(b"rubbish")
    exact, near = Exact(vectors), Approximate(vectors, path)
    shared = [
        len({r for r, _ in exact.search(v, 10)} & {r for r, _ in near.search(v, 10)})
        for v in vectors[:50]
    ]
    assert np.mean(shared) > 9.5
    assert [row for row, _ in exact.search(vectors[3], 2)] == [3, 7]
    assert Approximate(vectors, path).search(vectors[9], 1)[0] == (9, 1.0)
    assert Exact(vectors[:0]).search(vectors[0], 3) == []


def test_the_lexical_index_is_bm25(tmp_path: Path) -> None:
    index, _ = filled(tmp_path)
    lexical: Lexical = index.snapshot().lexical
    assert lexical.search("zebra", 5) == [] and lexical.search("", 5) == []
    assert lexical.idf("zebra") > lexical.idf("token") > 0
    assert len(lexical.query_terms(" ".join(f"word{n}" for n in range(500)))) == 64


def test_a_graph_first_and_the_embedder_later_does_not_crash() -> None:
    # In a process of its own: the crash is of native code.
    script = (
        "import numpy as np, tempfile, pathlib\nfrom denizen.retrieve.dense import Approximate\n"
        "place = pathlib.Path(tempfile.mkdtemp()) / 'x.usearch'\n"
        "Approximate(np.eye(8, dtype=np.float32), place)\nimport onnxruntime\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)

"""The embedder: a vector must not depend on its neighbours, and a wrong file must not be used."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from tests.models.tiny_embedder import DIMENSION, make_tiny_embedder

import denizen.models.embedder as module
from denizen.models.embedder import Embedder, ensure_embedder
from denizen.models.embedding_cache import CachedEmbedder
from denizen.models.registry import PackageSource
from denizen.project import ArtefactError, WorkspaceError
from denizen.project.hashing import sha256_bytes

WORDS = "the pool fee is high low swap price of token what a in"
TEXTS = ["the pool fee is high", "swap", "what is the price of a token in the pool", "", "swap"]


@pytest.fixture
def embedder(tmp_path: Path) -> Embedder:
    return make_tiny_embedder(tmp_path / "embedder", WORDS)


def test_a_vector_depends_on_its_text_alone(embedder: Embedder) -> None:
    together = embedder.embed(TEXTS)
    alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
    embedder.threads = 1
    assert np.array_equal(together, alone) and np.array_equal(together, embedder.embed(TEXTS))
    assert np.array_equal(together[1], together[4])


def test_shapes_and_lengths(embedder: Embedder) -> None:
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (5, DIMENSION) and vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert embedder.embed([]).shape == (0, DIMENSION) and embedder.dimension == DIMENSION
    tokens = embedder.token_vectors(TEXTS)
    assert [t.shape for t in tokens] == [(len(t.split()), DIMENSION) for t in TEXTS]
    assert np.allclose(np.linalg.norm(tokens[2], axis=1), 1, atol=1e-6)
    # The same word has the same vector here: the model is one table.
    assert np.array_equal(tokens[1][0], tokens[4][0])


def test_pooling_is_the_mean_of_all_pieces(embedder: Embedder) -> None:
    hidden = embedder._hidden("swap price")
    assert hidden.shape == (4, DIMENSION)
    mean = hidden.mean(0)
    assert np.allclose(embedder.embed(["swap price"])[0], mean / np.linalg.norm(mean), atol=1e-6)


def test_long_texts_are_cut(tmp_path: Path) -> None:
    short = make_tiny_embedder(tmp_path / "e", WORDS, longest=6)
    assert len(short.token_vectors(["swap " * 100])[0]) == 4
    assert np.array_equal(short.embed(["swap " * 4])[0], short.embed(["swap " * 100])[0])


def test_id_follows_weights_tokenizer_and_settings(tmp_path: Path) -> None:
    one = make_tiny_embedder(tmp_path / "1", WORDS)
    ids = {
        one.id,
        make_tiny_embedder(tmp_path / "2", WORDS, seed=1).id,
        make_tiny_embedder(tmp_path / "3", WORDS + " more").id,
        make_tiny_embedder(tmp_path / "4", WORDS, longest=32).id,
    }
    assert len(ids) == 4 and one.id == make_tiny_embedder(tmp_path / "5", WORDS).id


def test_rubbish_is_one_clear_line(embedder: Embedder, tmp_path: Path) -> None:
    assert np.array_equal(embedder.embed(["swap \ud800"]), embedder.embed(["swap ?"]))
    bad = tmp_path / "bad"
    bad.write_bytes(b"not a model")
    with pytest.raises(ArtefactError, match="not an ONNX model"):
        Embedder(bad, tmp_path / "embedder" / "tokenizer.json")
    with pytest.raises(ArtefactError, match="not a tokenizer"):
        Embedder(tmp_path / "embedder" / "model.onnx", bad)


def fake_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, delivered: bytes) -> list[str]:
    """Packages that hold `delivered`, pinned to the bytes b"whole"."""
    fetched: list[str] = []

    def from_packages(source: PackageSource, target: Path) -> None:
        fetched.append(target.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(delivered)

    pin = PackageSource((("p", "1"),), ("m",), sha256_bytes(b"whole"), 5)
    monkeypatch.setenv("DENIZEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "from_packages", from_packages)
    monkeypatch.setattr(module, "_PARTS", {"model.onnx": pin, "tokenizer.json": pin})
    return fetched


def test_files_are_fetched_once_and_checked_always(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fetched = fake_parts(monkeypatch, tmp_path, b"whole")
    files = ensure_embedder("package")
    assert ensure_embedder("package") == files
    assert fetched == ["model.onnx", "tokenizer.json"]
    files.weights.write_bytes(b"edited")
    with pytest.raises(ArtefactError, match="corrupt"):
        ensure_embedder("package")


def test_auto_goes_to_the_hub_unless_it_is_offline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_parts(monkeypatch, tmp_path, b"another")
    monkeypatch.setattr(module, "_from_hub", lambda folder, say: folder)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ArtefactError, match="corrupt"):
        ensure_embedder()
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert str(ensure_embedder()).endswith("hub") and str(ensure_embedder("hub")).endswith("hub")


def test_the_cache_gives_the_same_and_asks_once(embedder: Embedder, tmp_path: Path) -> None:
    path = tmp_path / "cache" / "vectors.sqlite"
    cached = CachedEmbedder(embedder, path)
    texts = [*TEXTS, "\ud800"] * 100
    assert np.array_equal(cached.embed(texts), embedder.embed(texts))
    assert cached.misses == 5 and cached.id == embedder.id
    again = CachedEmbedder(embedder, path)
    assert np.array_equal(again.embed(texts), embedder.embed(texts)) and again.misses == 0
    assert again.embed([]).shape == (0, DIMENSION)


def test_a_changed_model_never_meets_old_vectors(embedder: Embedder, tmp_path: Path) -> None:
    other = make_tiny_embedder(tmp_path / "other", WORDS, seed=1)
    path = tmp_path / "vectors.sqlite"
    CachedEmbedder(embedder, path).embed(TEXTS)
    second = CachedEmbedder(other, path)
    assert np.array_equal(second.embed(TEXTS), other.embed(TEXTS)) and second.misses == 4


def test_a_damaged_cache_is_set_aside(embedder: Embedder, tmp_path: Path) -> None:
    path = tmp_path / "vectors.sqlite"
    path.write_bytes(b"rubbish" * 1000)
    cached = CachedEmbedder(embedder, path)
    assert np.array_equal(cached.embed(TEXTS), embedder.embed(TEXTS))
    assert (tmp_path / "vectors.sqlite.damaged").exists()
    path.unlink()
    with sqlite3.connect(path) as store:
        store.execute("CREATE TABLE vectors (other TEXT)")
    store.close()
    # A database of someone else's is left as it is.
    with pytest.raises(WorkspaceError, match="cannot use the cache"):
        CachedEmbedder(embedder, path)


@pytest.mark.slow
def test_real_embedder_knows_meaning_and_ignores_its_batch() -> None:
    real = Embedder.load()
    texts = [
        "How much fee did my liquidity earn?",
        "What did my position make in fees?",
        "The cat sleeps on the warm windowsill.",
    ]
    vectors = real.embed(texts)
    assert vectors.shape == (3, 384)
    assert vectors[0] @ vectors[1] > 0.5 > 0.2 > vectors[0] @ vectors[2]
    assert np.array_equal(vectors, np.concatenate([real.embed([t]) for t in texts]))
    assert real.token_vectors(texts)[0].shape[1] == 384

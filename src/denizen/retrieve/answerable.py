"""Is the answer in the sources?  A calibrated logistic model over features of the retrieval.

Contract: `features` gives numbers that do not grow with the collection (cosines, shares of the
question's information covered, agreement of the rankings); `Answerability.confidence` is the
probability that the sources hold the answer, and below `threshold` the reply is "not in the
sources". Weights are JSON, carried for the standard embedder and replaced by an index's own; they
say how they were made and what they reach on documents they have not seen.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from denizen.project.atomic import atomic_write_text
from denizen.project.errors import ArtefactError
from denizen.retrieve.terms import identifiers

FEATURES = (
    "cosine",  # of the best dense hit
    "cosine_lead",  # ahead of the tenth
    "cosine_first",  # of the passage that is shown first
    "covered_first",  # share of the question's idf in the first passage
    "covered_all",  # in the first five together
    "bm25_share",  # of the best lexical hit, of what a full match in the text could score
    "names_first",  # share of the question's identifiers in the first passage
    "names_all",  # in the first five together
    "agreement",  # share of documents among both rankings' first five
    "max_sim",  # mean over the question's tokens, best of the passages compared
    "max_sim_weakest",  # its least covered tenth of tokens
)


@dataclass(frozen=True)
class Evidence:
    """What the features are computed from; `passages` are stems of the first passages shown."""

    question: str
    idf: Mapping[str, float]
    passages: Sequence[frozenset[str]]
    dense: Sequence[float]
    dense_first: float
    bm25_share: float
    agreement: float
    token_similarity: Sequence[Sequence[float]] = ()


def features(seen: Evidence) -> dict[str, float]:
    """Every feature of one retrieval, by name."""
    total = sum(seen.idf.values()) or 1.0
    names = [n for n in identifiers(seen.question)]
    first = seen.passages[0] if seen.passages else frozenset[str]()
    every = frozenset[str]().union(*seen.passages)

    def covered(words: frozenset[str]) -> float:
        return sum(value for stem, value in seen.idf.items() if stem in words) / total

    def named(words: frozenset[str]) -> float:
        return sum(name in words for name in names) / len(names) if names else 1.0

    means = [sum(row) / len(row) for row in seen.token_similarity if len(row)]
    best = max(seen.token_similarity, key=lambda row: sum(row) / max(1, len(row)), default=())
    weakest = sorted(best)[: max(1, len(best) // 10)]
    return {
        "cosine": seen.dense[0] if seen.dense else 0.0,
        "cosine_lead": seen.dense[0] - seen.dense[min(9, len(seen.dense) - 1)] if seen.dense else 0,
        "cosine_first": seen.dense_first,
        "covered_first": covered(first),
        "covered_all": covered(every),
        "bm25_share": seen.bm25_share,
        "names_first": named(first),
        "names_all": named(every),
        "agreement": seen.agreement,
        "max_sim": max(means, default=0.0),
        "max_sim_weakest": sum(weakest) / len(weakest) if weakest else 0.0,
    }


@dataclass(frozen=True)
class Answerability:
    """A fitted model: weights of standardised features, and what it was fitted and tested on."""

    embedder: str
    rerank: bool
    weights: Mapping[str, float]
    means: Mapping[str, float]
    scales: Mapping[str, float]
    bias: float
    threshold: float
    made: Mapping[str, Any]

    def confidence(self, found: Mapping[str, float]) -> float:
        """Probability in [0, 1] that the sources hold the answer."""
        logit = self.bias + sum(
            weight * (found[name] - self.means[name]) / self.scales[name]
            for name, weight in self.weights.items()
        )
        return 1 / (1 + math.exp(-max(-40.0, min(40.0, logit))))

    def save(self, path: Path) -> None:
        """Write the model whole or not at all."""
        atomic_write_text(path, json.dumps(asdict(self), indent=1) + "\n")


def load_answerability(embedder: str, rerank: bool, own: Path) -> Answerability | None:
    """The index's own model, else the carried one; None where neither is for this embedder."""
    carried = resources.files("denizen.retrieve") / "assets"
    name = "answerability-rerank.json" if rerank else "answerability.json"
    for path in (own / name, carried / name):
        if not path.is_file():
            continue
        try:
            made = Answerability(**json.loads(path.read_text("utf-8")))
            if set(made.weights) - set(FEATURES) or not 0 <= made.threshold <= 1:
                raise ValueError("unknown features or threshold")
            tables = (made.weights, made.means, made.scales)
            numbers = [made.bias, *(value for table in tables for value in table.values())]
            made.confidence(dict.fromkeys(FEATURES, 0.5))  # every weight has its mean and scale
            if not all(map(math.isfinite, numbers)):
                raise ValueError("weights that are no numbers")
        except (ArithmeticError, LookupError, ValueError, TypeError, OSError) as error:
            raise ArtefactError(
                f"not an answerability model: {error}", where=str(path), fix="delete the file"
            ) from error
        if made.embedder == embedder and made.rerank == rerank:
            return made
    return None

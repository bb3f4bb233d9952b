"""Does a text try to command the model?  A logistic model of its sentences' meaning and its rules.

Contract: `InjectionModel.score(text, hits, embedder)` is in [0, 1]: the highest over windows of a
few sentences, so that an attack in a long page is not thinned out, and over what is encoded in it.
The weights are carried as JSON with the embedder and the data they belong to, how they were made
and what they reached (training.py makes them). Other languages than English rest on the rules.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from denizen.project.atomic import atomic_write_text
from denizen.project.errors import ArtefactError
from denizen.serve.guard.layers import layers
from denizen.serve.guard.rule import Hit
from denizen.serve.guard.rules import find

if TYPE_CHECKING:
    from denizen.models.embedder import Embeds, Vectors

FILE = "injection.json"
WINDOW, LONGEST, MOST = 240, 900, 48  # characters of a window, at most; windows of a text
COVERED = LONGEST * MOST  # characters that windows reach
_SENTENCE = re.compile(r"(?<=[.!?。！？;])\s*|\n+")
_HIDDEN = 8  # windows of decoded layers
_DISGUISED, _CERTAIN, _HINT = "in disguise", "any certain rule", "any hint"
_DECODED = "decoded"


def windows(text: str) -> list[str]:
    """The text in pieces of some sentences, none longer than the embedder reads; at most MOST."""
    text = text[:COVERED]
    if len(text) <= WINDOW:
        return [text]
    size = min(LONGEST, max(WINDOW, math.ceil(len(text) / (MOST // 2))))
    found: list[str] = []
    now = ""
    for piece in _pieces(text, size):
        if now and len(now) + len(piece) > size:
            found.append(now)
            now = ""
        now += piece
    found.append(now)
    return [window for window in found if window.strip()][:MOST] or [text[:size]]


def _pieces(text: str, size: int) -> list[str]:
    at, found = 0, []
    for match in _SENTENCE.finditer(text):
        if match.end() > at:
            found.append(text[at : match.end()])
            at = match.end()
    found.append(text[at:])
    return [piece[i : i + size] for piece in found for i in range(0, len(piece), size)]


class Piece(NamedTuple):
    """A window of a text, or of what is encoded in it, with its features by name."""

    text: str
    features: Mapping[str, float]

    def touches(self, payload: str) -> bool:
        """Whether it holds a good part of a payload, or is what was hidden in it."""
        held = payload[:24] in self.text or self.text in payload or payload[-24:] in self.text
        return held or _DECODED in self.features


def pieces(text: str, hits: Sequence[Hit] | None = None) -> list[Piece]:
    """What is scored: windows of the text, then of what its disguises hide; `hits` are its own."""
    plain = windows(text)
    known = {} if hits is None else {text: hits}
    found = [Piece(w, rule_features(known[w] if w in known else find(w))) for w in plain]
    coated = (layer for how, layer in layers(text[:COVERED]) if how)
    hidden = islice((w for layer in coated for w in windows(layer)), _HIDDEN)
    found += [Piece(w, {**rule_features(find(w)), _DECODED: 1.0}) for w in hidden]
    return found


def rule_features(hits: Sequence[Hit]) -> dict[str, float]:
    """What the rules say, as features: each rule, and whether any was sure or in disguise."""
    found = {hit.rule: 1.0 for hit in hits}
    found[_DISGUISED] = float(any(hit.coat for hit in hits))
    found[_CERTAIN] = float(any(hit.certain for hit in hits))
    found[_HINT] = float(any(not hit.certain for hit in hits))
    return {name: value for name, value in found.items() if value}


@dataclass(frozen=True)
class InjectionModel:
    """Fitted weights: `vector` of the embedding, `rules` by feature; `data` is the rows' digest."""

    embedder: str
    data: str
    vector: tuple[float, ...]
    rules: Mapping[str, float]
    bias: float
    threshold: float
    made: Mapping[str, Any]

    def score(self, text: str, hits: Sequence[Hit], embedder: Embeds) -> float:
        """Probability in [0, 1] that the text tries to command the model; `hits` are its rules."""
        found = pieces(text, hits)
        return self.of_pieces(found, embedder.embed([piece.text for piece in found]))

    def of_pieces(self, found: Sequence[Piece], vectors: Vectors) -> float:
        """The same from the pieces' vectors, float32 [pieces, dimension]."""
        import numpy as np

        rules = [
            sum(self.rules.get(name, 0.0) * value for name, value in piece.features.items())
            for piece in found
        ]
        logit = self.bias + float((vectors @ np.asarray(self.vector) + np.asarray(rules)).max())
        return 1 / (1 + math.exp(-max(-40.0, min(40.0, logit))))

    def save(self, path: Path) -> None:
        """Write the model whole or not at all."""
        text = json.dumps(asdict(self), indent=1)
        # One line for the vector: a diff of 384 lines tells nobody anything.
        flat = re.sub(r"\[[-\d.,\se]+\]", lambda m: " ".join(m[0].split()), text)
        atomic_write_text(path, flat + "\n")


@cache
def carried() -> InjectionModel:
    """The shipped model; raises ArtefactError if the file is not one."""
    return load(Path(str(resources.files("denizen.serve.guard") / "assets" / FILE)))


def load(path: Path) -> InjectionModel:
    """A model from its file; raises ArtefactError."""
    try:
        found = json.loads(path.read_text("utf-8"))
        model = InjectionModel(**{**found, "vector": tuple(map(float, found["vector"]))})
        if not 0 < model.threshold < 1 or not all(map(math.isfinite, model.vector)):
            raise ValueError("weights or threshold out of range")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ArtefactError(
            f"not an injection model: {error}"[:200],
            where=str(path),
            fix="run `python -m denizen.serve.guard.training` to make it again",
        ) from error
    return model

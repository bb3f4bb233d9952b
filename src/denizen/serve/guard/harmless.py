"""A first look, in microseconds: is a text so plainly harmless that it need not be embedded?

Contract: `Harmless.score(text, hits, level)` is a probability below `threshold`, or None: ask the
classifier. None wherever a rule fires or something is decoded, for more than one window, letters
that are not ASCII and more than a few words never seen. Weights of words and pairs of words are
never negative, so no padding outweighs a harmful word (monotone classifiers: Incer et al. 2018).
Carried as JSON; harmless_training.py makes it for the threshold of one classifier.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from denizen.project.atomic import atomic_write_text
from denizen.project.errors import ArtefactError
from denizen.serve.guard.injection import WINDOW
from denizen.serve.guard.layers import layers
from denizen.serve.guard.rule import Hit

FILE = "harmless.json"
LONGEST = 20  # letters of a word: a longer one may be a code
UNSEEN, PER_UNSEEN = 2, 10  # words never seen: at most so many, and one in so many words
_PLAIN = re.compile("[\t\n\r -~‘’“”–—…×≈≤≥€]*")
_TOKEN = re.compile(r"\n|\d+(?:[.,]\d+)+[a-z]*|[^\W_]+(?:'[^\W_]+)*|[^\w\s]|_")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*(?:k|m|b|mm|bn|x|d|h|s|bps|st|nd|rd|th)?")
_ADDRESS = re.compile(r"0x(?:[0-9a-f]{40}|[0-9a-f]{64})")
_ENDS = frozenset('\n.!?:;"([{<>`')


class Words(NamedTuple):
    """The words and marks of a text in order, and each word with the one before it, "^" if none."""

    all: tuple[str, ...]
    pairs: frozenset[str]


def words(text: str) -> Words:
    """Lower case; every number is "0", every address or hash "0x": which one says nothing."""
    found: list[str] = []
    pairs: set[str] = set()
    before = "^"
    for token in _tokens(text):
        if token[0].isalnum():
            pairs.add(f"{before} {token}")
            before = token
        elif token in _ENDS:
            before = "^"
        if token != "\n":
            found.append(token)
    return Words(tuple(found), frozenset(pairs))


def _tokens(text: str) -> Iterator[str]:
    for token in _TOKEN.findall(text.lower().replace("’", "'")):
        if token[0].isdigit():
            if _NUMBER.fullmatch(token):
                token = "0"
            elif _ADDRESS.fullmatch(token):
                token = "0x"
        yield token


@dataclass(frozen=True)
class Harmless:
    """`known`: words of honest texts; `weights` by word or pair, >= 0.

    `above`: the level at which the classifier flags for which nothing is lost, see `score`.
    """

    data: str
    known: frozenset[str]
    weights: Mapping[str, float]
    bias: float
    threshold: float
    above: float
    made: Mapping[str, Any]

    def score(self, text: str, hits: Sequence[Hit], level: float = 1.0) -> float | None:
        """Probability that the text is an attack if it is below the threshold, else None.

        None as well for who flags at a lower `level` than the one it was fitted for.
        """
        if hits or level < self.above or not text.strip():
            return None
        found = self.glance(text)
        if found is None or found >= self.threshold or any(how for how, _ in layers(text)):
            return None
        return found

    def glance(self, text: str) -> float | None:
        """The same of the words alone; None for a text whose words say too little."""
        if len(text) > WINDOW or not _PLAIN.fullmatch(text):
            return None
        found = words(text)
        kinds = set(found.all)
        if any(len(word) > LONGEST for word in kinds):
            return None
        if len(kinds - self.known) > min(UNSEEN, len(found.all) // PER_UNSEEN):
            return None
        # Exact whatever the order: that of a set differs from run to run.
        logit = self.bias + math.fsum(self.weights.get(name, 0.0) for name in kinds | found.pairs)
        return 1 / (1 + math.exp(-max(-40.0, min(40.0, logit))))

    def save(self, path: Path) -> None:
        """Write the model whole or not at all, a field a line."""
        fields = {**asdict(self), "known": " ".join(sorted(self.known))}
        lines = [
            f" {json.dumps(name)}: {json.dumps(value, indent=1 if name == 'made' else None)}"
            for name, value in fields.items()
        ]
        atomic_write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")


@cache
def carried() -> Harmless:
    """The shipped model; raises ArtefactError if the file is not one."""
    return load(Path(str(resources.files("denizen.serve.guard") / "assets" / FILE)))


def shipped() -> Harmless | None:
    """The same, or None: without it every text is embedded."""
    try:
        return carried()
    except ArtefactError:
        return None


def load(path: Path) -> Harmless:
    """A model from its file; raises ArtefactError."""
    try:
        found = json.loads(path.read_text("utf-8"))
        model = Harmless(**{**found, "known": frozenset(found["known"].split())})
        weights = [float(weight) for weight in model.weights.values()]
        if not 0 < model.threshold < model.above < 1 or not math.isfinite(model.bias):
            raise ValueError("threshold or bias out of range")
        if not all(math.isfinite(weight) and weight >= 0 for weight in weights):
            raise ValueError("a weight below zero: padding would hide an attack")
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ArtefactError(
            f"not a first look at harmless texts: {error}"[:200],
            where=str(path),
            fix="run `python -m denizen.serve.guard.training` to make it again",
        ) from error
    return model

"""How far a question is from what the specialist was trained on: nearest-neighbour cosines.

Contract: a sketch is at most SIZE sentence vectors of distinct training questions (half precision,
safetensors, named by its own hash); `distance` is one minus the mean cosine of the NEAREST ones,
in [0, 2].  It holds vectors, never text.  Another embedder's vectors are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from denizen.project.atomic import atomic_write_bytes
from denizen.project.errors import ArtefactError
from denizen.project.hashing import sha256_bytes

if TYPE_CHECKING:
    from denizen.models.embedder import Embeds, Vectors

SIZE = 1024
NEAREST = 5
_TENSOR = "questions"


@dataclass(frozen=True, eq=False)
class Domain:
    """The sketch in memory; `vectors` float32 [n, d], rows of length 1."""

    vectors: Vectors
    embedder: str

    @classmethod
    def of(cls, questions: Sequence[str], embedder: Embeds) -> Domain:
        """Sketch of training questions: evenly drawn among the distinct ones.

        Rows of one family stand together, so even steps keep the families' proportions.
        """
        distinct = list(dict.fromkeys(questions))
        if not distinct:
            raise ValueError("a domain needs at least one question")
        step = max(1.0, len(distinct) / SIZE)
        chosen = [distinct[int(i * step)] for i in range(min(SIZE, len(distinct)))]
        return cls(_stored(embedder.embed(chosen)), embedder.id)

    def distances(self, questions: Sequence[str], embedder: Embeds) -> list[float]:
        """One figure a question; raises ArtefactError for another embedder."""
        import numpy as np

        if embedder.id != self.embedder:
            raise ArtefactError(
                "the questions' sketch was made with another embedder",
                where="route calibration",
                fix="run `denizen route calibrate` again",
            )
        if not questions:
            return []
        cosines = embedder.embed(list(questions)) @ self.vectors.T
        k = min(NEAREST, cosines.shape[1])
        nearest = np.partition(cosines, -k, axis=1)[:, -k:]
        return [round(float(1 - row.mean()), 6) for row in np.clip(nearest, -1, 1)]

    def save(self, folder: Path) -> str:
        """Write the sketch into a folder; returns its file's name."""
        import numpy as np
        from safetensors.numpy import save

        data = save({_TENSOR: self.vectors.astype(np.float16)}, {"embedder": self.embedder})
        name = f"domain-{sha256_bytes(data)[:16]}.safetensors"
        atomic_write_bytes(folder / name, data)
        return name

    @classmethod
    def load(cls, path: Path) -> Domain:
        """Read a sketch; raises ArtefactError if it is not the file its name says."""
        import json

        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            data = path.read_bytes()
            if path.stem != f"domain-{sha256_bytes(data)[:16]}":
                raise ValueError("its hash is not the one in its name")
            vectors = load(data)[_TENSOR]
            length = int.from_bytes(data[:8], "little")
            embedder = str(json.loads(data[8 : 8 + length])["__metadata__"]["embedder"])
            if vectors.ndim != 2 or not len(vectors):
                raise ValueError("it holds no vectors")
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise ArtefactError(
                f"the sketch of the training questions cannot be read: {error}",
                where=str(path),
                fix="run `denizen route calibrate` again",
            ) from error
        return cls(_normalised(vectors), embedder)


def _stored(vectors: Vectors) -> Vectors:
    """As they will be read again: what is measured now must be what is measured later."""
    import numpy as np

    return _normalised(vectors.astype(np.float16))


def _normalised(vectors: Vectors) -> Vectors:
    import numpy as np

    wide = vectors.astype(np.float32)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    scaled: Vectors = (wide / np.maximum(lengths, 1e-12)).astype(np.float32)
    return scaled

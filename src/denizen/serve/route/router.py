"""The decision: give the local answer, or ask a stronger model.

Contract: `decide` never raises and is a pure function of the calibration; an answer is local only
where its calibrated confidence reaches its group's threshold.  What was not calibrated (a failed
check, a missing signal, an unknown group) is never local.  `covers` says for which kinds of request
the promise was tested at all: for others `decide` is not to be asked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from denizen.project.errors import ArtefactError
from denizen.serve.route.calibration import (
    FOLDER,
    POOLED,
    Calibration,
    NotCalibrated,
    file_of,
    read_calibration,
)
from denizen.serve.route.fingerprint import DOCUMENTS
from denizen.serve.route.risk import FLOOR, percent
from denizen.serve.route.signals import NO_GROUP

if TYPE_CHECKING:
    from denizen.models.embedder import Embeds
    from denizen.serve.route.domain import Domain


# One question to the Analyst by the release's name: what calibration asks.
QUESTION = "question"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the local answer may be given; `reason` is a few words for traces and metadata."""

    local: bool
    confidence: float | None
    threshold: float | None
    reason: str


class Router:
    """A calibration at work; safe to share between threads.

    `embedder` is what `distance` embeds with; without one the standard one is loaded on first use.
    """

    def __init__(
        self,
        calibration: Calibration,
        domain: Domain | None = None,
        embedder: Embeds | None = None,
    ) -> None:
        self.calibration = calibration
        self._domain, self._embedder = domain, embedder
        self._lock = Lock()
        self._thresholds = {group.group: group.threshold for group in calibration.groups}
        self._members = frozenset(calibration.members)
        self.kinds = frozenset({QUESTION, *([DOCUMENTS] if calibration.documents else [])})

    @classmethod
    def load(
        cls, path: Path, now: Mapping[str, str] | None = None, embedder: Embeds | None = None
    ) -> Router | None:
        """The router of a workspace (or of its `route.json`); None if it is not calibrated.

        `now`: what is served, by `depends_on`.  Raises NotCalibrated for a calibration of something
        else, ArtefactError for one that is damaged.  Documents that are found otherwise than at
        calibration, or not at all, are no longer covered.
        """
        found = read_calibration(path, now)
        if found is None:
            return None
        domain = None
        if found.domain:
            from denizen.serve.route.domain import Domain

            domain = Domain.load(file_of(path).parent / FOLDER / Path(found.domain).name)
            if embedder is not None and domain.embedder != _id_of(embedder):
                raise NotCalibrated("embedder", file_of(path))
        router = cls(found, domain, embedder)
        if now is not None and found.depends.get(DOCUMENTS) != now.get(DOCUMENTS):
            router.kinds -= {DOCUMENTS}
        return router

    def covers(self, kind: str) -> bool:
        """Whether calibration asked such requests: QUESTION, DOCUMENTS, or another kind."""
        return kind in self.kinds

    @property
    def promise(self) -> str:
        """What is guaranteed, in one sentence."""
        settings = self.calibration.settings
        more = "; the same by itself for answers from documents" if DOCUMENTS in self.kinds else ""
        return (
            f"of the answers given locally at most {percent(settings.risk, 1)} are wrong, "
            f"with confidence {percent(1 - settings.delta)}, for questions like the calibration's"
            f"{more}"
        )

    def group(self, name: str) -> str:
        """The group of a tool, a schema, a family, or of an answer without any."""
        if name in self._members:
            return name
        return self.calibration.names.get(name, name) if name else NO_GROUP

    def decide(self, signals: Mapping[str, float], group: str) -> Decision:
        """Judge one local answer; `group` is its family, or the tool or schema it used."""
        sourced = self.calibration.documents if group == DOCUMENTS else None
        model = sourced.model if sourced else self.calibration.model
        known = {n: v for n, v in signals.items() if math.isfinite(v)}
        if failed := hard_failure(known):
            return Decision(False, 0.0, None, failed)
        if missing := model.missing(known):
            return Decision(False, None, None, f"not known: {', '.join(missing)}")
        confidence = max(float(model.of([known])[0]), FLOOR)
        name = self.group(group)
        if sourced:
            threshold = sourced.threshold.threshold
        elif name not in self._members:
            return Decision(False, confidence, None, "a kind of question without calibration")
        else:
            threshold = self._thresholds.get(name, self._thresholds.get(POOLED))
        if threshold is None:
            return Decision(False, confidence, None, "no threshold keeps the promise")
        local = confidence >= threshold
        return Decision(local, confidence, threshold, "sure enough" if local else "low confidence")

    def distance(self, question: str) -> float | None:
        """How far a question is from the training questions; None if that was not calibrated.

        About 6 ms: call it off the event loop.  Raises ArtefactError if the embedder is missing.
        """
        if self._domain is None:
            return None
        with self._lock:
            if self._embedder is None:
                from denizen.models.embedder import Embedder

                self._embedder = Embedder.load(threads=1)
        return self._domain.distances([question], self._embedder)[0]


def hard_failure(signals: Mapping[str, float]) -> str:
    """Why an answer is never local, whatever its confidence; "" if nothing is wrong."""
    if signals.get("schema_failed", 0.0) >= 0.5:
        return "the answer is not of its form"
    if signals.get("recompute_failed", 0.0) >= 0.5:
        return "the engine refuses the answer"
    return ""


def _id_of(embedder: Embeds) -> str:
    """Its id; "" where its files are not there, which are then other ones than calibration's."""
    try:
        return embedder.id
    except ArtefactError:
        return ""

"""The calibration file `route.json`: what was fitted, on what, and what it promises.

Contract: frozen, JSON-serialisable, written whole or not at all and validated when read; it names
what it depends on (the GGUF, the prompt, ...), and `read_calibration` says NotCalibrated where that
is no longer so.  Rates are fractions, `threshold` None means that no threshold keeps the promise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from denizen.project.atomic import atomic_write_text
from denizen.project.errors import ArtefactError, from_os_error
from denizen.serve.route.fingerprint import differing
from denizen.serve.route.fit import Confidence

NAME = "route.json"
FOLDER = "route"
VERSION = 2  # also that of the signals' meaning
# The group of everything that has no threshold of its own.
POOLED = "*"
Status = Literal["FEASIBLE", "INFEASIBLE"]
FIX = "run `denizen route calibrate` again"


class NotCalibrated(ArtefactError):
    """A calibration of something else than what is served: it promises nothing here."""

    def __init__(self, differs: str, path: Path) -> None:
        what = f"not calibrated: the calibration is of another {differs}"
        super().__init__(what, where=str(path), fix=FIX)


@dataclass(frozen=True)
class GroupThreshold:
    """A group's threshold and the evidence for it (see risk.Tested); `delta` is its part."""

    group: str
    threshold: float | None
    n: int
    answered: int
    errors: int
    p: float
    tested: int
    delta: float


@dataclass(frozen=True)
class CurvePoint:
    """At one threshold over all groups: share escalated, errors among the answered, their bound.

    `bound` is the one-sided Clopper-Pearson bound at delta for this threshold alone.
    """

    threshold: float
    escalated: float
    answered: int
    errors: int
    risk: float
    bound: float


@dataclass(frozen=True)
class Tradeoff:
    """Whether budget and risk go together, and what each costs in terms of the other.

    `escalated` is what the thresholds send away (`low` to `high`: its 95% interval);
    `risk_of_budget` the risk that is certain (at delta) when only the budget's share is sent away,
    at the threshold fixed for that on the fitting half, which sends away `share_of_budget` here;
    `budget_of_risk` the share the promised risk needs, 1 if no threshold keeps it.
    """

    status: Status
    escalated: float
    low: float
    high: float
    risk_of_budget: float
    share_of_budget: float
    budget_of_risk: float


@dataclass(frozen=True)
class Settings:
    """What the calibration was asked for and how the answers were made."""

    risk: float
    delta: float
    budget: float
    items: int
    max_tokens: int
    reasoning: str
    families: tuple[str, ...]


@dataclass(frozen=True)
class Sourced:
    """Answers from documents: their own model and threshold, with a promise of their own.

    `asked` questions were put to the index; a threshold is tested on what it answers of them.
    """

    model: Confidence
    threshold: GroupThreshold
    asked: int


@dataclass(frozen=True)
class Calibration:
    """Everything a router needs, and what a reader wants to know of it.

    `depends` is what it holds for (see fingerprint.py), `gguf` the first of it for
    readers; `members` are all groups that calibration met; `names` translate a tool or a schema
    into its group; `documents` is the calibration of answers from documents, None without an
    index; `domain` is the file of the training questions' sketch in the folder `route`, "" without
    one, and `answers` that of the scored answers; `facts` are for people.
    """

    version: int
    gguf: str
    created: str
    settings: Settings
    model: Confidence
    groups: tuple[GroupThreshold, ...]
    members: tuple[str, ...]
    names: dict[str, str]
    tradeoff: Tradeoff
    curve: tuple[CurvePoint, ...]
    domain: str
    answers: str
    facts: dict[str, Any]
    depends: dict[str, str]
    documents: Sourced | None = None

    def save(self, workspace: Path) -> Path:
        """Write `route.json` into a workspace."""
        text = json.dumps(asdict(self), indent=1, allow_nan=False) + "\n"
        return atomic_write_text(workspace / NAME, text)


def file_of(path: Path) -> Path:
    """The calibration file: `path` itself, or the one in that workspace."""
    return path / NAME if path.is_dir() else path


def read_calibration(path: Path, now: Mapping[str, str] | None = None) -> Calibration | None:
    """The calibration at a path (file or workspace), None if there is none.

    `now`: what is served, by `depends_on`; a calibration of something else, or of another version,
    raises NotCalibrated, a damaged file ArtefactError.
    """
    from pydantic import TypeAdapter, ValidationError

    path = file_of(path)
    try:
        data = path.read_bytes()
        if _version(data) not in (VERSION, None):
            raise NotCalibrated("version of Denizen", path)
        found = TypeAdapter(Calibration).validate_json(data)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise from_os_error(error, path) or ArtefactError(
            "the calibration cannot be read", where=str(path), fix=FIX
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ArtefactError(
            f"not a calibration: {where}: {first['msg'].lower()}", where=str(path), fix=FIX
        ) from error
    if now and (differs := differing(found.depends, now)):
        raise NotCalibrated(", ".join(differs), path)
    return found


def _version(data: bytes) -> int | None:
    """The version a file says it is of, None where it says none."""
    try:
        found = json.loads(data)
    except ValueError:
        return None
    said = found.get("version") if isinstance(found, dict) else None
    return said if isinstance(said, int) else None

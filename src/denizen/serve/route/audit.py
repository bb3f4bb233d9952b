"""Audits: random local answers put to the upstream, and the alarm when they show too many errors.

Contract: which answers are audited is a keyed hash of the request's id under a salt that never
leaves the workspace, so no caller can choose; a record holds ids and outcomes, no text.  The alarm
is an e-process (a bet against "the risk is within the promise"; Ville's inequality): however often
it is looked at, it is false with chance delta at most.  A disagreement counts against the local
answer although the upstream may be the one that errs.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from denizen.project.errors import ArtefactError, from_os_error
from denizen.serve.route.calibration import FOLDER
from denizen.serve.route.risk import lower_bound, upper_bound

if TYPE_CHECKING:
    from denizen.project.config import RouteConfig

RECORDS, SALT = "audits.jsonl", "audit.salt"
_BITS = 64


@dataclass(frozen=True, slots=True)
class AuditState:
    """What audits have shown since the calibration: rates with one-sided bounds at delta.

    `unjudged` had no comparable answer.  `e_value` is the evidence against the promise: once it
    reached 1 / delta the alarm is on, until the next calibration.  `kept` means the upper bound
    lies within the promise.
    """

    audits: int
    disagreed: int
    unjudged: int
    rate: float
    low: float
    high: float
    e_value: float
    alarm: bool
    kept: bool


class Auditor:
    """Picks and remembers; safe to share between threads. `calibration` names the promise."""

    def __init__(
        self,
        share: float,
        salt: bytes,
        *,
        risk: float,
        delta: float,
        path: Path | None = None,
        calibration: str = "",
    ) -> None:
        if not 0 <= share <= 1:
            raise ValueError(f"need a share in [0, 1], got {share}")
        self.share, self.risk, self.delta = share, risk, delta
        self._salt, self._path, self._calibration = salt, path, calibration
        self._lock = Lock()
        self._audits = self._disagreed = self._unjudged = 0
        self._peak = 0.0  # the most evidence there was at any time
        self._cut = False
        self._read()

    @classmethod
    def from_config(cls, route: RouteConfig, workspace: Path, calibration: str = "") -> Auditor:
        """The auditor of a workspace; `calibration` is when its `route.json` was created."""
        config = route
        return cls(
            config.audit,
            _salt(workspace / FOLDER / SALT),
            risk=config.risk,
            delta=config.delta,
            path=workspace / FOLDER / RECORDS,
            calibration=calibration,
        )

    def pick(self, request_id: str) -> bool:
        """Whether this request's local answer is audited; the same for the same id."""
        digest = hmac.new(self._salt, request_id.encode("utf-8", "replace"), hashlib.sha256)
        drawn = int.from_bytes(digest.digest()[: _BITS // 8], "big")
        return bool(drawn < self.share * 2**_BITS)

    def record(
        self,
        request_id: str,
        agreed: bool | None,
        *,
        group: str = "",
        confidence: float | None = None,
    ) -> AuditState:
        """Count one audit (None: the two could not be compared) and keep it on disk."""
        line = {
            "at": round(time.time(), 3),
            "calibration": self._calibration,
            "request": request_id[:128],
            "agreed": agreed,
            "group": group[:80],
            "confidence": confidence,
        }
        with self._lock:
            self._count(agreed)
            self._append(line)
            return self._state()

    @property
    def state(self) -> AuditState:
        """The figures now."""
        with self._lock:
            return self._state()

    def to_json(self) -> dict[str, Any]:
        """The figures as a plain dictionary, for reports and metrics."""
        return asdict(self.state)

    def _count(self, agreed: bool | None) -> None:
        self._audits += agreed is not None
        self._disagreed += agreed is False
        self._unjudged += agreed is None
        if agreed is False:  # agreement never adds to the evidence
            self._peak = max(self._peak, e_value(self._disagreed, self._audits, self.risk))

    def _state(self) -> AuditState:
        n, k = self._audits, self._disagreed
        evidence = e_value(k, n, self.risk)
        high = upper_bound(k, n, self.delta)
        return AuditState(
            n,
            k,
            self._unjudged,
            k / n if n else 0.0,
            lower_bound(k, n, self.delta),
            high,
            evidence,
            self._peak >= 1 / self.delta,
            high <= self.risk,
        )

    def _append(self, line: dict[str, Any]) -> None:
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(("\n" if self._cut else "") + json.dumps(line) + "\n")
            self._cut = False
        except OSError as error:
            raise from_os_error(error, self._path) or error from error

    def _read(self) -> None:
        if self._path is None or not self._path.exists():
            return
        found = self._path.read_text("utf-8", "replace")
        self._cut = bool(found) and not found.endswith("\n")
        for text in found.splitlines():
            with suppress(ValueError, AttributeError):  # a line cut by a kill is no audit
                line = json.loads(text)
                agreed = line.get("agreed")
                if line.get("calibration") == self._calibration and agreed in (True, False, None):
                    self._count(agreed)


def e_value(errors: int, n: int, risk: float) -> float:
    """Evidence that the error rate is above `risk`, after `errors` in `n` trials.

    Likelihood ratio against `risk`, mixed evenly over all higher rates; under any rate up to
    `risk` it is a supermartingale that starts at 1, so it ever reaches 1 / delta with chance delta
    at most (Ville 1939; Ramdas et al. 2023).
    """
    import numpy as np
    from scipy.special import betaincc, betaln

    if not 0 <= errors <= n or not 0 < risk < 1:
        raise ValueError(f"need 0 <= errors <= n and 0 < risk < 1, got {errors}, {n}, {risk}")
    tail = float(betaincc(errors + 1, n - errors + 1, risk))
    if tail <= 0:
        return 0.0
    logs = betaln(errors + 1, n - errors + 1) + np.log(tail) - np.log1p(-risk)
    logs -= errors * np.log(risk) + (n - errors) * np.log1p(-risk)
    return float(np.exp(min(float(logs), 700.0)))


def _salt(path: Path) -> bytes:
    """The workspace's secret, made once and readable by its owner alone."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(32))
        salt = path.read_bytes()
    except OSError as error:
        raise from_os_error(error, path) or error from error
    if len(salt) != 32:
        raise ArtefactError(
            "the salt of the audits is damaged", where=str(path), fix="delete the file"
        )
    return salt

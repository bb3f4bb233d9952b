"""What the gate says: one `Check` a question, one `GateVerdict` over all of them.

Contract: frozen, JSON-serialisable; `from_dict(to_dict())` is the identity, and verdicts written
before a field existed load with its default. All differences and rates are fractions.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


EXIT_CODES = {Status.PASS: 0, Status.FAIL: 1, Status.INCONCLUSIVE: 3}


@dataclass(frozen=True, slots=True)
class Check:
    """One question the gate asked, with the figures that answered it.

    `figure`, `low`, `high`: the figure asked about and its interval at `confidence`. By `kind`:
    superiority      paired difference (candidate - `against`); `low` must exceed `threshold` = 0.
    non-inferiority  the same with two one-sided bounds; `low` must exceed `threshold` = -margin.
    slice            paired difference; fails only when `high` is below 0 and p after Holm says so.
    floor            accuracy with one-sided Wilson bounds; `low` must exceed the floor.
    zero             share of cases without a failure; `low` must exceed 1 - limit.
    unfinished       nothing could be judged; the interval is empty of information.
    `p` is what was compared with alpha (after Holm for families and slices). `first_rate` and
    `second_rate` are the rates of `against` (or the floor) and of the candidate, in [0, 1].
    `superior` is told for the previous release: significantly better, besides not worse.
    """

    name: str
    kind: str
    subject: str
    against: str
    status: Status
    figure: float
    low: float
    high: float
    confidence: float
    p: float
    threshold: float
    n: int
    wins: int
    losses: int
    first_rate: float
    second_rate: float
    n_needed: int | None
    sentence: str
    superior: bool | None = None
    method: str = ""


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """The verdict and every check behind it; hashes name the exact score files compared.

    `alpha` is the level each check on the holdout was tested at. With a counted look (see
    `looks.py`) that is this look's share of `alpha_total`, at which everything beside the holdout
    was tested; `alpha_spent` counts every look up to this one, and `look_hash` names the ledger's
    entry.
    """

    status: Status
    sentence: str
    candidate: str
    base: str
    alpha: float
    n: int
    checks: tuple[Check, ...]
    candidate_hash: str
    base_hash: str
    n_needed: int | None = None
    look: int | None = None
    alpha_total: float | None = None
    alpha_spent: float | None = None
    alpha_left: float | None = None
    look_hash: str = ""

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.status]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"exit_code": self.exit_code}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> GateVerdict:
        """Raises pydantic.ValidationError for anything `to_dict` would not write."""
        from pydantic import TypeAdapter

        plain = {key: value for key, value in data.items() if key != "exit_code"}
        return TypeAdapter(cls).validate_python(plain)


def unfinished(
    name: str,
    subject: str,
    reason: str,
    *,
    against: str = "",
    threshold: float = 0.0,
    n: int = 0,
    n_needed: int | None = None,
) -> Check:
    """The check of something that could not be judged: INCONCLUSIVE, whatever was measured."""
    return Check(
        name=name,
        kind="unfinished",
        subject=subject,
        against=against,
        status=Status.INCONCLUSIVE,
        figure=0.0,
        low=-1.0,
        high=1.0,
        confidence=1.0,
        p=1.0,
        threshold=threshold,
        n=n,
        wins=0,
        losses=0,
        first_rate=0.0,
        second_rate=0.0,
        n_needed=n_needed,
        sentence=f"Not finished: {reason}.",
    )

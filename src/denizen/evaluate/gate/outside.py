"""Checks that were judged elsewhere: audits and integrity, counted as they came out.

Contract: `outside` makes the gate's `Check` of a status and its sentence.  Its interval is empty of
information: the figures are in the audit's own part of the report.
"""

from __future__ import annotations

from denizen.evaluate.gate.verdict import Check, Status


def outside(
    name: str, status: Status, sentence: str, *, n: int = 0, n_needed: int | None = None
) -> Check:
    """The check named `name`; it says PASS, FAIL or INCONCLUSIVE as it was judged."""
    return Check(
        name=name,
        kind="audit",
        subject=name,
        against="",
        status=status,
        figure=0.0,
        low=-1.0,
        high=1.0,
        confidence=1.0,
        p=1.0,
        threshold=0.0,
        n=n,
        wins=0,
        losses=0,
        first_rate=0.0,
        second_rate=0.0,
        n_needed=n_needed,
        sentence=sentence[0].upper() + sentence[1:] if sentence else "",
    )

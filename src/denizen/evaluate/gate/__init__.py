"""The release gate: PASS, FAIL, or an honest INCONCLUSIVE with the n that would settle it.

Contract: `gate` compares suite results item by item on one frozen holdout and returns a
JSON-serialisable `GateVerdict`. A candidate passes when EVERY check passes; each check is tested
at alpha on its own, which keeps the chance of a false PASS at or below alpha (all must reject).
Families and slices are corrected with Holm, because each is also reported as a claim of its own.
Exit codes: 0 PASS, 1 FAIL, 3 INCONCLUSIVE. Raises PairingError on mismatched or doubled items.
"""

from denizen.evaluate.gate.behaviours import BehaviourScores
from denizen.evaluate.gate.judge import gate
from denizen.evaluate.gate.outside import outside
from denizen.evaluate.gate.settings import (
    FORGETTING_MARGIN,
    POWER,
    PREVIOUS_MARGIN,
    QUANT_MARGIN,
    SLICES,
    ZERO_LIMIT,
)
from denizen.evaluate.gate.slices import slice_of
from denizen.evaluate.gate.verdict import EXIT_CODES, Check, GateVerdict, Status
from denizen.evaluate.gate.wording import p_text, points

__all__ = [
    "EXIT_CODES",
    "FORGETTING_MARGIN",
    "POWER",
    "PREVIOUS_MARGIN",
    "QUANT_MARGIN",
    "SLICES",
    "ZERO_LIMIT",
    "BehaviourScores",
    "Check",
    "GateVerdict",
    "Status",
    "gate",
    "outside",
    "p_text",
    "points",
    "slice_of",
]

"""Integrity of the exam: frozen by content hash, and canaries that show where it went."""

from denizen.evaluate.integrity.canary_scan import (
    CanaryVerdict,
    Exposure,
    canary_suite,
    exposure,
    judge_probe,
    scan_outputs,
)
from denizen.evaluate.integrity.freezing import Frozen, Seal, freeze, seal_path, thaw

__all__ = [
    "CanaryVerdict",
    "Exposure",
    "Frozen",
    "Seal",
    "canary_suite",
    "exposure",
    "freeze",
    "judge_probe",
    "scan_outputs",
    "seal_path",
    "thaw",
]

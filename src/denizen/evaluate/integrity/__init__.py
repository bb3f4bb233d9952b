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
from denizen.evaluate.integrity.own_exam import Exam, exam_of, freeze_exam

__all__ = [
    "CanaryVerdict",
    "Exam",
    "Exposure",
    "Frozen",
    "Seal",
    "canary_suite",
    "exam_of",
    "exposure",
    "freeze",
    "freeze_exam",
    "judge_probe",
    "scan_outputs",
    "seal_path",
    "thaw",
]

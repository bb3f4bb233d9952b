"""Near duplicates of the exam in the training rows: exact, MinHash, containment and embedding."""

from denizen.data.near_duplicates.check import (
    check_near_duplicates,
    compare,
    without_near_duplicates,
)
from denizen.data.near_duplicates.passages import masked, passages
from denizen.data.near_duplicates.report import (
    KINDS,
    STRICT,
    KindReport,
    NearDuplicateReport,
    NearPair,
    Thresholds,
)

__all__ = [
    "KINDS",
    "STRICT",
    "KindReport",
    "NearDuplicateReport",
    "NearPair",
    "Thresholds",
    "check_near_duplicates",
    "compare",
    "masked",
    "passages",
    "without_near_duplicates",
]

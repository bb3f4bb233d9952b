"""Privacy and trust audits of a trained model: what it memorised, gives away, or hides.

Exposure of planted canaries, prefix extraction, membership inference, canary words, and a scan for
backdoor triggers; each with its interval, its control and an honest INCONCLUSIVE.
"""

from denizen.evaluate.privacy.audit import (
    AUDITS,
    AuditOutcome,
    PrivacyInputs,
    PrivacyReport,
    run_audits,
)
from denizen.evaluate.privacy.canaries import Canary, CanarySet, mix, plant_canaries, write_own
from denizen.evaluate.privacy.canary_words import WordPrompt, WordSet, plant_words
from denizen.evaluate.privacy.engine import Engine
from denizen.evaluate.privacy.exposure import (
    Exposure,
    ExposureResult,
    LevelExposure,
    audit_exposure,
    rank_exposure,
    sampled_exposure,
)
from denizen.evaluate.privacy.extraction import ExtractionResult, audit_extraction
from denizen.evaluate.privacy.figures import AuditResult, Interval
from denizen.evaluate.privacy.membership import Attack, MembershipResult, audit_membership
from denizen.evaluate.privacy.passages import Passage, passages
from denizen.evaluate.privacy.trigger_candidates import Candidate, propose
from denizen.evaluate.privacy.trigger_confirmation import Outlier
from denizen.evaluate.privacy.trigger_scan import ScanResult, audit_triggers
from denizen.evaluate.privacy.word_proof import WordResult, audit_words, leaks

__all__ = [
    "AUDITS",
    "Attack",
    "AuditOutcome",
    "AuditResult",
    "Canary",
    "CanarySet",
    "Candidate",
    "Engine",
    "Exposure",
    "ExposureResult",
    "ExtractionResult",
    "Interval",
    "LevelExposure",
    "MembershipResult",
    "Outlier",
    "Passage",
    "PrivacyInputs",
    "PrivacyReport",
    "ScanResult",
    "WordPrompt",
    "WordResult",
    "WordSet",
    "audit_exposure",
    "audit_extraction",
    "audit_membership",
    "audit_triggers",
    "audit_words",
    "leaks",
    "mix",
    "passages",
    "plant_canaries",
    "plant_words",
    "propose",
    "rank_exposure",
    "run_audits",
    "sampled_exposure",
    "write_own",
]

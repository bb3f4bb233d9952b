"""The report: `ReportData` in, report.html and report.json out."""

from denizen.evaluate.report.data import (
    Artefact,
    Example,
    FamilyRow,
    ForgettingLeg,
    GuardRails,
    HackingCheck,
    LedgerRow,
    Quantisation,
    Rate,
    ReportData,
    Stage,
    SystemRow,
    TokenParity,
    Training,
    TrainingPoint,
    Trend,
    family_rows,
    pick_examples,
)
from denizen.evaluate.report.page import render, write_report
from denizen.evaluate.report.rails import guard_rails

__all__ = [
    "Artefact",
    "Example",
    "FamilyRow",
    "ForgettingLeg",
    "GuardRails",
    "HackingCheck",
    "LedgerRow",
    "Quantisation",
    "Rate",
    "ReportData",
    "Stage",
    "SystemRow",
    "TokenParity",
    "Training",
    "TrainingPoint",
    "Trend",
    "family_rows",
    "guard_rails",
    "pick_examples",
    "render",
    "write_report",
]

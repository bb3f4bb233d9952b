"""The report: `ReportData` in, report.html and report.json out."""

from denizen.evaluate.report.data import (
    Artefact,
    Example,
    FamilyRow,
    ForgettingLeg,
    LedgerRow,
    Quantisation,
    Rate,
    ReportData,
    Stage,
    SystemRow,
    TokenParity,
    Training,
    TrainingPoint,
    family_rows,
    pick_examples,
)
from denizen.evaluate.report.page import render, write_report

__all__ = [
    "Artefact",
    "Example",
    "FamilyRow",
    "ForgettingLeg",
    "LedgerRow",
    "Quantisation",
    "Rate",
    "ReportData",
    "Stage",
    "SystemRow",
    "TokenParity",
    "Training",
    "TrainingPoint",
    "family_rows",
    "pick_examples",
    "render",
    "write_report",
]

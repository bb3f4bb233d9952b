"""Evaluation: suites, paired statistics, the release gate, forgetting, and the report."""

from denizen.evaluate.closing import closing_lines
from denizen.evaluate.forgetting import (
    Forgetting,
    GeneralScores,
    Question,
    compare_general,
    general_questions,
    general_sentences,
    general_suite,
    score_general,
    score_many,
    score_with,
)
from denizen.evaluate.gate import Check, GateVerdict, Status, gate
from denizen.evaluate.margin import NonInferiority, noninferiority, score_bounds
from denizen.evaluate.power import (
    detectable_difference,
    n_for_difference,
    n_for_noninferiority,
    n_for_zero_failures,
    power_statement,
)
from denizen.evaluate.records import (
    PairingError,
    Score,
    ScoreFileError,
    SuiteResult,
    pair,
    read_scores,
    write_scores,
)
from denizen.evaluate.report import ReportData, family_rows, pick_examples, write_report
from denizen.evaluate.runner import Output, run_suite
from denizen.evaluate.stats import (
    Adjusted,
    Difference,
    McNemar,
    Proportion,
    holm,
    mcnemar,
    paired_bootstrap,
    wilson,
    zero_failure_bound,
)

__all__ = [
    "Adjusted",
    "Check",
    "Difference",
    "Forgetting",
    "GateVerdict",
    "GeneralScores",
    "McNemar",
    "NonInferiority",
    "Output",
    "PairingError",
    "Proportion",
    "Question",
    "ReportData",
    "Score",
    "ScoreFileError",
    "Status",
    "SuiteResult",
    "closing_lines",
    "compare_general",
    "detectable_difference",
    "family_rows",
    "gate",
    "general_questions",
    "general_sentences",
    "general_suite",
    "holm",
    "mcnemar",
    "n_for_difference",
    "n_for_noninferiority",
    "n_for_zero_failures",
    "noninferiority",
    "pair",
    "paired_bootstrap",
    "pick_examples",
    "power_statement",
    "read_scores",
    "run_suite",
    "score_bounds",
    "score_general",
    "score_many",
    "score_with",
    "wilson",
    "write_report",
    "write_scores",
    "zero_failure_bound",
]

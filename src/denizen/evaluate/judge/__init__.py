"""An optional judge: any OpenAI-compatible model, blinded, calibrated, never the generator."""

from denizen.evaluate.judge.agreement import Kappa, PositionBias, cohen_kappa, position_bias
from denizen.evaluate.judge.asking import Judge
from denizen.evaluate.judge.calibration import (
    KAPPA_LIMIT,
    Calibration,
    Label,
    calibrate,
    read_labels,
    require,
)
from denizen.evaluate.judge.client import ChatClient, JudgeSettings
from denizen.evaluate.judge.correction import Corrected, prediction_powered, rogan_gladen
from denizen.evaluate.judge.errors import JudgeError, Unjudged
from denizen.evaluate.judge.grading import GradedSuite, grade_suite
from denizen.evaluate.judge.identity import Identity, refuse_self_judging
from denizen.evaluate.judge.pairs import Contest, JudgedPairs, Outcome, judge_pairs

__all__ = [
    "KAPPA_LIMIT",
    "Calibration",
    "ChatClient",
    "Contest",
    "Corrected",
    "GradedSuite",
    "Identity",
    "Judge",
    "JudgeError",
    "JudgeSettings",
    "JudgedPairs",
    "Kappa",
    "Label",
    "Outcome",
    "PositionBias",
    "Unjudged",
    "calibrate",
    "cohen_kappa",
    "grade_suite",
    "judge_pairs",
    "position_bias",
    "prediction_powered",
    "read_labels",
    "refuse_self_judging",
    "require",
    "rogan_gladen",
]

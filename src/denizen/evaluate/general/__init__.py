"""General ability on public sets: what a fine-tune forgot, told by 19 sets that are not shipped."""

from denizen.evaluate.general.comparing import GeneralComparison, SetComparison, compare_sets
from denizen.evaluate.general.generate import llama_generate, transformers_generate
from denizen.evaluate.general.items import Branch, GeneralItem, GeneralSet, HubSource, Parts
from denizen.evaluate.general.llama_scorer import LlamaScorer
from denizen.evaluate.general.loglikelihood import Likelihood, Scorer, right
from denizen.evaluate.general.reading import read_set, read_sets
from denizen.evaluate.general.sandbox import Outcome, run_program
from denizen.evaluate.general.scoring import Generate, accuracies, judge_item, score_sets
from denizen.evaluate.general.sets import SETS, chosen_sets
from denizen.evaluate.general.transformers_scorer import TransformersScorer

__all__ = [
    "SETS",
    "Branch",
    "GeneralComparison",
    "GeneralItem",
    "GeneralSet",
    "Generate",
    "HubSource",
    "Likelihood",
    "LlamaScorer",
    "Outcome",
    "Parts",
    "Scorer",
    "SetComparison",
    "TransformersScorer",
    "accuracies",
    "chosen_sets",
    "compare_sets",
    "judge_item",
    "llama_generate",
    "read_set",
    "read_sets",
    "right",
    "run_program",
    "score_sets",
    "transformers_generate",
]

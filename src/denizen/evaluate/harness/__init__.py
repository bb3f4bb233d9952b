"""Other people's harnesses: Denizen's families in theirs, and their results in ours.

Contract: `inspect_tasks` (an entry point of Inspect AI) and `write_lm_eval` (task files) expose the
families, both judged by the exact verifier; `run_harness` runs theirs in the user's own environment
against a served artefact and `import_results` reads what came out.  Neither package is imported.
"""

from denizen.evaluate.harness.importing import (
    Figure,
    HarnessError,
    Imported,
    import_results,
    read_inspect,
    read_lm_eval,
)
from denizen.evaluate.harness.lm_eval_tasks import write_lm_eval
from denizen.evaluate.harness.run import HarnessJob, command, run_harness
from denizen.evaluate.harness.scoring import documents, judge_document, served_answer

__all__ = [
    "Figure",
    "HarnessError",
    "HarnessJob",
    "Imported",
    "command",
    "documents",
    "import_results",
    "judge_document",
    "read_inspect",
    "read_lm_eval",
    "run_harness",
    "served_answer",
    "write_lm_eval",
]

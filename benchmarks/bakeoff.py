"""Two real bases on the same small budget, by the verb's own defaults.

Contract: what `denizen bakeoff` prints, as JSON; finished candidates of the workspace are reused,
so times are those of the run that made them.  The dev split judges: the exam is not touched.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

MODELS = ("smollm2-135m-instruct", "gemma3-270m")
ROWS, SAMPLE = 480, 96


def measure(workspace: Path) -> dict[str, Any]:
    """Tune, judge and rank both."""
    from denizen.improve.bakeoff import run_bakeoff
    from denizen.project import Config, Workspace

    config = Config()
    data = config.data.model_copy(update={"rows": ROWS, "sample": SAMPLE})
    ranked = run_bakeoff(
        Workspace.open(workspace),
        config.model_copy(update={"data": data}),
        MODELS,
        say=lambda line: print(line, file=sys.stderr),
    )
    return {
        "verb": f"denizen bakeoff --models {','.join(MODELS)}",
        "rows": ROWS,
        "dev_items": SAMPLE,
        "ranking": [asdict(candidate) for candidate in ranked],
    }

"""`python -m benchmarks [training] [startup] [quickstart]`: each writes one JSON a run.

Contract: a result names the figure, the peer's figure from the same run, their ratio, the command
and the machine; nothing here is asserted or timed in a test.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import quickstart, startup, training
from denizen import __version__
from denizen.project import atomic_write_text
from denizen.project.machine import facts

RESULTS = Path(__file__).with_name("results")
BENCHMARKS: dict[str, Callable[[], dict[str, Any]]] = {
    "startup": startup.measure,
    "training": training.measure,
    "quickstart": quickstart.measure,
}


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all."""
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        print(f"error: no benchmark {sorted(unknown)}; known: {', '.join(BENCHMARKS)}")
        return 2
    for name in names or BENCHMARKS:
        print(f"> {name}", file=sys.stderr)
        result = {
            "benchmark": name,
            "date": datetime.now(UTC).isoformat("T", "seconds"),
            "command": f"python -m benchmarks {name}",
            "version": __version__,
            "machine": facts(),
            **BENCHMARKS[name](),
        }
        path = RESULTS / f"{name}.json"
        atomic_write_text(path, json.dumps(result, indent=1) + "\n")
        print(json.dumps({k: v for k, v in result.items() if k != "machine"}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

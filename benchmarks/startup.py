"""Time of `denizen --help`: the median of eleven fresh processes."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

TARGET = 0.3


def measure() -> dict[str, Any]:
    """Seconds of wall time."""
    program = Path(sys.executable).with_name("denizen")
    times = []
    for _ in range(11):
        began = time.perf_counter()
        subprocess.run([str(program), "--help"], check=True, capture_output=True)
        times.append(time.perf_counter() - began)
    median = statistics.median(times)
    return {"seconds": round(median, 4), "target": TARGET, "reached": median < TARGET}

"""What the validators share; each runs as a script in the environment of the tool it asks.

Contract: `run` keeps the tool's schema beside the others in `target` (if one is named), checks every
emitted folder, says a line for each, and is 1 if one failed.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def run(tool: str, schema: Callable[[], Any], check: Callable[[Path], str]) -> int:
    """`script OUT [TARGET]`: the folders of OUT/`tool`."""
    out, *more = (Path(argument).resolve() for argument in sys.argv[1:])
    for target in more[:1]:
        known = json.loads(target.read_text()) if target.exists() else {}
        text = json.dumps({**known, tool: schema()}, indent=1, sort_keys=True)
        target.write_text(text + "\n")
    failed = 0
    folders = sorted((out / tool).iterdir())
    for folder in folders:
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                said = check(folder.resolve())
        except Exception as error:
            failed += 1
            said = f"FAILED {type(error).__name__}: {error}"
        print(f"{folder.name}: {said}"[:600], flush=True)
    print(f"{len(folders) - failed} passed, {failed} failed")
    return 1 if failed else 0

"""Training rows, the frozen holdout, and the proof that the two do not meet."""

from denizen.data.build import BuildReport, build_rows, to_row
from denizen.data.holdout import load_holdout, stratified
from denizen.data.leaks import LeakReport, check_leaks
from denizen.data.rows import Row, read_rows, write_jsonl

__all__ = [
    "BuildReport",
    "LeakReport",
    "Row",
    "build_rows",
    "check_leaks",
    "load_holdout",
    "read_rows",
    "stratified",
    "to_row",
    "write_jsonl",
]

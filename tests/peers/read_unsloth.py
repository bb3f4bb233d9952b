"""Reads the calls a script for Unsloth makes off Unsloth's wheel, which a GPU alone can import.

    pip download --no-deps unsloth && python tests/peers/read_unsloth.py WHEEL SCHEMA.json

Puts the argument names of FastLanguageModel's two methods into SCHEMA.json (key "unsloth").
"""

from __future__ import annotations

import ast
import json
import sys
import zipfile
from pathlib import Path

# FastLanguageModel is this class's child; get_peft_model is found where its models inherit it.
PLACES = {
    "from_pretrained": ("unsloth/models/loader.py", "FastLanguageModel"),
    "get_peft_model": ("unsloth/models/llama.py", "FastLlamaModel"),
}


def main(wheel: Path, target: Path) -> None:
    read: dict[str, object] = {"version": wheel.name.split("-")[1]}
    with zipfile.ZipFile(wheel) as archive:
        for method, (path, owner) in PLACES.items():
            tree = ast.parse(archive.read(path))
            (made,) = (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == owner)
            (function,) = (
                n for n in made.body if isinstance(n, ast.FunctionDef) and n.name == method
            )
            given = function.args
            read[method] = sorted(a.arg for a in (*given.args, *given.kwonlyargs))
    known = json.loads(target.read_text()) if target.exists() else {}
    target.write_text(json.dumps({**known, "unsloth": read}, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

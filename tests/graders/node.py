"""A grader in node: installed from its own lock into the cache once, skipped where npm is missing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from denizen.project.cache import cache_dir
from denizen.project.hashing import sha256_file


def installed(name: str, script: str) -> Path:
    """The folder of tests/graders/`name` in the cache, with its packages and its script."""
    source = Path(__file__).parent / name
    npm, node = shutil.which("npm"), shutil.which("node")
    if not (npm and node):
        pytest.skip(f"npm and node are needed to run {name}")
    lock = sha256_file(source / "package-lock.json")[:12]
    there = cache_dir() / "graders" / f"{name}-{lock}"
    there.mkdir(parents=True, exist_ok=True)
    for file in ("package.json", "package-lock.json", script):
        shutil.copyfile(source / file, there / file)
    if not (there / "node_modules").exists():
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=there, check=True, capture_output=True, timeout=300)
    return there

"""Writes constraints.txt beside itself: python deploy/pin.py

Contract: the exact versions, in this environment, of everything that `denizen[postgres]` installs.
Ends with 1 and names what is missing here.
"""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

HERE = Path(__file__).parent
HEAD = """\
# Exact versions of everything that the image installs, as the tests ran with them.
# Written by pin.py after a change of the dependencies in pyproject.toml; a test compares the two.
"""


def main() -> int:
    """Follow every requirement that applies here."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text("utf-8"))["project"]
    todo = [*project["dependencies"], *project["optional-dependencies"]["postgres"]]
    pins: dict[str, str] = {}
    seen: set[str] = set()
    missing = []
    while todo:
        wanted = Requirement(todo.pop())
        if (key := f"{wanted.name}{sorted(wanted.extras)}") in seen:
            continue
        seen.add(key)
        try:
            found = distribution(wanted.name)
        except PackageNotFoundError:
            missing.append(wanted.name)
            continue
        name = re.sub(r"[-_.]+", "-", wanted.name).lower()
        pins[name] = found.version.partition("+")[0]
        for line in found.requires or ():
            marker = Requirement(line).marker
            applies = ({"extra": extra} for extra in ("", *wanted.extras))
            if marker is None or any(marker.evaluate(one) for one in applies):
                todo.append(line)
    lines = "".join(f"{name}=={version}\n" for name, version in sorted(pins.items()))
    (HERE / "constraints.txt").write_text(HEAD + lines, "utf-8")
    print(f"{len(pins)} pinned" + (f", not here: {', '.join(missing)}" if missing else ""))
    return bool(missing)


if __name__ == "__main__":
    sys.exit(main())

"""What a program in the sandbox cannot do; each program runs in a process of its own."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from denizen.evaluate.general import SETS, judge_item, read_set, run_program

PUBLIC = Path(__file__).parents[3] / "shared" / "data" / "general-evals"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="resource limits are POSIX's")


@pytest.mark.parametrize(
    "how",
    [
        "open({path!r}, 'w').write('x')",
        "import os; os.close(os.open({path!r}, os.O_CREAT | os.O_WRONLY))",
        "import io; io.FileIO({path!r}, 'w')",
        "import os; os.system('touch ' + {path!r})",
        "import subprocess; subprocess.run(['touch', {path!r}])",
        "import os; os.mkdir({path!r})",
        "import os; open('mine', 'w').close(); os.rename('mine', {path!r})",
        "import os; os.symlink('/etc', 'link'); open('link/denizen-test', 'w')",
        "import ctypes; ctypes.CDLL(None).creat({path!r}.encode(), 0o644)",
    ],
)
def test_nothing_is_written_outside(tmp_path: Path, how: str) -> None:
    target = tmp_path / "evil"
    outcome = run_program(how.format(path=str(target)))
    assert not outcome.ok and not target.exists()


def test_files_outside_are_kept_and_where_the_kernel_helps_not_even_read(tmp_path: Path) -> None:
    target = tmp_path / "mine"
    target.write_text("secret")
    assert not run_program(f"import os; os.remove({str(target)!r})").ok
    assert target.read_text() == "secret"
    outcome = run_program(f"open({str(target)!r}).read()")
    if "landlock" in outcome.guards:
        assert not outcome.ok


def test_it_ends_in_time_with_what_it_started() -> None:
    began = time.monotonic()
    outcome = run_program("while True: pass", seconds=1.0)
    assert not outcome.ok and "1 s" in outcome.reason and time.monotonic() - began < 6


@pytest.mark.parametrize(
    "program",
    [
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import os; os.fork()",
        "import os; os.kill(os.getppid(), 9)",
        "x = 'a' * 10**10",
        "f = open('big', 'w'); f.write('x' * 10**7); f.close()",
        "import os; os._exit(0)",
        "import sys; sys.exit(0)",
        "raise ValueError",
        "not python",
        "'\ud800'.encode()",
    ],
)
def test_what_fails_or_leaves_early_has_not_passed(program: str) -> None:
    assert not run_program(program).ok


def test_harmless_programs_pass() -> None:
    outcome = run_program(
        "import math, collections, itertools, functools, re, heapq, typing, hashlib\n"
        "print('x' * 10**6)\n"
        "open('mine', 'w').write('x')\n"
        "assert open('mine').read() == 'x' and __name__ == '__main__'\n"
    )
    assert outcome.ok, outcome
    assert {"limits", "audit"} <= set(outcome.guards)
    assert run_program(
        "import os; assert not [k for k in os.environ if k not in ('LC_CTYPE', 'PWD', 'LD_LIBRARY_PATH')]"
    ).ok
    assert not any(name.endswith("jail") for name in sys.modules), "the jail is never ours"


@pytest.mark.slow
@pytest.mark.skipif(not PUBLIC.is_dir(), reason=f"no public sets at {PUBLIC.name}")
def test_the_sets_own_solutions_pass_and_empty_ones_do_not() -> None:
    import json

    items = read_set(SETS["human_eval"], PUBLIC)
    lines = (PUBLIC / SETS["human_eval"].file).read_text("utf-8").splitlines()
    solutions = [json.loads(line)["canonical_solution"] for line in lines]
    failed = [i.id for i, s in zip(items, solutions, strict=True) if not judge_item(i, s).ok]
    assert not failed
    assert not any(judge_item(item, "    pass\n").ok for item in items[:5])

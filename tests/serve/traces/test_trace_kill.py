"""A process killed under load loses nothing it acknowledged; one asked to end loses nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from denizen.serve.traces.store import TraceStore

PROGRAM = """
import os, signal, sys, threading, time
from pathlib import Path
from denizen.serve.exchange import Outcome, Request, Turn, Usage, Visit
from denizen.serve.traces import Tracer, TraceStore

tracer = Tracer(TraceStore(Path(sys.argv[1]), days=30), content="full")
ending = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ending.set())

def say(*words):
    os.write(1, (" ".join(words) + "\\n").encode())

def work(place):
    number = -1
    while not ending.is_set():  # a server that is asked to end takes no new requests
        number += 1
        recording = tracer.start(Visit(f"{place}-{number}"), Request("m", (Turn("user", "q"),)))
        with recording.span("generate"):
            pass
        if number % 5 == 4:
            recording.finish(None, "", None)  # the caller left
        else:
            recording.finish(Outcome("m", Usage(1, 1)), "answer", None)
        say("finished", recording.trace_id)
        recording.stored.add_done_callback(lambda f, i=recording.trace_id: say("stored", i))
        time.sleep(0.002)

left_open = tracer.start(Visit("open"), Request("m", (Turn("user", "q"),)))
say("finished", left_open.trace_id)
threads = [threading.Thread(target=work, args=(place,), daemon=True) for place in range(4)]
for one in threads:
    one.start()
ending.wait(60)
for one in threads:
    one.join()
# Nobody closes the tracer: the end of the process does.
"""


def run_until(path: Path, number: int, how: signal.Signals) -> dict[str, set[str]]:
    """Run the program, send it a signal in the middle of its load; what it said."""
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path)], stdout=subprocess.PIPE, env={**os.environ}
    )
    assert child.stdout is not None
    said: dict[str, set[str]] = {"finished": set(), "stored": set()}
    deadline = time.monotonic() + 30
    killed = False
    for line in child.stdout:
        word, _, key = line.decode().strip().partition(" ")
        if len(key) == 32:  # a kill may cut the last line
            said[word].add(key)
        if not killed and (len(said["stored"]) >= number or time.monotonic() > deadline):
            child.send_signal(how)
            killed = True
    child.wait(30)
    child.stdout.close()
    assert killed
    return said


def stored_in(path: Path) -> set[str]:
    store = TraceStore(path)
    try:
        return {one.trace.id for one in store.all_turns()}
    finally:
        store.close()


@pytest.mark.parametrize("number", [1, 300])
def test_a_killed_process_loses_nothing_it_acknowledged(tmp_path: Path, number: int) -> None:
    path = tmp_path / "traces.sqlite"
    said = run_until(path, number, signal.SIGKILL)
    stored = stored_in(path)
    assert len(said["stored"]) >= number
    assert said["stored"] <= stored
    # What was lost had been finished a moment before, and is whole or not there.
    assert len(said["finished"] - stored) < 400


def test_a_process_asked_to_end_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "traces.sqlite"
    said = run_until(path, 200, signal.SIGTERM)
    assert said["finished"] <= stored_in(path)
    store = TraceStore(path)
    errors = {one.trace.error for one in store.all_turns()}
    store.close()
    assert errors <= {"", "cancelled", "unfinished"} and "unfinished" in errors

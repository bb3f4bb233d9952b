"""Servers take turns at beginning grammars, and what llama.cpp kept of another is forgotten."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from denizen.export import write_gguf
from denizen.models import load_model, load_tokenizer
from denizen.models.llama_grammars import GrammarTurns, forget

# Without the turns this ends with GGML_ASSERT within ten models.
MANY_MODELS = """
import json, sys
from pathlib import Path
from denizen.serve.backend.engine import Engine
grammar = '%llguidance {}\\nstart: "{" ("xx" | "yy") "}"'
body = {"prompt": [1, 2], "stream": True, "max_tokens": 9, "temperature": 0, "grammar": grammar}
for count in range(60):
    engine, told = Engine(Path(sys.argv[1 + count % 2]), context=128, parallel=1, threads=1), []
    engine.run(json.dumps(body).encode(), lambda event: told.append(event))
    engine.close()
    words = [json.loads(event)["choices"][0]["text"] for event in told if event[:1] == b"{"]
    assert "".join(words) in ("{xx}", "{yy}"), told
print("answered")
"""


class Entered:
    """A thread that takes a turn, and begins when it is told to."""

    def __init__(self, turns: GrammarTurns, server: int) -> None:
        self.inside, self._leave = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, args=(turns, server), daemon=True)
        self._thread.start()

    def _work(self, turns: GrammarTurns, server: int) -> None:
        with turns.turn(server) as begun:
            self.inside.set()
            self._leave.wait(5)
            begun()
            begun()  # every event says so

    def began(self) -> None:
        self._leave.set()
        self._thread.join(5)
        assert not self._thread.is_alive()


def waits(one: Entered) -> bool:
    return not one.inside.wait(0.05)


def test_one_servers_grammars_begin_together() -> None:
    forgotten: list[int] = []
    turns = GrammarTurns(lambda: forgotten.append(1))
    first, second = Entered(turns, 1), Entered(turns, 1)
    assert first.inside.wait(5) and second.inside.wait(5) and len(forgotten) == 1
    first.began()
    second.began()


def test_another_server_waits_and_nobody_overtakes_it() -> None:
    forgotten: list[int] = []
    turns = GrammarTurns(lambda: forgotten.append(1))
    first = Entered(turns, 1)
    assert first.inside.wait(5)
    other = Entered(turns, 2)
    assert waits(other)
    late = Entered(turns, 1)
    assert waits(late)
    first.began()
    assert other.inside.wait(5) and waits(late) and len(forgotten) == 2
    other.began()
    assert late.inside.wait(5) and len(forgotten) == 3
    late.began()


def test_the_turn_ends_with_the_first_event_and_not_with_the_answer() -> None:
    turns = GrammarTurns(lambda: None)
    with turns.turn(1) as begun:
        begun()
        other = Entered(turns, 2)
        assert other.inside.wait(5)
        other.began()


@pytest.mark.parametrize("where", ["forget", "answer"])
def test_a_failure_leaves_the_turn_to_others(where: str) -> None:
    def fails() -> None:
        if where == "forget" and not answered:
            raise RuntimeError("no room")

    answered: list[int] = []
    turns = GrammarTurns(fails)
    with pytest.raises(RuntimeError), turns.turn(1):
        raise RuntimeError("llama.cpp failed")
    answered.append(1)
    other = Entered(turns, 2)
    assert other.inside.wait(5)
    other.began()


def test_forgetting_again_and_again_is_harmless() -> None:
    for _ in range(50):
        forget()


def test_a_models_tokens_are_never_those_of_one_freed_before(tiny: Path, tmp_path: Path) -> None:
    # In a process of its own: what goes wrong there ends it.
    larger = load_model(tiny)
    larger.resize_token_embeddings(larger.config.vocab_size + 64)
    larger.save_pretrained(tmp_path / "larger")
    load_tokenizer(tiny).save_pretrained(tmp_path / "larger")
    files: list[Path] = []
    for folder in (tiny, tmp_path / "larger"):
        files.append(tmp_path / f"{len(files)}.gguf")
        write_gguf(folder, files[-1], quant="f32", name="tiny")
    done = _python(MANY_MODELS, *map(str, files))
    assert done.returncode == 0 and "answered" in done.stdout, done.stderr[-2000:]


def _python(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=120
    )

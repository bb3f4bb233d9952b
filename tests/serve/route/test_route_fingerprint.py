"""What a calibration depends on: whatever changes the signals changes the fingerprint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.retrieve.retrieve_sample import WordEncoder, filled

from denizen.project import ArtefactError, Config
from denizen.serve.route import DOCUMENTS, depends_on
from denizen.serve.route.fingerprint import differing
from denizen.tasks import suite_of

SUITE = suite_of("mechanics,range_status")


def config(**sections: dict[str, Any]) -> Config:
    return Config.model_validate(sections)


def changed(other: Config, gguf: str = "g", suite: Any = SUITE) -> tuple[str, ...]:
    return differing(depends_on(config(), SUITE, "g"), depends_on(other, suite, gguf))


def test_equal_settings_are_equal_and_each_change_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert changed(config(serve={"port": 9000}, route={"budget": 0.3})) == ()
    for promise in ({"risk": 0.02}, {"delta": 0.01}):  # asked for, but not what was proven
        assert changed(config(route=promise)) == ("promised risk",)
    assert changed(config(), gguf="other") == ("model",)
    assert "reasoning" in changed(config(serve={"reasoning": "none"}))
    assert changed(config(evaluate={"max_new_tokens": 200})) == ("token limit",)
    assert "task families" in changed(config(), suite=suite_of("mechanics"))
    file = tmp_path / "a.gguf"
    file.write_bytes(b"one")
    adapted = config(serve={"adapters": {"a": str(file)}})
    skilled = config(serve={"adapters": {"a": str(file)}, "skills": {"mechanics": "a"}})
    assert changed(adapted) == changed(skilled) == ("skills or adapters",)
    before = depends_on(skilled, SUITE, "g")
    assert differing(before, depends_on(adapted, SUITE, "g")) == ("skills or adapters",)
    file.write_bytes(b"another file of that name")
    assert differing(before, depends_on(skilled, SUITE, "g")) == ("skills or adapters",)
    file.unlink()
    with pytest.raises(ArtefactError, match="adapter 'a' cannot be read"):
        depends_on(adapted, SUITE, "g")
    now = depends_on(config(), SUITE, "g")
    monkeypatch.setattr("denizen.serve.route.fingerprint.version", lambda name: f"{name} 99")
    assert differing(now, depends_on(config(), SUITE, "g")) == ("code or llama.cpp",)
    monkeypatch.undo()
    monkeypatch.setattr("denizen.serve.answering.conversation.read.__defaults__", ("Be brief.",))
    assert changed(config()) == ()  # both are asked alike
    now = depends_on(config(), SUITE, "g")
    monkeypatch.undo()
    assert differing(now, depends_on(config(), SUITE, "g")) == ("prompt",)


def test_documents_depend_on_what_finds_them(tmp_path: Path) -> None:
    index, _ = filled(tmp_path)
    other, _ = filled(tmp_path / "o", WordEncoder("another"))
    made = depends_on(config(), SUITE, "g", index)
    for now in (
        depends_on(config(), SUITE, "g", other),
        depends_on(config(serve={"passages": 5}), SUITE, "g", index),
    ):
        assert now[DOCUMENTS] != made[DOCUMENTS]
        assert differing(made, now) == ()  # the other answers are as they were
    assert depends_on(config(), SUITE, "g", index) == made

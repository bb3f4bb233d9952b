"""Looks that are not the gate's count too; programs and the canary's probe are a key away."""

from __future__ import annotations

from pathlib import Path

import pytest

from denizen.data.canary import carried_canaries
from denizen.evaluate.integrity import canary_suite
from denizen.improve.conduct import PROBED, sets_of, suites_of
from denizen.improve.gating import count_look
from denizen.improve.mainline import MainLine
from denizen.project import Workspace
from denizen.project.config import parse_config


def test_a_harness_that_asks_the_exam_takes_a_look(tmp_path: Path) -> None:
    place, config = Workspace.open(tmp_path / "w"), parse_config("")
    first = count_look(place, config, "a" * 64, scoring="inspect")
    assert first.number == 1 and first.left < config.evaluate.alpha
    assert count_look(place, config, "a" * 64, scoring="inspect").repeated
    other = count_look(place, config, "b" * 64, scoring="lm-eval")
    assert other.number == 2 and other.alpha < first.alpha
    # The gate's own next look is the third, however few families it asks.
    line = MainLine(place, parse_config("data: {families: staking}"), quiet=True)
    assert line.gating.exam_hash == MainLine(place, config, quiet=True).gating.exam_hash
    assert len(line.gating.ledger.looks(line.gating.exam_hash)) == 2


def test_the_canarys_probe_is_a_suite_of_its_own(tmp_path: Path) -> None:
    place = Workspace.open(tmp_path / "w")
    config = parse_config(f"evaluate: {{suites: {PROBED}}}")
    conduct = MainLine(place, config, quiet=True).conduct
    assert conduct._of_exam and not conduct._of_rows and not conduct.suites
    assert not MainLine(place, parse_config(""), quiet=True).conduct._of_exam
    assert suites_of(PROBED, 5) == ()
    assert canary_suite(tuple(carried_canaries().values())).rule == "zero"


def test_programs_are_asked_only_if_the_key_allows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(
        "denizen.improve.conduct.read_sets",
        lambda sets, place, limit: asked.append([one.kind for one in sets]) or {},
    )
    sets_of(str(tmp_path), 1)
    sets_of(str(tmp_path), 1, True)
    assert "code" not in asked[0] and "code" in asked[1] and len(asked[1]) == 19

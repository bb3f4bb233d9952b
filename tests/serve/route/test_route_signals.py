"""Signals: by hand, never a NaN, and the same reading at calibration and serving."""

from __future__ import annotations

import math

import pytest
from tests.serve.route.route_sample import CORE, guided

from denizen.serve.route.signals import (
    MARGIN_CAP,
    NO_GROUP,
    SIGNALS,
    group_of_tool,
    read_answer,
    signals_of,
)

CALL = "Uniswap v2. <calc>il_full(entry=1000; now=4000)</calc>"


def signals(answer, **changed):
    given = {"coverage": 0.5, "schema_ok": True, "recompute_ok": True, "distance": 0.2}
    return signals_of(answer, **{**given, **changed})


def test_margins_by_hand() -> None:
    answer = guided(
        CALL, ("Uni", 4.0, 0.9), (" v2", 1.0, 0.6), ("1000", 2.0, 0.8), ("4000", 6.0, 0.99)
    )
    found = signals(answer)
    assert found["margin_least"] == 1.0 and found["margin_mean"] == 3.25
    assert found["margin_low"] == pytest.approx(1.0 + 0.3 * (2.0 - 1.0))
    assert found["decisions"] == 4.0
    assert found["probability_log"] == pytest.approx(math.log(0.9 * 0.6 * 0.8 * 0.99))
    # The arguments begin after the bracket: only the first two choices named the tool.
    assert found["margin_tool"] == 1.0
    later = guided(CALL, ("Uni", 4.0, 0.9), ("1000", 0.5, 0.6))
    assert signals(later)["margin_tool"] == 4.0 and signals(later)["margin_least"] == 0.5


def test_every_signal_is_a_known_name_and_finite() -> None:
    assert set(signals(guided(CALL, ("Uni", 4.0, 0.9)))) == set(SIGNALS)
    odd = guided("x", ("x", math.nan, math.nan), ("y", math.inf, 1.0), ("z", -1.0, 0.0))
    found = signals(odd, coverage=math.nan, distance=math.inf)
    assert all(math.isfinite(v) for v in found.values())
    assert "coverage" not in found and "distance" not in found
    assert found["margin_least"] == 0.0 and found["decisions"] == 2.0


def test_what_is_not_known_is_absent_not_zero() -> None:
    found = signals_of(None, coverage=None, schema_ok=False, recompute_ok=True, distance=None)
    assert found == {"schema_failed": 1.0, "recompute_failed": 0.0}


def test_nothing_to_decide_is_no_doubt() -> None:
    found = signals(guided(CALL))
    assert found["margin_least"] == found["margin_tool"] == MARGIN_CAP
    assert found["decisions"] == 0.0 and found["probability_log"] == 0.0


def test_an_answer_tells_its_group_and_whether_it_holds() -> None:
    assert read_answer(CALL, CORE).group == "impermanent_loss"
    good = read_answer(CALL, CORE)
    assert good.schema_ok and good.recompute_ok
    cut = read_answer("Uniswap v2. <calc>il_full(entry=1000;", CORE)
    assert cut.schema_ok and not cut.recompute_ok
    words = read_answer("I do not know.", CORE)
    assert words.group == NO_GROUP and not words.schema_ok
    assert group_of_tool("no_such_tool", CORE) == NO_GROUP
    for name, family in CORE.families.items():
        item = family.generate(3, "dev")
        reading = read_answer(item.answer, CORE)
        assert reading.schema_ok and reading.recompute_ok and reading.group != NO_GROUP
        assert name in CORE.families

"""Leverage tools against loops played step by step, and what they refuse."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denizen.tasks.catalogue import Result
from denizen.tasks.quantities import parse_quantity as q
from denizen.tasks.tools import leverage as tools


def close(result: Result, expected: Fraction, key: str | None = None) -> bool:
    value = Fraction(result.values[key or result.headline])
    return abs(value - expected) <= Fraction(1, 10**15) * max(1, abs(expected))


@given(st.integers(1, 95), st.integers(0, 15))
def test_rounds_are_the_loop_played_out(ltv: int, rounds: int) -> None:
    supplied, step = Fraction(1), Fraction(1)
    for _ in range(rounds):
        step *= Fraction(ltv, 100)
        supplied += step
    found = tools.loop_rounds(q("3.2%"), q("2.4%"), q(f"{ltv}%"), q(str(rounds)))
    assert close(found, supplied, "leverage")
    assert close(found, supplied * Fraction(32, 1000) - (supplied - 1) * Fraction(24, 1000))


def test_borrow_is_paid_on_the_borrowed_part_alone() -> None:
    found = tools.loop_leverage(q("3.2%"), q("2.4%"), q("3.5x"))
    assert close(found, Fraction(32, 1000) * Fraction(7, 2) - Fraction(24, 1000) * Fraction(5, 2))
    assert close(tools.loop_leverage(q("3.2%"), q("2.4%"), q("1x")), Fraction(32, 1000))
    with pytest.raises(ValueError, match="below one"):
        tools.loop_leverage(q("3.2%"), q("2.4%"), q("0.5x"))


def test_limit_is_what_rounds_approach() -> None:
    limit = Fraction(tools.max_leverage(q("80%")).values["max_leverage"])
    assert limit == 5
    near = Fraction(tools.loop_rounds(q("1%"), q("1%"), q("80%"), q("60")).values["leverage"])
    assert 0 < limit - near < Fraction(1, 10**5)
    with pytest.raises(ValueError, match="loan-to-value"):
        tools.max_leverage(q("100%"))


def test_the_tolerated_fall_ends_at_the_threshold() -> None:
    found = tools.loan_drop(q("$100k"), q("62k"), q("83%"))
    fall = Fraction(found.values["drop"])
    assert abs((1 - fall) * 100_000 * Fraction(83, 100) - 62_000) < Fraction(1, 10**9)
    # With the LTV in its place the answer is another one.
    assert tools.loan_drop(q("$100k"), q("62k"), q("80%")).values != found.values
    with pytest.raises(ValueError, match="already liquidatable"):
        tools.loan_drop(q("$100k"), q("84k"), q("83%"))
    with pytest.raises(ValueError, match="debt"):
        tools.loan_drop(q("$100k"), q("0"), q("83%"))


def test_a_loop_falls_as_the_loan_it_is() -> None:
    loop = tools.loop_drop(q("3x"), q("83%"))
    loan = tools.loan_drop(q("$30k"), q("$20k"), q("83%"))
    assert loop.values == loan.values
    assert close(loop, 1 - Fraction(2, 1) / (3 * Fraction(83, 100)))


def test_unwinding_arrives_at_the_health_factor() -> None:
    found = tools.unwind_health(q("$100k"), q("70k"), q("83%"), q("1.5"), q("0.3%"))
    sold = Fraction(found.values["sold"])
    debt = 70_000 - sold * Fraction(997, 1000)
    assert abs((100_000 - sold) * Fraction(83, 100) / debt - Fraction(3, 2)) < Fraction(1, 10**12)
    done = tools.unwind_health(q("$100k"), q("10k"), q("83%"), q("1.5"), q("0.3%"))
    assert done.values["sold"].strip("0.") == ""


def test_unwinding_arrives_at_the_leverage() -> None:
    found = tools.unwind_leverage(q("$100k"), q("70k"), q("2x"), q("30 bps"))
    sold = Fraction(found.values["sold"])
    held, owed = 100_000 - sold, 70_000 - sold * Fraction(997, 1000)
    assert abs(held / (held - owed) - 2) < Fraction(1, 10**12)
    with pytest.raises(ValueError, match="no equity"):
        tools.unwind_leverage(q("$100k"), q("110k"), q("2x"), q("0.3%"))

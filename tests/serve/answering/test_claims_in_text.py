"""Numbers in any answer: calls are evaluated, wrong sums and contradicting figures corrected."""

from __future__ import annotations

import pytest

from denizen.serve.answering.claims import (
    BAD_CALL,
    CONTRADICTED,
    FAILED,
    MAX_CALLS,
    STRANGER,
    checked,
    unverified,
)
from denizen.serve.answering.sums import sums
from denizen.tasks import evaluate

ASKED = "IL if ETH goes from 1000 to 4000?"
CALL = "il_full(entry=1000; now=4000)"


def test_a_call_in_free_text_is_replaced_by_its_result() -> None:
    found = checked(f"Let me see: <calc>{CALL}</calc>", ASKED)
    assert found.text == f"Let me see: {evaluate(CALL).text}"
    assert found.calls == (CALL,) and found.derivation[0] == CALL and found.ok
    assert not found.corrections


def test_a_claim_that_contradicts_its_call_is_corrected() -> None:
    found = checked(f"<calc>{CALL}</calc>, so the loss is 35%.", ASKED)
    assert "35%" not in found.text and "-20.00%" in found.text
    assert found.corrections == (("35%", "-20.00%"),) and found.ok


@pytest.mark.parametrize("told", ["20%", "-20%", "20.0%", "-20.00%"])
def test_the_right_figure_in_any_notation_stays(told: str) -> None:
    found = checked(f"<calc>{CALL}</calc> That is {told}.", ASKED)
    assert told in found.text and not found.corrections and found.ok


def test_given_figures_in_the_same_unit_are_no_claims() -> None:
    found = checked(f"With a fee of 0.3% it is <calc>{CALL}</calc>", f"{ASKED} The fee is 0.3%.")
    assert "0.3%" in found.text and not found.corrections


@pytest.mark.parametrize(
    "told", ["the pool keeps 3.960514 WETH", "0.0393 WETH at least", "with yours 1.039486 WETH"]
)
def test_what_follows_from_the_result_is_no_contradiction(told: str) -> None:
    asked = "Sell 100 USDC into 10,000 USDC and 4 WETH; slippage 0.5%, and I hold 1 WETH"
    text = f"<calc>v2_in(in=100 USDC; a=10,000 USDC; b=4 WETH)</calc>, so {told}"
    found = checked(text, asked, asked)
    assert told in found.text and not found.corrections and found.ok
    wrong = checked(text.replace(told, "you get 0.05 WETH"), asked, asked)
    assert wrong.corrections == (("0.05 WETH", "0.039486321 WETH"),)


def test_several_contradictions_are_flagged_not_guessed() -> None:
    found = checked(f"<calc>{CALL}</calc> or 31% or 47%", ASKED)
    assert CONTRADICTED in found.flags and not found.ok and not found.corrections


def test_figures_after_an_earlier_call_are_compared_with_it() -> None:
    found = checked("so 35% is lost", ASKED, earlier=[evaluate(CALL)])
    assert found.corrections == (("35%", "-20.00%"),)


@pytest.mark.parametrize(
    "call", ["il_full(entry=1000", "nothing(a=1)", "il_full(entry=1000; now=x)", "", "__import__"]
)
def test_a_call_that_does_not_evaluate_is_told(call: str) -> None:
    found = checked(f"It is <calc>{call}</calc>.", ASKED)
    assert FAILED in found.text and found.flags == (BAD_CALL,) and not found.ok
    assert "<calc>" not in found.text


def test_figures_nobody_gave_are_told() -> None:
    found = checked("<calc>il_full(entry=1000; now=5000)</calc>", ASKED)
    assert STRANGER in found.flags and not found.ok
    again = checked("<calc>il_full(entry=1000; now=5,000)</calc>", "from 1,000 to 5000")
    assert again.ok


def test_an_answer_of_calls_alone_is_bounded() -> None:
    found = checked(f"<calc>{CALL}</calc>" * 50, ASKED)
    assert len(found.calls) == MAX_CALLS and BAD_CALL in found.flags


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("4.5 x 2,500 = 11,200", "11,250"),
        ("4.5 WETH * 2,500 USDC = 11,200 USDC", "11,250 USDC"),
        ("0.3% of 4,500 is 15", "13.5"),
        ("100 + 250 - 30 = 330", "320"),
        ("2 + 3 * 4 = 20", "14"),
        ("$1,000 / 8 = $120", "$125"),
        ("12 / 48 = 30%", "25%"),
        ("5% + 2.5% = 6%", "7.5%"),
        ("10 minus 4 equals 5", "6"),
        ("3 WETH + 4 WETH = 8 WETH", "7 WETH"),
        ("In sum: * 3 + 4 = 8", "7"),
        # Raw amounts: the default context of decimals fails on their digits, or rounds them.
        (f"{10**29} + 1 = 5", f"{10**29 + 1:,}"),
        (f"{2**200} - 1 = 5", f"{2**200 - 1:,}"),
    ],
)
def test_a_wrong_sum_is_corrected(text: str, exact: str) -> None:
    (found,) = sums(text)
    assert not found.right
    fixed = checked(text, "").text
    assert fixed.endswith(f" {exact}")
    assert all(one.right for one in sums(fixed))


@pytest.mark.parametrize(
    "text",
    [
        "4.5 x 2,500 = 11,250",
        "1 / 3 = 0.33",
        "1 / 3 is about 33%",
        "2 / 3 = 66.67%",
        "1.2M * 2 = 2.4M",
        "0.05% of $21.7M is $10,850",
    ],
)
def test_a_right_or_rounded_sum_stays(text: str) -> None:
    (found,) = sums(text)
    assert found.right and checked(text, "").text == text


@pytest.mark.parametrize(
    "text",
    [
        "100 + 5% = 105",
        "3 (4 + 5) = 27",
        "from 2,400 to 3,100 is wide",
        "10 / 0 = 5",
        "7 days * 3 = 21 days",
        "2026-11-22 = today",
        "an address 0x" + "ab" * 20 + " = 5",
        "it is 5",
        # Right, but for a reader of the last two figures alone.
        "2^3 + 1 = 9",
        "2 ^ 3 + 1 = 9",
        "1.05^2 x 100 = 110.25",
        "1.05**2 * 100 = 110.25",
        "\u221a16 + 1 = 5",
        "3 \u00b7 4 + 2 = 14",
        "(1 + 2) x 2 + 1 = 7",
        "price x 3 + 4 = 7,504",
        "2x + 3 = 7",
        "5-3 + 4 = 6",
        "5 -3 + 4 = 6",
        "1 1/2 + 1 = 2.5",
        "half of 10 + 5 = 10",
        " + ".join("1" * 14) + " = 14",
        "1,000 x 1,000 = 10^6",
        "4 x 4 = 4**2",
        "2 x 3 = 3 x price",
        # What a token is worth says its price.
        "1 WETH + 500 USDC = 3,000 USDC",
        "2 WETH x 2,500 USDC + 500 DAI = 5,000 USDC",
        "9" * 199 + " x " + " x ".join(["9" * 150] * 5) + " = 5",
    ],
)
def test_what_is_not_understood_is_left_alone(text: str) -> None:
    assert checked(text, "").text == text


def test_unverified_figures_are_those_that_follow_from_nothing() -> None:
    assert unverified("It pays 12.5% on 300 USDC", ["300 USDC at 12.5%"]) == ()
    assert unverified("That leaves 250", ["300 USDC", "50 USDC"]) == ()
    assert unverified("The peak was 87,000", ["300 USDC"]) == ("87000",)

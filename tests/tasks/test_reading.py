"""Answers in words: every right form is accepted and every wrong one refused, and none raises."""

from __future__ import annotations

import time
from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denizen.tasks.catalogue import Result
from denizen.tasks.reading import names_label, reads_figure, refuses
from denizen.tasks.tools.refusal import MISSING, cannot_answer


def figure(number: str, unit: str) -> Result:
    return Result({"x": number}, "", (), "x", Decimal(number), unit)


def reads(number: str, unit: str, text: str) -> bool:
    return reads_figure(figure(number, unit), text)[0]


STATUS = Result(
    {"status": "in range"}, "", (), "status", aliases=("active",),
    rivals=("below range", "above range", "out of range"),
)  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "11,546.95 USDC",
        "You get 11546.95 USDC.",
        "about 11.547k USDC",
        "0.011547 million USDC",
        "11 546.95 USDC",
        "11\u202f546.95 USDC",
        "11'546.95 USDC",
        "11_546.95 USDC",
        "$11,546.95",
        "roughly 11,547",
        "4.5 WETH buys 11,546.95 USDC",
        "On v3 11,546.95 USDC come out.",
        "11,546.95 USDC, not 12,000 USDC",
        "Not 12,000 USDC but 11,546.95 USDC",
        "First 9,000 USDC, then 2,546.95 USDC, in total 11,546.95 USDC",
        "11,546.95 USDC (that is 11,546.95 USDC after the fee of 34.64 USDC, so 11,546.95 USDC)",
    ],
)
def test_an_amount_in_every_notation(text: str) -> None:
    assert reads("11546.95", "USDC", text), text


@pytest.mark.parametrize(
    "text",
    [
        "11,700 USDC",
        "11,546.95 WETH",
        "11,546.95 USDT per WETH",
        "11.546 USDC",
        "11,546.95 USDC or 12,000 USDC",
        "11,000 USDC or maybe 11,546.95 USDC",
        "12,000 USDC, perhaps about 11,546.95 USDC",
        "somewhere between 11,000 USDC and 11,546.95 USDC",
        "11,000-11,546.95 USDC",
        "11k\u201311,546.95 USDC",
        "It isn't 11,546.95 USDC",
        "It isn\u2019t 11,546.95 USDC",
        "anything rather than 11,546.95 USDC",
        "11,546.95 USDC at first; after the fee 11,200 USDC",
        "0x0000000000000000000000000000000000000b4a",
        "no idea",
        "",
    ],
)
def test_a_wrong_amount_in_every_guise(text: str) -> None:
    assert not reads("11546.95", "USDC", text), text


@pytest.mark.parametrize(
    "text",
    [
        "12.5%", "12.5 %", "12.5 percent", "12.5 per cent", "12.5 pct", "1250 bps", "1,250 bps",
        "1250 basis points", "0.125", "12.5", "about 12.52%", "from 0.3% a day to 12.5% a year",
        "The fee APR is 12.5%, not 20%.", "2% on 0.3% and so 12.5%",
    ],
)  # fmt: skip
def test_a_percentage_in_every_notation(text: str) -> None:
    assert reads("12.5", "%", text), text


@pytest.mark.parametrize(
    "text",
    [
        "12.6%", "1.25%", "125 bps", "0.0125", "0.125%", "12.5% or 14%", "14% or rather 12.5%",
        "12.5 USDC", "between 10% and 12.5%", "10-12.5%", "10%-12.5%", "not 12.5%",
    ],
)  # fmt: skip
def test_a_wrong_percentage(text: str) -> None:
    assert not reads("12.5", "%", text), text


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("-5.72%", True),
        ("\u22125.72%", True),
        ("a loss of 5.72%", True),
        ("you are down 572 bps", True),
        ("5.72% worse than holding", True),
        ("-0.0572", True),
        ("a gain of 5.72%", False),
        ("you are up by 5.72%", False),
        ("-57.2%", False),
        ("+0.572%", False),
    ],
)
def test_a_loss_is_not_told_as_a_gain(text: str, right: bool) -> None:
    assert reads("-5.72", "%", text) is right


def test_a_small_percentage_needs_two_places_and_no_more() -> None:
    assert reads("0.0432", "%", "0.04%") and reads("0.0432", "%", "4.32 bps")
    assert not reads("0.0432", "%", "0.05%") and not reads("0.0432", "%", "0%")


def test_other_units() -> None:
    assert reads("3.5", "x", "3.5x") and reads("3.5", "x", "a leverage of 3.5")
    assert reads("12.5", "days", "12.5 days") and reads("12.5", "days", "300 hours")
    assert not reads("12.5", "days", "12.5 weeks") and not reads("3.5", "x", "35x")
    assert reads("1.62", "", "health factor 1.62") and not reads("1.62", "", "162%")


def notations(value: Decimal, token: str) -> list[str]:
    grouped = f"{value:,}"
    return [
        f"{value} {token}",
        f"{grouped} {token}",
        grouped.replace(",", " ") + f" {token}",
        grouped.replace(",", "'") + f" {token}",
        f"{value / 1000:f}k {token}",
        f"{value / 1_000_000:f} million {token}",
        f"I make it {grouped} {token}.",
        f"{grouped} {token}, not {value * 2} {token}",
    ]


AMOUNTS = st.decimals(Decimal("0.01"), Decimal("99999999"), places=2)
OFF = st.sampled_from([Decimal(f) for f in ("0.5", "0.9", "0.99", "1.01", "1.1", "2", "10")])


@given(AMOUNTS, st.sampled_from(["USDC", "WETH", "crvUSD"]), OFF)
def test_amounts_are_read_in_all_notations_and_only_right(
    value: Decimal, token: str, off: Decimal
) -> None:
    for text in notations(value, token):
        assert reads(str(value), token, text), text
    for text in notations(value * off, token):
        assert not reads(str(value), token, text), text


@given(st.decimals(Decimal("1.5"), Decimal("400"), places=2), OFF)
def test_percentages_are_read_in_all_notations_and_only_right(value: Decimal, off: Decimal) -> None:
    def said(points: Decimal) -> list[str]:
        rounded = (points / 100).quantize(Decimal("0.000001"), rounding=ROUND_HALF_EVEN)
        return [f"{points}%", f"{points} percent", f"{points * 100} bps", f"{points}", f"{rounded}"]

    assert all(reads(str(value), "%", text) for text in said(value))
    # A bare figure may be points or a fraction: only what is told with its unit is judged here.
    assert not any(reads(str(value), "%", text) for text in said(value * off)[:3])


@given(st.text(max_size=200))
def test_no_text_makes_a_reader_raise(text: str) -> None:
    for gold in (figure("12.5", "%"), figure("3", "USDC")):
        assert isinstance(reads_figure(gold, text)[0], bool)
    assert isinstance(names_label(STATUS, text)[0], bool)
    assert isinstance(refuses(cannot_answer("fee"), text, ())[0], bool)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("in range", True),
        ("The position is In Range.", True),
        ("It is active.", True),
        ("It is not below range; it is in range.", True),
        ("neither below range nor above range, so in range", True),
        ("It isn't out of range: in range", True),
        ("not in range", False),
        ("isn\u2019t in range", False),
        ("It is no longer active.", False),
        ("in range or above range", False),
        ("above range", False),
        ("inactive", False),
        ("I would say it depends.", False),
    ],
)
def test_labels_negation_and_rivals(text: str, right: bool) -> None:
    assert names_label(STATUS, text)[0] is right


def test_a_label_inside_its_rival_is_not_a_second_label() -> None:
    fee = Result({"v": "0.3%"}, "", (), "v", rivals=("0.05%",))
    assert names_label(fee, "It is 0.3%.")[0] and not names_label(fee, "It is 10.3%.")[0]
    long = Result({"v": "set per pool"}, "", (), "v", rivals=("pool",))
    assert names_label(long, "It is set per pool.")[0]
    assert not names_label(long, "It is set per pool, or by the pool owner.")[0]


KNOWN = frozenset({"4.5 WETH", "87k USDT", "0.3%", "30 days"})


@pytest.mark.parametrize(
    "text",
    [
        "This cannot be answered: the fee is not given.",
        "I can't tell without the fee tier.",
        "I can\u2019t tell without the fee tier.",
        "You have not stated the swap fee.",
        "The question doesn't mention the fee.",
        "The fee is missing, so what 4.5 WETH brings cannot be computed.",
        "87,000 USDT of depth is not enough information without a fee.",
        "Over 30 days, at 0.3 percent slippage, the fee is unknown.",
        "I would need the fee tier first.",
        "Not enough data: which fee does the pool charge?",
        "Impossible to calculate; no fee is stated.",
    ],
)
def test_refusals_that_name_what_is_missing(text: str) -> None:
    assert refuses(cannot_answer("fee"), text, KNOWN)[0], text


@pytest.mark.parametrize(
    "text",
    [
        "This cannot be answered.",
        "The reserves are not given.",
        "I cannot tell how much you get.",
        "The fee is not given; assuming 0.05% you get 11,500 USDT.",
        "The fee is unknown, so roughly 4.4 WETH.",
        "The fee is 0.3%.",
        "4.5 WETH",
        "",
    ],
)
def test_refusals_that_do_not(text: str) -> None:
    assert not refuses(cannot_answer("fee"), text, KNOWN)[0], text


@pytest.mark.parametrize("missing", MISSING)
def test_what_is_missing_is_named_by_each_of_its_words_and_not_by_none(missing: str) -> None:
    gold = cannot_answer(missing)
    assert refuses(gold, gold.text, ())[0]
    for word in MISSING[missing]:
        assert refuses(gold, f"I cannot answer this: {word} unknown to me.", ())[0]
        assert not refuses(gold, f"I cannot answer this: {word} unknown; say 12.34 XYZ.", ())[0]
    for vague in ("I cannot answer that.", "It can't be determined at this point, sorry."):
        assert not refuses(gold, vague, ())[0]


def test_the_future_is_declined_in_the_words_people_use() -> None:
    gold = cannot_answer("future")
    for text in (
        "Nobody can predict that.",
        "I can't say what the price will be.",
        "That lies in the future and is unknown.",
        "It is impossible to know tomorrow's APR.",
    ):
        assert refuses(gold, text, ())[0], text
    assert not refuses(gold, "I predict 4,000 USDT per WETH.", ())[0]
    assert not refuses(gold, "Nobody can predict it, but likely 4,000 USDT.", ())[0]


def test_a_flow_may_be_told_by_who_pays() -> None:
    gold = Result({"flow": "-93.5"}, "", (), "flow", Decimal("-93.5"), "USD", flow=True)
    for text in ("The long pays $93.5", "You owe $93.50.", "-$93.5", "it costs 93.5 dollars"):
        assert reads_figure(gold, text)[0], text
    for text in ("You receive $93.5", "$93.5", "the long earns $93.5"):
        assert not reads_figure(gold, text)[0], text
    got = Result({"flow": "93.5"}, "", (), "flow", Decimal("93.5"), "USD", flow=True)
    assert reads_figure(got, "The short receives $93.5")[0]
    assert not reads_figure(got, "The short pays $93.5")[0]


def test_a_price_may_carry_its_base() -> None:
    gold = Result({"price": "3250"}, "", (), "price", Decimal(3250), "USDC")
    assert reads_figure(gold, "about 3,250 USDC per WETH")[0]
    assert reads_figure(gold, "3250 USDC/WETH")[0]
    assert not reads_figure(gold, "3,350 USDC per WETH")[0]
    assert not reads_figure(gold, "3,250 WETH per USDC")[0]


@pytest.mark.parametrize(
    "text",
    [
        r"$$\boxed{11{,}546.95 USDC}$$", r"\(11\,546.95 \text{ USDC}\)", "_11,546.95 USDC_",
        "1.154695e4 USDC", "1.154695 \u00d7 10^4 USDC", r"1.154695 \times 10^{4} USDC",
        "11.546,95 USDC", "11546,95 USDC", "11546.95USDC", "not 12,000 but 11,546.95 USDC",
    ],
)  # fmt: skip
def test_an_amount_as_models_typeset_it(text: str) -> None:
    assert reads("11546.95", "USDC", text), text


@pytest.mark.parametrize(
    ("number", "unit", "text"),
    [
        ("18.99", "USDC", "19,369514 USDC"),  # not 19 and a rest
        ("18.99", "USDC", "19.369514WETH"),
        ("577.9", "%", "5.779,05%"),
        ("18.99", "USDC", "18.99 USDC is wrong"),
        ("2", "USDC", "2e5 USDC"),
        ("2", "USDC", "2e999 USDC"),
        ("93", "USD", "$-93"),
        ("93", "USD", "minus $93"),
    ],
)
def test_a_figure_cut_short_is_not_the_figure(number: str, unit: str, text: str) -> None:
    assert not reads(number, unit, text), text


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("in-range", True),
        ("_in range_", True),
        ("The position is not inactive but active.", True),
        ("I don't know whether it is in range.", False),
        ("in range? No idea.", False),
        ('"in range" is wrong', False),
        ("It cannot be in range.", False),
        ("in range, or out-of-range", False),
    ],
)
def test_labels_as_models_dress_them(text: str, right: bool) -> None:
    assert names_label(STATUS, text)[0] is right, text


def test_no_is_a_label_only_where_it_answers() -> None:
    yes = Result({"v": "yes"}, "", (), "v", rivals=("no",))
    no = Result({"v": "no"}, "", (), "v", rivals=("yes",))
    assert names_label(yes, "Yes, there is no doubt.")[0] and names_label(no, "No, never.")[0]
    assert not names_label(yes, "No.")[0] and not names_label(no, "There is no doubt: yes.")[0]


@pytest.mark.parametrize(
    "piece", ["1", "1 ", "1-", "1 %", "1 000 ", "12 USDC ", "a_", "10^", "1.000", "not ", "\\text{"]
)
def test_hostile_lengths_take_no_time(piece: str) -> None:
    text = piece * (20_000 // len(piece))
    took = []
    for _ in range(3):
        began = time.perf_counter()
        reads("12.5", "%", text)
        reads("12.5", "USDC", text)
        names_label(STATUS, text)
        took.append(time.perf_counter() - began)
    assert min(took) < 0.15, piece  # three verdicts

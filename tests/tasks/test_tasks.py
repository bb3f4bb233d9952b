"""Families validate without a model; quantities, calls and the verifier by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest

from denizen.tasks import (
    FAMILIES,
    Item,
    QuantityError,
    ToolError,
    catalogue_prompt,
    evaluate,
    find_call,
    find_spans,
    parse_call,
    parse_quantity,
    suite_of,
    verify,
)


@pytest.mark.parametrize("name", FAMILIES)
def test_family_validates(name: str) -> None:
    FAMILIES[name].validate(60)


@pytest.mark.parametrize("name", FAMILIES)
def test_items_are_reproducible_and_serialise(name: str) -> None:
    item = FAMILIES[name].generate(7, "train")
    assert item == FAMILIES[name].generate(7, "train")
    assert item == Item.from_json(item.to_json())
    assert item.prompt != FAMILIES[name].generate(7, "holdout").prompt


@pytest.mark.parametrize(
    ("text", "value", "unit", "kind"),
    [
        ("4.5 WETH", "4.5", "WETH", "amount"),
        ("$21.7M", "21700000", "USD", "number"),
        ("87k", "87000", "", "integer"),
        ("3.1 million USDC", "3100000", "USDC", "amount"),
        ("0.05%", "0.0005", "%", "percent"),
        ("5 bps", "0.0005", "%", "percent"),
        ("24h", "1", "days", "period"),
        ("12 hours", "0.5", "days", "period"),
        ("-195,714", "-195714", "", "integer"),
        ("3,250 USDC per ETH", "3250", "USDC", "price"),
        ("1,850 GHO/wstETH", "1850", "GHO", "price"),
    ],
)
def test_quantity(text: str, value: str, unit: str, kind: str) -> None:
    quantity = parse_quantity(text)
    assert quantity.value == Decimal(value) and quantity.unit == unit
    assert kind in quantity.kinds
    assert find_spans(f"so, {text}, right?") == [text]


def test_spans_in_running_text() -> None:
    text = "Range 2,800-3,400 on Uniswap v3 (0.3%), tick -120..-60, L=123456789; $16.7k\nAPR?"
    assert find_spans(text) == [
        "2,800", "3,400", "0.3%", "-120", "-60", "123456789", "$16.7k",
    ]  # fmt: skip
    with pytest.raises(QuantityError):
        parse_quantity("about ten")


def test_calls() -> None:
    assert str(parse_call("il_full(entry=1; now=2)")) == "il_full(entry=1; now=2)"
    assert find_call("a <calc>x(y=1)</calc> b <calc>z(y=2)</calc>") == "z(y=2)"
    assert find_call("nothing") is None
    for bad in (
        "il_full(entry=1)",
        "il_full(now=1; entry=2)",
        "nope(a=1)",
        "il_full",
        "il_full(entry)",
    ):
        with pytest.raises(ToolError):
            evaluate(bad)
    with pytest.raises(ToolError, match="wants"):
        evaluate("il_full(entry=1 WETH; now=2)")


def test_exact_results() -> None:
    quote = evaluate("v2_in(in=4.5 WETH; a=1,200 WETH; b=3.1M USDC)")
    reserve_in, reserve_out, amount = 1200 * 10**18, 3_100_000 * 10**6, 45 * 10**17
    expected = amount * 997 * reserve_out // (reserve_in * 1000 + amount * 997)
    assert quote.values["out"] == str(expected)
    swapped = evaluate("v2_in(in=4.5 WETH; a=3,100,000 USDC; b=1.2k WETH)")
    assert swapped.values == quote.values
    assert evaluate("il_full(entry=1000; now=4000)").number == Decimal(-20)
    assert evaluate("range(now=-5; lower=-10; upper=-5)").values["status"] == "above range"
    assert evaluate("spacing(version=v3; fee=30 bps)").values["value"] == "60"
    assert "chosen per pool" in evaluate("spacing(version=v4; fee=0.3%)").text


def item(gold: str) -> Item:
    return Item("x", "f", "k", "dev", 0, "q", gold, "t", "", "v3", 1, "2026-01-01")


def test_verifier_reads_meaning() -> None:
    loss = item("il_full(entry=1000; now=4000)")
    assert verify(loss, "d. <calc>il_full(entry=$1,000; now=4k)</calc>").ok
    assert verify(loss, "You lost about 20%.").ok
    assert verify(loss, "The loss is -20.02 %").ok
    assert not verify(loss, "The loss is 21%").ok
    assert not verify(loss, "no idea").ok
    assert not verify(loss, "d. <calc>il_full(entry=1000;").ok
    fact = item("fact(version=v3; topic=callback)")
    assert verify(fact, "It is uniswapV3SwapCallback, of course").ok
    assert not verify(fact, "d. <calc>fact(version=v4; topic=callback)</calc>").ok


def test_catalogue_is_described_whole() -> None:
    prompt = catalogue_prompt("You are X.", suite_of("all"))
    for tool in suite_of("all").tools.values():
        assert tool.signature() in prompt
        assert all(f"{p.name}: " in prompt for p in tool.parameters)

"""The calculator as a sandbox: typed, bounded in size and time, errors a model can read."""

from __future__ import annotations

import contextlib
import json
import time
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denizen.tasks import ToolError, call_tool, catalogue, catalogue_schema, evaluate, parse_call
from denizen.tasks.calculator import MAX_CALL

# The worst figures that fit each kind.
EXTREMES = {
    "amount": [f"{10**70} WETH", "0 USDC", "0.000000000000000000000000000000000001 DAI"],
    "percent": ["0%", "99999999999%", "0.0000000000000001%", "100%"],
    "period": ["0 days", f"{10**60} years", "1 seconds"],
    "price": [f"{10**60} USDC per WETH", "0.0000000000000000000001 USDC per WETH"],
    "number": ["0", str(10**76), "-5", "0.0000000000000000000000000001"],
    "integer": ["0", str((1 << 256) - 1), "-1"],
    "multiple": ["0x", "100000000000x", "1x"],
    "address": ["0x" + "ff" * 20],
    "hex": ["0x" + "ff" * 4000, "0x00000000"],
}


@pytest.mark.parametrize("name", catalogue())
def test_every_tool_ends_soon_on_the_worst_that_fits(name: str) -> None:
    tool = catalogue()[name]
    choices = [p.choices[:2] or EXTREMES[str(p.kind)] for p in tool.parameters]
    for number, values in enumerate(product(*choices)):
        if number == 300:
            break
        pairs = zip((p.name for p in tool.parameters), values, strict=True)
        text = f"{name}({'; '.join(f'{k}={v}' for k, v in pairs)})"
        began = time.perf_counter()
        try:
            found = evaluate(text)
        except ToolError:
            found = None
        assert time.perf_counter() - began < 0.5, text
        if found is not None:
            assert set(found.values) == set(tool.returns), text


def test_no_call_reaches_pythons_evaluator() -> None:
    for text in (
        "__import__('os').system('true')",
        "v2_in(in=__import__('os'); a=1 A; b=2 B)",
        "il_full(entry=10**10**10; now=2)",
        "il_full(entry=1e999999; now=2)",
        "exec(x=1)",
    ):
        with pytest.raises(ToolError):
            evaluate(text)
    tasks = Path(catalogue.__wrapped__.__code__.co_filename).parent
    for path in tasks.rglob("*.py"):
        source = path.read_text("utf-8")
        assert " eval(" not in source and " exec(" not in source, path


def test_sizes_are_bounded() -> None:
    with pytest.raises(ToolError, match="longer than"):
        parse_call("il_full(entry=" + "1" * MAX_CALL + "; now=2)")
    with pytest.raises(ToolError, match="not a quantity"):
        evaluate("il_full(entry=" + "1" * 500 + "; now=2)")
    with pytest.raises(ToolError, match="256 bits"):
        evaluate(f"il_full(entry={1 << 256}; now=2)")
    with pytest.raises(ToolError, match="arguments"):
        parse_call("f(" + "; ".join(f"a{i}=1" for i in range(99)) + ")")


@given(st.text(max_size=120))
def test_any_text_is_a_result_or_a_tool_error(text: str) -> None:
    for call in (text, f"il_full({text})", f"il_full(entry={text}; now=2)"):
        with contextlib.suppress(ToolError):
            evaluate(call)


def test_wrong_arguments_come_back_as_words() -> None:
    said = call_tool("v2_in", {"in": "4.5 WETH", "a": "1,200 WETH", "b": "3.1M USDC"})
    assert said["ok"] and said["values"]["token"] == "USDC" and said["derivation"]
    for name, arguments, words in (
        ("v3_in", {}, "there is no tool 'v3_in'"),
        ("il_full", {"entry": "1"}, "missing 'now'"),
        ("il_full", {"entry": "1", "now": "2", "x": "3"}, "no argument 'x'"),
        ("il_full", {"entry": 1, "now": "2"}, "text with its unit"),
        ("il_full", {"entry": "soon", "now": "2"}, "not a quantity"),
        ("il_full", {"entry": "5 WETH", "now": "2"}, "wants number"),
        ("il_full", {"entry": "0", "now": "2"}, "il_full"),
        ("fact", {"version": "v9", "topic": "oracle"}, "one of v2, v3, v4"),
    ):
        found = call_tool(name, arguments)
        assert not found["ok"] and words in found["error"]


def test_published_schema_is_the_catalogue() -> None:
    schema = catalogue_schema(catalogue())
    assert [s["function"]["name"] for s in schema] == list(catalogue())
    for tool, entry in zip(catalogue().values(), schema, strict=True):
        function = entry["function"]
        assert function["parameters"]["required"] == [p.name for p in tool.parameters]
        assert function["parameters"]["additionalProperties"] is False
        assert tool.returns, f"{tool.name} does not say what it returns"
    page = Path(__file__).parents[2] / "docs" / "calculator.json"
    assert json.loads(page.read_text("utf-8")) == schema, "run `make docs`"


def test_drafts_tell_tools_apart() -> None:
    drafts = [tool.draft for tool in catalogue().values()]
    assert len(set(drafts)) == len(drafts)


@pytest.mark.parametrize(
    "call",
    [
        "cl_in(in=-37 COMP; L=45589401919725302; price=38.61 USDT per COMP; fee=1%)",
        "utilisation(cash=-31190K USDT; debt=217M USDT)",
        "lst_rebase(held=4 stETH; pooled=6M ETH; rewards=-485.6 ETH; fee=10%)",
        "farm_tvl(rewards=-$495k; per=year; outside=15.5%)",
        "range(now=0.6356; lower=-0.4331; upper=0.8525)",
    ],
)
def test_impossible_figures_are_refused(call: str) -> None:
    with pytest.raises(ToolError):
        evaluate(call)


def test_a_signed_amount_may_be_negative() -> None:
    text = "v4_delta(swap=-1,350 LDO; op1=settle; amount1=1,351 LDO; op2=take; amount2=1 LDO)"
    assert dict(evaluate(text).values)["delta"] == "0"


def test_values_do_not_depend_on_notation() -> None:
    plain = evaluate("v2_in(in=4500 USDC; a=1200000 USDC; b=3100000 DAI)").values
    assert evaluate("v2_in(in=4.5k USDC; a=1,200,000 USDC; b=3.1 million DAI)").values == plain
    zero = evaluate("funding_apr(rate=0%; interval=8 hours)")
    minus = evaluate("funding_apr(rate=-0%; interval=8 hours)")
    assert (minus.values, minus.text) == (zero.values, zero.text)

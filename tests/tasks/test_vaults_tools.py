"""ERC-4626 tools against fractions, the direction of rounding, and the attack step by step."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from denizen.tasks.catalogue import Result
from denizen.tasks.quantities import parse_quantity
from denizen.tasks.tools.vaults import FUNCTIONS, VAULT_TOOLS

TOOLS = {tool.name: tool for tool in VAULT_TOOLS}
ROUND = dict(zip(FUNCTIONS, (floor, ceil, ceil, floor), strict=True))
BY_TOKEN = dict(
    zip(("vault_deposit", "vault_mint", "vault_withdraw", "vault_redeem"), FUNCTIONS, strict=True)
)


def run(name: str, *values: str) -> Result:
    tool = TOOLS[name]
    pairs = zip(tool.parameters, values, strict=True)
    result = tool.run(**{f"{p.name}_": v if p.choices else parse_quantity(v) for p, v in pairs})
    assert set(result.values) == set(tool.returns)
    return result


def exact(function: str, amount: int, assets: int, supply: int) -> Fraction:
    to_shares = function in ("previewDeposit", "previewWithdraw")
    return Fraction(amount * supply, assets) if to_shares else Fraction(amount * assets, supply)


RAW = st.integers(1, 10**30)


@given(st.sampled_from(FUNCTIONS), st.integers(0, 10**24), RAW, RAW)
def test_raw_rounding(function: str, amount: int, assets: int, supply: int) -> None:
    found = run("vault_raw", function, str(amount), str(assets), str(supply))
    assert int(found.values["result"]) == ROUND[function](exact(function, amount, assets, supply))
    assert found.values["function"] == function


@given(st.sampled_from(FUNCTIONS), st.integers(0, 10**24), RAW, RAW, st.integers(0, 12))
def test_virtual_rounding(function: str, amount: int, assets: int, supply: int, k: int) -> None:
    found = run("vault_virtual", function, str(amount), str(assets), str(supply), str(k))
    value = exact(function, amount, assets + 1, supply + 10**k)
    assert int(found.values["result"]) == ROUND[function](value)


@pytest.mark.parametrize(("name", "function"), BY_TOKEN.items())
def test_previews_in_tokens(name: str, function: str) -> None:
    """USDC has 6 decimals, the share 18; neither conversion divides evenly."""
    total, supply = 3_141_592_650_000, 2_718_281_828 * 10**15
    shares = name in ("vault_mint", "vault_redeem")
    given_raw = 1_234_567 * 10**15 if shares else 1_234_567_000
    said = "1,234.567 fooUSDC" if shares else "1,234.567 USDC"
    found = run(name, said, "3.14159265M USDC", "2,718,281.828 fooUSDC")
    key = "assets" if shares else "shares"
    value = exact(function, given_raw, total, supply)
    assert value.denominator > 1
    assert int(found.values[key]) == ROUND[function](value)
    assert found.values["token"] == found.unit == ("USDC" if shares else "fooUSDC")


def test_deposit_and_withdraw_differ_by_the_last_unit() -> None:
    values = ("1,000 DAI", "3.3M DAI", "2.9M sDAI")
    down = int(run("vault_deposit", *values).values["shares"])
    up = int(run("vault_withdraw", *values).values["shares"])
    assert up - down == 1


def test_share_price() -> None:
    found = run("vault_price", "1.5M USDC", "1.2M fooUSDC")
    assert found.values == {"price": "1250000", "token": "USDC"}


def test_attack_by_hand() -> None:
    """1 wei buys the only share; 10,000 in makes the victim's 19,500 buy one: half is gone."""
    found = run("vault_attack", "1", "10,000 USDC", "19,500 USDC")
    pot = 1 + 10_000 * 10**6 + 19_500 * 10**6
    assert found.values["victim_shares"] == "1"
    assert int(found.values["loss"]) == 19_500 * 10**6 - (pot - pot // 2)
    assert int(found.values["profit"]) == pot // 2 - 1 - 10_000 * 10**6
    assert found.unit == "USDC" and found.headline == "loss"


@given(
    st.integers(1, 50), st.integers(10**3, 10**12), st.integers(10**3, 10**12), st.integers(0, 6)
)
def test_attack_with_virtual_shares(first: int, gift: int, victim: int, offset: int) -> None:
    said = [f"{n // 10**6}.{n % 10**6:06} USDC" for n in (gift, victim)]
    found = run("vault_attack_virtual", str(first), *said, str(offset))
    virtual = 10**offset
    shares = first * virtual
    bought = floor(Fraction(victim * (shares + virtual), first + gift + 1))
    assume(bought > 0)
    pot, supply = first + gift + victim, shares + bought
    taken = floor(Fraction(shares * (pot + 1), supply + virtual))
    pot, supply = pot - taken, supply - shares
    back = floor(Fraction(bought * (pot + 1), supply + virtual))
    assert int(found.values["victim_shares"]) == bought
    assert int(found.values["loss"]) == victim - back
    assert int(found.values["profit"]) == taken - first - gift


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("vault_deposit", ("5 sDAI", "9 DAI", "8 sDAI")),
        ("vault_redeem", ("5 DAI", "9 DAI", "8 sDAI")),
        ("vault_deposit", ("5 DAI", "9 DAI", "8 DAI")),
        ("vault_deposit", ("5 DAI", "0 DAI", "8 sDAI")),
        ("vault_price", ("9 DAI", "0 sDAI")),
        ("vault_raw", ("previewMint", "5", "0", "7")),
        ("vault_raw", ("previewMint", "5,000 DAI", "9", "7")),
        ("vault_raw", ("previewMint", "-5", "9", "7")),
        ("vault_virtual", ("previewMint", "5", "9", "7", "19")),
        ("vault_virtual", ("previewMint", "5", "9", "7", "-1")),
        ("vault_attack", ("0", "9 DAI", "8 USDC")),
        ("vault_attack", ("1,000 DAI", "9 DAI", "8 DAI")),
    ],
)
def test_impossible_vaults_are_refused(name: str, values: tuple[str, ...]) -> None:
    with pytest.raises(ValueError):
        run(name, *values)

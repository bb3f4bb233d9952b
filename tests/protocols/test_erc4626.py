"""ERC-4626 against the EIP's rounding rules, hand-made figures and OpenZeppelin's attack bounds."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denizen.protocols import MathError
from denizen.protocols.erc4626 import (
    Vault,
    VaultState,
    fee_on_top,
    fee_within,
    inflation_attack,
    least_donation,
)

MAX = (1 << 256) - 1
ETHER = 10**18
amounts = st.integers(0, 10**30)
offsets = st.sampled_from([None, 0, 3, 6])
fees = st.sampled_from([0, 1, 30, 500, 10_000])


@st.composite
def states(draw: st.DrawFn, offset: st.SearchStrategy[int | None] = offsets) -> VaultState:
    assets, supply = draw(st.integers(1, 10**30)), draw(st.integers(1, 10**30))
    return VaultState(assets, supply, draw(offset), draw(fees), draw(fees))


def exact_rate(state: VaultState) -> Fraction:
    """Shares for an asset, from the definition."""
    if state.decimals_offset is None:
        return Fraction(state.total_supply, state.total_assets)
    return Fraction(state.total_supply + 10**state.decimals_offset, state.total_assets + 1)


def test_conversions_by_hand() -> None:
    # 7 shares on 10 assets: 3 assets are 2.1 shares, 2 shares are 2.857 assets.
    plain = VaultState(10, 7, decimals_offset=None)
    assert (plain.convert_to_shares(3), plain.convert_to_assets(2)) == (2, 2)
    assert (plain.preview_deposit(3), plain.preview_redeem(2)) == (2, 2)
    assert (plain.preview_withdraw(3), plain.preview_mint(2)) == (3, 3)
    # With 1 virtual asset and 10^3 virtual shares: 3 x 1007 / 11 = 274.6, 300 x 11 / 1007 = 3.3.
    virtual = VaultState(10, 7, decimals_offset=3)
    assert (virtual.convert_to_shares(3), virtual.preview_withdraw(3)) == (274, 275)
    assert (virtual.convert_to_assets(300), virtual.preview_mint(300)) == (3, 4)


def test_empty_vaults() -> None:
    assert VaultState(decimals_offset=None).preview_deposit(5) == 5
    assert VaultState(decimals_offset=6).preview_deposit(5) == 5_000_000
    with pytest.raises(MathError):  # shares without assets have no price
        VaultState(0, 1, decimals_offset=None).preview_deposit(5)
    assert VaultState(0, 1, decimals_offset=None).preview_redeem(1) == 0


@given(states(), amounts)
def test_each_side_rounds_the_way_the_eip_says(state: VaultState, amount: int) -> None:
    free = state._replace(entry_fee=0, exit_fee=0)
    shares, assets = amount * exact_rate(free), amount / exact_rate(free)
    assert free.preview_deposit(amount) == free.convert_to_shares(amount) == shares // 1
    assert free.preview_redeem(amount) == free.convert_to_assets(amount) == assets // 1
    assert free.preview_withdraw(amount) == -(-shares // 1)
    assert free.preview_mint(amount) == -(-assets // 1)
    # EIP-4626: previews include fees, conversions do not.
    assert state.convert_to_shares(amount) == free.convert_to_shares(amount)
    assert state.preview_deposit(amount) <= free.preview_deposit(amount)
    assert state.preview_withdraw(amount) >= free.preview_withdraw(amount)
    assert state.preview_mint(amount) >= free.preview_mint(amount)
    assert state.preview_redeem(amount) <= free.preview_redeem(amount)


@given(amounts, fees)
def test_the_two_fees_are_one_fee(net: int, rate: int) -> None:
    on_top = fee_on_top(net, rate)
    assert on_top - 1 < Fraction(net * rate, 10_000) <= on_top
    assert fee_within(net + on_top, rate) == on_top


@given(states(), st.integers(0, 10**24))
def test_a_round_trip_never_gains(state: VaultState, amount: int) -> None:
    vault = Vault(state)
    vault.deposit(amount, "you")
    assert vault.max_withdraw("you") <= amount
    paid = vault.redeem(vault.max_redeem("you"), "you")
    assert paid <= amount
    there = Vault(state)
    cost = there.mint(amount, "you")
    assert there.redeem(amount, "you") <= cost


@given(states(), st.integers(1, 10**24))
def test_the_limit_can_be_withdrawn_and_nothing_more(state: VaultState, amount: int) -> None:
    vault = Vault(state)
    vault.deposit(amount, "you")
    limit = vault.max_withdraw("you")
    with pytest.raises(MathError):
        vault.withdraw(limit + 1, "you")
    held, inside = vault.max_redeem("you"), vault.state.total_assets
    assert vault.withdraw(limit, "you") <= held
    assert vault.state.total_assets <= inside - limit


steps = st.lists(
    st.tuples(
        st.sampled_from(["deposit", "mint", "withdraw", "redeem", "donate"]),
        st.integers(0, 10**24),
        st.sampled_from("ab"),
    ),
    max_size=20,
)


@given(offsets, fees, fees, steps)
def test_assets_are_conserved_and_others_lose_nothing(
    offset: int | None, entry: int, leaving: int, walk: list[tuple[str, int, str]]
) -> None:
    vault = Vault(VaultState(0, 0, offset, entry, leaving))
    inside = 0
    for operation, amount, user in walk:
        other = "b" if user == "a" else "a"
        state = vault.state
        before = state.convert_to_assets(vault.max_redeem(other)) if state.total_assets else 0
        try:
            if operation == "donate":
                vault.donate(amount)
                inside += amount
            else:
                result = getattr(vault, operation)(amount, user)
                moved = {
                    "deposit": amount,
                    "mint": result,
                    "withdraw": -amount,
                    "redeem": -result,
                }
                inside += moved[operation]
        except MathError:
            assert vault.state == state
            continue
        assert vault.state.total_assets + vault.fees_paid == inside
        assert vault.state.total_supply == sum(vault.shares.values())
        assert vault.state.convert_to_assets(vault.max_redeem(other)) >= before


def test_the_attack_by_hand() -> None:
    # 1 wei in, the share price raised to 10,000 ether; 19,999 ether buy one share of 29,999 ether.
    attack = inflation_attack(1, 10_000 * ETHER - 1, 19_999 * ETHER)
    assert (attack.attacker_shares, attack.victim_shares) == (1, 1)
    assert attack.attacker_profit == attack.victim_loss == 4_999 * ETHER + ETHER // 2
    # The same against OpenZeppelin 5: the victim has shares, the attacker has lost ether.
    guarded = inflation_attack(1, 10_000 * ETHER - 1, 19_999 * ETHER, 0)
    assert guarded.attacker_profit < -ETHER
    assert inflation_attack(1, 10_000 * ETHER - 1, 19_999 * ETHER, 6).victim_shares > 10**6


def test_the_documented_bound_of_the_unguarded_attack() -> None:
    """OpenZeppelin's guide: a deposit of 1 and a donation of u steal a deposit of u whole."""
    u = 7 * ETHER
    assert least_donation(1, u) == u
    attack = inflation_attack(1, u, u)
    assert (attack.victim_shares, attack.victim_loss, attack.attacker_profit) == (0, u, u)


@given(st.integers(1, 10**12), st.integers(1, 10**24), offsets)
def test_the_least_donation_is_least(deposit: int, victim: int, offset: int | None) -> None:
    least = least_donation(deposit, victim, offset)
    assert inflation_attack(deposit, least, victim, offset).victim_shares == 0
    assert least == 0 or inflation_attack(deposit, least - 1, victim, offset).victim_shares > 0


@given(
    st.integers(0, 10**12),
    st.integers(0, 10**27),
    st.integers(1, 10**24),
    st.sampled_from([0, 3, 6]),
)
def test_virtual_shares_make_the_attack_a_loss(
    deposit: int, donation: int, victim: int, offset: int
) -> None:
    attack = inflation_attack(deposit, donation, victim, offset)
    assert attack.attacker_profit <= 0
    assert attack.attacker_profit + attack.left_in_vault == attack.victim_loss


@given(st.integers(0, 10**9), st.integers(1, 10**24), st.sampled_from([0, 3, 6]))
def test_stealing_all_costs_more_than_the_deposit(deposit: int, victim: int, offset: int) -> None:
    """OpenZeppelin's guide: what the vault keeps of the donation is at least the deposit."""
    least = least_donation(deposit, victim, offset)
    kept = Fraction(least, deposit + 1)
    assert kept >= (victim - 1) * 10**offset
    attack = inflation_attack(deposit, least, victim, offset)
    assert attack.left_in_vault >= (victim - 1) * 10**offset


@pytest.mark.parametrize(
    "impossible",
    [
        lambda: VaultState(1, 1).preview_deposit(-1),
        lambda: VaultState(-1, 1).convert_to_assets(1),
        lambda: VaultState(0, 0, 78).preview_deposit(1),
        lambda: VaultState(0, 0, -1).preview_deposit(1),
        lambda: VaultState(MAX, 0).preview_deposit(0),
        lambda: VaultState(0, MAX).preview_deposit(0),
        lambda: VaultState(0, 0, 6).preview_deposit(MAX),
        lambda: VaultState(0, 0, 0, 1).preview_mint(MAX),
        lambda: VaultState(0, 0, 0, 10_001).preview_deposit(1),
        lambda: Vault().redeem(1, "nobody"),
        lambda: Vault().withdraw(1, "nobody"),
        lambda: Vault(VaultState(MAX - 1, 0)).donate(2),
        lambda: Vault().donate(-1),
        lambda: least_donation(0, 1),
        lambda: least_donation(1, 0, 0),
        lambda: least_donation(1 << 200, 1 << 200),
    ],
)
def test_impossible_figures_are_refused(impossible: Callable[[], object]) -> None:
    with pytest.raises(MathError):
        impossible()

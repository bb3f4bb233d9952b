"""ERC-4626 vaults: shares of a pool of assets, with and without virtual shares, with fees.

Rounding is always against the caller: down for what the vault gives, up for what it takes.  All
amounts are raw integers, fees basis points.  Sources: EIP-4626 (conversions, previews, limits);
OpenZeppelin Contracts 5 (MIT) for one virtual asset against 10^decimalsOffset virtual shares.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from .fixed_point import MAX_UINT256, MathError, mul_div, mul_div_rounding_up

BASIS_POINTS = 10_000


def fee_on_top(net: int, rate: int) -> int:
    """The fee that comes on top of a net amount, rounded up; `rate` in basis points."""
    _amount(net)
    return mul_div_rounding_up(net, _rate(rate), BASIS_POINTS)


def fee_within(total: int, rate: int) -> int:
    """The fee that a total already contains, rounded up; `rate` in basis points of the rest."""
    _amount(total)
    return mul_div_rounding_up(total, _rate(rate), BASIS_POINTS + rate)


class VaultState(NamedTuple):
    """What a vault's conversions depend on.

    `decimals_offset` None is a vault without virtual shares: one for one while it has no shares.
    Every method raises MathError where the contract reverts.
    """

    total_assets: int = 0
    total_supply: int = 0
    decimals_offset: int | None = 0
    entry_fee: int = 0
    exit_fee: int = 0

    def _exchange(self) -> tuple[int, int]:
        """(shares, assets) that trade for one another, virtual ones included."""
        _amount(self.total_assets, self.total_supply)
        if self.decimals_offset is None:
            return (self.total_supply, self.total_assets) if self.total_supply else (1, 1)
        if self.decimals_offset < 0:
            raise MathError("the decimals offset is not negative")
        shares = self.total_supply + 10**self.decimals_offset
        assets = self.total_assets + 1
        _amount(shares, assets)
        return shares, assets

    def _to_shares(self, assets: int, round_up: bool) -> int:
        _amount(assets)
        numerator, denominator = self._exchange()
        return (mul_div_rounding_up if round_up else mul_div)(assets, numerator, denominator)

    def _to_assets(self, shares: int, round_up: bool) -> int:
        _amount(shares)
        denominator, numerator = self._exchange()
        return (mul_div_rounding_up if round_up else mul_div)(shares, numerator, denominator)

    def convert_to_shares(self, assets: int) -> int:
        """Shares worth `assets`, without fees, rounded down."""
        return self._to_shares(assets, False)

    def convert_to_assets(self, shares: int) -> int:
        """Assets that `shares` are worth, without fees, rounded down."""
        return self._to_assets(shares, False)

    def preview_deposit(self, assets: int) -> int:
        """Shares minted for exactly `assets`, entry fee taken out of them; rounded down."""
        return self._to_shares(assets - fee_within(assets, self.entry_fee), False)

    def preview_mint(self, shares: int) -> int:
        """Assets taken for exactly `shares`, entry fee on top; rounded up."""
        net = self._to_assets(shares, True)
        return _amount(net + fee_on_top(net, self.entry_fee))

    def preview_withdraw(self, assets: int) -> int:
        """Shares burnt for exactly `assets`, exit fee on top; rounded up."""
        return self._to_shares(_amount(assets + fee_on_top(assets, self.exit_fee)), True)

    def preview_redeem(self, shares: int) -> int:
        """Assets paid for exactly `shares`, exit fee taken out of them; rounded down."""
        gross = self._to_assets(shares, False)
        return gross - fee_within(gross, self.exit_fee)


@dataclass
class Vault:
    """A vault in motion: its state, each owner's shares, and the fees it has paid out.

    An operation that raises MathError has changed nothing.
    """

    state: VaultState = field(default_factory=VaultState)
    shares: dict[str, int] = field(default_factory=dict)
    fees_paid: int = 0

    def max_deposit(self) -> int:
        """No limit: 2^256 - 1."""
        return MAX_UINT256

    def max_mint(self) -> int:
        """No limit: 2^256 - 1."""
        return MAX_UINT256

    def max_redeem(self, owner: str) -> int:
        """The owner's shares."""
        return self.shares.get(owner, 0)

    def max_withdraw(self, owner: str) -> int:
        """What redeeming all of the owner's shares would pay."""
        return self.state.preview_redeem(self.max_redeem(owner))

    def deposit(self, assets: int, receiver: str) -> int:
        """Take exactly `assets`; the shares minted, rounded down (possibly 0)."""
        shares = self.state.preview_deposit(assets)
        self._enter(assets, shares, receiver)
        return shares

    def mint(self, shares: int, receiver: str) -> int:
        """Mint exactly `shares`; the assets taken, rounded up."""
        assets = self.state.preview_mint(shares)
        self._enter(assets, shares, receiver)
        return assets

    def withdraw(self, assets: int, owner: str) -> int:
        """Pay exactly `assets`; the shares burnt, rounded up."""
        limit = self.max_withdraw(owner)
        if assets > limit:
            raise MathError(f"{assets} assets are more than the {limit} that {owner} can withdraw")
        shares = self.state.preview_withdraw(assets)
        self._leave(assets, shares, owner)
        return shares

    def redeem(self, shares: int, owner: str) -> int:
        """Burn exactly `shares`; the assets paid, rounded down."""
        assets = self.state.preview_redeem(shares)
        self._leave(assets, shares, owner)
        return assets

    def donate(self, assets: int) -> None:
        """Assets sent to the vault without a deposit (a gift, yield, or an attack)."""
        _amount(assets)
        total = _amount(self.state.total_assets + assets)
        self.state = self.state._replace(total_assets=total)

    def _enter(self, assets: int, shares: int, receiver: str) -> None:
        fee = fee_within(assets, self.state.entry_fee)
        held = _amount(self.state.total_assets + assets)
        supply = _amount(self.state.total_supply + shares)
        self.state = self.state._replace(total_assets=held - fee, total_supply=supply)
        self.shares[receiver] = self.shares.get(receiver, 0) + shares
        self.fees_paid += fee

    def _leave(self, assets: int, shares: int, owner: str) -> None:
        held = self.shares.get(owner, 0)
        if shares > held:
            raise MathError(f"{owner} holds {held} shares, less than {shares}")
        fee = fee_on_top(assets, self.state.exit_fee)
        if assets + fee > self.state.total_assets:
            raise MathError(f"the vault holds less than the {assets + fee} it would pay")
        self.state = self.state._replace(
            total_assets=self.state.total_assets - assets - fee,
            total_supply=self.state.total_supply - shares,
        )
        self.shares[owner] = held - shares
        self.fees_paid += fee


class InflationAttack(NamedTuple):
    """The first depositor's donation attack, after both have redeemed all (attacker first).

    attacker_profit + left_in_vault = victim_loss: what virtual shares hold, nobody can redeem.
    """

    attacker_shares: int
    victim_shares: int
    victim_loss: int
    attacker_profit: int
    left_in_vault: int


def inflation_attack(
    attacker_deposit: int, donation: int, victim_deposit: int, decimals_offset: int | None = None
) -> InflationAttack:
    """An empty vault: the attacker deposits, donates, the victim deposits, both redeem."""
    vault = Vault(VaultState(decimals_offset=decimals_offset))
    attacker_shares = vault.deposit(attacker_deposit, "attacker")
    vault.donate(donation)
    victim_shares = vault.deposit(victim_deposit, "victim")
    taken = vault.redeem(attacker_shares, "attacker")
    returned = vault.redeem(victim_shares, "victim")
    return InflationAttack(
        attacker_shares,
        victim_shares,
        victim_deposit - returned,
        taken - attacker_deposit - donation,
        vault.state.total_assets,
    )


def least_donation(
    attacker_deposit: int, victim_deposit: int, decimals_offset: int | None = None
) -> int:
    """Least donation that leaves the victim of `inflation_attack` without a single share.

    a (v - 1) + 1 without virtual shares, v (a + 1) 10^offset - a with them.
    """
    _amount(attacker_deposit, victim_deposit)
    if victim_deposit == 0:
        raise MathError("the victim deposits nothing")
    if decimals_offset is None:
        if attacker_deposit == 0:
            raise MathError("without a first deposit there are no shares to inflate")
        return _amount(attacker_deposit * (victim_deposit - 1) + 1)
    if decimals_offset < 0:
        raise MathError("the decimals offset is not negative")
    needed = victim_deposit * (attacker_deposit + 1) * 10**decimals_offset - attacker_deposit
    return _amount(needed)


def _amount(*values: int) -> int:
    """The first value; MathError unless all are unsigned 256-bit integers."""
    for value in values:
        if value < 0:
            raise MathError(f"an amount cannot be negative, not {value}")
        if value > MAX_UINT256:
            raise MathError("an amount overflows 256 bits")
    return values[0]


def _rate(rate: int) -> int:
    if not 0 <= rate <= BASIS_POINTS:
        raise MathError(f"a fee lies between 0 and {BASIS_POINTS} basis points, not {rate}")
    return rate

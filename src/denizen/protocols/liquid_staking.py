"""Liquid staking: stETH shares and rebases, wstETH, a value-accruing rate as rETH's, APR and peg.

Amounts are raw integers (wei, shares), conversions round down; rates and prices are Decimals,
rates fractions a year of 365 days.  Sources: Lido's documentation (stETH, wstETH, share-rate APR),
LIP-2 (gross APR), LIP-11 (transferShares), LIP-12 (no fee on a loss), Rocket Pool's guides (rETH).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Context, Decimal

from .fixed_point import MAX_UINT256, MathError

BASIS_POINTS = 10_000
PROTOCOL_FEE = 1_000
SECONDS_PER_YEAR = 31_536_000
SHARE_RATE_PRECISION = 10**27
WAD = 10**18
_WIDE = Context(prec=60)


def shares_by_pooled_ether(ether: int, total_pooled_ether: int, total_shares: int) -> int:
    """ether x totalShares / totalPooledEther, down; the product must fit 256 bits (SafeMath)."""
    if total_pooled_ether == 0:
        raise MathError("no ether is pooled: shares have no price")
    return _checked(ether, total_shares, total_pooled_ether)


def pooled_ether_by_shares(shares: int, total_pooled_ether: int, total_shares: int) -> int:
    """shares x totalPooledEther / totalShares, down; the product must fit 256 bits (SafeMath)."""
    if total_shares == 0:
        raise MathError("there are no shares")
    return _checked(shares, total_pooled_ether, total_shares)


def share_rate(total_pooled_ether: int, total_shares: int) -> int:
    """Ether per share, scaled by 1e27 and rounded down."""
    return pooled_ether_by_shares(SHARE_RATE_PRECISION, total_pooled_ether, total_shares)


def shares_minted_as_fees(
    rewards: int, post_total_ether: int, pre_total_shares: int, fee: int = PROTOCOL_FEE
) -> int:
    """Shares whose value after the rebase is `fee` basis points of the rewards, rounded down.

    x / (S + x) of the ether, rewards included, is rewards x fee: x = F S / (E - F).
    """
    _amounts(rewards, post_total_ether, pre_total_shares)
    if not 0 <= fee < BASIS_POINTS:
        raise MathError(f"a fee lies between 0 and {BASIS_POINTS} basis points, not {fee}")
    taken = rewards * fee
    if rewards > post_total_ether or taken >= post_total_ether * BASIS_POINTS:
        raise MathError("rewards are part of the ether pooled after them")
    return taken * pre_total_shares // (post_total_ether * BASIS_POINTS - taken)


@dataclass
class StEth:
    """The rebasing token: a balance is shares x totalPooledEther / totalShares, rounded down.

    An operation that raises MathError has changed nothing.  Fee shares go to "treasury".
    """

    total_pooled_ether: int = 0
    shares: dict[str, int] = field(default_factory=dict)
    fee: int = PROTOCOL_FEE

    @property
    def total_shares(self) -> int:
        """Sum of all shares."""
        return sum(self.shares.values())

    def to_shares(self, ether: int) -> int:
        """getSharesByPooledEth: rounded down."""
        return shares_by_pooled_ether(ether, self.total_pooled_ether, self.total_shares)

    def to_ether(self, shares: int) -> int:
        """getPooledEthByShares: rounded down."""
        return pooled_ether_by_shares(shares, self.total_pooled_ether, self.total_shares)

    def balance_of(self, owner: str) -> int:
        """stETH balance; 0 before the first stake."""
        return self.to_ether(self.shares.get(owner, 0)) if self.total_shares else 0

    def submit(self, owner: str, ether: int) -> int:
        """Stake ether; the shares minted (one for one by the first staker), rounded down."""
        _amounts(ether, self.total_pooled_ether + ether)
        if ether == 0:
            raise MathError("a deposit of zero is refused")
        minted = self.to_shares(ether) if self.total_shares else ether
        _amounts(self.total_shares + minted)
        self.total_pooled_ether += ether
        self.shares[owner] = self.shares.get(owner, 0) + minted
        return minted

    def transfer(self, sender: str, recipient: str, ether: int) -> int:
        """Send an stETH amount; the shares that move, rounded down.

        The recipient's balance grows by `ether` less at most totalPooledEther / totalShares + 1:
        the "1-2 wei corner case" while a share is worth less than 2 ether.
        """
        moved = self.to_shares(ether)
        self._move(sender, recipient, moved)
        return moved

    def transfer_shares(self, sender: str, recipient: str, shares: int) -> int:
        """Send shares exactly; their stETH amount, rounded down."""
        worth = self.to_ether(shares)
        self._move(sender, recipient, shares)
        return worth

    def rebase(self, consensus_change: int, execution_rewards: int = 0) -> int:
        """An oracle report: the validators' change (negative if slashed) and execution rewards.

        Returns the shares minted as fees: none unless the validators gained.  No other holder's
        shares change.
        """
        _amounts(execution_rewards)
        rewards = consensus_change + execution_rewards
        ether = self.total_pooled_ether + rewards
        _amounts(ether)
        if not self.total_shares:
            raise MathError("there are no shares to rebase")
        minted = 0
        if consensus_change > 0:
            minted = shares_minted_as_fees(rewards, ether, self.total_shares, self.fee)
        self.total_pooled_ether = ether
        if minted:
            self.shares["treasury"] = self.shares.get("treasury", 0) + minted
        return minted

    def burn_shares(self, owner: str, shares: int) -> int:
        """Burn without paying (cover of a loss): all others gain; the ether they were worth."""
        worth = self.to_ether(shares)
        self._take(owner, shares)
        return worth

    def withdraw(self, owner: str, shares: int, requested: int | None = None) -> int:
        """Finalize a request: burn its shares for their ether, at most what was requested.

        A gain while waiting stays with the pool, a loss is shared: min(requested, present value).
        """
        worth = self.to_ether(shares)
        paid = worth if requested is None else min(worth, requested)
        _amounts(paid)
        self._take(owner, shares)
        self.total_pooled_ether -= paid
        return paid

    def _take(self, owner: str, shares: int) -> None:
        held = self.shares.get(owner, 0)
        if shares > held:
            raise MathError(f"{owner} holds {held} shares, less than {shares}")
        self.shares[owner] = held - shares

    def _move(self, sender: str, recipient: str, shares: int) -> None:
        self._take(sender, shares)
        self.shares[recipient] = self.shares.get(recipient, 0) + shares


@dataclass
class WstEth:
    """The wrapper: one wstETH is one share; balances change by transfers only."""

    steth: StEth
    balances: dict[str, int] = field(default_factory=dict)
    address: str = "wstETH"

    def wrap(self, owner: str, ether: int) -> int:
        """Lock an stETH amount; the wstETH minted (its shares), rounded down."""
        if ether <= 0:
            raise MathError("zero stETH cannot be wrapped")
        minted = self.steth.transfer(owner, self.address, ether)
        self.balances[owner] = self.balances.get(owner, 0) + minted
        return minted

    def unwrap(self, owner: str, amount: int) -> int:
        """Burn wstETH; the stETH amount sent, rounded down (a share of dust may stay locked)."""
        held = self.balances.get(owner, 0)
        if not 0 < amount <= held:
            raise MathError(f"{owner} holds {held} wstETH and cannot unwrap {amount}")
        ether = self.steth.to_ether(amount)
        self.steth.transfer(self.address, owner, ether)
        self.balances[owner] = held - amount
        return ether

    def steth_per_token(self) -> int:
        """stETH of 1e18 wstETH, rounded down."""
        return self.steth.to_ether(WAD)


def reth_value(amount: int, total_eth: int, reth_supply: int) -> int:
    """Ether behind an rETH amount, rounded down; one for one while there is no rETH."""
    _amounts(amount, total_eth)
    return amount if reth_supply == 0 else _checked(amount, total_eth, reth_supply)


def reth_minted(ether: int, total_eth: int, reth_supply: int, deposit_fee: int = 0) -> int:
    """rETH for a deposit, after a fee in basis points of it (rounded down); rounded down."""
    if not 0 <= deposit_fee < BASIS_POINTS:
        raise MathError(f"a fee lies between 0 and {BASIS_POINTS} basis points, not {deposit_fee}")
    _amounts(ether, total_eth)
    net = ether - ether * deposit_fee // BASIS_POINTS
    if reth_supply == 0:
        return net
    if total_eth == 0:
        raise MathError("rETH exists but no ether backs it: deposits have no price")
    return _checked(net, reth_supply, total_eth)


def rebase_apr(
    pre_ether: int, pre_shares: int, post_ether: int, post_shares: int, seconds: int
) -> Decimal:
    """Lido's holder APR, (postRate / preRate - 1) x year / seconds, from the exact share rates."""
    if min(pre_ether, pre_shares, post_shares, seconds) <= 0 or post_ether < 0:
        raise MathError("totals and the time elapsed must be positive")
    gain = post_ether * pre_shares - pre_ether * post_shares
    yearly = _WIDE.multiply(Decimal(gain), Decimal(SECONDS_PER_YEAR))
    base = _WIDE.multiply(Decimal(pre_ether * post_shares), Decimal(seconds))
    return _WIDE.divide(yearly, base)


def gross_apr(pre_ether: int, post_ether: int, seconds: int) -> Decimal:
    """LIP-2's APR of the pool, before the protocol's fee: (post - pre) x year / (pre x seconds)."""
    return rebase_apr(pre_ether, 1, post_ether, 1, seconds)


def discount(market_price: Decimal, redemption_value: Decimal) -> Decimal:
    """1 - market / redemption; negative at a premium."""
    return _WIDE.subtract(Decimal(1), _WIDE.divide(*_prices(market_price, redemption_value)))


def discount_return(market_price: Decimal, redemption_value: Decimal, days: Decimal) -> Decimal:
    """Simple annual return of buying at the market and redeeming `days` later, as a fraction."""
    gain = _WIDE.subtract(_growth(market_price, redemption_value, days), Decimal(1))
    return _WIDE.divide(_WIDE.multiply(gain, Decimal(365)), days)


def discount_apy(market_price: Decimal, redemption_value: Decimal, days: Decimal) -> Decimal:
    """The same compounded: (redemption / market)^(365 / days) - 1."""
    growth = _growth(market_price, redemption_value, days)
    power = _WIDE.power(growth, _WIDE.divide(Decimal(365), days))
    return _WIDE.subtract(power, Decimal(1))


def _growth(market_price: Decimal, redemption_value: Decimal, days: Decimal) -> Decimal:
    market, redemption = _prices(market_price, redemption_value)
    if days <= 0:
        raise MathError("the wait must be longer than nothing")
    return _WIDE.divide(redemption, market)


def _prices(market_price: Decimal, redemption_value: Decimal) -> tuple[Decimal, Decimal]:
    if market_price <= 0 or redemption_value <= 0:
        raise MathError("prices must be positive")
    return market_price, redemption_value


def _checked(amount: int, numerator: int, denominator: int) -> int:
    """floor(amount x numerator / denominator); MathError where SafeMath reverts."""
    _amounts(amount, numerator, denominator)
    if amount * numerator > MAX_UINT256:
        raise MathError("the product overflows 256 bits")
    return amount * numerator // denominator


def _amounts(*values: int) -> None:
    if any(value < 0 for value in values):
        raise MathError("an amount cannot be negative")
    if any(value > MAX_UINT256 for value in values):
        raise MathError("an amount overflows 256 bits")

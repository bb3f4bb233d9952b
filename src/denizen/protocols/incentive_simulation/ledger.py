"""The ledger: every account's tokens, the pair, and the moves that are possible between them.

Contract: each move pays from somewhere to somewhere, so `totals()` never changes.  The outside
market trades any amount at the price given, the client's way rounded down; a deposit or withdrawal
that is too small to mint or return anything changes nothing.  Amounts are raw units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..fixed_point import MathError
from ..incentives import share_exactly
from ..uniswap_v2 import FEE_DENOMINATOR, FEE_NUMERATOR
from .pair import WAD, Pair, arbitrage

HOUSE = ("outside", "arbitrageur", "traders", "treasury")
BPS = 10_000


@dataclass
class Account:
    """One holder's tokens; the outside market's may be negative (what it has given)."""

    base: int = 0
    quote: int = 0
    reward: int = 0
    shares: int = 0


@dataclass
class Ledger:
    """Accounts of the agents and of the house, and the pair they meet in."""

    agents: dict[str, Account]
    house: dict[str, Account]
    pair: Pair = field(default_factory=Pair)

    @staticmethod
    def open(capital: Mapping[str, int], rewards: int) -> Ledger:
        """Agents with quote, the treasury with reward tokens, and nothing else."""
        if taken := set(HOUSE) & set(capital):
            raise MathError(f"the name {min(taken)} is taken")
        house = {name: Account() for name in HOUSE}
        house["treasury"].reward = rewards
        return Ledger({name: Account(quote=c) for name, c in capital.items()}, house)

    def totals(self) -> tuple[int, int, int]:
        """(base, quote, reward) over all accounts and the pair: constant."""
        held = [*self.agents.values(), *self.house.values()]
        return (
            sum(account.base for account in held) + self.pair.base,
            sum(account.quote for account in held) + self.pair.quote,
            sum(account.reward for account in held),
        )

    def stake_value(self, shares: int, price: int) -> int:
        """Value of LP units in raw quote, rounded down."""
        return shares * self.pair.value(price) // self.pair.supply if shares else 0

    def staked(self, price: int) -> int:
        """Value of all agents' LP units."""
        return self.stake_value(sum(a.shares for a in self.agents.values()), price)

    def deposit(self, name: str, value: int, cost_bps: int, price: int) -> None:
        """Buy base for the pair's ratio (the outside one if empty) and mint.

        The cost of moving comes on top and goes outside; the wallet limits both.
        """
        account, pair = self.agents[name], self.pair
        invest = min(value, account.quote * BPS // (BPS + cost_bps))
        if pair.supply:
            # Rounding the pair's value up keeps the bill within what is invested.
            whole = pair.quote - (-pair.base * price // WAD)
            base, quote = invest * pair.base // whole, invest * pair.quote // whole
        else:
            quote = invest // 2
            base = (invest - quote) * WAD // price
        if not (base and quote and (shares := pair.mint(base, quote))):
            return
        self._buy_base(account, base, price)
        account.base -= base
        account.quote -= quote
        account.shares += shares
        self._pay_outside(account, -(-invest * cost_bps // BPS))

    def withdraw(self, name: str, shares: int, cost_bps: int, price: int) -> None:
        """Burn LP units, sell the base outside and pay the cost of moving on the proceeds."""
        account = self.agents[name]
        if not shares:
            return
        base, quote = self.pair.burn(shares)
        account.shares -= shares
        account.base += base
        account.quote += quote
        proceeds = quote + self._sell_base(account, base, price)
        self._pay_outside(account, -(-proceeds * cost_bps // BPS))

    def arbitrage(self, price: int) -> tuple[int, int]:
        """One arbitrage trade if it pays: (profit, fee) in raw quote."""
        trade = arbitrage(self.pair, price) if self.pair.supply else None
        if trade is None:
            return 0, 0
        return self._round_trip("arbitrageur", trade.sells_base, trade.amount_in, price)

    def uninformed(self, sells_base: bool, size: int, price: int) -> tuple[int, int]:
        """A swap of `size` raw quote's worth, whatever the price: (loss, fee) in raw quote."""
        amount = size * WAD // price if sells_base else size
        if not (self.pair.supply and amount):
            return 0, 0
        gain, fee = self._round_trip("traders", sells_base, amount, price)
        return -gain, fee

    def reward(self, amount: int) -> int:
        """Split a reward by stake, to the unit; with no stake it stays in the treasury."""
        holders = list(self.agents.values())
        weights = [holder.shares for holder in holders]
        if not any(weights):
            return 0
        for holder, part in zip(holders, share_exactly(amount, weights), strict=True):
            holder.reward += part
        self.house["treasury"].reward -= amount
        return amount

    def _round_trip(
        self, name: str, sells_base: bool, amount_in: int, price: int
    ) -> tuple[int, int]:
        """Swap in the pair and square the base outside: (gain, fee) in raw quote."""
        account = self.house[name]
        before = account.quote
        if sells_base:
            self._buy_base(account, amount_in, price)
        out = self.pair.swap(sells_base, amount_in)
        account.base += -amount_in if sells_base else out
        account.quote += out if sells_base else -amount_in
        self._sell_base(account, account.base, price)
        fee = amount_in * (FEE_DENOMINATOR - FEE_NUMERATOR) // FEE_DENOMINATOR
        return account.quote - before, fee * price // WAD if sells_base else fee

    def _buy_base(self, account: Account, base: int, price: int) -> None:
        self._pay_outside(account, -(-base * price // WAD))
        account.base += base
        self.house["outside"].base -= base

    def _sell_base(self, account: Account, base: int, price: int) -> int:
        proceeds = base * price // WAD
        self._pay_outside(account, -proceeds)
        account.base -= base
        self.house["outside"].base += base
        return proceeds

    def _pay_outside(self, account: Account, quote: int) -> None:
        account.quote -= quote
        self.house["outside"].quote += quote

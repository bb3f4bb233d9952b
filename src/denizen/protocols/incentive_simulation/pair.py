"""A v2 pair that LPs enter and leave, and the trade that arbitrages it against an outside price.

Contract: amounts are raw integers rounded as the v2 contracts do; an outside price is raw quote a
raw base unit at 1e18.  With gamma = 0.997 a trade pays if the pair's price p lies outside
[gamma P, P / gamma]; the best one earns (sqrt(P x) - sqrt(y / gamma))^2, buying base, or
(sqrt(y) - sqrt(P x / gamma))^2, selling it.  Source: Angeris et al., "An analysis of Uniswap
markets" (2019), with the fee kept in the reserves as v2 does.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import isqrt
from typing import NamedTuple

from ..exact_decimal import exact, require
from ..fixed_point import MathError
from ..uniswap_v2 import (
    FEE_DENOMINATOR,
    FEE_NUMERATOR,
    MINIMUM_LIQUIDITY,
    burn_amounts,
    get_amount_in,
    get_amount_out,
    mint_liquidity,
)

WAD = 10**18
MAX_RESERVE = (1 << 112) - 1


class Trade(NamedTuple):
    """A swap and what it earns at the outside price, in raw quote."""

    sells_base: bool
    amount_in: int
    amount_out: int
    profit: int


@dataclass
class Pair:
    """Reserves and LP supply; the first 1,000 LP units belong to nobody, as in v2."""

    base: int = 0
    quote: int = 0
    supply: int = 0

    def value(self, price: int) -> int:
        """Both reserves in raw quote, base rounded down."""
        return self.quote + self.base * price // WAD

    def price(self) -> int:
        """quote / base at 1e18, rounded down; MathError for an empty pair."""
        if not self.base:
            raise MathError("an empty pair has no price")
        return self.quote * WAD // self.base

    def mint(self, base: int, quote: int) -> int:
        """Deposit; LP units made, or 0 and no change if the deposit is too small for any."""
        shares = mint_liquidity(base, quote, self.base, self.quote, self.supply)
        if shares <= 0:
            return 0
        self._set(self.base + base, self.quote + quote)
        self.supply += shares if self.supply else shares + MINIMUM_LIQUIDITY
        return shares

    def burn(self, shares: int) -> tuple[int, int]:
        """Withdraw (base, quote), rounded down."""
        if not 0 < shares <= self.supply - MINIMUM_LIQUIDITY:
            raise MathError("more LP units than there are")
        base, quote = burn_amounts(shares, self.base, self.quote, self.supply)
        self._set(self.base - base, self.quote - quote)
        self.supply -= shares
        return base, quote

    def swap(self, sells_base: bool, amount_in: int) -> int:
        """Exact input; the output, rounded down."""
        if sells_base:
            out = get_amount_out(amount_in, self.base, self.quote)
            self._set(self.base + amount_in, self.quote - out)
        else:
            out = get_amount_out(amount_in, self.quote, self.base)
            self._set(self.base - out, self.quote + amount_in)
        return out

    def _set(self, base: int, quote: int) -> None:
        if max(base, quote) > MAX_RESERVE:
            raise MathError("a reserve overflows 112 bits")
        self.base, self.quote = base, quote


def arbitrage(pair: Pair, price: int) -> Trade | None:
    """The trade that earns most at the outside price, None if none earns a unit.

    Best within rounding: two raw units of quote and the value of one raw unit of base.
    """
    if price <= 0:
        raise MathError("a price must be positive")
    if not pair.base or not pair.quote:
        return None
    found = [*_buys(pair, price), *_sells(pair, price)]
    best = max(found, key=lambda trade: trade.profit, default=None)
    return best if best and best.profit > 0 else None


def within_band(pair: Pair, price: int) -> bool:
    """Whether gamma P <= quote / base <= P / gamma: no trade, however small, can pay."""
    left, right = pair.quote * WAD, pair.base * price
    return (
        FEE_NUMERATOR * right <= FEE_DENOMINATOR * left
        and FEE_NUMERATOR * left <= FEE_DENOMINATOR * right
    )


@exact
def closed_form_profit(base: int, quote: int, price: Decimal) -> Decimal:
    """Profit of the best trade without rounding, in quote; `price` is quote a base unit."""
    require(base > 0 and quote > 0 and price > 0, "reserves and price must be positive")
    gamma = Decimal(FEE_NUMERATOR) / FEE_DENOMINATOR
    held = base * price
    if quote < gamma * held:
        return Decimal((held.sqrt() - (quote / gamma).sqrt()) ** 2)
    if gamma * quote > held:
        return Decimal((Decimal(quote).sqrt() - (held / gamma).sqrt()) ** 2)
    return Decimal(0)


def _buys(pair: Pair, price: int) -> list[Trade]:
    # With the fee off, the quote reserve should grow to sqrt(gamma P x y).
    goal = isqrt(FEE_NUMERATOR * price * pair.base * pair.quote // (FEE_DENOMINATOR * WAD))
    near = (goal - pair.quote) * FEE_DENOMINATOR // FEE_NUMERATOR
    if near <= 0:
        return []
    middle = get_amount_out(near, pair.quote, pair.base)
    trades = []
    for out in range(max(middle - 1, 1), min(middle + 2, pair.base)):
        cost = get_amount_in(out, pair.quote, pair.base)
        # The library adds one even where the division is exact.
        if cost > 1 and get_amount_out(cost - 1, pair.quote, pair.base) >= out:
            cost -= 1
        bought = get_amount_out(cost, pair.quote, pair.base)
        trades.append(Trade(False, cost, bought, bought * price // WAD - cost))
    return trades


def _sells(pair: Pair, price: int) -> list[Trade]:
    goal = isqrt(FEE_NUMERATOR * pair.base * pair.quote * WAD // (FEE_DENOMINATOR * price))
    near = (goal - pair.base) * FEE_DENOMINATOR // FEE_NUMERATOR
    trades = []
    for cost in range(max(near - 1, 1), near + 2):
        out = get_amount_out(cost, pair.base, pair.quote)
        trades.append(Trade(True, cost, out, out - -(-cost * price // WAD)))
    return trades

"""Uniswap v2: constant product with a 0.30% fee, rounded as the library and the pair do.

Contract: the functions are the library's quotes, `Pair` is the pool.  It is integer-exact with the
pair's bytecode (`evm.certify.uniswap_v2`): it raises MathError where the pair reverts, and then
changes nothing.  All amounts are raw integers.
Source: the v2 white paper and the UniswapV2Library formulas.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal
from math import isqrt

from .fixed_point import MAX_UINT256, MathError

FEE_NUMERATOR = 997
FEE_DENOMINATOR = 1000
MINIMUM_LIQUIDITY = 1000
MAX_UINT112 = (1 << 112) - 1
# Where the pair's own LP tokens and the locked minimum are booked in `Pair.shares`.
PAIR, LOCKED = "pair", "locked"
_WIDE = Context(prec=60)


def quote(amount_a: int, reserve_a: int, reserve_b: int) -> int:
    """Equivalent amount at the current ratio, without fee, rounded down."""
    _positive(amount_a, reserve_a, reserve_b)
    return _uint256(amount_a * reserve_b) // reserve_a


def get_amount_out(amount_in: int, reserve_in: int, reserve_out: int) -> int:
    """Output of an exact input, rounded down."""
    _positive(amount_in, reserve_in, reserve_out)
    with_fee = amount_in * FEE_NUMERATOR
    return _uint256(with_fee * reserve_out) // _uint256(reserve_in * FEE_DENOMINATOR + with_fee)


def get_amount_in(amount_out: int, reserve_in: int, reserve_out: int) -> int:
    """Input for an exact output, rounded up; MathError if the reserve does not hold it."""
    _positive(amount_out, reserve_in, reserve_out)
    if amount_out >= reserve_out:
        raise MathError(f"the pair holds {reserve_out}, less than the {amount_out} wanted")
    numerator = _uint256(reserve_in * amount_out * FEE_DENOMINATOR)
    return numerator // ((reserve_out - amount_out) * FEE_NUMERATOR) + 1


def get_amounts_out(amount_in: int, path: Sequence[tuple[int, int]]) -> list[int]:
    """Amounts along a path of (reserve in, reserve out), the input first; each rounded down."""
    amounts = [amount_in]
    for reserve_in, reserve_out in _hops(path):
        amounts.append(get_amount_out(amounts[-1], reserve_in, reserve_out))
    return amounts


def get_amounts_in(amount_out: int, path: Sequence[tuple[int, int]]) -> list[int]:
    """Amounts along a path that yield `amount_out`, the input first; each rounded up."""
    amounts = [amount_out]
    for reserve_in, reserve_out in reversed(_hops(path)):
        amounts.insert(0, get_amount_in(amounts[0], reserve_in, reserve_out))
    return amounts


def average_price(cumulative_then: int, cumulative_now: int, seconds: int) -> int:
    """Time-weighted mean price (UQ112x112) between two readings of a price's cumulative."""
    if seconds <= 0:
        raise MathError("a time-weighted mean needs a window of at least one second")
    return ((cumulative_now - cumulative_then) & MAX_UINT256) // seconds


def price_impact(amount_in: int, reserve_in: int, reserve_out: int) -> Decimal:
    """1 - execution price / mid price, fee included, as a fraction."""
    out = Decimal(get_amount_out(amount_in, reserve_in, reserve_out) * reserve_in)
    return 1 - _WIDE.divide(out, Decimal(amount_in * reserve_out))


def price_impact_excluding_fee(amount_in: int, reserve_in: int, reserve_out: int) -> Decimal:
    """1 - execution price / mid price with the fee taken off the input first."""
    _positive(amount_in, reserve_in, reserve_out)
    net = amount_in * FEE_NUMERATOR
    return _WIDE.divide(Decimal(net), Decimal(reserve_in * FEE_DENOMINATOR + net))


def mint_liquidity(
    amount0: int, amount1: int, reserve0: int, reserve1: int, total_supply: int
) -> int:
    """LP tokens for a deposit; the first one locks MINIMUM_LIQUIDITY for ever."""
    if min(amount0, amount1) < 0:
        raise MathError("nobody deposits a negative amount")
    if total_supply == 0:
        shares = isqrt(amount0 * amount1) - MINIMUM_LIQUIDITY
    else:
        _positive(reserve0, reserve1)
        shares = min(amount0 * total_supply // reserve0, amount1 * total_supply // reserve1)
    if shares <= 0:
        raise MathError("INSUFFICIENT_LIQUIDITY_MINTED: the deposit is worth no LP token")
    return shares


def burn_amounts(
    liquidity: int, reserve0: int, reserve1: int, total_supply: int
) -> tuple[int, int]:
    """Token amounts for LP tokens burnt, rounded down."""
    _positive(liquidity, total_supply)
    return liquidity * reserve0 // total_supply, liquidity * reserve1 // total_supply


class Pair:
    """A pair's reserves, LP tokens, price cumulatives and what was sent to it uncounted.

    `balance0/1` are its token balances; they differ from the reserves until the next mint, burn,
    swap or sync.  `fee_to` (None: off) gets a sixth of the fees' growth in LP tokens; `time` is
    the block's timestamp.  Both are set by the caller.
    """

    def __init__(self, time: int = 0, fee_to: str | None = None) -> None:
        self.time = time
        self.fee_to = fee_to
        self.balance0 = self.balance1 = 0
        self.reserve0 = self.reserve1 = 0
        self.total_supply = 0
        self.shares: dict[str, int] = {}
        self.k_last = 0
        self.price0_cumulative_last = 0
        self.price1_cumulative_last = 0
        self.block_timestamp_last = 0

    def send(self, amount0: int = 0, amount1: int = 0) -> None:
        """Tokens sent to the pair, not yet counted."""
        if min(amount0, amount1) < 0:
            raise MathError("nobody sends a negative amount")
        self.balance0 += amount0
        self.balance1 += amount1

    def send_shares(self, owner: str, shares: int) -> None:
        """LP tokens sent to the pair, to be burnt."""
        self._move(owner, PAIR, shares)

    def mint(self, to: str) -> int:
        """LP tokens for all that was sent since; MathError if that is worth none."""
        fee_shares = self._fee_shares()
        amount0, amount1 = self.balance0 - self.reserve0, self.balance1 - self.reserve1
        supply = self.total_supply + fee_shares
        shares = mint_liquidity(amount0, amount1, self.reserve0, self.reserve1, supply)
        self._check_balances(self.balance0, self.balance1)
        self._issue(self.fee_to, fee_shares)
        if supply == 0:
            self._issue(LOCKED, MINIMUM_LIQUIDITY)
        self._issue(to, shares)
        self._update()
        self._remember_k()
        return shares

    def burn(self) -> tuple[int, int]:
        """Pay out for the LP tokens that the pair itself holds, from its balances."""
        fee_shares = self._fee_shares()
        shares, supply = self.shares.get(PAIR, 0), self.total_supply + fee_shares
        amount0, amount1 = burn_amounts(shares, self.balance0, self.balance1, supply)
        if amount0 == 0 or amount1 == 0:
            raise MathError("INSUFFICIENT_LIQUIDITY_BURNED: worth nothing in one of the tokens")
        self._check_balances(self.balance0 - amount0, self.balance1 - amount1)
        self._issue(self.fee_to, fee_shares)
        self._issue(PAIR, -shares)
        self.balance0 -= amount0
        self.balance1 -= amount1
        self._update()
        self._remember_k()
        return amount0, amount1

    def swap(self, amount0_out: int, amount1_out: int, paid0: int = 0, paid1: int = 0) -> None:
        """Pay out, against what was sent before and what a flash swap's callback pays."""
        if min(amount0_out, amount1_out, paid0, paid1) < 0 or amount0_out == amount1_out == 0:
            raise MathError("INSUFFICIENT_OUTPUT_AMOUNT: a swap pays something out")
        if amount0_out >= self.reserve0 or amount1_out >= self.reserve1:
            raise MathError("INSUFFICIENT_LIQUIDITY: the reserves do not hold the output")
        balance0 = self.balance0 - amount0_out + paid0
        balance1 = self.balance1 - amount1_out + paid1
        in0 = max(balance0 - (self.reserve0 - amount0_out), 0)
        in1 = max(balance1 - (self.reserve1 - amount1_out), 0)
        if in0 == in1 == 0:
            raise MathError("INSUFFICIENT_INPUT_AMOUNT: nothing was paid in")
        taken = FEE_DENOMINATOR - FEE_NUMERATOR
        adjusted0 = balance0 * FEE_DENOMINATOR - in0 * taken
        adjusted1 = balance1 * FEE_DENOMINATOR - in1 * taken
        if adjusted0 * adjusted1 < self.reserve0 * self.reserve1 * FEE_DENOMINATOR**2:
            raise MathError("K: the product would fall")
        self._check_balances(balance0, balance1)
        self.balance0, self.balance1 = balance0, balance1
        self._update()

    def skim(self) -> tuple[int, int]:
        """Pay out what the balances hold over the reserves."""
        excess = self.balance0 - self.reserve0, self.balance1 - self.reserve1
        self.balance0, self.balance1 = self.reserve0, self.reserve1
        return excess

    def sync(self) -> None:
        """Make the balances the reserves."""
        self._check_balances(self.balance0, self.balance1)
        self._update()

    def _fee_shares(self) -> int:
        """The protocol's LP tokens for the growth of sqrt(k) since the last mint or burn."""
        if self.fee_to is None or self.k_last == 0:
            return 0
        root, root_last = isqrt(self.reserve0 * self.reserve1), isqrt(self.k_last)
        if root <= root_last:
            return 0
        return self.total_supply * (root - root_last) // (root * 5 + root_last)

    def _remember_k(self) -> None:
        self.k_last = self.reserve0 * self.reserve1 if self.fee_to is not None else 0

    def _issue(self, to: str | None, shares: int) -> None:
        if to is not None and shares:
            self.shares[to] = self.shares.get(to, 0) + shares
            self.total_supply += shares

    def _move(self, owner: str, to: str, shares: int) -> None:
        held = self.shares.get(owner, 0)
        if not 0 <= shares <= held:
            raise MathError(f"{owner} holds {held} LP tokens, not {shares}")
        self.shares[owner] = held - shares
        self.shares[to] = self.shares.get(to, 0) + shares

    def _check_balances(self, balance0: int, balance1: int) -> None:
        if max(balance0, balance1) > MAX_UINT112:
            raise MathError("OVERFLOW: a reserve is an unsigned 112-bit number")

    def _update(self) -> None:
        now = self.time & 0xFFFFFFFF
        elapsed = (now - self.block_timestamp_last) & 0xFFFFFFFF
        if elapsed and self.reserve0 and self.reserve1:
            price0 = (self.reserve1 << 112) // self.reserve0
            price1 = (self.reserve0 << 112) // self.reserve1
            self.price0_cumulative_last += price0 * elapsed
            self.price1_cumulative_last += price1 * elapsed
            self.price0_cumulative_last &= MAX_UINT256
            self.price1_cumulative_last &= MAX_UINT256
        self.reserve0, self.reserve1 = self.balance0, self.balance1
        self.block_timestamp_last = now


def _hops(path: Sequence[tuple[int, int]]) -> Sequence[tuple[int, int]]:
    if not path:
        raise MathError("a path has at least one pair")
    return path


def _uint256(value: int) -> int:
    if value > MAX_UINT256:
        raise MathError("a product overflows 256 bits")
    return value


def _positive(*values: int) -> None:
    if any(value <= 0 for value in values):
        raise MathError("amounts and reserves must be positive")

"""Balancer v2 weighted mathematics at 18 decimals: invariant, swaps, joins, exits, protocol fee.

Balances, amounts, weights (normalised, together 1), BPT and fees are figures of 18 decimals,
1e18 = 1.  Every rounding favours the pool: out and BPT minted down, in and BPT burnt up.
Source: Martinelli and Mushegian, Balancer (2019), and Balancer v2's documents; directions are
those of the deployed WeightedPool (20230206), against whose bytecode they are certified.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal

from .balancer_math import (
    ONE,
    complement,
    div_down,
    div_up,
    mul_down,
    mul_up,
    pow_down,
    pow_up,
)
from .fixed_point import MathError

MIN_WEIGHT = ONE // 100
MAX_TOKENS = 8
MAX_IN_RATIO = 3 * ONE // 10
MAX_OUT_RATIO = 3 * ONE // 10
MAX_INVARIANT_RATIO = 3 * ONE
MIN_INVARIANT_RATIO = 7 * ONE // 10
MIN_SWAP_FEE = ONE // 10**6
MAX_SWAP_FEE = ONE // 10
_WIDE = Context(prec=60)


def check_weights(weights: Sequence[int]) -> None:
    """2 to 8 weights, each at least 1%, together exactly 1; else MathError."""
    if not 2 <= len(weights) <= MAX_TOKENS:
        raise MathError(f"a weighted pool holds 2 to {MAX_TOKENS} tokens, not {len(weights)}")
    if min(weights) < MIN_WEIGHT:
        raise MathError("a weight is under 1%")
    if sum(weights) != ONE:
        raise MathError(f"the weights sum to {sum(weights)}, not to 1e18")


def check_swap_fee(swap_fee: int) -> None:
    """A swap fee lies between 0.0001% and 10%; else MathError."""
    if not MIN_SWAP_FEE <= swap_fee <= MAX_SWAP_FEE:
        raise MathError("the swap fee lies between 0.0001% and 10%")


def invariant(balances: Sequence[int], weights: Sequence[int]) -> int:
    """Product of balance^weight, rounded down."""
    check_weights(weights)
    _same_length(balances, weights)
    value = ONE
    for balance, weight in zip(balances, weights, strict=True):
        value = mul_down(value, pow_down(balance, weight))
    if value == 0:
        raise MathError("the invariant of a pool with an empty balance is zero")
    return value


def initial_bpt(balances: Sequence[int], weights: Sequence[int]) -> int:
    """BPT of the first join: invariant x tokens (its first 1e6 units are locked for ever)."""
    return invariant(balances, weights) * len(balances)


def out_given_in(
    balance_in: int, weight_in: int, balance_out: int, weight_out: int, amount_in: int
) -> int:
    """Output of an exact input already without its fee, rounded down; input up to 30%."""
    _pair(balance_in, weight_in, balance_out, weight_out, amount_in)
    if amount_in > mul_down(balance_in, MAX_IN_RATIO):
        raise MathError("more than 30% of the balance comes in")
    base = div_up(balance_in, balance_in + amount_in)
    power = pow_up(base, div_down(weight_in, weight_out))
    return mul_down(balance_out, complement(power))


def in_given_out(
    balance_in: int, weight_in: int, balance_out: int, weight_out: int, amount_out: int
) -> int:
    """Input for an exact output, before the fee is added, rounded up; output up to 30%."""
    _pair(balance_in, weight_in, balance_out, weight_out, amount_out)
    if amount_out > mul_down(balance_out, MAX_OUT_RATIO):
        raise MathError("more than 30% of the balance goes out")
    base = div_up(balance_out, balance_out - amount_out)
    power = pow_up(base, div_up(weight_out, weight_in))
    return mul_up(balance_in, power - ONE)


def less_swap_fee(amount: int, swap_fee: int) -> int:
    """An input less its fee, the fee rounded up."""
    return amount - mul_up(amount, swap_fee)


def plus_swap_fee(amount: int, swap_fee: int) -> int:
    """An input that is `amount` once its fee is taken, rounded up."""
    return div_up(amount, complement(swap_fee))


def bpt_out_given_tokens_in(
    balances: Sequence[int],
    weights: Sequence[int],
    amounts_in: Sequence[int],
    supply: int,
    swap_fee: int,
) -> int:
    """BPT for exact amounts; what exceeds a proportional join pays the swap fee."""
    _pool(balances, weights, amounts_in, supply, swap_fee)
    ratios = [div_down(b + a, b) for b, a in zip(balances, amounts_in, strict=True)]
    proportional = sum(mul_down(r, w) for r, w in zip(ratios, weights, strict=True))
    growth = ONE
    for balance, amount, ratio, weight in zip(balances, amounts_in, ratios, weights, strict=True):
        net = amount
        if ratio > proportional:
            untaxed = mul_down(balance, max(proportional - ONE, 0))
            net = amount - mul_up(amount - untaxed, swap_fee)
        growth = mul_down(growth, pow_down(div_down(balance + net, balance), weight))
    return mul_down(supply, max(growth - ONE, 0))


def token_in_given_bpt_out(
    balance: int, weight: int, bpt_out: int, supply: int, swap_fee: int
) -> int:
    """Amount of one token for exact BPT, rounded up; the invariant at most trebles."""
    _single(balance, weight, bpt_out, supply, swap_fee)
    growth = div_up(supply + bpt_out, supply)
    if growth > MAX_INVARIANT_RATIO:
        raise MathError("the join more than trebles the invariant")
    net = mul_up(balance, pow_up(growth, div_up(ONE, weight)) - ONE)
    taxed = mul_up(net, complement(weight))
    return net - taxed + plus_swap_fee(taxed, swap_fee)


def tokens_in_given_bpt_out(balances: Sequence[int], bpt_out: int, supply: int) -> tuple[int, ...]:
    """A proportional join for exact BPT, rounded up, without fee."""
    _bpt(bpt_out, supply)
    ratio = div_up(bpt_out, supply)
    return tuple(mul_up(balance, ratio) for balance in balances)


def token_out_given_bpt_in(
    balance: int, weight: int, bpt_in: int, supply: int, swap_fee: int
) -> int:
    """Amount of one token for exact BPT, rounded down; the invariant keeps at least 70%."""
    _single(balance, weight, bpt_in, supply, swap_fee)
    _burnable(bpt_in, supply)
    left = div_up(supply - bpt_in, supply)
    if left < MIN_INVARIANT_RATIO:
        raise MathError("the exit leaves less than 70% of the invariant")
    gross = mul_down(balance, complement(pow_up(left, div_down(ONE, weight))))
    taxed = mul_up(gross, complement(weight))
    return gross - taxed + mul_up(taxed, complement(swap_fee))


def tokens_out_given_bpt_in(balances: Sequence[int], bpt_in: int, supply: int) -> tuple[int, ...]:
    """A proportional exit, rounded down, without fee."""
    _bpt(bpt_in, supply)
    _burnable(bpt_in, supply)
    ratio = div_down(bpt_in, supply)
    return tuple(mul_down(balance, ratio) for balance in balances)


def bpt_in_given_tokens_out(
    balances: Sequence[int],
    weights: Sequence[int],
    amounts_out: Sequence[int],
    supply: int,
    swap_fee: int,
) -> int:
    """BPT for exact amounts out, rounded up; what exceeds a proportional exit pays the fee."""
    _pool(balances, weights, amounts_out, supply, swap_fee)
    if any(a > b for a, b in zip(amounts_out, balances, strict=True)):
        raise MathError("the pool does not hold these amounts")
    ratios = [div_up(b - a, b) for b, a in zip(balances, amounts_out, strict=True)]
    proportional = sum(mul_up(r, w) for r, w in zip(ratios, weights, strict=True))
    left = ONE
    for balance, amount, ratio, weight in zip(balances, amounts_out, ratios, weights, strict=True):
        gross = amount
        if proportional > ratio:
            untaxed = mul_down(balance, complement(proportional))
            gross = untaxed + plus_swap_fee(amount - untaxed, swap_fee)
        if gross > balance:
            raise MathError("the amount and its fee exceed the balance")
        left = mul_down(left, pow_down(div_down(balance - gross, balance), weight))
    return mul_up(supply, complement(left))


def protocol_fee_bpt(
    invariant_before: int, invariant_now: int, supply_before: int, supply_now: int, share: int
) -> int:
    """BPT minted to the protocol: its `share` of the growth that swap fees caused.

    Growth of the invariant past that of the supply is fees; the new BPT own that part of the
    pool.  Zero if there was none.  Rounded down.
    """
    _positive(invariant_before, invariant_now, supply_before, supply_now)
    if not 0 <= share < ONE:
        raise MathError("the protocol's share lies between 0 and 1")
    growth = div_down(invariant_now, invariant_before)
    minted = div_down(supply_now, supply_before)
    if minted >= growth:
        return 0
    owned = mul_down(ONE - div_down(minted, growth), share)
    return supply_now * owned // (ONE - owned)


def spot_price(
    balance_in: int, weight_in: int, balance_out: int, weight_out: int, swap_fee: int = 0
) -> Decimal:
    """Token in per token out at the margin: (Bi / Wi) / (Bo / Wo) / (1 - fee), 60 digits."""
    _pair(balance_in, weight_in, balance_out, weight_out, 0)
    if not 0 <= swap_fee < ONE:
        raise MathError("the swap fee lies between 0 and 1")
    top = balance_in * weight_out * ONE
    return _WIDE.divide(Decimal(top), Decimal(balance_out * weight_in * (ONE - swap_fee)))


def _pair(balance_in: int, weight_in: int, balance_out: int, weight_out: int, amount: int) -> None:
    _positive(balance_in, balance_out)
    if amount < 0:
        raise MathError("the amount is negative")
    if min(weight_in, weight_out) < MIN_WEIGHT or weight_in + weight_out > ONE:
        raise MathError("two weights are at least 1% each and at most 1 together")


def _single(balance: int, weight: int, bpt: int, supply: int, swap_fee: int) -> None:
    _positive(balance)
    _bpt(bpt, supply)
    check_swap_fee(swap_fee)
    if not MIN_WEIGHT <= weight < ONE:
        raise MathError("a weight lies between 1% and 1")


def _pool(
    balances: Sequence[int],
    weights: Sequence[int],
    amounts: Sequence[int],
    supply: int,
    swap_fee: int,
) -> None:
    check_weights(weights)
    check_swap_fee(swap_fee)
    _same_length(balances, weights)
    _same_length(amounts, weights)
    _positive(supply, *balances)
    if min(amounts) < 0:
        raise MathError("an amount is negative")


def _same_length(values: Sequence[int], weights: Sequence[int]) -> None:
    if len(values) != len(weights):
        raise MathError("one figure a token")


def _positive(*values: int) -> None:
    if any(value <= 0 for value in values):
        raise MathError("balances, BPT and supply must be positive")


def _bpt(amount: int, supply: int) -> None:
    _positive(supply)
    if amount < 0:
        raise MathError("an amount of BPT is negative")


def _burnable(bpt_in: int, supply: int) -> None:
    if bpt_in > supply:
        raise MathError("more BPT than the supply")

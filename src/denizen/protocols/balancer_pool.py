"""A Balancer v2 weighted pool in raw token units: init, swaps, joins, exits, protocol fees.

Raw amounts are brought to 18 decimals for the mathematics and back against the user.  A pool is
a value: each operation returns the next one.  Joins and exits first mint the protocol its part of
what swaps earned since the last of them, and then of the fee that they pay themselves.
Source: Balancer v2's documents; behaviour of the deployed WeightedPool (20230206) and Vault.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from . import balancer_weighted as weighted
from .fixed_point import MathError, div_rounding_up

MINIMUM_BPT = 10**6
MAX_BALANCE = (1 << 112) - 1


@dataclass(frozen=True)
class WeightedPool:
    """Raw balances, their scaling (10^(18 - decimals)), weights and fees of 1e18, BPT supply."""

    balances: tuple[int, ...]
    scaling: tuple[int, ...]
    weights: tuple[int, ...]
    swap_fee: int
    total_supply: int
    last_invariant: int
    protocol_share: int = 0

    def __post_init__(self) -> None:
        if not all(0 <= held <= MAX_BALANCE for held in self.balances):
            raise MathError("a balance is negative or past the Vault's 112 bits")

    @property
    def scaled(self) -> tuple[int, ...]:
        """Balances at 18 decimals."""
        return _up(self.balances, self.scaling)

    @property
    def invariant(self) -> int:
        """The invariant now, rounded down."""
        return weighted.invariant(self.scaled, self.weights)


@dataclass(frozen=True)
class Swap:
    """A swap's raw amounts, the fee being within `amount_in`."""

    pool: WeightedPool
    amount_in: int
    amount_out: int


@dataclass(frozen=True)
class Liquidity:
    """A join or exit: BPT minted or burnt, raw amounts moved, BPT minted to the protocol."""

    pool: WeightedPool
    bpt: int
    amounts: tuple[int, ...]
    protocol_bpt: int


def init(
    amounts: Sequence[int],
    decimals: Sequence[int],
    weights: Sequence[int],
    swap_fee: int,
    protocol_share: int = 0,
) -> Liquidity:
    """The first join; `bpt` is what the joiner gets, 1e6 less than the supply."""
    weighted.check_weights(weights)
    weighted.check_swap_fee(swap_fee)
    if not len(amounts) == len(decimals) == len(weights):
        raise MathError("one amount, one number of decimals and one weight a token")
    if not all(0 <= places <= 18 for places in decimals) or min(amounts) < 0:
        raise MathError("decimals lie between 0 and 18 and amounts are not negative")
    scaling = tuple(10 ** (18 - places) for places in decimals)
    scaled = _up(amounts, scaling)
    supply = weighted.initial_bpt(scaled, weights)
    if supply < MINIMUM_BPT:
        raise MathError("the first join is under the minimum BPT")
    root = weighted.invariant(scaled, weights)
    pool = WeightedPool(
        tuple(amounts), scaling, tuple(weights), swap_fee, supply, root, protocol_share
    )
    return Liquidity(pool, supply - MINIMUM_BPT, tuple(amounts), 0)


def swap_given_in(pool: WeightedPool, i: int, j: int, amount_in: int) -> Swap:
    """Token j for exactly `amount_in` of token i; fee off the input, output rounded down."""
    _swappable(pool, i, j, amount_in)
    net = weighted.less_swap_fee(amount_in, pool.swap_fee) * pool.scaling[i]
    held = pool.scaled
    out = weighted.out_given_in(held[i], pool.weights[i], held[j], pool.weights[j], net)
    return _swapped(pool, i, j, amount_in, out // pool.scaling[j])


def swap_given_out(pool: WeightedPool, i: int, j: int, amount_out: int) -> Swap:
    """Exactly `amount_out` of token j for token i; input rounded up, fee added to it."""
    _swappable(pool, i, j, amount_out)
    held, wanted = pool.scaled, amount_out * pool.scaling[j]
    net = weighted.in_given_out(held[i], pool.weights[i], held[j], pool.weights[j], wanted)
    paid = weighted.plus_swap_fee(div_rounding_up(net, pool.scaling[i]), pool.swap_fee)
    return _swapped(pool, i, j, paid, amount_out)


def join_exact_tokens(pool: WeightedPool, amounts: Sequence[int]) -> Liquidity:
    """BPT for exact raw amounts."""
    ready, due, scaled = *_pay_due_fees(pool), _one_each(pool, amounts)
    bpt = weighted.bpt_out_given_tokens_in(
        ready.scaled, ready.weights, scaled, ready.total_supply, ready.swap_fee
    )
    return _moved(ready, scaled, 1, bpt, due)


def join_token_for_bpt(pool: WeightedPool, i: int, bpt_out: int) -> Liquidity:
    """One token for exact BPT, rounded up."""
    _has_token(pool, i)
    ready, due = _pay_due_fees(pool)
    amount = weighted.token_in_given_bpt_out(
        ready.scaled[i], ready.weights[i], bpt_out, ready.total_supply, ready.swap_fee
    )
    return _moved(ready, _only(ready, i, amount), 1, bpt_out, due)


def join_proportional(pool: WeightedPool, bpt_out: int) -> Liquidity:
    """All tokens for exact BPT, rounded up, without fee."""
    ready, due = _pay_due_fees(pool)
    amounts = weighted.tokens_in_given_bpt_out(ready.scaled, bpt_out, ready.total_supply)
    return _moved(ready, amounts, 1, bpt_out, due)


def exit_one_token(pool: WeightedPool, i: int, bpt_in: int) -> Liquidity:
    """One token for exact BPT, rounded down."""
    _has_token(pool, i)
    ready, due = _pay_due_fees(pool)
    amount = weighted.token_out_given_bpt_in(
        ready.scaled[i], ready.weights[i], bpt_in, ready.total_supply, ready.swap_fee
    )
    return _moved(ready, _only(ready, i, amount), -1, bpt_in, due)


def exit_proportional(pool: WeightedPool, bpt_in: int) -> Liquidity:
    """All tokens for exact BPT, rounded down, without fee."""
    ready, due = _pay_due_fees(pool)
    amounts = weighted.tokens_out_given_bpt_in(ready.scaled, bpt_in, ready.total_supply)
    return _moved(ready, amounts, -1, bpt_in, due)


def exit_exact_tokens(pool: WeightedPool, amounts: Sequence[int]) -> Liquidity:
    """BPT burnt for exact raw amounts out, rounded up."""
    ready, due, scaled = *_pay_due_fees(pool), _one_each(pool, amounts)
    bpt = weighted.bpt_in_given_tokens_out(
        ready.scaled, ready.weights, scaled, ready.total_supply, ready.swap_fee
    )
    return _moved(ready, scaled, -1, bpt, due)


def _pay_due_fees(pool: WeightedPool) -> tuple[WeightedPool, int]:
    """The pool with the protocol's part of the growth since the last join or exit minted."""
    supply = pool.total_supply
    due = weighted.protocol_fee_bpt(
        pool.last_invariant, pool.invariant, supply, supply, pool.protocol_share
    )
    return replace(pool, total_supply=supply + due), due


def _moved(ready: WeightedPool, scaled: Sequence[int], sign: int, bpt: int, due: int) -> Liquidity:
    """Apply a join (+1) or exit (-1), then mint the protocol's part of the fee it paid.

    The pool takes its new invariant from the amounts at 18 decimals, before they are rounded to
    raw units; the rounding itself counts as growth at the next join or exit.
    """
    raw = tuple(
        div_rounding_up(amount, scale) if sign > 0 else amount // scale
        for amount, scale in zip(scaled, ready.scaling, strict=True)
    )
    supply = ready.total_supply + sign * bpt
    moved = [held + sign * amount for held, amount in zip(ready.scaled, scaled, strict=True)]
    root = weighted.invariant(moved, ready.weights)
    own = weighted.protocol_fee_bpt(
        ready.invariant, root, ready.total_supply, supply, ready.protocol_share
    )
    balances = tuple(held + sign * amount for held, amount in zip(ready.balances, raw, strict=True))
    after = replace(ready, balances=balances, total_supply=supply + own, last_invariant=root)
    return Liquidity(after, bpt, raw, due + own)


def _swapped(pool: WeightedPool, i: int, j: int, paid: int, out: int) -> Swap:
    balances = list(pool.balances)
    balances[i] += paid
    balances[j] -= out
    return Swap(replace(pool, balances=tuple(balances)), paid, out)


def _swappable(pool: WeightedPool, i: int, j: int, amount: int) -> None:
    _has_token(pool, i)
    _has_token(pool, j)
    if i == j or amount <= 0:
        raise MathError("a swap needs two tokens and a positive amount")


def _has_token(pool: WeightedPool, i: int) -> None:
    if not 0 <= i < len(pool.balances):
        raise MathError(f"the pool has no token {i}")


def _one_each(pool: WeightedPool, amounts: Sequence[int]) -> tuple[int, ...]:
    if len(amounts) != len(pool.balances):
        raise MathError("one amount a token")
    return _up(amounts, pool.scaling)


def _only(pool: WeightedPool, i: int, amount: int) -> tuple[int, ...]:
    return tuple(amount if k == i else 0 for k in range(len(pool.balances)))


def _up(amounts: Sequence[int], scaling: Sequence[int]) -> tuple[int, ...]:
    return tuple(amount * scale for amount, scale in zip(amounts, scaling, strict=True))

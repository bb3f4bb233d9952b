"""Curve StableSwap tools: quotes, marginal price, depeg, virtual price and one-coin withdrawals.

Figures are whole coins; each coin's decimals come from its symbol and results are raw units.  A is
what the pool's A() says and a fee is a percentage of the output.  A_precise() is A x 100: it has
a tool of its own, because a figure 100 times too large looks like any other A.
"""

from __future__ import annotations

from decimal import Context, Decimal

from denizen.protocols import curve_stableswap as curve
from denizen.protocols.curve_math import A_PRECISION, FEE_DENOMINATOR, PRECISION
from denizen.tasks.catalogue import Parameter, Result, Tool, ToolError
from denizen.tasks.quantities import Quantity, decimals_of
from denizen.tasks.tools.display import canonical, figure, percent, token_amount

_WIDE = Context(prec=240)


def curve_quote(in_: Quantity, a_: Quantity, b_: Quantity, A_: Quantity, fee_: Quantity) -> Result:
    """Output of an exact input in a pool of two coins, after the fee."""
    return _exchange(in_, *_sides(in_, a_, b_), (), _amp(A_), fee_)


def curve_quote_precise(
    in_: Quantity, a_: Quantity, b_: Quantity, A_precise_: Quantity, fee_: Quantity
) -> Result:
    """The same, from the amplification as A_precise() says it."""
    amp = _whole(A_precise_, "A_precise")
    return _exchange(in_, *_sides(in_, a_, b_), (), amp, fee_)


def curve_quote_three(
    in_: Quantity,
    sold_: Quantity,
    bought_: Quantity,
    other_: Quantity,
    A_: Quantity,
    fee_: Quantity,
) -> Result:
    """Output of an exact input in a pool of three coins, after the fee."""
    if in_.unit != sold_.unit:
        raise ToolError(f"{in_.text!r} is not the coin of {sold_.text!r}")
    return _exchange(in_, sold_, bought_, (other_,), _amp(A_), fee_)


def curve_price(coin_: Quantity, against_: Quantity, A_: Quantity) -> Result:
    """Marginal price of a coin in the other one, without fee."""
    pool = _pool((coin_, against_), _amp(A_))
    price = curve.spot_price(pool, 0, 1)
    return Result(
        {"coin": coin_.unit, "against": against_.unit, "price": canonical(price)},
        f"1 {coin_.unit} = {figure(price, 8)} {against_.unit} at the margin, without fee",
        (_stated(pool), f"dy/dx of the invariant = {figure(price, 10)}"),
        "price",
        price,
        against_.unit,
    )


def curve_gap(coin_: Quantity, against_: Quantity, A_: Quantity) -> Result:
    """By how much a coin trades under the other one in the pool, without fee."""
    pool = _pool((coin_, against_), _amp(A_))
    price, gap = curve.spot_price(pool, 0, 1), curve.depeg(pool, 0, 1)
    side = "under" if gap >= 0 else "over"
    return Result(
        {"coin": coin_.unit, "against": against_.unit, "depeg": canonical(gap)},
        f"{coin_.unit} trades {percent(abs(gap), 4)} {side} {against_.unit}",
        (_stated(pool), f"1 - dy/dx = 1 - {figure(price, 10)} = {percent(gap, 4)}"),
        "depeg",
        gap * 100,
        "%",
    )


def curve_virtual(a_: Quantity, b_: Quantity, A_: Quantity, supply_: Quantity) -> Result:
    """Virtual price: the invariant per LP token."""
    pool = _pool((a_, b_), _amp(A_), supply=_lp(supply_))
    price = curve.virtual_price(pool)
    number = Decimal(price).scaleb(-18)
    return Result(
        {"virtual_price": str(price)},
        f"virtual price {figure(number, 10)}",
        (_stated(pool), f"D x 1e18 / supply = {price} (1e18 = 1, rounded down)"),
        "virtual_price",
        number,
    )


def curve_one_coin(
    lp_: Quantity, to_: Quantity, other_: Quantity, A_: Quantity, fee_: Quantity, supply_: Quantity
) -> Result:
    """What LP tokens pay when withdrawn in one coin, after the imbalance fee."""
    pool = _pool((to_, other_), _amp(A_), fee_, _lp(supply_))
    moved = curve.remove_liquidity_one_coin(pool, _lp(lp_), 0)
    paid = moved.amounts[0]
    return Result(
        {"out": str(paid), "token": to_.unit},
        f"fee {token_amount(moved.fees[0], to_.unit)}; {token_amount(paid, to_.unit)} out",
        (
            _stated(pool),
            f"imbalance fee = fee x n / 4(n - 1) = {curve.imbalance_fee(pool)} of 1e10",
            f"out = {paid} {to_.unit} (raw units, one kept)",
        ),
        "out",
        Decimal(paid).scaleb(-decimals_of(to_.unit)),
        to_.unit,
    )


def _exchange(
    traded: Quantity,
    sold: Quantity,
    bought: Quantity,
    others: tuple[Quantity, ...],
    amp: int,
    fee: Quantity,
) -> Result:
    pool = _pool((sold, bought, *others), amp, fee)
    swap = curve.exchange(pool, 0, 1, traded.raw())
    token = bought.unit
    return Result(
        {"out": str(swap.dy), "token": token},
        f"fee {token_amount(swap.fee, token)}; {token_amount(swap.dy, token)} out",
        (
            _stated(pool),
            f"the invariant leaves {swap.dy + swap.fee} {token}, the fee takes {swap.fee}",
            f"out = {swap.dy} (raw units, rounded down)",
        ),
        "out",
        Decimal(swap.dy).scaleb(-decimals_of(token)),
        token,
    )


def _pool(
    held: tuple[Quantity, ...], amp: int, fee: Quantity | None = None, supply: int = PRECISION
) -> curve.StablePool:
    """The pool of these balances, in this order."""
    if len({one.unit for one in held}) != len(held):
        raise ToolError("two of the balances are of the same coin")
    rates = tuple(PRECISION * 10 ** (18 - decimals_of(one.unit)) for one in held)
    return curve.StablePool(
        tuple(one.raw() for one in held), rates, amp, _fee(fee) if fee else 0, 0, supply
    )


def _sides(traded: Quantity, a: Quantity, b: Quantity) -> tuple[Quantity, Quantity]:
    """(balance of the coin sold, balance of the coin bought)."""
    if traded.unit not in (a.unit, b.unit):
        raise ToolError(f"{traded.text!r} is neither of the pool's coins ({a.unit}, {b.unit})")
    return (a, b) if traded.unit == a.unit else (b, a)


def _amp(given: Quantity) -> int:
    return _whole(given, "A") * A_PRECISION


def _whole(given: Quantity, name: str) -> int:
    if given.unit:
        raise ToolError(f"{name} is a plain number, not {given.text!r}")
    return int(given.value)


def _fee(given: Quantity) -> int:
    units = given.value.scaleb(10, _WIDE)
    if units != units.to_integral_value(context=_WIDE):
        raise ToolError(f"a fee of {given.text} is finer than 1 in {FEE_DENOMINATOR}")
    return int(units)


def _lp(given: Quantity) -> int:
    """LP tokens have 18 decimals."""
    return int(given.value.scaleb(18, _WIDE))


def _stated(pool: curve.StablePool) -> str:
    balances = ", ".join(map(str, pool.xp))
    return f"balances at 18 decimals {balances}; A x 100 = {pool.amp}; D = {pool.D}"


_IN = Parameter("in", "the exact amount sold, with its coin", "amount")
_TWO = (
    Parameter("a", "the pool's balance of one coin", "amount"),
    Parameter("b", "its balance of the other coin", "amount"),
)
_A = Parameter("A", "the amplification coefficient, as A() says it", "integer")
_FEE = Parameter("fee", "the pool's fee, such as 0.04%", "percent")
_PRICED = (
    Parameter("coin", "the pool's balance of the coin asked about", "amount"),
    Parameter("against", "its balance of the coin it is priced in", "amount"),
    _A,
)
_SUPPLY = Parameter("supply", "LP tokens in existence", "number")
_OUT = {"out": "raw units", "token": "symbol"}

STABLE_TOOLS = (
    Tool(
        "curve_in",
        "Curve StableSwap, two coins: output for an exact input, fee taken",
        "stableswap output",
        (_IN, *_TWO, _A, _FEE),
        curve_quote,
        _OUT,
    ),
    Tool(
        "curve_in_precise",
        "Curve StableSwap, two coins, amplification given as A_precise (A x 100): output",
        "stableswap output, A precise",
        (
            _IN,
            *_TWO,
            Parameter("A_precise", "the amplification as A_precise() says it", "integer"),
            _FEE,
        ),
        curve_quote_precise,
        _OUT,
    ),
    Tool(
        "curve3_in",
        "Curve StableSwap, three coins: output for an exact input, fee taken",
        "three-coin stableswap output",
        (
            _IN,
            Parameter("sold", "the pool's balance of the coin sold", "amount"),
            Parameter("bought", "its balance of the coin bought", "amount"),
            Parameter("other", "its balance of the third coin", "amount"),
            _A,
            _FEE,
        ),
        curve_quote_three,
        _OUT,
    ),
    Tool(
        "curve_price",
        "Curve StableSwap, two coins: marginal price of one coin in the other, without fee",
        "stableswap price",
        _PRICED,
        curve_price,
        {"coin": "symbol", "against": "symbol", "price": "against per coin"},
    ),
    Tool(
        "curve_gap",
        "Curve StableSwap, two coins: by what share one coin trades under the other",
        "depeg within a pool",
        _PRICED,
        curve_gap,
        {"coin": "symbol", "against": "symbol", "depeg": "fraction, negative is over"},
    ),
    Tool(
        "curve_virtual",
        "Curve StableSwap, two coins: virtual price of an LP token",
        "virtual price",
        (*_TWO, _A, _SUPPLY),
        curve_virtual,
        {"virtual_price": "1e18 = 1"},
    ),
    Tool(
        "curve_one_coin",
        "Curve StableSwap, two coins: withdraw LP tokens in a single coin",
        "one-coin withdrawal",
        (
            Parameter("lp", "LP tokens withdrawn", "number"),
            Parameter("to", "the pool's balance of the coin taken out", "amount"),
            Parameter("other", "its balance of the other coin", "amount"),
            _A,
            _FEE,
            _SUPPLY,
        ),
        curve_one_coin,
        _OUT,
    ),
)

"""Maker vaults: debt shares and a rate, stability fees by the second, Dutch auctions.

Units are Maker's: wad 1e18 (ink, art, chop), ray 1e27 (rate, spot, mat, prices, cut, buf), rad
1e45 (tab, line, dust, hole).  A debt is art x rate, exactly; products and quotients round down and
rpow rounds half up.  Source: MIP45 (Liquidations 2.0) and the Maker developer guides.
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import NamedTuple

from .fixed_point import MAX_UINT256, MathError, div_rounding_up

WAD = 10**18
RAY = 10**27
RAD = 10**45
SECONDS_PER_YEAR = 31_536_000
OSM_DELAY = 3600
_WIDE = Context(prec=60)


class Ilk(NamedTuple):
    """A collateral type: total art (wad), rate and spot (ray), line and dust (rad)."""

    art: int
    rate: int
    spot: int
    line: int
    dust: int


class Urn(NamedTuple):
    """A vault: collateral `ink` and normalised debt `art`, both wad."""

    ink: int
    art: int


class Dog(NamedTuple):
    """Liquidation limits of a type: penalty factor chop (wad), room left under hole (rad)."""

    chop: int
    room: int


class Bark(NamedTuple):
    """A liquidation: collateral and debt confiscated, Dai to raise, the vault that remains."""

    dink: int
    dart: int
    due: int
    tab: int
    urn: Urn


class Auction(NamedTuple):
    """A running auction: Dai to raise (rad), collateral for sale (wad), top price (ray)."""

    tab: int
    lot: int
    top: int


class Take(NamedTuple):
    """A purchase: collateral bought (wad), Dai owed (rad), the auction after it."""

    slice: int
    owe: int
    auction: Auction
    returned: int


def rmul(x: int, y: int) -> int:
    """floor(x x y / 1e27)."""
    return x * y // RAY


def rpow(x: int, n: int, base: int = RAY) -> int:
    """x^n in a fixed point of `base` by squaring, each product rounded half up; 0^0 is one."""
    if x < 0 or n < 0 or base <= 0:
        raise MathError("rpow takes no negative figure")
    if n and x == 0:
        return 0

    def product(a: int, b: int) -> int:
        rounded = a * b + base // 2
        if rounded > MAX_UINT256:
            raise MathError("rpow overflows 256 bits")
        return rounded // base

    result = x if n % 2 else base
    while n := n // 2:
        x = product(x, x)
        if n % 2:
            result = product(result, x)
    return result


def drip(rate: int, duty: int, seconds: int, base: int = 0) -> int:
    """The rate after `seconds` of the per-second fee base + duty (rays, duty one or more)."""
    if seconds < 0:
        raise MathError("time runs forward")
    return rmul(rpow(base + duty, seconds), rate)


def stability_fee(duty: int) -> Decimal:
    """Yearly fee of a per-second ray: duty^31,536,000 - 1, a fraction."""
    second = _WIDE.divide(Decimal(duty), Decimal(RAY))
    return _WIDE.subtract(_WIDE.power(second, SECONDS_PER_YEAR), Decimal(1))


def spot(price: int, mat: int, par: int = RAY) -> int:
    """Price with safety margin (ray) of a wad price: price / par / mat, each rounded down."""
    if mat <= 0 or par <= 0:
        raise MathError("mat and par must be positive")
    return price * 10**9 * RAY // par * RAY // mat


def debt(urn: Urn, ilk: Ilk) -> int:
    """Dai owed, in rad and exact: art x rate."""
    return urn.art * ilk.rate


def is_safe(urn: Urn, ilk: Ilk) -> bool:
    """art x rate <= ink x spot; equality is safe."""
    return debt(urn, ilk) <= urn.ink * ilk.spot


def collateralization_ratio(urn: Urn, ilk: Ilk, price: int) -> Decimal:
    """ink x price over debt, for a wad price."""
    if urn.art <= 0:
        raise MathError("a vault without debt has no collateralization ratio")
    return _WIDE.divide(Decimal(urn.ink * price * 10**9), Decimal(debt(urn, ilk)))


def liquidation_price(urn: Urn, ilk: Ilk, mat: int, par: int = RAY) -> int:
    """Lowest wad price at which the vault is safe, through spot's rounding; 0 without debt."""
    owed = debt(urn, ilk)
    if owed == 0:
        return 0
    if urn.ink <= 0 or mat <= 0 or par <= 0:
        raise MathError("no price makes a debt without collateral safe")
    needed = div_rounding_up(div_rounding_up(owed, urn.ink) * mat, RAY)
    return div_rounding_up(needed * par, 10**9 * RAY)


def frob(urn: Urn, ilk: Ilk, dink: int, dart: int) -> tuple[Urn, Ilk]:
    """Vault and type after collateral and debt move; checks line, safety and dust, as Vat.frob.

    `line` stands for both ceilings: pass the smaller room if the system's Line binds.
    """
    if ilk.rate == 0:
        raise MathError("the collateral type is not initialised")
    after = Urn(urn.ink + dink, urn.art + dart)
    if min(after) < 0 or ilk.art + dart < 0:
        raise MathError("a vault holds no negative collateral or debt")
    grown = ilk._replace(art=ilk.art + dart)
    if dart > 0 and grown.art * ilk.rate > ilk.line:
        raise MathError("the debt ceiling (line) is exceeded")
    if (dart > 0 or dink < 0) and not is_safe(after, grown):
        raise MathError("the vault would not be safe")
    if 0 < debt(after, grown) < ilk.dust:
        raise MathError("the debt would be dust")
    return after, grown


def bark(urn: Urn, ilk: Ilk, dog: Dog) -> Bark:
    """Dog.bark: the whole vault, or the part that fits under hole unless dust would remain."""
    if ilk.spot <= 0 or is_safe(urn, ilk):
        raise MathError("the vault is safe")
    if dog.room <= 0:
        raise MathError("the liquidation limit (hole) is reached")
    dart = min(urn.art, dog.room * WAD // ilk.rate // dog.chop)
    if urn.art > dart and (urn.art - dart) * ilk.rate < ilk.dust:
        dart = urn.art
    elif urn.art > dart and dart * ilk.rate < ilk.dust:
        raise MathError("the part that fits under hole would be dust")
    dink = urn.ink * dart // urn.art
    if dink <= 0:
        raise MathError("the vault holds no collateral to auction")
    due = dart * ilk.rate
    return Bark(dink, dart, due, due * dog.chop // WAD, Urn(urn.ink - dink, urn.art - dart))


def kick(bark: Bark, price: int, buf: int) -> Auction:
    """The auction of a bark; its top is the wad price x buf (a ray above one)."""
    top = rmul(price * 10**9, buf)
    if top <= 0:
        raise MathError("the auction would start at price zero")
    return Auction(bark.tab, bark.dink, top)


def keeper_incentive(tab: int, tip: int, chip: int) -> int:
    """Dai (rad) paid for starting or resetting an auction: tip + chip x tab (chip in wad)."""
    return tip + tab * chip // WAD


def linear_decrease(top: int, seconds: int, tau: int) -> int:
    """top x (tau - seconds) / tau, rounded down; zero from tau on."""
    if tau <= 0:
        raise MathError("tau must be positive")
    return rmul(top, (tau - seconds) * RAY // tau) if seconds < tau else 0


def stairstep_exponential_decrease(top: int, seconds: int, cut: int, step: int) -> int:
    """top x cut^floor(seconds / step)."""
    if step <= 0:
        raise MathError("step must be positive")
    return exponential_decrease(top, seconds // step, cut)


def exponential_decrease(top: int, seconds: int, cut: int) -> int:
    """top x cut^seconds."""
    if not 0 <= cut <= RAY:
        raise MathError("cut is a ray up to one")
    return rmul(top, rpow(cut, seconds))


def needs_redo(auction: Auction, seconds: int, price: int, tail: int, cusp: int) -> bool:
    """Whether it ran longer than tail, or its price fell below cusp (ray) of the top."""
    return seconds > tail or price * RAY // auction.top < cusp


def take(auction: Auction, price: int, amt: int, chost: int) -> Take:
    """Buy up to `amt` at `price`; no more than tab is raised, and no rest under chost is left.

    Collateral left when tab is reached goes back to the vault (`returned`).
    """
    if price <= 0 or amt <= 0:
        raise MathError("price and amount must be positive")
    bought = min(auction.lot, amt)
    owe = bought * price
    if owe > auction.tab:
        owe, bought = auction.tab, auction.tab // price
    elif owe < auction.tab and bought < auction.lot and auction.tab - owe < chost:
        if auction.tab <= chost:
            raise MathError("no partial purchase: what is left to raise is below chost")
        owe = auction.tab - chost
        bought = owe // price
    tab, lot = auction.tab - owe, auction.lot - bought
    returned = lot if tab == 0 else 0
    return Take(bought, owe, Auction(tab, lot - returned, auction.top), returned)

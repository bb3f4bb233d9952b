"""Liquidations beside Aave's: Compound's absorb and shop, Morpho's incentive, Maker's auctions.

Compound's discount is a share of the penalty (1 - liquidation factor), Morpho's incentive follows
from the LLTV, Maker's penalty is owed in Dai on top of the debt.  Amounts and rounding are the
contracts'; a price is the collateral's, quoted in the debt's token.
"""

from __future__ import annotations

from denizen.protocols import compound_v3_account, maker_vaults, morpho_blue
from denizen.protocols.compound_v3 import FACTOR_SCALE, Totals
from denizen.protocols.fixed_point import MAX_UINT256
from denizen.tasks.catalogue import Parameter, Result, Tool, ToolError
from denizen.tasks.quantities import Quantity, decimals_of
from denizen.tasks.tools.display import canonical, figure, token_amount
from denizen.tasks.tools.lending import BASE_DECIMALS, base_price, from_base, whole


def raw_amount(amount: Quantity) -> int:
    """A positive amount in its token's smallest unit; ToolError if it is finer than that."""
    return whole(amount, decimals_of(amount.unit))


def same_quote(debt: Quantity, price: Quantity) -> None:
    """ToolError unless the debt is of the token in which the price is quoted."""
    if debt.unit != price.unit:
        raise ToolError(f"{debt.text} is not in {price.unit}, as the price is")


def amount_result(
    key: str, raw: int, token: str, said: str, steps: tuple[str, ...], **more: str
) -> Result:
    """A token amount as the headline, told last."""
    return Result(
        {key: str(raw), "token": token, **more},
        f"{said}{token_amount(raw, token)}",
        steps,
        key,
        from_base(raw, decimals_of(token)),
        token,
    )


def comet_absorb(
    collateral_: Quantity,
    price_: Quantity,
    liquidate_: Quantity,
    liquidation_: Quantity,
    debt_: Quantity,
) -> Result:
    """Compound v3 absorb: base balance left to the account; zero if its debt was not covered."""
    same_quote(debt_, price_)
    asset = compound_v3_account.Collateral(
        raw_amount(collateral_),
        base_price(price_, collateral_.unit),
        10 ** decimals_of(collateral_.unit),
        0,
        whole(liquidate_, 18),
        whole(liquidation_, 18),
    )
    owed = raw_amount(debt_)
    base = compound_v3_account.Base(10**BASE_DECIMALS, 10 ** decimals_of(debt_.unit))
    done = compound_v3_account.absorb(Totals(borrow=owed), -owed, base, [asset])
    step = f"{collateral_.text} x {price_.text} x {liquidation_.text} - {debt_.text}, not below 0"
    balance = done.totals.present_value(done.principal)
    paid = str(done.base_paid_out)
    return amount_result("balance", balance, debt_.unit, "", (step,), paid_out=paid)


def comet_buy(
    paid_: Quantity, price_: Quantity, liquidation_: Quantity, store_: Quantity
) -> Result:
    """Compound v3 quoteCollateral: absorbed collateral bought with base at the discount."""
    same_quote(paid_, price_)
    store, factor = whole(store_, 18), whole(liquidation_, 18)
    if store > FACTOR_SCALE:
        raise ToolError(f"a store front price factor of {store_.text} is above 100%")
    price = base_price(price_, price_.per)
    unit = 10 ** decimals_of(price_.per)
    asset = compound_v3_account.Collateral(0, price, unit, 0, FACTOR_SCALE, factor)
    base = compound_v3_account.Base(10**BASE_DECIMALS, 10 ** decimals_of(paid_.unit))
    bought = compound_v3_account.quote_collateral(asset, base, raw_amount(paid_), store)
    steps = (
        f"discount = {store_.text} x (1 - {liquidation_.text})",
        f"{paid_.text} / ({price_.text} x (1 - discount)), rounded down",
    )
    return amount_result("collateral", bought, price_.per, "", steps)


def morpho_seize(repaid_: Quantity, price_: Quantity, lltv_: Quantity) -> Result:
    """Morpho Blue: collateral seized for a repaid loan."""
    same_quote(repaid_, price_)
    raw = raw_amount(repaid_)
    debt, scale = raw * _WHOLE, _oracle(price_)
    held = debt * morpho_blue.ORACLE_PRICE_SCALE // scale
    market, position = _loan(debt, held)
    shares = morpho_blue.to_shares_down(raw, market.borrow_assets, market.borrow_shares)
    lltv = whole(lltv_, 18)
    done = morpho_blue.liquidate(market, position, scale, lltv, repaid_shares=shares)
    step = f"{repaid_.text} / {price_.text} x {_incentive(lltv)}"
    return amount_result("seized", done.seized_assets, price_.per, "", (_RULE, step))


def morpho_repay(seized_: Quantity, price_: Quantity, lltv_: Quantity) -> Result:
    """Morpho Blue: loan to repay for a seized collateral."""
    raw, scale = raw_amount(seized_), _oracle(price_)
    base_price(price_, seized_.unit)
    held = raw * _WHOLE
    market, position = _loan(held * scale // morpho_blue.ORACLE_PRICE_SCALE, held)
    lltv = whole(lltv_, 18)
    done = morpho_blue.liquidate(market, position, scale, lltv, seized_assets=raw)
    step = f"{seized_.text} x {price_.text} / {_incentive(lltv)}"
    return amount_result("repaid", done.repaid_assets, price_.unit, "", (_RULE, step))


_RULE = "incentive factor = min(1.15, 1 / (1 - 0.3 x (1 - LLTV)))"
# A loan this many times the part liquidated, owed in full against as much: unhealthy at any LLTV.
_WHOLE = 1000


def _loan(debt: int, held: int) -> tuple[morpho_blue.Market, morpho_blue.Position]:
    shares = debt * morpho_blue.VIRTUAL_SHARES
    market = morpho_blue.Market(debt, shares, debt, shares)
    return market, morpho_blue.Position(0, shares, held)


def _oracle(price: Quantity) -> int:
    """A price as Morpho's oracle gives it: raw loan units per raw collateral unit, 1e36."""
    base_price(price, price.per)
    return whole(price, 36 + decimals_of(price.unit) - decimals_of(price.per))


def _incentive(lltv: int) -> str:
    return figure(from_base(morpho_blue.liquidation_incentive_factor(lltv), 18), 8)


def maker_tab(debt_: Quantity, penalty_: Quantity) -> Result:
    """Maker: Dai an auction has to raise, the liquidation penalty included."""
    tab = from_base(_bark(debt_, penalty_, maker_vaults.WAD).tab, 45)
    return Result(
        {"tab": canonical(tab)},
        f"{figure(tab, 8)} DAI to raise",
        (f"{debt_.text} x (1 + {penalty_.text})",),
        "tab",
        tab,
        "DAI",
    )


def maker_left(
    collateral_: Quantity, price_: Quantity, penalty_: Quantity, debt_: Quantity
) -> Result:
    """Maker: collateral that returns to the vault once an auction has sold enough at a price."""
    same_quote(debt_, price_)
    base_price(price_, collateral_.unit)
    bark = _bark(debt_, penalty_, whole(collateral_, 18))
    auction = maker_vaults.kick(bark, whole(price_, 18), maker_vaults.RAY)
    sale = maker_vaults.take(auction, auction.top, auction.lot, 0)
    if sale.auction.tab:
        raise ToolError("all the collateral is sold and does not raise the debt and penalty")
    left, sold = from_base(sale.returned, 18), from_base(sale.slice, 18)
    return Result(
        {"returned": canonical(left), "sold": canonical(sold), "token": collateral_.unit},
        f"{figure(sold, 8)} {collateral_.unit} sold, {figure(left, 8)} {collateral_.unit} returned",
        (
            f"to raise {debt_.text} x (1 + {penalty_.text}) at {price_.text}",
            f"{collateral_.text} less what is sold",
        ),
        "returned",
        left,
        collateral_.unit,
    )


def _bark(debt: Quantity, penalty: Quantity, ink: int) -> maker_vaults.Bark:
    """A whole vault barked; its spot is one ray unit, so that it is unsafe."""
    if debt.unit != "DAI":
        raise ToolError(f"a vault owes DAI, not {debt.unit}")
    art = whole(debt, 18)
    ilk = maker_vaults.Ilk(art, maker_vaults.RAY, 1, 0, 0)
    dog = maker_vaults.Dog(maker_vaults.WAD + whole(penalty, 18), MAX_UINT256)
    return maker_vaults.bark(maker_vaults.Urn(ink, art), ilk, dog)


REPAID = Parameter("repaid", "the debt repaid, with its token", "amount")
DEBT = Parameter("debt", "the borrower's whole debt, with its token", "amount")
PRICE = Parameter("price", "price of the collateral, such as 3,250 USDC per ETH", "price")
_LLTV = Parameter("lltv", "liquidation loan to value of the market", "percent")
_PENALTY = Parameter("penalty", "liquidation penalty, such as 13%", "percent")
_HELD = Parameter("collateral", "the borrower's collateral with its token", "amount")
_LIQUIDATION = Parameter("liquidation", "liquidation factor, credited on absorb", "percent")
TOKEN = {"token": "symbol of the headline's token"}
_SEIZED = {"collateral": "raw units", **TOKEN}

SALE_TOOLS = (
    Tool(
        "comet_absorb",
        "Compound v3: base balance an account is left with after absorb",
        "balance after absorb",
        (
            _HELD,
            PRICE,
            Parameter("liquidate", "liquidate collateral factor", "percent"),
            _LIQUIDATION,
            DEBT,
        ),
        comet_absorb,
        {"balance": "raw units", **TOKEN, "paid_out": "raw units of base"},
    ),
    Tool(
        "comet_buy",
        "Compound v3: absorbed collateral bought with the base asset at a discount",
        "collateral bought at discount",
        (
            Parameter("paid", "base asset paid, with its token", "amount"),
            PRICE,
            _LIQUIDATION,
            Parameter("store", "store front price factor", "percent"),
        ),
        comet_buy,
        _SEIZED,
    ),
    Tool(
        "morpho_seize",
        "Morpho Blue: collateral seized for a repaid loan, incentive from the LLTV",
        "morpho collateral seized",
        (REPAID, PRICE, _LLTV),
        morpho_seize,
        {"seized": "raw units", **TOKEN},
    ),
    Tool(
        "morpho_repay",
        "Morpho Blue: loan to repay for a seized collateral, incentive from the LLTV",
        "morpho debt to repay",
        (Parameter("seized", "collateral to seize, with its token", "amount"), PRICE, _LLTV),
        morpho_repay,
        {"repaid": "raw units", **TOKEN},
    ),
    Tool(
        "maker_tab",
        "Maker: Dai a liquidation auction has to raise, with the penalty",
        "dai to raise",
        (DEBT, _PENALTY),
        maker_tab,
        {"tab": "Dai"},
    ),
    Tool(
        "maker_left",
        "Maker: collateral returned to the vault after an auction at a price",
        "collateral returned to owner",
        (_HELD, PRICE, _PENALTY, DEBT),
        maker_left,
        {"returned": "tokens", "sold": "tokens", "token": "symbol"},
    ),
)

"""ERC-4626 tools: the four previews in tokens and in raw units, share price, inflation attack.

Rounding is against the caller: previewDeposit and previewRedeem down, previewMint and
previewWithdraw up; it is part of every result.  Tokens and `vault_raw` follow plain shares without
fees; `vault_virtual` and `attack_virtual` add OpenZeppelin's virtual asset and shares.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from denizen.protocols.erc4626 import VaultState, inflation_attack
from denizen.tasks.catalogue import Parameter, Result, Tool, ToolError
from denizen.tasks.quantities import Quantity, decimals_of
from denizen.tasks.tools.display import figure, token_amount

Function = Literal["previewDeposit", "previewMint", "previewWithdraw", "previewRedeem"]
FUNCTIONS: tuple[Function, ...] = (
    "previewDeposit",
    "previewMint",
    "previewWithdraw",
    "previewRedeem",
)
_ROUNDING = dict(zip(FUNCTIONS, ("down", "up", "up", "down"), strict=True))
_FORMULA = {
    "shares": "assets x total supply / total assets",
    "assets": "shares x total assets / total supply",
}


def deposit(assets_: Quantity, total_: Quantity, supply_: Quantity) -> Result:
    """Shares minted for exactly these assets."""
    return _preview("previewDeposit", assets_, total_, supply_)


def mint(shares_: Quantity, total_: Quantity, supply_: Quantity) -> Result:
    """Assets taken for exactly these shares."""
    return _preview("previewMint", shares_, total_, supply_)


def withdraw(assets_: Quantity, total_: Quantity, supply_: Quantity) -> Result:
    """Shares burnt for exactly these assets."""
    return _preview("previewWithdraw", assets_, total_, supply_)


def redeem(shares_: Quantity, total_: Quantity, supply_: Quantity) -> Result:
    """Assets paid for exactly these shares."""
    return _preview("previewRedeem", shares_, total_, supply_)


def share_price(total_: Quantity, supply_: Quantity) -> Result:
    """Assets that one whole share is worth."""
    _apart(total_, supply_)
    raw = _state(total_.raw(), supply_.raw()).convert_to_assets(10 ** decimals_of(supply_.unit))
    price = Decimal(raw).scaleb(-decimals_of(total_.unit))
    return Result(
        {"price": str(raw), "token": total_.unit},
        f"1 {supply_.unit} = {figure(price, 10)} {total_.unit}",
        (f"{total_.raw()} / {supply_.raw()} (raw units), for one share: {raw} rounded down",),
        "price",
        price,
        total_.unit,
    )


def raw_preview(
    function_: Function, amount_: Quantity, assets_: Quantity, supply_: Quantity
) -> Result:
    """A preview in raw units, without virtual shares."""
    state = _state(_raw(assets_), _raw(supply_))
    return _raw_result(function_, amount_, state, "total assets and supply as they are")


def virtual_preview(
    function_: Function,
    amount_: Quantity,
    assets_: Quantity,
    supply_: Quantity,
    offset_: Quantity,
) -> Result:
    """A preview in raw units with one virtual asset and 10^offset virtual shares."""
    offset = _offset(offset_)
    state = VaultState(_raw(assets_), _raw(supply_), offset)
    return _raw_result(function_, amount_, state, f"total assets + 1, supply + 10^{offset}")


def attack(first_: Quantity, donation_: Quantity, victim_: Quantity) -> Result:
    """Inflation attack on an empty vault without virtual shares: the victim's loss."""
    return _attack(first_, donation_, victim_, None)


def attack_virtual(
    first_: Quantity, donation_: Quantity, victim_: Quantity, offset_: Quantity
) -> Result:
    """The same on a vault with virtual shares."""
    return _attack(first_, donation_, victim_, _offset(offset_))


def _preview(function: Function, given: Quantity, total: Quantity, supply: Quantity) -> Result:
    wanted, side = (
        (total, supply) if function in ("previewDeposit", "previewWithdraw") else (supply, total)
    )
    _apart(total, supply)
    if given.unit != wanted.unit:
        raise ToolError(f"{given.text!r} is not in {wanted.unit}")
    result = _run(function, given.raw(), _state(total.raw(), supply.raw()))
    key, rounding = ("shares" if side is supply else "assets"), _ROUNDING[function]
    return Result(
        {key: str(result), "token": side.unit, "rounding": rounding},
        f"{token_amount(result, side.unit)} ({function}, rounded {rounding})",
        (f"{_FORMULA[key]} = {result} (raw units, rounded {rounding}: {function})",),
        key,
        Decimal(result).scaleb(-decimals_of(side.unit)),
        side.unit,
    )


def _raw_result(function: Function, amount: Quantity, state: VaultState, basis: str) -> Result:
    result = _run(function, _raw(amount), state)
    key = "shares" if function in ("previewDeposit", "previewWithdraw") else "assets"
    rounding = _ROUNDING[function]
    return Result(
        {"function": function, "result": str(result), "rounding": rounding},
        f"{function} rounds {rounding}: {result:,} {key}",
        (f"{_FORMULA[key]}, {basis}", f"rounded {rounding}: {result}"),
        "result",
        Decimal(result),
    )


def _attack(first: Quantity, donation: Quantity, victim: Quantity, offset: int | None) -> Result:
    if donation.unit != victim.unit:
        raise ToolError(f"{donation.text!r} and {victim.text!r} are different tokens")
    token = victim.unit
    found = inflation_attack(_raw(first), donation.raw(), victim.raw(), offset)
    virtual = "none" if offset is None else f"10^{offset}"
    return Result(
        {
            "victim_shares": str(found.victim_shares),
            "loss": str(found.victim_loss),
            "profit": str(found.attacker_profit),
        },
        f"the attacker's gain is {token_amount(found.attacker_profit, token)}; the victim gets "
        f"{found.victim_shares} raw shares and loses {token_amount(found.victim_loss, token)}",
        (
            f"virtual shares: {virtual}; attacker's shares: {found.attacker_shares}",
            f"victim's shares, rounded down: {found.victim_shares}",
            f"loss = deposit - redeemed = {found.victim_loss}, of which {found.left_in_vault} stay "
            "in the vault (raw units)",
        ),
        "loss",
        Decimal(found.victim_loss).scaleb(-decimals_of(token)),
        token,
    )


def _run(function: Function, amount: int, state: VaultState) -> int:
    preview = {
        "previewDeposit": state.preview_deposit,
        "previewMint": state.preview_mint,
        "previewWithdraw": state.preview_withdraw,
        "previewRedeem": state.preview_redeem,
    }[function]
    return preview(amount)


def _state(assets: int, supply: int) -> VaultState:
    if min(assets, supply) <= 0:
        raise ToolError("a vault without assets or without shares has no share price")
    return VaultState(assets, supply, None)


def _raw(given: Quantity) -> int:
    if given.unit:
        raise ToolError(f"{given.text!r} is not a plain integer of raw units")
    return int(given.value)


def _offset(given: Quantity) -> int:
    offset = _raw(given)
    if not 0 <= offset <= 18:
        raise ToolError(f"a decimals offset lies between 0 and 18, not at {given.text}")
    return offset


def _apart(total: Quantity, supply: Quantity) -> None:
    if total.unit == supply.unit:
        raise ToolError(f"assets and shares are both in {total.unit}")


_TOTALS = (
    Parameter("total", "all assets of the vault, with their token", "amount"),
    Parameter("supply", "all its shares, with their token", "amount"),
)
_ASSETS = Parameter("assets", "the exact amount of assets", "amount")
_SHARES = Parameter("shares", "the exact amount of shares", "amount")
_RAW = (
    Parameter("function", "the preview asked about", choices=FUNCTIONS),
    Parameter("amount", "what the preview is given, raw units", "integer"),
    Parameter("assets", "totalAssets, raw units", "integer"),
    Parameter("supply", "totalSupply, raw units", "integer"),
)
_ATTACK = (
    Parameter("first", "the attacker's first deposit, raw units", "integer"),
    Parameter("donation", "what the attacker then sends to the vault", "amount"),
    Parameter("victim", "what the victim deposits", "amount"),
)
_OFFSET = Parameter("offset", "the vault's decimals offset", "integer")
_MINTED = {"shares": "raw units", "token": "symbol", "rounding": "down or up"}
_PAID = {"assets": "raw units", "token": "symbol", "rounding": "down or up"}
_RETURNED = {"function": "as asked", "result": "raw units", "rounding": "down or up"}
_LOST = {"victim_shares": "raw units", "loss": "raw units", "profit": "raw units, signed"}

VAULT_TOOLS = (
    Tool(
        "vault_deposit",
        "ERC-4626 vault: shares minted for a deposit (previewDeposit)",
        "shares for a deposit",
        (_ASSETS, *_TOTALS),
        deposit,
        _MINTED,
    ),
    Tool(
        "vault_mint",
        "ERC-4626 vault: assets that an exact number of new shares costs (previewMint)",
        "cost of minting shares",
        (_SHARES, *_TOTALS),
        mint,
        _PAID,
    ),
    Tool(
        "vault_withdraw",
        "ERC-4626 vault: shares burnt to take out exact assets (previewWithdraw)",
        "shares burnt for assets",
        (_ASSETS, *_TOTALS),
        withdraw,
        _MINTED,
    ),
    Tool(
        "vault_redeem",
        "ERC-4626 vault: assets paid for an exact number of shares (previewRedeem)",
        "assets for shares",
        (_SHARES, *_TOTALS),
        redeem,
        _PAID,
    ),
    Tool(
        "vault_price",
        "ERC-4626 vault: what one share is worth",
        "vault share price",
        _TOTALS,
        share_price,
        {"price": "raw units of the asset", "token": "symbol"},
    ),
    Tool(
        "vault_raw",
        "ERC-4626 preview in raw integers, no virtual shares: the rounding to the unit",
        "preview in raw units",
        _RAW,
        raw_preview,
        _RETURNED,
    ),
    Tool(
        "vault_virtual",
        "ERC-4626 preview in raw integers with OpenZeppelin's virtual shares",
        "preview with virtual shares",
        (*_RAW, _OFFSET),
        virtual_preview,
        _RETURNED,
    ),
    Tool(
        "vault_attack",
        "inflation attack on an empty vault without virtual shares: the victim's loss",
        "inflation attack",
        _ATTACK,
        attack,
        _LOST,
    ),
    Tool(
        "vault_attack_virtual",
        "inflation attack on an empty vault with virtual shares: the victim's loss",
        "attack on virtual shares",
        (*_ATTACK, _OFFSET),
        attack_virtual,
        _LOST,
    ),
)

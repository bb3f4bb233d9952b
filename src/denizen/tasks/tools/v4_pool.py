"""Uniswap v4 tools: hook address bits, the fee field, fees of a swap, currency order, deltas.

Fees in pips are millionths.  A delta is from the caller's side: negative is owed to the manager,
positive may be taken (a v3 pool's amounts have the opposite signs).
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from denizen.protocols import uniswap_v4
from denizen.protocols.fixed_point import MathError
from denizen.protocols.uniswap_v4_flash import FlashAccounting
from denizen.tasks.catalogue import Parameter, Result, Tool, ToolError
from denizen.tasks.quantities import Quantity, decimals_of
from denizen.tasks.tools.display import percent, token_amount
from denizen.tasks.tools.ticks import whole

# In the order of their bits, the highest (13) first.
PERMISSIONS = tuple(
    next(iter(uniswap_v4.hook_permissions(hex(1 << bit)))) for bit in range(13, -1, -1)
)
OPERATIONS = ("settle", "take", "mint", "burn")
# An amount of any token and of its claims that no question reaches.
_PLENTY = 1 << 200
_MANAGER, _CALLER, _TOKEN = (f"0x{number:040x}" for number in (1, 2, 3))


def hook_has(hook_: Quantity, permission_: str) -> Result:
    """Whether a hook's address grants one permission."""
    has = permission_ in uniswap_v4.hook_permissions(_address(hook_))
    bit = 13 - PERMISSIONS.index(permission_)
    return Result(
        {"granted": "yes" if has else "no", "permission": permission_},
        f"{'yes' if has else 'no'}: bit {bit} of the address is {'one' if has else 'zero'}",
        (f"{permission_} is bit {bit}: {_low_bits(hook_)} >> {bit} & 1 = {int(has)}",),
        "granted",
        rivals=("no",) if has else ("yes",),
    )


def hook_list(hook_: Quantity) -> Result:
    """All permissions of a hook's address."""
    granted = uniswap_v4.hook_permissions(_address(hook_))
    if not granted:
        raise ToolError(f"{hook_.text} grants no permission")
    names = [name for name in PERMISSIONS if name in granted]
    spelt = (*_listings(names), *_listings(names[::-1]))
    return Result(
        {"permissions": spelt[0]},
        spelt[0],
        (f"lowest 14 bits: {_low_bits(hook_)} = {_low_bits(hook_):014b}",),
        "permissions",
        aliases=spelt[1:],
        rivals=tuple(name for name in PERMISSIONS if name not in granted),
    )


def fee_field(fee_: Quantity) -> Result:
    """What the fee field of a PoolKey means."""
    fee = whole(fee_)
    key = uniswap_v4.PoolKey(_MANAGER, _CALLER, fee, 1)
    if key.is_dynamic:
        label, told = "dynamic", "the hook sets the LP fee"
    else:
        try:
            label, told = "static", f"{percent(_points(uniswap_v4.check_lp_fee(fee)), 4)} for LPs"
        except MathError:
            label, told = "invalid", "above the maximum and not exactly 0x800000"
    return Result(
        {"fee": label},
        f"{label}: {told}",
        (f"{fee} == 0x800000 is {key.is_dynamic}; {fee} <= 1,000,000 is {fee <= 1_000_000}",),
        "fee",
        rivals=tuple(other for other in ("dynamic", "static", "invalid") if other != label),
    )


def fee_override(stored_: Quantity, returned_: Quantity) -> Result:
    """LP fee of a swap in a dynamic-fee pool after what beforeSwap returned."""
    stored, returned = uniswap_v4.check_lp_fee(whole(stored_)), whole(returned_)
    if not 0 <= returned < 1 << 24:
        raise ToolError(f"{returned_.text} is not an unsigned 24-bit number")
    fee = uniswap_v4.lp_fee_for_swap(stored, returned)
    flagged = bool(returned & uniswap_v4.OVERRIDE_FEE_FLAG)
    return Result(
        {"lp_fee": str(fee), "overridden": "yes" if flagged else "no"},
        f"{'the override flag is set' if flagged else 'no override flag, the stored fee stays'}: "
        f"{percent(_points(fee), 4)}",
        (f"{returned} & 0x400000 is {'set' if flagged else 'not set'}: LP fee {fee} pips",),
        "lp_fee",
        _points(fee) * 100,
        "%",
    )


def total_fee(lp_: Quantity, protocol_: Quantity) -> Result:
    """The whole fee of a swap from the LP fee and the protocol fee."""
    lp, protocol = _pips(lp_), _pips(protocol_)
    fee = uniswap_v4.swap_fee(lp, protocol)
    return Result(
        {"fee": str(fee)},
        f"{percent(_points(fee), 4)} in all",
        (f"{protocol} + {lp} - {protocol} x {lp} / 1,000,000 = {fee} pips",),
        "fee",
        _points(fee) * 100,
        "%",
    )


def currency(asked_: Quantity, other_: Quantity) -> Result:
    """Whether a currency is currency0 or currency1 of its pool with another."""
    if asked_.value == other_.value:
        raise ToolError("a pool has two different currencies")
    label, other = ("currency0", "currency1")[:: 1 if asked_.value < other_.value else -1]
    native = "; the zero address is native ETH" if 0 in (asked_.value, other_.value) else ""
    return Result(
        {"position": label, "token": _address(asked_)},
        label,
        (f"the lower address is currency0: {asked_.text} is the {label}{native}",),
        "position",
        rivals=(other,),
    )


def delta(swap_: Quantity, op1_: str, amount1_: Quantity, op2_: str, amount2_: Quantity) -> Result:
    """A caller's delta in one currency after a swap and two operations."""
    token = swap_.unit
    book = FlashAccounting(_MANAGER)
    book.balances = {(_MANAGER, _TOKEN): _PLENTY, (_CALLER, _TOKEN): _PLENTY}
    book.claims = {(_CALLER, _TOKEN): _PLENTY}
    book.unlocked = True
    book.account(_CALLER, _TOKEN, swap_.raw())
    steps = [f"swap: {swap_.raw()}"]
    for operation, amount in ((op1_, amount1_), (op2_, amount2_)):
        if amount.unit != token or amount.raw() <= 0:
            raise ToolError(f"{amount.text!r} is no positive amount of {token}")
        _operate(book, operation, amount.raw())
        steps.append(f"{operation} {amount.raw()}: delta {book.delta(_CALLER, _TOKEN)}")
    left = book.delta(_CALLER, _TOKEN)
    told = "settled" if left == 0 else "owed to the manager" if left < 0 else "the caller's to take"
    return Result(
        {"delta": str(left), "token": token},
        f"{token_amount(left, token)}: {told}",
        (*steps, "negative is owed to the manager, positive is the caller's to take"),
        "delta",
        Decimal(left).scaleb(-decimals_of(token)),
        token,
    )


def _operate(book: FlashAccounting, operation: str, amount: int) -> None:
    if operation == "settle":
        book.sync(_TOKEN)
        book.transfer(_TOKEN, _CALLER, _MANAGER, amount)
        book.settle(_CALLER)
    elif operation == "take":
        book.take(_CALLER, _TOKEN, _CALLER, amount)
    elif operation == "mint":
        book.mint(_CALLER, _CALLER, _TOKEN, amount)
    else:
        book.burn(_CALLER, _CALLER, _TOKEN, amount)


def _address(given: Quantity) -> str:
    return f"0x{int(given.value):040x}"


def _low_bits(given: Quantity) -> int:
    return int(given.value) & (1 << 14) - 1


def _pips(given: Quantity) -> int:
    pips = given.value * 1_000_000
    if pips != int(pips):
        raise ToolError(f"a fee of {given.text} is finer than one hundredth of a basis point")
    return int(pips)


def _points(pips: int) -> Decimal:
    """Pips as a fraction."""
    return Decimal(pips).scaleb(-6)


def _listings(names: Iterable[str]) -> tuple[str, ...]:
    """A list of names in the ways people write one."""
    *head, last = names
    joined = [between.join([*head, last]) for between in (", ", " ", "; ", " and ", " - ", " + ")]
    if head:
        joined += [f"{', '.join(head)}{end} {last}" for end in (" and", ", and", " &")]
    ticked = [f"`{name}`" for name in (*head, last)]
    return tuple(dict.fromkeys((*joined, ", ".join(ticked), " and ".join(ticked))))


_HOOK = Parameter("hook", "the hook's address", "address")
_AMOUNT = "its amount with the token, positive"

V4_POOL_TOOLS = (
    Tool("v4_hook_has", "Uniswap v4: does a hook's address grant a permission",
         "hook permission or not",
         (_HOOK, Parameter("permission", "the permission asked about", choices=PERMISSIONS)),
         hook_has, {"granted": "yes or no", "permission": "as asked"}),
    Tool("v4_hook_list", "Uniswap v4: all permissions of a hook's address", "all hook permissions",
         (_HOOK,), hook_list, {"permissions": "names, highest bit first"}),
    Tool("v4_fee_field", "Uniswap v4: is a PoolKey's fee dynamic, static or invalid",
         "dynamic fee or static",
         (Parameter("fee", "the fee field as an integer", "integer"),),
         fee_field, {"fee": "dynamic, static or invalid"}),
    Tool("v4_override", "Uniswap v4: LP fee of a swap after what beforeSwap returned",
         "fee after override",
         (Parameter("stored", "the dynamic-fee pool's stored LP fee in pips", "integer"),
          Parameter("returned", "the integer that beforeSwap returned as fee", "integer")),
         fee_override, {"lp_fee": "pips", "overridden": "yes or no"}),
    Tool("v4_fee", "Uniswap v4: total swap fee from LP fee and protocol fee", "total swap fee",
         (Parameter("lp", "the LP fee", "percent"),
          Parameter("protocol", "the protocol fee", "percent")),
         total_fee, {"fee": "pips"}),
    Tool("v4_currency", "Uniswap v4: is a currency currency0 or currency1 of a pool",
         "currency order",
         (Parameter("asked", "address of the currency asked about", "address"),
          Parameter("other", "address of the other currency", "address")),
         currency, {"position": "currency0 or currency1", "token": "address"}),
    Tool("v4_delta", "Uniswap v4: delta left in one currency after a swap and two operations",
         "open currency delta",
         (Parameter("swap", "the swap's signed delta, with its token", "amount", signed=True),
          Parameter("op1", "the first operation", choices=OPERATIONS),
          Parameter("amount1", _AMOUNT, "amount"),
          Parameter("op2", "the second operation", choices=OPERATIONS),
          Parameter("amount2", _AMOUNT, "amount")),
         delta, {"delta": "raw units, negative is owed to the manager", "token": "symbol"}),
)  # fmt: skip

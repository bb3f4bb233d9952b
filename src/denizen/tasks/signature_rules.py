"""What to say about a pending signature or transaction: patterns, their risk, and exact rules.

Contract: every pattern has a level (high, medium, none) and advice that is safe to follow.  An
allowance is unlimited from 2^255 raw (2^159 in Permit2's uint160), or above a million tokens, 18
decimals assumed where only raw units are known: nobody's swap needs more.  A look-alike shares the
first and last four hex digits, which is what wallets show.  Source: EIP-20, 721, 2612, Permit2 and
published reports on drainers and address poisoning.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from denizen.protocols.calldata import SELECTOR, Decoded, decode_call
from denizen.protocols.fixed_point import MathError

UNLIMITED_TOKENS = 10**6
_UNLIMITED_RAW = UNLIMITED_TOKENS * 10**18
SHOWN_DIGITS = 4


class Pattern(NamedTuple):
    """How dangerous it is, what to do, why, and other names for it."""

    level: str
    advice: str
    why: str
    aliases: tuple[str, ...] = ()


PATTERNS: dict[str, Pattern] = {
    "unlimited approval": Pattern(
        "high",
        "reject it; approve only the amount needed, and only a contract you can name",
        "the spender may take every token of this kind, now and later",
        ("infinite approval", "unlimited allowance", "infinite allowance"),
    ),
    "operator approval": Pattern(
        "high",
        "reject it; it hands over every NFT of the collection",
        "setApprovalForAll lets the operator move all tokens of a collection",
    ),
    "permit phishing": Pattern(
        "high",
        "reject it; whoever holds the signature can take the tokens, without any transaction of "
        "yours",
        "a permit is an allowance by signature: nothing shows on chain until it is used",
        ("phishing permit", "malicious permit"),
    ),
    "allowance increase": Pattern(
        "high",
        "reject it; raise allowances only for a contract you can name",
        "increaseAllowance is an approve that filters for approve do not see",
        ("increased allowance",),
    ),
    "permit2 batch": Pattern(
        "high",
        "reject it; one signature gives away several tokens at once",
        "a Permit2 batch is an allowance for each token in it",
        ("batch permit",),
    ),
    "address poisoning": Pattern(
        "high",
        "do not send; copy the address from your own records and compare every digit",
        "first and last digits agree, the middle does not: the address was made to be mistaken",
        ("poisoned address", "look-alike address", "lookalike address"),
    ),
    "zero-value bait": Pattern(
        "high",
        "ignore it and never copy an address from it",
        "anybody can call transferFrom with 0 tokens to put an address into a history",
        ("zero-value transfer",),
    ),
    "fake claim": Pattern(
        "high",
        "reject it; the contract keeps the coins that are sent along",
        "a payable function with an alluring name at an unknown contract only takes coins",
        ("drainer",),
    ),
    "ownership transfer": Pattern(
        "high",
        "reject it unless you planned to hand the contract over and checked the new owner",
        "whoever owns the contract controls it; it cannot be undone",
        ("transfer of ownership",),
    ),
    "unlimited to known spender": Pattern(
        "medium",
        "lower the allowance to the amount needed; a bug in the contract would reach all the rest",
        "the contract is known, the allowance lasts and has no limit",
    ),
    "limited to unknown spender": Pattern(
        "medium",
        "find out whose contract it is first; the amount approved can be lost",
        "no more than the stated amount can be taken, but by somebody unknown",
    ),
    "marketplace operator": Pattern(
        "medium",
        "only on the marketplace's own page, and take it back after the sale",
        "a known marketplace needs it to sell; it covers the whole collection",
    ),
    "different address": Pattern(
        "medium",
        "do not send until the receiver confirms the address another way",
        "the two are not the same, and nothing imitates the saved one",
        ("another address",),
    ),
    "exact approval": Pattern(
        "none",
        "fine to go on once the amount and the contract are the ones you meant",
        "a limited allowance to a known contract",
    ),
    "exact permit": Pattern(
        "none",
        "fine to go on once the amount and the contract are the ones you meant",
        "a limited allowance by signature to a known contract",
    ),
    "revocation": Pattern(
        "none",
        "fine to go on: it takes rights away",
        "an allowance of 0, a smaller one, or an operator switched off",
        ("revoke", "revokes", "revoking"),
    ),
    "wrapping": Pattern(
        "none",
        "fine to go on: you get the same amount of WETH",
        "deposit() of the real WETH contract gives one WETH for each ETH",
        ("wrap",),
    ),
    "known claim": Pattern(
        "none",
        "fine to go on if you opened the page yourself and it asks for no coins",
        "a claim at the protocol's own contract",
    ),
    "same address": Pattern(
        "none",
        "fine to go on: every digit agrees",
        "hex digits mean the same in both cases",
        ("identical address",),
    ),
}
# What an answer to a dangerous request must not say, and one to a harmless request either.
UNSAFE = ("safe to sign", "safe to send", "safe to approve", "is safe", "no risk", "harmless")
ALARMS = ("high risk", "scam", "phishing", "drainer", "malicious")

# Function names that drainer contracts are called by, by selector.
BAIT = {
    bytes.fromhex("4e71d92d"): "claim()",
    bytes.fromhex("af347b61"): "securityUpdate()",
    bytes.fromhex("5fba79f5"): "SecurityUpdate()",
    bytes.fromhex("948cb719"): "connect()",
    bytes.fromhex("372500ab"): "claimRewards()",
}
TRANSFER_OWNERSHIP = bytes.fromhex("f2fde38b")


def allowance_pattern(tokens: Decimal, known: bool) -> str:
    """The pattern of an approve of so many tokens."""
    if tokens < 0:
        raise MathError("an allowance is not negative")
    if tokens == 0:
        return "revocation"
    return _by_size(tokens > UNLIMITED_TOKENS, known)


def raw_allowance_pattern(raw: int, known: bool, bits: int = 256) -> str:
    """The same of raw units, in a uint256 or Permit2's uint160."""
    if raw == 0:
        return "revocation"
    return _by_size(raw >= 1 << (bits - 1) or raw > _UNLIMITED_RAW, known)


def _by_size(unlimited: bool, known: bool) -> str:
    if known:
        return "unlimited to known spender" if unlimited else "exact approval"
    return "unlimited approval" if unlimited else "limited to unknown spender"


def address_pattern(saved: str, shown: str) -> str:
    """Same, look-alike or different, whatever the case of the digits."""
    a, b = saved.lower().removeprefix("0x"), shown.lower().removeprefix("0x")
    if a == b:
        return "same address"
    ends = a[:SHOWN_DIGITS] == b[:SHOWN_DIGITS] and a[-SHOWN_DIGITS:] == b[-SHOWN_DIGITS:]
    return "address poisoning" if ends else "different address"


def call_name(data: bytes) -> str:
    """The name of a call that `call_pattern` judges."""
    if data[:SELECTOR] in BAIT:
        return BAIT[data[:SELECTOR]]
    return "transferOwnership" if data[:SELECTOR] == TRANSFER_OWNERSHIP else decode_call(data).name


def call_pattern(data: bytes, known: bool) -> str:
    """The pattern of a call to, or in favour of, a known or unknown party.

    Raises MathError for malformed data and for calls that there is no rule for.
    """
    if data in BAIT:
        return "known claim" if known else "fake claim"
    if data[:SELECTOR] == TRANSFER_OWNERSHIP:
        if len(data) != SELECTOR + 32:
            raise MathError("transferOwnership takes one address")
        return "ownership transfer"
    call = decode_call(data)
    if (found := _pattern(call, known)) is None:
        raise MathError(f"there is no rule for {call.name}")
    return found


def _pattern(call: Decoded, known: bool) -> str | None:
    match call.name, tuple(call.arguments.values()):
        case "approve" | "approveDelegation", (_, int(raw)):
            return raw_allowance_pattern(raw, known)
        case "approve", (_, _, int(raw), _):
            return raw_allowance_pattern(raw, known, 160)
        case "increaseAllowance", (_, int(raw)):
            return raw_allowance_pattern(raw, known) if known else "allowance increase"
        case "decreaseAllowance", _:
            return "revocation"
        case "setApprovalForAll" | "allow", (_, bool(granted)):
            if not granted:
                return "revocation"
            return "marketplace operator" if known else "operator approval"
        case "permit", (_, _, int(raw), *_):
            return _permit(raw, known)
        case "permit", (_, ((_, int(raw), *_), _, _), _):
            return _permit(raw, known, 160)
        case "permit", (_, (tuple(details), _, _), _):
            if not known:
                return "permit2 batch"
            amounts = [d[1] for d in details if isinstance(d, tuple)]
            return _permit(max((a for a in amounts if isinstance(a, int)), default=0), known, 160)
        case "transferFrom", (_, _, 0, *_):
            return "zero-value bait"
        case "deposit", () if known:
            return "wrapping"
    return None


def _permit(raw: int, known: bool, bits: int = 256) -> str:
    if raw == 0:
        return "revocation"
    if not known:
        return "permit phishing"
    pattern = raw_allowance_pattern(raw, known, bits)
    return "exact permit" if pattern == "exact approval" else pattern

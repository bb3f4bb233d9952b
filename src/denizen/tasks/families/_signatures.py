"""Pending requests as wallets show them: whom they name, what they ask, their calldata.

Known parties are contracts whose addresses their projects publish (Uniswap's and Aave's
deployment lists, Lido's and WETH's Etherscan labels); every other address comes from the item's
generator.  The words for the parties differ by split.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from denizen.protocols.calldata import encode_call, function_of
from denizen.protocols.calldata_abi import Value
from denizen.protocols.fixed_point import MAX_UINT256
from denizen.tasks import signature_rules as rules
from denizen.tasks.families._transactions import address
from denizen.tasks.phrasing import significant
from denizen.tasks.types import Split

KNOWN = (
    ("Uniswap v2's Router02", "0x7a250d5630B4cF539739dF2C5dAcb4c659F2488D"),
    ("Uniswap's SwapRouter02", "0x68b3465833fb72A70ecDF485E0e4C7bD8665Fc45"),
    ("Uniswap v3's SwapRouter", "0xE592427A0AEce92De3Edee1F18E0157C05861564"),
    ("Uniswap's Permit2", "0x000000000022D473030F116dDEE9F6B43aC78BA3"),
    ("Aave v3's Pool", "0x87870Bca3F3fD6335C3F4ce8392D69350B4fA4E2"),
)
WETH = ("the WETH contract", "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2")
_TRUSTED: dict[Split, tuple[str, ...]] = {
    "train": (
        "{name} ({at}, verified)",
        "{name} at {at} (the address on the project's own list)",
        "{at} (I checked: it is {name})",
        "the contract {at} (well known, it is {name})",
    ),
    "dev": (
        "{name} ({at}, which matches official docs)",
        "{at} = {name} (confirmed)",
    ),
    "holdout": (
        "{name}, published as {at}",
        "{at}, labelled and verified as {name}",
    ),
}
_STRANGER: dict[Split, tuple[str, ...]] = {
    "train": (
        "{at} (an address with no code)",
        "{at} (nobody knows it)",
        "{at} (an unverified contract, deployed yesterday)",
        "an unlabelled address {at}",
        "{at} (in no registry that I can find)",
    ),
    "dev": (
        "{at} (no label, no source)",
        "some stranger's wallet {at}",
    ),
    "holdout": (
        "{at}, a fresh externally owned account",
        "{at}, for which no explorer shows a name or source",
    ),
}

# What a pop-up says, by pattern.  {token}, {who}, {at}: a token, the party's words, its address.
_REQUESTS: dict[str, tuple[str, ...]] = {
    "operator approval": (
        "setApprovalForAll, operator {who}, approved: true",
        "allow {who} to move all NFTs of the collection (setApprovalForAll = true)",
    ),
    "permit phishing": (
        "typed data Permit: token {token}, spender {who}, value at the maximum, no gas needed",
        "a gasless Permit signature for {token}; the spender is {who}",
        "EIP-712 message, primaryType Permit, {token}, spender {who}",
        "PermitSingle for {token}, spender {who}",
    ),
    "allowance increase": (
        "increaseAllowance on {token}, spender {who}",
        "raise the {token} allowance (increaseAllowance) of {who}",
    ),
    "permit2 batch": (
        "PermitBatch via Permit2 for {token}, WETH and three more tokens, spender {who}",
        "typed data PermitBatch, details: every token of the wallet, spender {who}",
    ),
    "zero-value bait": (
        "a {token} transferFrom of 0 out of my wallet to {who}, which I did not send",
        "my history lists a transferFrom: from me, to {who}, value 0 {token}",
    ),
    "fake claim": (
        "claim(), payable, sends my ETH along; the contract is {who}",
        "a function SecurityUpdate() with my whole ETH balance as value, to {who}",
        "claimRewards() with ETH attached, contract {who}",
    ),
    "ownership transfer": (
        "transferOwnership, new owner {who}",
        "hand the contract I administer to a new owner, {who} (transferOwnership)",
    ),
    "marketplace operator": (
        "setApprovalForAll, approved true, operator: the marketplace's conduit, verified, {at}",
        "let the verified marketplace contract {at} move my NFTs to list one (setApprovalForAll)",
    ),
    "revocation": (
        "setApprovalForAll, operator {who}, approved: false",
        "approve on {token}, spender {who}, value zero",
        "decreaseAllowance on {token}, spender {who}",
    ),
    "wrapping": (
        "deposit() with my ETH as value, to the WETH contract " + WETH[1],
        "wrap ETH at " + WETH[1] + ", WETH9",
    ),
    "known claim": (
        "claimRewards() without any value at the protocol's own verified rewards contract {at}",
        "claim(), no ETH sent, to the airdrop contract {at} linked in the protocol's docs",
    ),
    "exact permit": (
        "typed data Permit for {token}, spender {known}, value just what I swap",
        "a Permit signature: {token}, spender {known}, limited to this trade",
    ),
}
PATTERNS = tuple(_REQUESTS)


class Party(NamedTuple):
    """Somebody a request concerns: in words, by address, and whether he is known."""

    told: str
    at: str
    known: bool


def party(
    rng: Random, split: Split, known: bool, names: Sequence[tuple[str, str]] = KNOWN
) -> Party:
    """A known contract or a stranger, in this split's words."""
    if known:
        name, at = rng.choice(names)
        return Party(rng.choice(_TRUSTED[split]).format(name=name, at=at), at, True)
    at = address(rng)
    return Party(rng.choice(_STRANGER[split]).format(at=at), at, False)


def request(rng: Random, split: Split, pattern: str, token: str) -> str:
    """What a pop-up with the pattern says."""
    return rng.choice(_REQUESTS[pattern]).format(
        token=token,
        who=party(rng, split, known=False).told,
        known=party(rng, split, known=True).told,
        at=address(rng),
    )


def pending(rng: Random, split: Split) -> tuple[bytes, Party]:
    """Calldata that waits for a signature, and the party that it empowers or pays."""
    other = party(rng, split, known=rng.random() < 0.5)
    stranger = party(rng, split, known=False)
    raw = int(significant(rng, 5, 9_000, 3) * 10 ** rng.choice((6, 18)))
    raw = rng.choice((raw, raw, 0, MAX_UINT256))
    match rng.choice(("approve",) * 4 + ("operator", "raise", "permit", "owner", "bait", "wrap")):
        case "approve":
            return _call("095ea7b3", other.at, raw), other
        case "operator":
            return _call("a22cb465", other.at, rng.random() < 0.7), other
        case "raise":
            return _call("39509351", stranger.at, raw or 10**18), stranger
        case "permit":
            until, v = 1_790_000_000 + rng.randrange(10**7), rng.choice((27, 28))
            signed = (rng.randbytes(32), rng.randbytes(32))
            return _call("d505accf", address(rng), other.at, raw, until, v, *signed), other
        case "owner":
            word = bytes(12) + bytes.fromhex(stranger.at[2:])
            return rules.TRANSFER_OWNERSHIP + word, stranger
        case "bait":
            return rng.choice(tuple(rules.BAIT)), stranger
    return bytes.fromhex("d0e30db0"), party(rng, split, True, (WETH,))


def _call(selector: str, *values: Value) -> bytes:
    return encode_call(function_of(bytes.fromhex(selector)), values)

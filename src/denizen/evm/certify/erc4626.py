"""ERC-4626: the engine beside OpenZeppelin 5.7.0's ERC4626, compiled from the pinned package.

Contract: each world is one vault (decimals offset 0, 3, 6 or 18, entry and exit fees, or without
virtual shares) and a walk of deposits, mints, withdrawals, redemptions and donations by three
users, extreme amounts included.  A case compares what an operation returns and the state it
leaves, or one view at one amount, or that both sides refuse.
"""

from __future__ import annotations

import random
from importlib.resources import files
from typing import TypeVar

from denizen.evm import abi
from denizen.evm.certify.outcome import Contract, OnCase, Outcome, Tally, attempt
from denizen.evm.machine import SENDER, Machine
from denizen.evm.packages import PACKAGES
from denizen.evm.solc import Compiled, compile_source
from denizen.protocols import MathError
from denizen.protocols.erc4626 import BASIS_POINTS, Vault, VaultState
from denizen.protocols.fixed_point import MAX_UINT256

STEPS = 40
_SOURCE = "erc4626.sol"
_USERS = tuple("0x" + digit * 40 for digit in "abc")
_FEES_TO = "0x" + "fe" * 20
# How many of the constructor's arguments each contract takes.
_ARGUMENTS = {"PlainVault": 1, "Vault": 2, "FeeVault": 5}
_TYPES = ("address", "uint8", "uint256", "uint256", "address")
_OPERATIONS = ("deposit", "mint", "withdraw", "redeem", "donate")
_VIEWS = {
    "convertToShares": "convert_to_shares",
    "convertToAssets": "convert_to_assets",
    "previewDeposit": "preview_deposit",
    "previewMint": "preview_mint",
    "previewWithdraw": "preview_withdraw",
    "previewRedeem": "preview_redeem",
}
T = TypeVar("T")


def run(cases: int, seed: int, on_case: OnCase = lambda _: None) -> Outcome:
    """Compare `cases` operations and views, about `STEPS` operations a vault."""
    built = compiled()
    contracts = tuple(
        Contract.of(f"{name} (ERC4626)", PACKAGES["openzeppelin"], built.creation_code(name))
        for name in _ARGUMENTS
    )
    tally = Tally("erc-4626", seed, contracts, on_case)
    draw = random.Random(seed)
    while tally.cases < cases:
        _walk(tally, draw, _World(draw, built), cases)
    return tally.outcome()


def compiled() -> Compiled:
    """Our concrete vaults around the library's abstract one."""
    source = files("denizen.evm") / "sources" / _SOURCE
    return compile_source(source.read_text(encoding="utf-8"), _SOURCE)


class _World:
    """One vault on both sides, and the users' wallets on ours."""

    def __init__(self, draw: random.Random, built: Compiled) -> None:
        self._machine = Machine()
        self.asset = self._machine.deploy(built.creation_code("Asset"))
        kind = draw.choice(tuple(_ARGUMENTS))
        state = _draw_state(draw, kind)
        values = (self.asset, state.decimals_offset, state.entry_fee, state.exit_fee, _FEES_TO)
        used = _ARGUMENTS[kind]
        code = built.creation_code(kind)
        self._address = self._machine.deploy(code, _TYPES[:used], values[:used])
        self.vault = Vault(state)
        self.wallets = _draw_wallets(draw)
        for user, amount in self.wallets.items():
            self._machine.call(self.asset, abi.calldata("mint(address,uint256)", user, amount))
            everything = abi.calldata("approve(address,uint256)", self._address, MAX_UINT256)
            self._machine.call(self.asset, everything, sender=user)

    def ours(self, operation: str, amount: int, user: str) -> int:
        """The engine's result; MathError as well when the wallet does not hold what is due."""
        needed = 0 if operation in ("withdraw", "redeem") else amount
        if operation == "mint":
            needed = self.vault.state.preview_mint(amount)
        if needed > self.wallets[user]:
            raise MathError("the wallet does not hold the assets")
        if operation == "donate":
            self.vault.donate(amount)
            self.wallets[user] -= amount
            return 1
        result: int = getattr(self.vault, operation)(amount, user)
        paid = {"deposit": -amount, "mint": -result, "withdraw": amount, "redeem": result}
        self.wallets[user] += paid[operation]
        return result

    def theirs(self, operation: str, amount: int, user: str) -> int:
        """The contract's result; Revert."""
        if operation == "donate":
            data = abi.calldata("transfer(address,uint256)", self._address, amount)
            return _number(self._machine.call(self.asset, data, sender=user))
        users = [user] if operation in ("deposit", "mint") else [user, user]
        signature = f"{operation}(uint256{',address' * len(users)})"
        data = abi.calldata(signature, amount, *users)
        return _number(self._machine.call(self._address, data, sender=user))

    def our_state(self, user: str) -> tuple[int, ...]:
        """(totalAssets, totalSupply, fees paid, shares, wallet)."""
        state = self.vault.state
        own = self.vault.max_redeem(user), self.wallets[user]
        return state.total_assets, state.total_supply, self.vault.fees_paid, *own

    def their_state(self, user: str) -> tuple[int, ...]:
        """The same, read from the contracts."""
        return (
            self.view("totalAssets()"),
            self.view("totalSupply()"),
            self._balance(self.asset, _FEES_TO),
            self.view("maxRedeem(address)", user),
            self._balance(self.asset, user),
        )

    def view(self, signature: str, *values: int | str) -> int:
        """One number read from the vault; Revert."""
        return _number(self._machine.call(self._address, abi.calldata(signature, *values)))

    def _balance(self, token: str, owner: str) -> int:
        data = abi.calldata("balanceOf(address)", owner)
        return _number(self._machine.call(token, data, sender=SENDER))


def _walk(tally: Tally, draw: random.Random, world: _World, cases: int) -> None:
    """Operations until the walk ends or the two sides have parted."""
    for _ in range(STEPS):
        user, operation = draw.choice(_USERS), draw.choice(_OPERATIONS)
        amount = _draw_amount(draw, world, operation, user)
        replay = f"{operation} {amount} by {user[:4]}, {world.vault.state}"
        before = world.our_state(user)
        ours = attempt(world.ours, operation, amount, user)
        theirs = attempt(world.theirs, operation, amount, user)
        found = None if ours is None else (ours, world.our_state(user))
        state = world.their_state(user)
        # A refusal must leave both sides as they were.
        kept = before == world.our_state(user) == state
        there = None if theirs is None and kept else (theirs, state)
        if tally.cases >= cases or not tally.compare(operation, found, there, replay):
            return
        if not _views(tally, draw, world, user, cases):
            return


def _views(tally: Tally, draw: random.Random, world: _World, user: str, cases: int) -> bool:
    """Two previews or conversions and the owner's limit in the present state."""
    state = world.vault.state
    for name in draw.sample(sorted(_VIEWS), 2):
        amount = _draw_amount(draw, world, name, user)
        ours = attempt(getattr(state, _VIEWS[name]), amount)
        theirs = attempt(world.view, f"{name}(uint256)", amount)
        replay = f"{name} {amount}, {state}"
        if tally.cases >= cases or not tally.compare(name, ours, theirs, replay):
            return False
    limit = attempt(world.vault.max_withdraw, user)
    there = attempt(world.view, "maxWithdraw(address)", user)
    replay = f"{world.vault.max_redeem(user)} shares, {state}"
    return tally.cases < cases and tally.compare("maxWithdraw", limit, there, replay)


def _draw_state(draw: random.Random, kind: str) -> VaultState:
    if kind == "PlainVault":
        return VaultState(decimals_offset=None)
    offset = draw.choice((0, 0, 3, 6, 18))
    if kind == "Vault":
        return VaultState(decimals_offset=offset)
    entry, leaving = (draw.choice((0, 1, 30, 500, 3333, BASIS_POINTS)) for _ in range(2))
    return VaultState(decimals_offset=offset, entry_fee=entry, exit_fee=leaving)


def _draw_wallets(draw: random.Random) -> dict[str, int]:
    """Dust, ordinary or nearly all that can exist; the total fits 256 bits, as a token's must."""
    bits = draw.choice((8, 40, 90, 128, 196, 254))
    least = draw.choice((1, bits))
    return {user: draw.randint(0, 1 << draw.randint(least, bits)) for user in _USERS}


def _draw_amount(draw: random.Random, world: _World, operation: str, user: str) -> int:
    """Mostly within what the user has, on the boundary or one beyond it, sometimes extreme."""
    if draw.random() < 0.15:
        return draw.choice((0, 1, MAX_UINT256, MAX_UINT256 - 1, draw.getrandbits(256)))
    vault, wallet = world.vault, world.wallets[user]
    limit: int | None = wallet
    if operation == "withdraw":
        limit = attempt(vault.max_withdraw, user)
    elif operation == "redeem":
        limit = vault.max_redeem(user)
    elif operation == "mint":
        limit = attempt(vault.state.preview_deposit, wallet)
    limit = limit or 0
    near = draw.choice((limit, limit + 1, limit - 1, draw.randint(0, limit)))
    if draw.random() < 0.5:
        near = draw.randint(0, 1 << draw.randint(0, limit.bit_length()))
    return min(max(near, 0), MAX_UINT256)


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")

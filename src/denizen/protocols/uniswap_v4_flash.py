"""Uniswap v4's flash accounting: currency deltas per caller, settled before the lock closes.

Contract: amounts are raw units; a negative delta is owed to the manager.  Every public operation
is atomic: a MathError, named as the contract's error, leaves the state as it was, and so does an
`unlock` that ends with a delta open.  Addresses are lower-case hex, tokens plain ERC-20.
Source: v4-core's MIT interfaces (IPoolManager, ProtocolFees, ERC6909) and the v4 white paper.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from .fixed_point import MAX_UINT256, MathError
from .uniswap_v4 import NATIVE, BalanceDelta, uint_to_int128

_K = TypeVar("_K")
_V = TypeVar("_V")


class FlashAccounting:
    """Balances, ERC-6909 claims and the currency deltas of one unlock.

    `balances` and `claims` are keyed (holder, currency); `deltas` holds the open ones only;
    `refuses_native` are the contracts that cannot receive ETH, the manager itself among them.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.balances: dict[tuple[str, str], int] = {}
        self.claims: dict[tuple[str, str], int] = {}
        self.operators: dict[tuple[str, str], bool] = {}
        self.allowances: dict[tuple[str, str, str], int] = {}
        self.deltas: dict[tuple[str, str], int] = {}
        self.refuses_native = {address}
        self.unlocked = False
        self._synced: tuple[str, int] | None = None
        self._undo: list[Callable[[], object]] = []
        self._depth = 0

    # State changes, each with its undo

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """All changes inside are undone if an exception leaves the block."""
        mark = len(self._undo)
        self._depth += 1
        try:
            yield
        except BaseException:
            while len(self._undo) > mark:
                self._undo.pop()()
            raise
        finally:
            self._depth -= 1
            if not self._depth:
                self._undo.clear()

    def _put(self, table: dict[_K, _V], key: _K, value: _V) -> None:
        if key in table:
            old = table[key]
            self._undo.append(lambda: table.__setitem__(key, old))
        else:
            self._undo.append(lambda: table.pop(key, None))
        table[key] = value

    def _drop(self, table: dict[_K, _V], key: _K) -> None:
        if key in table:
            old = table.pop(key)
            self._undo.append(lambda: table.__setitem__(key, old))

    def _assign(self, name: str, value: object, target: object = None) -> None:
        owner = self if target is None else target
        old = getattr(owner, name)
        self._undo.append(lambda: setattr(owner, name, old))
        setattr(owner, name, value)

    # The lock

    @contextmanager
    def unlock(self) -> Iterator[None]:
        """Open the manager for the block; refused if a delta is open at its end."""
        with self.atomic():
            if self.unlocked:
                raise MathError("AlreadyUnlocked: unlock does not nest")
            self._assign("unlocked", True)
            yield
            if self.deltas:
                raise MathError(f"CurrencyNotSettled: {len(self.deltas)} open deltas")
            self._assign("unlocked", False)

    def end_transaction(self) -> None:
        """Transient storage ends with the transaction: forget the synced currency."""
        self._synced = None

    def delta(self, holder: str, currency: str) -> int:
        """Open delta: negative is owed to the manager, positive may be taken."""
        return self.deltas.get((holder, currency), 0)

    @property
    def synced(self) -> tuple[str, int] | None:
        """The synced ERC-20 and the manager's balance of it then, if one is synced."""
        return self._synced

    # Operations of an unlocked manager

    def sync(self, currency: str) -> None:
        """Note the manager's balance; what arrives until `settle` is the settler's payment."""
        if int(currency, 16) == 0:
            self._assign("_synced", None)
        else:
            self._assign("_synced", (currency, self.balances.get((self.address, currency), 0)))

    def settle(self, caller: str, value: int = 0, recipient: str | None = None) -> int:
        """Credit what was paid: the synced currency's increase, or `value` wei if none is synced.

        `recipient` is settleFor's; returns the amount credited."""
        with self.atomic():
            self._check_unlocked()
            self.transfer(NATIVE, caller, self.address, value)
            currency, paid = NATIVE, value
            if self._synced:
                if value:
                    raise MathError("NonzeroNativeValue: an ERC-20 is synced")
                currency, before = self._synced
                paid = self.balances.get((self.address, currency), 0) - before
                if paid < 0:
                    raise MathError("the manager holds less than when it was synced")
                self._assign("_synced", None)
            self.account(caller if recipient is None else recipient, currency, uint_to_int128(paid))
            return paid

    def take(self, caller: str, currency: str, to: str, amount: int) -> None:
        """Pay out of the manager against the caller's delta: also a free flash loan."""
        with self.atomic():
            self._check_unlocked()
            self.account(caller, currency, -uint_to_int128(amount))
            self._pay_out(currency, to, amount)

    def clear(self, caller: str, currency: str, amount: int) -> None:
        """Give up a positive delta, named exactly."""
        with self.atomic():
            self._check_unlocked()
            if uint_to_int128(amount) != self.delta(caller, currency):
                raise MathError("MustClearExactPositiveDelta: name the whole delta")
            self.account(caller, currency, -amount)

    def mint(self, caller: str, to: str, currency: str, amount: int) -> None:
        """ERC-6909 claims against the caller's delta: credit kept in the manager."""
        with self.atomic():
            self._check_unlocked()
            self.account(caller, currency, -uint_to_int128(amount))
            self._claim(to, currency, amount)

    def burn(self, caller: str, holder: str, currency: str, amount: int) -> None:
        """Burn claims, the caller's own or as allowed, into the caller's delta."""
        with self.atomic():
            self._check_unlocked()
            self.account(caller, currency, uint_to_int128(amount))
            self._spend(caller, holder, currency, amount)
            self._claim(holder, currency, -amount)

    # ERC-6909

    def transfer_claims(
        self, caller: str, to: str, currency: str, amount: int, holder: str | None = None
    ) -> None:
        """Move claims: transfer, or transferFrom where `holder` is given."""
        if amount < 0:
            raise MathError(f"an amount cannot be negative: {amount}")
        with self.atomic():
            if holder is not None:
                self._spend(caller, holder, currency, amount)
            self._claim(caller if holder is None else holder, currency, -amount)
            self._claim(to, currency, amount)

    def approve(self, holder: str, spender: str, currency: str, amount: int) -> None:
        """Let `spender` use so many claims; 2^256 - 1 never runs down."""
        self._put(self.allowances, (holder, spender, currency), amount)

    def set_operator(self, holder: str, operator: str, approved: bool) -> None:
        """Let `operator` use all claims of all currencies, or no longer."""
        self._put(self.operators, (holder, operator), approved)

    def transfer(self, currency: str, sender: str, to: str, amount: int) -> None:
        """Move tokens or ETH between two accounts."""
        held = self.balances.get((sender, currency), 0)
        if amount < 0 or amount > held:
            raise MathError(f"{sender} holds {held} of {currency}, less than {amount}")
        with self.atomic():
            self._put(self.balances, (sender, currency), held - amount)
            received = self.balances.get((to, currency), 0) + amount
            self._put(self.balances, (to, currency), received)

    # Shared with the pool manager

    def account(self, holder: str, currency: str, change: int) -> None:
        """Add to a delta; one that returns to zero is closed."""
        if change == 0:
            return
        after = self.delta(holder, currency) + change
        if after:
            self._put(self.deltas, (holder, currency), after)
        else:
            self._drop(self.deltas, (holder, currency))

    def account_pair(self, holder: str, currencies: tuple[str, str], change: BalanceDelta) -> None:
        """Add both sides of a pool operation."""
        self.account(holder, currencies[0], change.amount0)
        self.account(holder, currencies[1], change.amount1)

    def _pay_out(self, currency: str, to: str, amount: int) -> None:
        if currency == NATIVE and to in self.refuses_native:
            raise MathError(f"{to} cannot receive native ETH")
        self.transfer(currency, self.address, to, amount)

    def _check_unlocked(self) -> None:
        if not self.unlocked:
            raise MathError("ManagerLocked: only inside unlock")

    def _claim(self, holder: str, currency: str, change: int) -> None:
        after = self.claims.get((holder, currency), 0) + change
        if not 0 <= after <= MAX_UINT256:
            raise MathError(f"{holder} holds fewer claims of {currency} than that")
        self._put(self.claims, (holder, currency), after)

    def _spend(self, caller: str, holder: str, currency: str, amount: int) -> None:
        if caller == holder or self.operators.get((holder, caller)):
            return
        allowed = self.allowances.get((holder, caller, currency), 0)
        if allowed == MAX_UINT256:
            return
        if amount > allowed:
            raise MathError(f"{holder} allows {caller} {allowed} claims, less than {amount}")
        self._put(self.allowances, (holder, caller, currency), allowed - amount)

"""Random steps of flash accounting for the v4 certification: settle, take, claims, nonsense.

Contract: every step is the same call to the engine and to the bytecode, drawn from the engine's
present state, with amounts of all scales from nothing to past 127 bits; `settlement` closes what
is open, one way or another.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from denizen.evm.script import Call
from denizen.evm.worlds import uniswap_v4 as abi
from denizen.evm.worlds.uniswap_v4 import ACCOUNTS, pack
from denizen.evm.worlds.v4_twin import CURRENCIES, Step, Twin
from denizen.protocols.uniswap_v4 import NATIVE, PoolKey


def number(data: bytes) -> int:
    """The first word of return data."""
    return int.from_bytes(data[:32], "big")


class FlashSteps:
    """Steps of the accounting, whatever the pools."""

    def __init__(self, twin: Twin, rng: Random, keys: list[PoolKey]) -> None:
        self.twin, self.rng, self.keys = twin, rng, keys
        self.engine, self.manager = twin.engine, twin.manager

    def flash(self) -> Step:
        """One operation of the accounting or of the claims, at random."""
        rng, engine, account = self.rng, self.engine, self._account()
        currency, other = rng.choice(CURRENCIES), rng.choice(ACCOUNTS)
        if engine.synced and rng.random() < 0.5:
            currency = engine.synced[0]
        delta, claims = engine.delta(account, currency), engine.claims.get((other, currency), 0)
        amount = rng.choice((0, abs(delta), claims, claims + 1, self.amount(), 1 << 127))
        chosen = rng.choice(
            (
                self.sync,
                self.pay,
                self.settle,
                self.take,
                self.mint,
                self.burn,
                self._clear,
                self._settle_for,
                self._move_claims,
                self._allow,
                self._unlock,
            )
        )
        return chosen(account, currency, other, amount)

    def settlement(self) -> list[Step]:
        """Steps that close every open delta that can be closed, in one of several ways."""
        rng, engine, steps = self.rng, self.engine, []
        for (holder, currency), delta in list(engine.deltas.items()):
            if holder not in ACCOUNTS:
                continue
            claims = engine.claims.get((holder, currency), 0)
            if delta > 0:
                way = rng.choice((self.take, self.take, self.mint, self._clear))
                steps.append(way(holder, currency, holder, delta))
            elif claims >= -delta and rng.random() < 0.7:
                steps.append(self.burn(holder, currency, holder, -delta))
            else:
                steps.append(self.sync(holder, currency, "", 0))
                if currency == NATIVE:
                    steps.append(self.settle(holder, currency, "", -delta))
                else:
                    steps.append(self.pay(holder, currency, self.manager, -delta))
                    steps.append(self.settle(holder, currency, "", 0))
        # Debts first: what the manager pays out may have to come in before.
        return sorted(steps, key=lambda step: step.kind in ("take", "mint", "clear"))

    def sync(self, account: str, currency: str, _: str, __: int) -> Step:
        """sync."""
        return self._simple(
            "sync(address)", account, (currency,), lambda: self.engine.sync(currency)
        )

    def pay(self, account: str, currency: str, to: str, amount: int) -> Step:
        """A token transfer, to the manager or past it."""
        if currency == NATIVE:
            currency = self.keys[0].currency1
        to = to if to == self.manager or self.rng.random() < 0.3 else self.manager
        step = self._simple(
            "transfer(address,uint256)",
            account,
            (to, amount),
            lambda: self.engine.transfer(currency, account, to, amount),
        )
        return step._replace(call=step.call._replace(to=currency))

    def settle(self, account: str, currency: str, _: str, amount: int) -> Step:
        """settle, with value if the currency is native."""
        value = amount if currency == NATIVE else 0
        step = self._simple(
            "settle()", account, (), lambda: self.engine.settle(account, value), number
        )
        return step._replace(call=step.call._replace(value=value))

    def _settle_for(self, account: str, currency: str, other: str, amount: int) -> Step:
        value = amount if currency == NATIVE else 0
        step = self._simple(
            "settleFor(address)",
            account,
            (other,),
            lambda: self.engine.settle(account, value, other),
            number,
        )
        return step._replace(call=step.call._replace(value=value))

    def take(self, account: str, currency: str, to: str, amount: int) -> Step:
        """take."""
        return self._simple(
            "take(address,address,uint256)",
            account,
            (currency, to, amount),
            lambda: self.engine.take(account, currency, to, amount),
        )

    def _clear(self, account: str, currency: str, _: str, amount: int) -> Step:
        return self._simple(
            "clear(address,uint256)",
            account,
            (currency, amount),
            lambda: self.engine.clear(account, currency, amount),
        )

    def mint(self, account: str, currency: str, to: str, amount: int) -> Step:
        """mint; the bits of the id above an address do not matter."""
        number = int(currency, 16) | self.rng.choice((0, 0, 1 << 200))
        return self._simple(
            "mint(address,uint256,uint256)",
            account,
            (to, number, amount),
            lambda: self.engine.mint(account, to, currency, amount),
        )

    def burn(self, account: str, currency: str, holder: str, amount: int) -> Step:
        """burn."""
        return self._simple(
            "burn(address,uint256,uint256)",
            account,
            (holder, int(currency, 16), amount),
            lambda: self.engine.burn(account, holder, currency, amount),
        )

    def _move_claims(self, account: str, currency: str, other: str, amount: int) -> Step:
        number, to = int(currency, 16), self.rng.choice(ACCOUNTS)
        if self.rng.random() < 0.5:
            return self._simple(
                "transfer(address,uint256,uint256)",
                account,
                (to, number, amount),
                lambda: self.engine.transfer_claims(account, to, currency, amount),
            )
        return self._simple(
            "transferFrom(address,address,uint256,uint256)",
            account,
            (other, to, number, amount),
            lambda: self.engine.transfer_claims(account, to, currency, amount, other),
        )

    def _allow(self, account: str, currency: str, other: str, amount: int) -> Step:
        if self.rng.random() < 0.3:
            yes = self.rng.random() < 0.5
            return self._simple(
                "setOperator(address,bool)",
                account,
                (other, yes),
                lambda: self.engine.set_operator(account, other, yes),
            )
        amount = self.rng.choice((amount, (1 << 256) - 1))
        return self._simple(
            "approve(address,uint256,uint256)",
            account,
            (other, int(currency, 16), amount),
            lambda: self.engine.approve(account, other, currency, amount),
        )

    def _unlock(self, account: str, _: str, __: str, ___: int) -> Step:
        def nested() -> None:
            with self.engine.unlock():
                pass

        data = abi.unlock(b"")
        step = self._simple("unlock, nested", account, (), nested)
        return step._replace(call=Call(self.manager, data))

    def _simple(
        self,
        signature: str,
        account: str,
        values: tuple[int | str, ...],
        ours: Callable[[], Any],
        read: Callable[[bytes], Any] | None = None,
    ) -> Step:
        """A call of static words; without `read`, success is all that is compared."""

        def apply() -> Any:
            found = ours()
            return found if read else ()

        kind = signature.partition("(")[0]
        call = Call(self.manager, pack(signature, *values))
        return Step(kind, account, call, apply, read or (lambda _: ()), note=str(values))

    def amount(self) -> int:
        """Any amount below 2^127, all magnitudes alike."""
        return self.rng.getrandbits(self.rng.randint(1, 127))

    def _account(self) -> str:
        return self.rng.choice(ACCOUNTS)

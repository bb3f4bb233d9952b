"""Flash accounting: nothing leaves the lock unpaid, and every way to pay is exact."""

from __future__ import annotations

import pytest

from denizen.protocols import MathError
from denizen.protocols.uniswap_v4 import NATIVE
from denizen.protocols.uniswap_v4_flash import FlashAccounting

MANAGER, ALICE, BOB = ("0x" + pair * 20 for pair in ("cc", "a1", "b0"))
T = "0x" + "70" * 20
MAX = (1 << 256) - 1


@pytest.fixture
def flash() -> FlashAccounting:
    made = FlashAccounting(MANAGER)
    for holder in (MANAGER, ALICE, BOB):
        for currency in (NATIVE, T):
            made.balances[holder, currency] = 1000
    return made


def pay(flash: FlashAccounting, holder: str, amount: int) -> int:
    flash.sync(T)
    flash.transfer(T, holder, MANAGER, amount)
    return flash.settle(holder)


def claim(flash: FlashAccounting, holder: str, amount: int) -> None:
    with flash.unlock():
        pay(flash, holder, amount)
        flash.mint(holder, holder, T, amount)


def test_a_flash_loan_is_free_and_must_come_back(flash: FlashAccounting) -> None:
    with flash.unlock():
        flash.take(ALICE, T, ALICE, 1000)
        assert flash.balances[ALICE, T] == 2000 and flash.delta(ALICE, T) == -1000
        assert pay(flash, ALICE, 1000) == 1000
    with pytest.raises(MathError, match="CurrencyNotSettled"), flash.unlock():
        flash.take(ALICE, T, ALICE, 1000)
        pay(flash, ALICE, 999)
    assert flash.balances[MANAGER, T] == flash.balances[ALICE, T] == 1000
    assert not flash.unlocked and not flash.deltas and flash.synced is None


def test_an_error_in_the_block_undoes_it_and_locks_again(flash: FlashAccounting) -> None:
    with pytest.raises(ZeroDivisionError), flash.unlock():
        pay(flash, ALICE, 5)
        _ = 1 // 0
    assert flash.balances[ALICE, T] == 1000 and not flash.unlocked and not flash.deltas


def test_unlock_does_not_nest(flash: FlashAccounting) -> None:
    with flash.unlock():
        with pytest.raises(MathError, match="AlreadyUnlocked"), flash.unlock():
            pass
        assert flash.unlocked


@pytest.mark.parametrize(
    "act",
    [
        lambda f: f.take(ALICE, T, ALICE, 0),
        lambda f: f.settle(ALICE),
        lambda f: f.clear(ALICE, T, 0),
        lambda f: f.mint(ALICE, ALICE, T, 0),
        lambda f: f.burn(ALICE, ALICE, T, 0),
    ],
)
def test_locked(flash: FlashAccounting, act) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(MathError, match="ManagerLocked"):
        act(flash)


def test_settling_native_and_for_someone_else(flash: FlashAccounting) -> None:
    with flash.unlock():
        assert flash.settle(ALICE, 10, BOB) == 10
        assert flash.deltas == {(BOB, NATIVE): 10}
        flash.take(BOB, NATIVE, BOB, 10)
    assert (flash.balances[ALICE, NATIVE], flash.balances[BOB, NATIVE]) == (990, 1010)


def test_what_is_synced_decides_what_is_settled(flash: FlashAccounting) -> None:
    with flash.unlock():
        flash.sync(T)
        with pytest.raises(MathError, match="NonzeroNativeValue"):
            flash.settle(ALICE, 1)
        flash.sync(NATIVE)  # forgets the token
        assert flash.settle(ALICE, 1) == 1
        flash.clear(ALICE, NATIVE, 1)
        assert pay(flash, ALICE, 0) == 0
        flash.take(ALICE, T, ALICE, 1)
        flash.sync(T)
        flash.take(ALICE, T, ALICE, 1)
        with pytest.raises(MathError, match="holds less than when it was synced"):
            flash.settle(ALICE)
        flash.transfer(T, ALICE, MANAGER, 2)
        assert flash.settle(ALICE) == 1  # one was paid out after the sync
        pay(flash, ALICE, 1)


def test_a_transaction_ends_a_sync(flash: FlashAccounting) -> None:
    flash.sync(T)
    assert flash.synced == (T, 1000)
    flash.end_transaction()
    assert flash.synced is None


def test_clear_names_the_whole_credit(flash: FlashAccounting) -> None:
    with flash.unlock():
        pay(flash, ALICE, 10)
        for amount in (9, 11, 0):
            with pytest.raises(MathError, match="MustClearExactPositiveDelta"):
                flash.clear(ALICE, T, amount)
        flash.clear(ALICE, T, 10)
        flash.take(ALICE, T, ALICE, 5)
        with pytest.raises(MathError, match="negative"):
            flash.clear(ALICE, T, -5)
        pay(flash, ALICE, 5)


def test_claims_pay_later(flash: FlashAccounting) -> None:
    claim(flash, ALICE, 100)
    assert flash.claims[ALICE, T] == 100 and flash.balances[MANAGER, T] == 1100
    flash.transfer_claims(ALICE, BOB, T, 40)
    with flash.unlock():
        flash.burn(BOB, BOB, T, 40)
        flash.take(BOB, T, BOB, 40)
    assert flash.claims == {(ALICE, T): 60, (BOB, T): 0}
    with pytest.raises(MathError, match="fewer claims"):
        flash.transfer_claims(ALICE, BOB, T, 61)


def test_allowances_run_down_and_operators_do_not(flash: FlashAccounting) -> None:
    claim(flash, ALICE, 100)
    with pytest.raises(MathError, match="allows"):
        flash.transfer_claims(BOB, BOB, T, 1, holder=ALICE)
    flash.approve(ALICE, BOB, T, 30)
    flash.transfer_claims(BOB, BOB, T, 20, holder=ALICE)
    assert flash.allowances[ALICE, BOB, T] == 10
    with flash.unlock(), pytest.raises(MathError, match="allows"):
        flash.burn(BOB, ALICE, T, 11)
    flash.approve(ALICE, BOB, T, MAX)
    flash.transfer_claims(BOB, BOB, T, 20, holder=ALICE)
    assert flash.allowances[ALICE, BOB, T] == MAX
    flash.approve(ALICE, BOB, T, 0)
    flash.set_operator(ALICE, BOB, True)
    flash.transfer_claims(BOB, BOB, T, 20, holder=ALICE)
    flash.set_operator(ALICE, BOB, False)
    with pytest.raises(MathError, match="allows"):
        flash.transfer_claims(BOB, BOB, T, 20, holder=ALICE)
    assert flash.claims[ALICE, T] == 40


def test_impossible_amounts(flash: FlashAccounting) -> None:
    with flash.unlock():
        for amount in (1 << 127, 1 << 200):
            with pytest.raises(MathError, match="SafeCastOverflow"):
                flash.take(ALICE, T, ALICE, amount)
        with pytest.raises(MathError, match="negative"):
            flash.mint(ALICE, ALICE, T, -1)
        with pytest.raises(MathError, match="holds 1000"):
            flash.take(ALICE, T, ALICE, 1001)
        with pytest.raises(MathError, match="cannot receive"):
            flash.take(ALICE, NATIVE, MANAGER, 1)
        assert not flash.deltas
    with pytest.raises(MathError, match="negative"):
        flash.transfer_claims(ALICE, BOB, T, -1)

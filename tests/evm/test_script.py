"""The scripted caller: calls in order, strict failures bubble up, tolerant ones are told."""

from __future__ import annotations

import pytest

from denizen.evm import Machine, Revert
from denizen.evm.abi import selector
from denizen.evm.script import RUNNER, Call, Done, results, script

RUNS, OTHER, COUNTER, FAILS = ("0x" + pair * 20 for pair in ("a1", "a2", "c0", "f0"))


def word(value: int) -> bytes:
    return value.to_bytes(32, "big")


@pytest.fixture
def machine() -> Machine:
    made = Machine()
    made.place(RUNS, RUNNER, 100)
    made.place(OTHER, RUNNER)
    made.place(COUNTER, bytes.fromhex("6000546001018060005560005260206000f3"))
    made.place(FAILS, bytes.fromhex("60aa60005260206000fd"))  # reverts with the word 0xaa
    return made


def test_calls_in_order_with_value_and_nested(machine: Machine) -> None:
    nested = Call(OTHER, script([Call(COUNTER, b"", 3)]), 5)
    done = results(machine.call(RUNS, script([Call(COUNTER, b"odd"), nested, Call(COUNTER, b"")])))
    assert done[0] == Done(True, word(1)) and done[2] == Done(True, word(3))
    assert results(done[1].data) == [Done(True, word(2))]
    assert [machine.balance(each) for each in (RUNS, OTHER, COUNTER)] == [95, 2, 3]


def test_a_tolerant_failure_is_told_and_a_strict_one_undoes_all(machine: Machine) -> None:
    told = results(machine.call(RUNS, script([Call(FAILS, b"", 0, True), Call(COUNTER, b"")])))
    assert told == [Done(False, word(0xAA)), Done(True, word(1))]
    with pytest.raises(Revert) as refused:
        machine.call(RUNS, script([Call(COUNTER, b""), Call(FAILS, b"")]))
    assert refused.value.data == word(0xAA)
    assert machine.storage(COUNTER, 0) == 1


def test_unlock_callback_runs_its_bytes_and_other_functions_are_refused(machine: Machine) -> None:
    inner = script([Call(COUNTER, b"")])
    data = selector("unlockCallback(bytes)") + word(32) + word(len(inner)) + inner
    answer = machine.call(RUNS, data)
    assert answer[:64] == word(32) + word(96)
    assert results(answer[64 : 64 + 96]) == [Done(True, word(1))]
    with pytest.raises(Revert):
        machine.call(RUNS, selector("transfer(address,uint256)") + word(1) * 2)

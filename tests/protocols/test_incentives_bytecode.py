"""Vote-escrow locks and gauge weights against Balancer's builds of Curve's contracts (slow).

VotingEscrow with a year's maximum lock, and GaugeController; both are Curve's Vyper code as Balancer
deployed it.  Only their ABI and bytecode are used.  What they call is answered by a stub.
"""

from __future__ import annotations

import random
from contextlib import suppress

import pytest

from denizen.evm import PACKAGES, Machine, Revert, artefact, creation_code
from denizen.evm.abi import calldata, selector
from denizen.protocols import MathError
from denizen.protocols import incentives as inc
from denizen.protocols.incentives import WEEK, Lock

YEAR = 365 * 86_400
TASK = "dist/tasks/20220325-gauge-controller/artifact/"
# Answers any call with the storage word at its selector.
STUB_CODE = bytes.fromhex("60003560e01c5460005260206000f3")
STUB = "0x" + "70" * 20
pytestmark = pytest.mark.slow


def world() -> Machine:
    """A machine with a stub that is the token and the authorizer."""
    machine = Machine(timestamp=1_700_000_000)
    machine.place(STUB, STUB_CODE)
    for signature, answer in {
        "transferFrom(address,address,uint256)": 1,
        "transfer(address,uint256)": 1,
        "decimals()": 18,
    }.items():
        machine.store(STUB, int.from_bytes(selector(signature), "big"), answer)
    return machine


def number(machine: Machine, to: str, signature: str, *values: object) -> int:
    """A view that returns one number."""
    return int.from_bytes(machine.trial(to, calldata(signature, *values))[:32], "big")


@pytest.mark.parametrize("seed", range(4))
def test_voting_escrow(seed: int) -> None:
    rng, machine = random.Random(seed), world()
    code = creation_code(artefact(PACKAGES["balancer-v2"], TASK + "VotingEscrow.json"))
    types = ["address", "string", "string", "address"]
    escrow = machine.deploy(code, types, [STUB, "ve", "ve", STUB])
    users = ["0x" + f"a{i}" * 20 for i in range(3)]
    locks: dict[str, Lock] = {}
    refused = 0
    now = machine.timestamp
    for step in range(40):
        now += rng.choice([1, 3600, 86_400, 5 * 86_400, 3 * WEEK])
        machine.warp(now, machine.number + step)
        user, amount = rng.choice(users), rng.choice([0, 5, 10**18, rng.getrandbits(90)])
        term = now + rng.choice([0, 86_400, WEEK, 26 * WEEK, YEAR, YEAR + 2 * WEEK])
        lock = locks.get(user)
        made: Lock | None = None
        with suppress(MathError):
            if lock is None:
                call = calldata("create_lock(uint256,uint256)", amount, term)
                made = Lock.create(amount, term, now, YEAR)
            elif rng.random() < 0.5:
                call = calldata("increase_amount(uint256)", amount)
                made = lock.increase_amount(amount, now)
            else:
                call = calldata("increase_unlock_time(uint256)", term)
                made = lock.extend(term, now)
        if made is None:
            refused += 1
            with pytest.raises(Revert):
                machine.call(escrow, call, sender=user)
        else:
            machine.call(escrow, call, sender=user)
            locks[user] = made
        for later in (now, now + 1, now + 12_345, now + 20 * WEEK):
            power = {u: lock.voting_power(later) for u, lock in locks.items()}
            for u, mine in power.items():
                assert number(machine, escrow, "balanceOf(address,uint256)", u, later) == mine
            total = number(machine, escrow, "totalSupply(uint256)", later)
            assert total == sum(power.values())
    assert refused and locks


@pytest.mark.parametrize("seed", range(4))
def test_gauge_relative_weights(seed: int) -> None:
    rng, machine = random.Random(seed), world()
    code = creation_code(artefact(PACKAGES["balancer-v2"], TASK + "GaugeController.json"))
    controller = machine.deploy(code, ["address", "address"], [STUB, STUB])
    admin = STUB
    machine.place(STUB, b"")  # the admin calls from here, and a caller may have no code
    types = [rng.choice([1, 7, rng.getrandbits(60) + 1]) for _ in range(2)]
    weights, kinds, gauges = [], [], []
    for index, weight in enumerate(types):
        data = calldata("add_type(string,uint256)", f"t{index}", weight)
        machine.call(controller, data, sender=admin)
    for index in range(6):
        gauges.append("0x" + f"b{index}" * 20)
        kinds.append(rng.randrange(2))
        weights.append(rng.choice([0, 3, 10**18, rng.getrandbits(80)]))
        data = calldata(
            "add_gauge(address,int128,uint256)", gauges[-1], kinds[-1], weights[-1] + (index == 0)
        )
        machine.call(controller, data, sender=admin)
    weights[0] += 1
    machine.warp(machine.timestamp + 2 * WEEK)
    expected = inc.gauge_relative_weights(weights, [types[kind] for kind in kinds])
    signature = "gauge_relative_weight_write(address)"
    theirs = [number(machine, controller, signature, gauge) for gauge in gauges]
    assert theirs == expected

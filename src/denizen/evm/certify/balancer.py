"""Balancer v2: the engine beside the deployed Vault, WeightedPool (20230206) and fee collector.

Contract: each pool has its own world, 2 to 8 tokens of mixed decimals, and a walk of swaps, joins
and exits sent through the Vault; a case compares the amounts and the state they leave (balances,
BPT supply, last invariant), or that both sides refuse.  Tokens are stubs that agree to everything.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from denizen.evm import abi
from denizen.evm.certify.outcome import Contract, OnCase, Outcome, Tally
from denizen.evm.machine import SENDER, Machine, Revert
from denizen.evm.packages import PACKAGES, artefact, creation_code
from denizen.protocols import MathError
from denizen.protocols import balancer_pool as engine
from denizen.protocols.balancer_math import ONE

STEPS = 40
_NOBODY = "0x" + "00" * 20
_ANY = (1 << 256) - 1
_TASKS = "dist/tasks/"
_MEMBERS = {
    "Authorizer": _TASKS + "20210418-authorizer/artifact/Authorizer.json",
    "Vault": _TASKS + "20210418-vault/artifact/Vault.json",
    "ProtocolFeePercentagesProvider": _TASKS
    + "20220725-protocol-fee-percentages-provider/artifact/ProtocolFeePercentagesProvider.json",
    "WeightedPool": _TASKS + "20230206-weighted-pool-v3/artifact/WeightedPool.json",
}
_SWAP = (
    "swap((bytes32,uint8,address,address,uint256,bytes),"
    "(address,bool,address,bool),uint256,uint256)"
)
_MOVE = "{}(bytes32,address,address,(address[],uint256[],bytes,bool))"
_NEW_POOL = (
    "(string,string,address[],uint256[],address[],address[],uint256)",
    *("address", "address", "uint256", "uint256", "address", "string"),
)
_SHARES = (0, 0, ONE // 10, ONE // 2)
_KINDS = (
    *("swap given in", "swap given in", "swap given out", "swap given out"),
    *("join exact tokens", "join one token", "join proportional"),
    *("exit one token", "exit proportional", "exit exact tokens"),
)
State = tuple[tuple[int, ...], int, int]


def run(cases: int, seed: int, on_case: OnCase = lambda _: None) -> Outcome:
    """Compare `cases` operations, `STEPS` a pool."""
    package = PACKAGES["balancer-v2"]
    codes = {name: creation_code(artefact(package, member)) for name, member in _MEMBERS.items()}
    contracts = tuple(Contract.of(name, package, code) for name, code in codes.items())
    tally = Tally("balancer-v2-weighted", seed, contracts, on_case)
    draw = random.Random(seed)
    while tally.cases < cases:
        _walk(tally, draw, codes, min(STEPS, cases - tally.cases))
    return tally.outcome()


def _walk(tally: Tally, draw: random.Random, codes: dict[str, bytes], steps: int) -> None:
    """One pool's life: the first join, then random operations from the state they reach."""
    spec = _draw_spec(draw)
    world = _World(spec, codes)
    ours = _ours(
        lambda: engine.init(spec.balances, spec.decimals, spec.weights, spec.fee, spec.share)
    )
    theirs = world.move("joinPool", ("uint256", "uint256[]"), (0, list(spec.balances)))
    same = tally.compare("init", ours and _state(ours.pool), theirs, f"{spec}")
    if ours is None or not same:
        return
    pool = ours.pool
    for _ in range(steps - 1):
        kind, amount, call, send = _draw_step(draw, pool, world)
        result = _ours(call)
        found = None if result is None else (_paid(result), _state(result.pool))
        if not tally.compare(kind, found, send(), f"{kind} {amount} on {pool}"):
            return
        pool = pool if result is None else result.pool


@dataclass(frozen=True)
class _Spec:
    decimals: tuple[int, ...]
    balances: tuple[int, ...]
    weights: tuple[int, ...]
    fee: int
    share: int


def _draw_spec(draw: random.Random) -> _Spec:
    n = draw.randint(2, 8)
    decimals = tuple(draw.choice((6, 8, 18, 18)) for _ in range(n))
    balances = tuple(draw.randint(1, 10 ** draw.randint(1, 8)) * 10**d // 10 + 1 for d in decimals)
    cuts = sorted(draw.sample(range(1, 92), n - 1))
    parts = [b - a for a, b in zip([0, *cuts], [*cuts, 92], strict=True)]
    # Whole hundredths half of the time (exponents 1, 2 and 4 take short cuts), else ragged.
    whole = [(part + 1) * ONE // 100 for part in parts]
    whole[0] += ONE - sum(whole)
    if draw.random() < 0.5:
        shift = draw.randrange(ONE // 1000)
        whole[whole.index(max(whole))] -= shift
        whole[whole.index(min(whole))] += shift
    if n in (2, 4) and draw.random() < 0.3:
        whole = [ONE // n] * n
    fee = draw.choice((10**12, 10**17, 3 * 10**15, draw.randint(10**12, 10**17)))
    return _Spec(decimals, balances, tuple(whole), fee, draw.choice(_SHARES))


def _draw_step(
    draw: random.Random, pool: engine.WeightedPool, world: _World
) -> tuple[str, Any, Callable[[], Any], Callable[[], Any]]:
    """(kind, figures, our call, theirs): mostly sound, sometimes past a limit, sometimes zero."""
    i, j = draw.sample(range(len(pool.balances)), 2)
    part = draw.choice((0, 1, 10**9, 10**15, 5 * 10**16, 3 * 10**17 - 1, 31 * 10**16, 6 * 10**17))
    part = draw.randint(0, part) if draw.random() < 0.8 else part
    kind = draw.choice(_KINDS)
    if kind.startswith("swap"):
        given_out = kind == "swap given out"
        amount = pool.balances[j if given_out else i] * part // ONE
        ours = engine.swap_given_out if given_out else engine.swap_given_in
        return (
            kind,
            (i, j, amount),
            lambda: ours(pool, i, j, amount),
            lambda: world.swap(given_out, i, j, amount),
        )
    bpt = pool.total_supply * part // ONE
    each = [held * draw.randint(0, part) // ONE * draw.randint(0, 1) for held in pool.balances]
    number, single, listed = ("uint256",) * 2, ("uint256",) * 3, ("uint256", "uint256[]", "uint256")
    # The first figure of a request is Balancer's number for the kind of join or exit.
    moves: dict[str, tuple[tuple[str, ...], tuple[Any, ...], Callable[[], Any]]] = {
        "join exact tokens": (listed, (1, each, 0), lambda: engine.join_exact_tokens(pool, each)),
        "join one token": (single, (2, bpt, i), lambda: engine.join_token_for_bpt(pool, i, bpt)),
        "join proportional": (number, (3, bpt), lambda: engine.join_proportional(pool, bpt)),
        "exit one token": (single, (0, bpt, i), lambda: engine.exit_one_token(pool, i, bpt)),
        "exit proportional": (number, (1, bpt), lambda: engine.exit_proportional(pool, bpt)),
        "exit exact tokens": (
            listed,
            (2, each, _ANY),
            lambda: engine.exit_exact_tokens(pool, each),
        ),
    }
    types, values, call = moves[kind]
    name = "joinPool" if kind.startswith("join") else "exitPool"
    return kind, values[1:], call, lambda: world.moved(name, types, values)


class _World:
    """A Vault with one pool of stub tokens, the protocol's fee already set."""

    def __init__(self, spec: _Spec, codes: dict[str, bytes]) -> None:
        self.machine = machine = Machine()
        roles = machine.deploy(codes["Authorizer"], ["address"], [SENDER])
        values = [roles, _NOBODY[:-1] + "1", 0, 0]
        self.vault = machine.deploy(
            codes["Vault"], ["address", "address", "uint256", "uint256"], values
        )
        provider = machine.deploy(
            codes["ProtocolFeePercentagesProvider"],
            ["address", "uint256", "uint256"],
            [self.vault, ONE // 2, ONE // 2],
        )
        self._set_share(roles, spec.share)
        self.tokens = [
            machine.place(f"0x{(k + 1) << 80:040x}", _stub(d)) for k, d in enumerate(spec.decimals)
        ]
        nobody = [_NOBODY] * len(self.tokens)
        weights = list(spec.weights)
        params = ("pool", "BPT", self.tokens, weights, nobody, nobody, spec.fee)
        self.pool = machine.deploy(
            codes["WeightedPool"], _NEW_POOL, [params, self.vault, provider, 0, 0, _NOBODY, ""]
        )
        self.pool_id = self._read(self.pool, "getPoolId()", "bytes32")

    def _set_share(self, roles: str, share: int) -> None:
        setter = "setSwapFeePercentage(uint256)"
        collector = self._read(self.vault, "getProtocolFeesCollector()", "address")
        asked = abi.calldata("getActionId(bytes4)", abi.selector(setter))
        action = self.machine.trial(collector, asked)
        self.machine.call(roles, abi.calldata("grantRole(bytes32,address)", action, SENDER))
        self.machine.call(collector, abi.calldata(setter, share))

    def _read(self, to: str, signature: str, kind: str) -> Any:
        return abi.decode([kind], self.machine.trial(to, abi.calldata(signature)))[0]

    def state(self) -> State:
        """(balances, BPT supply, invariant after the last join or exit)."""
        asked = abi.calldata("getPoolTokens(bytes32)", self.pool_id)
        found = abi.decode(
            ["address[]", "uint256[]", "uint256"], self.machine.trial(self.vault, asked)
        )
        supply = self._read(self.pool, "totalSupply()", "uint256")
        last = self._read(self.pool, "getLastPostJoinExitInvariant()", "uint256")
        return tuple(found[1]), supply, last

    def swap(self, given_out: bool, i: int, j: int, amount: int) -> Any:
        """((amount in, amount out), state), or None if the Vault refuses."""
        single = (self.pool_id, int(given_out), self.tokens[i], self.tokens[j], amount, b"")
        funds = (SENDER, False, SENDER, False)
        limit = _ANY if given_out else 0
        try:
            data = self.machine.call(self.vault, abi.calldata(_SWAP, single, funds, limit, _ANY))
        except Revert:
            return None
        other = abi.decode(["uint256"], data)[0]
        return ((other, amount) if given_out else (amount, other)), self.state()

    def move(self, name: str, types: tuple[str, ...], values: tuple[Any, ...]) -> State | None:
        """A join or exit; the state it leaves, or None if refused."""
        limits = [_ANY if name == "joinPool" else 0] * len(self.tokens)
        request = (self.tokens, limits, abi.encode(types, values), False)
        sent = abi.calldata(_MOVE.format(name), self.pool_id, SENDER, SENDER, request)
        try:
            self.machine.call(self.vault, sent)
        except Revert:
            return None
        return self.state()

    def moved(self, name: str, types: tuple[str, ...], values: tuple[Any, ...]) -> Any:
        """(amounts, state): the amounts are the change of the balances."""
        before = self.state()[0]
        after = self.move(name, types, values)
        if after is None:
            return None
        return tuple(abs(a - b) for a, b in zip(after[0], before, strict=True)), after


def _ours(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except MathError:
        return None


def _paid(result: Any) -> tuple[int, ...]:
    if isinstance(result, engine.Swap):
        return result.amount_in, result.amount_out
    amounts: tuple[int, ...] = result.amounts
    return amounts


def _state(pool: engine.WeightedPool) -> State:
    return pool.balances, pool.total_supply, pool.last_invariant


def _stub(decimals: int) -> bytes:
    """Runtime code that answers decimals() with the number and any other call with 1."""
    return bytes.fromhex(
        "60003560e01c63313ce56714601957600160005260206000f3" + f"5b60{decimals:02x}60005260206000f3"
    )

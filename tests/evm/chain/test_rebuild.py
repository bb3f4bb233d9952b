"""Rebuilding counts a swap only if every figure is the engine's, and says why it does not."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from denizen.evm.chain.events import Event, table
from denizen.evm.chain.rebuild import rebuild
from denizen.evm.chain.replay import NO_START
from denizen.protocols import uniswap_v3, uniswap_v4, uniswap_v4_pool
from denizen.protocols.fixed_point import Q96

V3 = {"fee": 3000, "tickSpacing": 60}
OWNER = "0x" + "0a" * 20
SALT = "0x" + "00" * 32


def numbered(moves: Iterator[tuple[str, dict[str, Any]]]) -> list[Event]:
    return [Event(name, n // 3, n % 3, "0x", "0x", 0, None, a) for n, (name, a) in enumerate(moves)]


def v2_swap(paid: tuple[int, int], got: tuple[int, int]) -> dict[str, Any]:
    names = ("amount0In", "amount1In", "amount0Out", "amount1Out")
    return dict(zip(names, (*paid, *got), strict=True))


def v2_pair(
    paid: tuple[int, int], got: tuple[int, int], slip: int = 0
) -> Iterator[tuple[str, dict[str, Any]]]:
    """A million of each, and one swap."""
    yield "Sync", {"reserve0": 10**6, "reserve1": 10**6}
    yield "Mint", {"amount0": 10**6, "amount1": 10**6}
    after = [10**6 + paid[side] - got[side] for side in (0, 1)]
    yield "Sync", {"reserve0": after[0] + slip, "reserve1": after[1]}
    yield "Swap", v2_swap(paid, got)


@pytest.mark.parametrize(
    ("paid", "got", "kind"),
    [  # 1000 x 997 x 10^6 / (10^9 + 997000) = 996.006...
        ((1000, 0), (0, 996), "exact input"),
        ((0, 1000), (996, 0), "exact input"),
        # all but 100: 10^6 x 999900 x 1000 / (100 x 997) = 10029087261.8, and that buys no more
        ((10_029_087_262, 0), (0, 999_900), "exact input"),
        # 100 out: 10^14 / (999900 x 997) = 100.31, so 101; 101 in buys 100.6
        ((101, 0), (0, 100), "exact input"),
    ],
)
def test_v2_by_hand(paid: tuple[int, int], got: tuple[int, int], kind: str) -> None:
    report = rebuild("v2", numbered(v2_pair(paid, got)), {})
    assert (report.share, report.kinds, report.faults) == (1.0, {kind: 1}, {})


def test_v2_exact_output_where_the_input_would_buy_more() -> None:
    # 5 out of 10^6 against 1000: 1000 x 5 x 1000 / (999995 x 997) = 0.005, so 1; that buys 996.
    moves = [
        ("Sync", {"reserve0": 1000, "reserve1": 10**6}),
        ("Sync", {"reserve0": 1001, "reserve1": 10**6 - 5}),
        ("Swap", v2_swap((1, 0), (0, 5))),
    ]
    assert rebuild("v2", numbered(iter(moves)), {}).kinds == {"exact output": 1}


@pytest.mark.parametrize(
    ("paid", "got", "slip", "reason"),
    [
        ((1000, 0), (0, 995), 0, "less taken out than the input buys"),
        ((1000, 0), (0, 997), 0, "more taken out than a 0.30% fee allows"),
        ((1000, 1), (0, 996), 0, "both tokens paid in"),
        ((1000, 0), (900, 0), 0, "the same token in and out"),
        ((1000, 0), (0, 996), 1, "the reserves do not follow from the last ones"),
        ((1000, 0), (0, 10**6), 0, "the engine refuses"),
    ],
)
def test_v2_reasons(paid: tuple[int, int], got: tuple[int, int], slip: int, reason: str) -> None:
    report = rebuild("v2", numbered(v2_pair(paid, got, slip)), {})
    assert report.share == 0.0 and next(iter(report.reasons)).startswith(reason)
    assert report.first_failure is not None and reason in report.first_failure


def test_v2_a_missing_event_shows() -> None:
    events = numbered(v2_pair((1000, 0), (0, 996)))
    swap, mint = events[3], events[1]
    assert rebuild("v2", [swap], {}).reasons == {"no Sync before it": 1}
    moved = [events[0], events[2], mint._replace(args={"amount0": 7, "amount1": 0})]
    assert rebuild("v2", moved, {}).faults == {
        "Mint: the reserves do not follow from the last ones": 1
    }


def v3_moves(seed: int = 5) -> Iterator[tuple[str, dict[str, Any]]]:
    """A small life of a pool, told by the engine: what follows tampers with it."""
    dice, pool = random.Random(seed), uniswap_v3.Pool(Q96)
    yield "Initialize", {"sqrtPriceX96": Q96, "tick": 0}
    for number in range(60):
        width = 60 * dice.randint(1, 40)
        if number % 5 == 0:
            amount = dice.randrange(10**15, 10**18)
            paid = pool.mint(OWNER, -width, width, amount)
            yield "Mint", {
                "sender": OWNER, "owner": OWNER, "tickLower": -width, "tickUpper": width,
                "amount": amount, "amount0": paid[0], "amount1": paid[1],
            }  # fmt: skip
        zero, size = dice.random() < 0.5, dice.randrange(1, 10**15)
        done = pool.swap(zero, dice.choice((1, -1)) * size)
        yield "Swap", {
            "sender": OWNER, "recipient": OWNER, "amount0": done.amount0, "amount1": done.amount1,
            "sqrtPriceX96": done.sqrt_price, "liquidity": done.liquidity, "tick": done.tick,
        }  # fmt: skip


def tampered(events: list[Event], number: int, **changes: int) -> list[Event]:
    found = events[number]
    args = found.args | {name: int(found.args[name]) + by for name, by in changes.items()}
    return [*events[:number], found._replace(args=args), *events[number + 1 :]]


@pytest.mark.parametrize("figure", ["amount0", "amount1", "sqrtPriceX96", "liquidity", "tick"])
def test_v3_one_unit_off_is_seen_and_the_pool_goes_on(figure: str) -> None:
    events = numbered(v3_moves())
    assert rebuild("v3", events, V3).share == 1.0
    at, following = [n for n, event in enumerate(events) if event.name == "Swap"][20:22]
    report = rebuild("v3", tampered(events, at, **{figure: 1}), V3)
    assert report.reproduced < report.swaps and report.first_failure is not None
    # A price one unit off may be a stop at just that limit; then the next swap gives it away.
    places = [f"block {n // 3}, log {n % 3}," for n in (at, following)]
    assert any(place in report.first_failure for place in places[: 1 + (figure == "sqrtPriceX96")])
    # Amounts leave the state alone; a wrong price or liquidity spoils the swaps after it.
    if figure.startswith("amount"):
        assert report.swaps - report.reproduced == 1


def test_v3_the_word_of_the_events_is_not_taken_for_liquidity_or_fees() -> None:
    events = numbered(v3_moves())
    mint = next(n for n, event in enumerate(events) if event.name == "Mint")
    assert rebuild("v3", tampered(events, mint, amount0=1), V3).faults == {"Mint: another amount0": 1}  # fmt: skip
    assert rebuild("v3", tampered(events, mint, amount=10**12), V3).share < 1.0  # type: ignore[operator]
    assert rebuild("v3", events, V3 | {"fee": 500}).reproduced == 0
    greedy = {"owner": OWNER, "tickLower": -60, "tickUpper": 60, "amount0": 10**30, "amount1": 0}
    event = Event("Collect", 99, 0, "0x", "0x", 0, None, greedy)
    assert rebuild("v3", [*events, event], V3).faults == {"Collect: another amount0": 1}


def test_v3_stopped_at_its_price_limit() -> None:
    pool = uniswap_v3.Pool(Q96)
    pool.mint(OWNER, -600, 600, 10**18)
    done = pool.swap(False, 10**30, Q96 * 1001 // 1000)
    events = [event for event in numbered(v3_moves()) if event.name == "Initialize"]
    mint = {"owner": OWNER, "tickLower": -600, "tickUpper": 600, "amount": 10**18}
    mint |= dict(zip(("amount0", "amount1"), uniswap_v3.Pool(Q96).mint(OWNER, -600, 600, 10**18), strict=True))  # fmt: skip
    events.append(Event("Mint", 1, 0, "0x", "0x", 0, None, mint))
    names = ("amount0", "amount1", "sqrtPriceX96", "tick", "liquidity")
    swap = dict(zip(names, done[:5], strict=True))
    events.append(Event("Swap", 2, 0, "0x", "0x", 0, None, swap))
    report = rebuild("v3", events, V3)
    assert report.share == 1.0 and set(report.kinds) <= {"price limit", "exact input"}


@pytest.mark.parametrize(("version", "facts"), [("v3", V3), ("v4", {})])
def test_a_file_that_starts_later_says_so(version: str, facts: dict[str, int]) -> None:
    swap = next(event for event in numbered(v3_moves()) if event.name == "Swap")
    assert rebuild(version, [swap, swap], facts).reasons == {NO_START: 2}


def v4_moves(fees: list[int], dynamic: bool, protocol: int) -> Iterator[tuple[str, dict[str, Any]]]:
    pool = uniswap_v4_pool.Pool(Q96, 0 if dynamic else fees[0], 10)
    key_fee = uniswap_v4.DYNAMIC_FEE_FLAG if dynamic else fees[0]
    yield "Initialize", {"fee": key_fee, "tickSpacing": 10, "sqrtPriceX96": Q96, "tick": 0}
    liquidity = {"sender": OWNER, "tickLower": -100, "tickUpper": 100, "liquidityDelta": 10**18, "salt": SALT}  # fmt: skip
    pool.modify_liquidity((OWNER, -100, 100, SALT), -100, 100, 10**18)
    yield "ModifyLiquidity", liquidity
    pool.protocol_fee = protocol
    yield "ProtocolFeeUpdated", {"protocolFee": protocol}
    for number, fee in enumerate(fees * 5):
        override = fee | uniswap_v4.OVERRIDE_FEE_FLAG if dynamic else 0
        delta, _, total = pool.swap(number % 2 == 0, -(10**12) * (number + 1), None, override)
        yield "Swap", {
            "amount0": delta.amount0, "amount1": delta.amount1, "sqrtPriceX96": pool.sqrt_price,
            "liquidity": pool.liquidity, "tick": pool.tick, "fee": total,
        }  # fmt: skip


@pytest.mark.parametrize("protocol", [0, 1000 << 12 | 77])
@pytest.mark.parametrize(("fees", "dynamic"), [([500], False), ([100, 3000, 999_999], True)])
def test_v4_fees_static_dynamic_and_the_protocol_s(
    fees: list[int], dynamic: bool, protocol: int
) -> None:
    events = numbered(v4_moves(fees, dynamic, protocol))
    assert rebuild("v4", events, {}).share == 1.0
    report = rebuild("v4", tampered(events, len(events) - 1, fee=1), {})
    assert report.swaps - report.reproduced == 1


def test_v4_a_swap_that_a_hook_took_whole() -> None:
    events = numbered(v4_moves([500], False, 0))
    last = events[-1]
    nothing = last._replace(block=99, args=last.args | {"amount0": 0, "amount1": 0})
    assert rebuild("v4", [*events, nothing], {}).kinds["no amount"] == 1


def test_aave_events_are_counted_and_nothing_is_claimed() -> None:
    names = [kind.name for kind in table("aave").values()]
    report = rebuild("aave", numbered((name, {}) for name in names), {})
    assert report.share is None and report.events.total() == len(names)


def test_a_log_set_aside_is_a_fault() -> None:
    aside = Event("Malformed", 1, 0, "0x", "0x", 0, None, {"reason": "x", "raw": "{}"})
    assert rebuild("v2", [aside], {}).faults == {"Malformed: malformed log set aside": 1}


V4_START = {
    "id": SALT, "currency0": OWNER, "currency1": OWNER, "hooks": OWNER,
    "fee": 3000, "tickSpacing": 60, "sqrtPriceX96": Q96, "tick": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("version", "facts", "start"),
    [
        ("v3", V3, {"sqrtPriceX96": 0, "tick": 0}),
        ("v3", V3, {"sqrtPriceX96": (1 << 160) - 1, "tick": 0}),
        ("v3", {"fee": (1 << 256) - 1, "tickSpacing": 60}, {"sqrtPriceX96": Q96, "tick": 0}),
        ("v3", {"fee": 3000, "tickSpacing": 0}, {"sqrtPriceX96": Q96, "tick": 0}),
        ("v4", {}, V4_START | {"sqrtPriceX96": 1}),
        ("v4", {}, V4_START | {"tickSpacing": 0}),
        ("v4", {}, V4_START | {"tickSpacing": -1}),
        ("v4", {}, V4_START | {"fee": 1_000_001}),
    ],
)
def test_an_impossible_start_is_a_fault(
    version: str, facts: dict[str, int], start: dict[str, Any]
) -> None:
    report = rebuild(version, numbered(iter([("Initialize", start)])), facts)
    assert sum(report.faults.values()) == 1


@pytest.mark.parametrize("version", ["v3", "v4"])
def test_events_with_any_figures_never_break_the_rebuilding(version: str) -> None:
    """What an RPC that lies can send: every type's edges, in any order."""
    kinds = list(table(version).values())
    start = V4_START if version == "v4" else {"sqrtPriceX96": Q96, "tick": 0}
    for seed in range(150):
        dice = random.Random(seed)
        moves = [("Initialize", start)]
        for _ in range(dice.randint(1, 8)):
            kind = dice.choice(kinds)
            args = {field.name: anything(dice, field.type) for field in kind.fields}
            moves.append((kind.name, args))
        report = rebuild(version, numbered(iter(moves)), V3)
        assert report.events.total() == len(moves)
        assert report.reproduced + sum(report.reasons.values()) == report.swaps


def anything(dice: random.Random, kind: str) -> Any:
    if "int" not in kind:
        return SALT if kind == "bytes32" else OWNER
    bits, signed = int(kind.removeprefix("u")[3:]), kind.startswith("int")
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    near = dice.choice([60, Q96, dice.getrandbits(dice.randint(1, bits))]) * dice.choice([1, -1])
    return dice.choice([low, high, 0, 1, *[max(low, min(high, near))] * 4])

"""Fact and event tools: protocol mechanics by version, and reading a raw Swap event.

Facts come from the engine's mechanics table, each with its source and as-of date.  A Swap event
of v3 states amounts from the pool's side and one of v4 from the swapper's: the same two signs mean
opposite trades, which is the trap this tool exists for.
"""

from __future__ import annotations

from denizen.protocols import mechanics, uniswap_v4
from denizen.tasks.catalogue import Parameter, Result, Tool
from denizen.tasks.quantities import Quantity
from denizen.tasks.tools.display import percent

VERSIONS = ("v2", "v3", "v4")
SIDES = ("sold token0 for token1", "sold token1 for token0")
TOPICS = (
    "swap_fee",
    "max_fee",
    "protocol_fee",
    "fee_payment",
    "lp_token",
    "native_eth",
    "contract_layout",
    "pool_id",
    "flash",
    "callback",
    "oracle",
    "hooks",
    "liquidity_shape",
)


def fact(version_: str, topic_: str) -> Result:
    """One fact of one protocol version."""
    found = mechanics.fact(version_, topic_)
    return Result(
        {"version": version_, "topic": topic_, "value": found.value},
        found.value,
        (f"{found.note} ({found.source}, as of {found.as_of})",),
        "value",
        rivals=_others(topic_, found.value),
    )


def _others(topic: str, value: str) -> tuple[str, ...]:
    """What the same topic answers in the other versions."""
    values = (mechanics.fact(version, topic).value for version in VERSIONS)
    return tuple(other for other in values if other != value)


def tick_spacing(version_: str, fee_: Quantity) -> Result:
    """Tick spacing of a fee tier."""
    tier = percent(fee_.value)
    found = mechanics.fact(version_, "tick_spacing", tier if version_ == "v3" else None)
    return Result(
        {"version": version_, "topic": "tick_spacing", "fee": tier, "value": found.value},
        found.value,
        (f"{found.note} ({found.source}, as of {found.as_of})",),
        "value",
    )


def swap_event(version_: str, amount0_: Quantity, amount1_: Quantity) -> Result:
    """Direction and amounts of a raw Swap event."""
    event = uniswap_v4.classify_swap_event(version_, int(amount0_.value), int(amount1_.value))
    side = SIDES[0] if event.zero_for_one else SIDES[1]
    return Result(
        {
            "side": side,
            "amount_in": str(event.amount_in),
            "amount_out": str(event.amount_out),
        },
        f"{side}: {event.amount_in} in, {event.amount_out} out (raw units)",
        (
            "v4 amounts are the swapper's: negative is paid in"
            if version_ == "v4"
            else "v3 amounts are the pool's: positive is paid in",
        ),
        "side",
        rivals=tuple(other for other in SIDES if other != side),
    )


_VERSION = Parameter("version", "the protocol version asked about", choices=VERSIONS)

FACT_TOOLS = (
    Tool(
        "fact",
        "how a Uniswap version works: one topic",
        "fact",
        (_VERSION, Parameter("topic", f"one of {', '.join(TOPICS)}", choices=TOPICS)),
        fact,
        {"version": "v2, v3 or v4", "topic": "as asked", "value": "the fact in words"},
    ),
    Tool(
        "spacing",
        "tick spacing of a fee tier of a Uniswap version",
        "tick spacing",
        (_VERSION, Parameter("fee", "the fee tier, such as 0.05%", "percent")),
        tick_spacing,
        {
            "version": "v2, v3 or v4",
            "topic": "tick_spacing",
            "fee": "percent",
            "value": "ticks",
        },
    ),
    Tool(
        "event",
        "read a raw Swap event: which token was sold, and how much",
        "event",
        (
            Parameter("version", "the version of the pool", choices=("v3", "v4")),
            Parameter("amount0", "amount0 of the event, a signed integer", "integer"),
            Parameter("amount1", "amount1 of the event, a signed integer", "integer"),
        ),
        swap_event,
        {"side": "which token was sold", "amount_in": "raw units", "amount_out": "raw units"},
    ),
)

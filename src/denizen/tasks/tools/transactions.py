"""Transactions and signatures: what a call or a receipt does, and whether to sign what is pending.

`decode` reads hex of the question exactly: calldata, a bare selector, or an event's topic0.  `tx`
is for data cut short or too long to copy: the asker names the class himself; both give the same
values.  The rules of the signature tools stand in `signature_rules`; none of their answers to a
dangerous request tells anybody to sign it.
"""

from __future__ import annotations

from denizen.protocols import calldata
from denizen.protocols.calldata_abi import Value
from denizen.protocols.calldata_events import events
from denizen.protocols.calldata_table import LABELS
from denizen.tasks import signature_rules as rules
from denizen.tasks.catalogue import Parameter, Result, Tool, ToolError
from denizen.tasks.quantities import Quantity

_MEANS = {
    "swap": "one token is traded for another",
    "add liquidity": "tokens go into a pool",
    "remove liquidity": "tokens come back out of a pool",
    "collect fees": "a pool pays a position what it earned",
    "create pool": "a pool is set up with its first price",
    "supply": "an asset is lent to a money market",
    "withdraw": "a lent asset is taken back",
    "borrow": "an asset is taken against collateral",
    "repay": "debt is paid back",
    "liquidate": "somebody's unsafe debt is closed for the collateral",
    "flash loan": "tokens are lent and returned within one transaction",
    "approve": "a spender's allowance is set",
    "permit": "an allowance is given by signature",
    "transfer": "tokens change hands",
    "wrap": "a coin becomes the token that stands for it",
    "unwrap": "a token becomes the coin it stands for",
    "stake": "tokens are locked for rewards",
    "unstake": "locked tokens are asked back",
    "claim rewards": "earned incentives are paid out",
    "vault deposit": "assets buy shares of an ERC-4626 vault",
    "vault redemption": "shares of an ERC-4626 vault are turned into assets",
    "governance vote": "votes are cast on a proposal",
    "delegation": "voting power is handed to a delegate",
    "bridge": "tokens leave for another chain",
    "several actions": "a batch of more than one kind",
}
_ALIASES = {
    "swap": ("trade",),
    "add liquidity": ("adding liquidity", "liquidity provision"),
    "remove liquidity": ("removing liquidity", "liquidity removal"),
    "collect fees": ("fee collection", "collecting fees"),
    "liquidate": ("liquidation",),
    "flash loan": ("flashloan",),
    "approve": ("approval", "token approval"),
    "claim rewards": ("reward claim", "claiming rewards"),
    "governance vote": ("vote", "voting"),
    "vault redemption": ("vault withdrawal",),
}


def _classed(kind: str, derivation: tuple[str, ...]) -> Result:
    return Result(
        {"kind": kind},
        f"{kind}: {_MEANS[kind]}",
        derivation,
        "kind",
        aliases=_ALIASES.get(kind, ()),
        rivals=tuple(other for other in LABELS if other != kind),
    )


def tx(kind_: str) -> Result:
    """The class as named."""
    return _classed(kind_, ("named from the function or the events",))


def decode(data_: Quantity) -> Result:
    """The class of calldata, of a bare selector or of an event's topic0."""
    data = bytes.fromhex(data_.text[2:])
    if len(data) == calldata.SELECTOR:
        label = calldata.label_of_selector(data)
        steps: tuple[str, ...] = (f"selector of {calldata.function_of(data).signature}",)
    elif len(data) == calldata.TOPIC:
        label = calldata.label_of_topic(data)
        steps = (f"topic0 of {events()[data][0].signature}",)
    else:
        call = calldata.decode_call(data)
        label, steps = call.label, tuple(_steps(call))
    if not label:
        raise ToolError("the calls only settle, check or sweep")
    return _classed(label, steps)


def _steps(call: calldata.Decoded, lead: str = "") -> list[str]:
    """A line for the call and for each inner one."""
    arguments = ", ".join(f"{name}={_shown(value)}" for name, value in call.arguments.items())
    told = f"{len(call.inner)} calls" if call.inner else arguments
    return [f"{lead}{call.name}({told})", *(s for i in call.inner for s in _steps(i, lead + "  "))]


def _shown(value: Value) -> str:
    if isinstance(value, bytes):
        return f"0x{value[:32].hex()}" + ("..." if len(value) > 32 else "")
    if isinstance(value, tuple):
        return f"({', '.join(map(_shown, value))})"
    return str(value)


def _judged(name: str, derivation: tuple[str, ...]) -> Result:
    pattern = rules.PATTERNS[name]
    wrong = rules.UNSAFE if pattern.level != "none" else rules.ALARMS
    return Result(
        {"pattern": name, "level": pattern.level},
        f"{name}, risk {pattern.level}: {pattern.advice}",
        derivation,
        "pattern",
        aliases=pattern.aliases,
        rivals=(*(other for other in rules.PATTERNS if other != name), *wrong),
    )


def risk(pattern_: str) -> Result:
    """Level and advice of a pattern as named."""
    return _judged(pattern_, (rules.PATTERNS[pattern_].why,))


def allowance(amount_: Quantity, spender_: str) -> Result:
    """The pattern of an allowance of so many tokens to a known or unknown spender."""
    name = rules.allowance_pattern(amount_.value, spender_ == "known")
    return _judged(
        name,
        (
            f"{amount_.text} to a spender that is {spender_}; unlimited from more than "
            f"{rules.UNLIMITED_TOKENS:,} tokens",
            rules.PATTERNS[name].why,
        ),
    )


def assess(data_: Quantity, spender_: str) -> Result:
    """The pattern of a pending call's data."""
    data = bytes.fromhex(data_.text[2:])
    name = rules.call_pattern(data, spender_ == "known")
    return _judged(name, (f"{rules.call_name(data)}, {spender_}", rules.PATTERNS[name].why))


def lookalike(saved_: Quantity, shown_: Quantity) -> Result:
    """Whether an address is the saved one, a look-alike of it, or another."""
    name = rules.address_pattern(saved_.text, shown_.text)
    return _judged(name, (f"{saved_.text} and {shown_.text}", rules.PATTERNS[name].why))


_SPENDER = Parameter(
    "spender",
    "the spender, operator or contract: known (its verified address is named) or unknown",
    choices=("known", "unknown"),
)
_JUDGED = {"pattern": "what the request is", "level": "high, medium or none"}

TRANSACTION_TOOLS = (
    Tool(
        "tx",
        "what a transaction does, named by its function, commands or events",
        "class of the transaction",
        (Parameter("kind", f"one of {', '.join(LABELS)}", choices=LABELS),),
        tx,
        {"kind": "what the transaction does"},
    ),
    Tool(
        "decode",
        "what calldata, a function selector or an event topic does, read exactly",
        "decoded",
        (Parameter("data", "complete calldata, a selector, or the deciding topic0", "hex"),),
        decode,
        {"kind": "what the transaction does"},
    ),
    Tool(
        "risk",
        "how risky a pending signature or transaction is, by its pattern",
        "signing risk",
        (
            Parameter(
                "pattern", f"one of {', '.join(rules.PATTERNS)}", choices=tuple(rules.PATTERNS)
            ),
        ),
        risk,
        _JUDGED,
    ),
    Tool(
        "allowance",
        "how risky an allowance (approve) of so many tokens is",
        "spending cap",
        (Parameter("amount", "the allowance in tokens, such as 500 USDC", "amount"), _SPENDER),
        allowance,
        _JUDGED,
    ),
    Tool(
        "assess",
        "how risky it is to sign complete calldata",
        "risk of the call",
        (Parameter("data", "the complete calldata", "hex"), _SPENDER),
        assess,
        _JUDGED,
    ),
    Tool(
        "lookalike",
        "is an address the saved one or a poisoned look-alike",
        "same address or not",
        (
            Parameter("saved", "the address that is known to be right", "address"),
            Parameter("shown", "the address about to be paid", "address"),
        ),
        lookalike,
        _JUDGED,
    ),
)

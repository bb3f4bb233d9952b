"""What a transaction does: its calldata decoded down to the inner calls, or its logs classed.

Contract: `decode_call` reads a call of a known function strictly (MathError on anything
malformed) and names its class, one of `calldata_table.LABELS`; batches (multicall, Universal
Router, v4 actions) take the class of what they are for, not of the wrapping, permits and sweeps
around it.  `classify_logs` does the same for a receipt.  Bounded: 64 calls, nested 4 deep.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from .calldata_abi import Type, Value, decode, encode
from .calldata_commands import ACTIONS, CALLDATA, COMMAND_MASK, SUB_PLAN, Command, actions, commands
from .calldata_events import Log, decode_log, events
from .calldata_table import LIQUIDITY_DELTA, MULTICALL, Function, functions
from .fixed_point import MathError

MAX_CALLS, MAX_DEPTH = 64, 4
SELECTOR, TOPIC = 4, 32
# What gives way to what: a swap with a permit and an unwrap is a swap.
_RANKS = (
    ("approve", "permit"),
    ("transfer",),
    ("wrap", "unwrap"),
    ("collect fees", "create pool"),
)
_RANK = {label: rank for rank, labels in enumerate(_RANKS) for label in labels}
# Removing nothing only makes the pool count the fees; it is how they are collected.
_POKES = ("burn", "Burn", "DECREASE_LIQUIDITY")


class Decoded(NamedTuple):
    """A call: its function's or command's name, class ("" if none), arguments, inner calls."""

    name: str
    label: str
    arguments: Mapping[str, Value]
    inner: tuple[Decoded, ...] = ()


def function_of(data: bytes) -> Function:
    """The function whose selector the data begin with; MathError if it is not known."""
    if len(data) < SELECTOR:
        raise MathError(f"{len(data)} bytes hold no selector")
    found = functions().get(data[:SELECTOR])
    if found is None:
        raise MathError(f"no known function has the selector 0x{data[:SELECTOR].hex()}")
    return found


def encode_call(function: Function, values: Sequence[Value]) -> bytes:
    """Calldata of a call."""
    return function.selector + encode(function.types, values)


def decode_call(data: bytes) -> Decoded:
    """A call with its arguments and inner calls; raises MathError on malformed data."""
    return _Walk().call(data, 0)


def label_of_selector(selector: bytes) -> str:
    """The class that a selector alone tells; MathError if the arguments decide it."""
    function = function_of(selector)
    if function.label in (MULTICALL, LIQUIDITY_DELTA):
        raise MathError(f"the arguments of {function.name} decide what it does")
    return function.label


def label_of_topic(topic: bytes) -> str:
    """The class that an event's topic0 alone tells; MathError if it tells none."""
    variants = events().get(topic)
    if variants is None:
        raise MathError(f"no known event has the topic 0x{topic.hex()}")
    label = variants[0].label
    if not label or label == LIQUIDITY_DELTA:
        raise MathError(f"{variants[0].name} alone does not say what the transaction does")
    return label


def combine(labels: Iterable[str]) -> str:
    """The class of several actions together: the weightiest one's, if they agree on it."""
    known = {label for label in labels if label}
    weight = {label: _RANK.get(label, len(_RANKS)) for label in known}
    top = [label for label in known if weight[label] == max(weight.values())]
    return top[0] if len(top) == 1 else "several actions" if top else ""


def classify_logs(logs: Sequence[Log]) -> str:
    """The class of a transaction by its logs; MathError if they do not tell, or are malformed."""
    labels = []
    for log in logs:
        event, arguments = decode_log(log)
        labels.append(_by_arguments(event.name, event.label, arguments))
    found = combine(labels)
    if not found:
        raise MathError("no event says what the transaction does")
    return found


def _by_arguments(name: str, label: str, arguments: Mapping[str, Value]) -> str:
    """The class, where the sign or a zero decides it."""
    amounts = {**arguments, **_members(arguments.get("params"))}
    if label == LIQUIDITY_DELTA:
        delta = amounts["liquidityDelta"]
        assert isinstance(delta, int)
        return "add liquidity" if delta > 0 else "remove liquidity" if delta else "collect fees"
    removed = amounts.get("liquidity", amounts.get("amount"))
    return "collect fees" if name in _POKES and removed == 0 else label


def _members(params: Value | None) -> Mapping[str, Value]:
    """modifyLiquidity's params (tickLower, tickUpper, liquidityDelta, salt) by name."""
    return {"liquidityDelta": params[2]} if isinstance(params, tuple) and len(params) == 4 else {}


class _Walk:
    """One decoding, which counts its calls."""

    def __init__(self) -> None:
        self._calls = 0

    def call(self, data: bytes, depth: int) -> Decoded:
        self._calls += 1
        if depth > MAX_DEPTH or self._calls > MAX_CALLS:
            raise MathError(f"more than {MAX_CALLS} calls, or {MAX_DEPTH} nested")
        function = function_of(data)
        arguments = _named(function.types, data[SELECTOR:])
        if function.label != MULTICALL:
            label = _by_arguments(function.name, function.label, arguments)
            return Decoded(function.name, label, arguments)
        inner = self._batch(function.name, tuple(arguments.values()), depth + 1)
        return Decoded(function.name, combine(i.label for i in inner), arguments, inner)

    def _batch(self, name: str, values: Sequence[Value], depth: int) -> tuple[Decoded, ...]:
        """The inner calls of multicall(..., data), execute(...) or modifyLiquidities(...)."""
        match name, values:
            case "multicall", [*_, tuple(data)]:
                return tuple(self.call(d, depth) for d in data if isinstance(d, bytes))
            case "execute", [bytes(numbers), tuple(inputs), *_]:
                return self._steps(commands(), numbers, inputs, depth)
            case "modifyLiquidities", [bytes(plan), *_]:
                return self._plan(actions(), plan, depth)
        raise MathError(f"{name} holds no calls")

    def _plan(self, table: Mapping[int, Command], plan: bytes, depth: int) -> tuple[Decoded, ...]:
        """What `abi.encode(bytes numbers, bytes[] inputs)` does."""
        match decode((Type("bytes"), Type("array", None, (Type("bytes"),))), plan):
            case (bytes(numbers), tuple(inputs)):
                return self._steps(table, numbers, inputs, depth)
        raise MathError("a plan is command bytes and their inputs")

    def _steps(
        self,
        table: Mapping[int, Command],
        numbers: bytes,
        inputs: Sequence[Value],
        depth: int,
    ) -> tuple[Decoded, ...]:
        if len(numbers) != len(inputs):
            raise MathError(f"{len(numbers)} commands with {len(inputs)} inputs")
        found = []
        for number, content in zip(numbers, inputs, strict=True):
            assert isinstance(content, bytes)
            if table is commands():
                number &= COMMAND_MASK
            if number not in table:
                raise MathError(f"no command has the number 0x{number:02x}")
            found.append(self._step(table[number], content, depth))
        return tuple(found)

    def _step(self, command: Command, content: bytes, depth: int) -> Decoded:
        self._calls += 1
        if depth > MAX_DEPTH or self._calls > MAX_CALLS:
            raise MathError(f"more than {MAX_CALLS} calls, or {MAX_DEPTH} nested")
        inner: tuple[Decoded, ...] = ()
        if CALLDATA in command.name:
            inner = (self.call(content, depth + 1),)
        elif command.name in (SUB_PLAN, ACTIONS):
            table = commands() if command.name == SUB_PLAN else actions()
            inner = self._plan(table, content, depth + 1)
        if inner:
            return Decoded(command.name, combine(i.label for i in inner), {}, inner)
        arguments = _named(command.types, content) if command.types else {}
        return Decoded(
            command.name, _by_arguments(command.name, command.label, arguments), arguments
        )


def label_of_commands(numbers: bytes) -> str:
    """The class of Universal Router command bytes, as far as these alone tell it.

    V4_SWAP counts as a swap.  MathError for commands that are not known or carry calls of a
    position manager or a sub-plan, whose inputs decide.
    """
    labels = []
    for number in numbers:
        command = commands().get(number & COMMAND_MASK)
        if command is None:
            raise MathError(f"no command has the number 0x{number:02x}")
        if CALLDATA in command.name or command.name == SUB_PLAN:
            raise MathError(f"the input of {command.name} decides what it does")
        labels.append("swap" if command.name == ACTIONS else command.label)
    found = combine(labels)
    if not found:
        raise MathError("no command says what the transaction does")
    return found


def _named(types: Sequence[Type], content: bytes) -> dict[str, Value]:
    return dict(zip((t.name for t in types), decode(types, content), strict=True))

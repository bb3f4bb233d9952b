"""The contract ABI's types: parsed from signatures with argument names, decoded and encoded.

Source: the Solidity contract ABI specification.  Decoding is as strict as compiled contracts are:
an offset or length past the end, a number too wide for its type, a bool that is neither 0 nor 1
raise MathError; what follows the arguments is ignored, since wallets tag their calls there.  It is
stricter in one thing: contents may not overlap so much that more is read than there is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .fixed_point import MathError

# Addresses are lower-case "0x..." text, structs and arrays tuples.
Value = int | bool | str | bytes | tuple["Value", ...]
WORD = 32
_ELEMENTARY = re.compile(r"(uint|int|bytes)(\d+)|address|bool|bytes|string")
_ARRAY = re.compile(r"(.*)\[(\d*)\]$")


@dataclass(frozen=True)
class Type:
    """One type.  `base` is uint, int, address, bool, fixed, bytes, string, array or tuple.

    `size` is bits of a number, bytes of a bytesN, or the length of an array (None if it varies);
    `inner` the members of a struct or the one element type of an array.
    """

    base: str
    size: int | None = None
    inner: tuple[Type, ...] = ()
    name: str = ""

    def __str__(self) -> str:
        match self.base:
            case "tuple":
                return f"({','.join(map(str, self.inner))})"
            case "array":
                return f"{self.inner[0]}[{'' if self.size is None else self.size}]"
            case "uint" | "int":
                return f"{self.base}{self.size}"
            case "fixed":
                return f"bytes{self.size}"
        return self.base

    @property
    def dynamic(self) -> bool:
        """Whether the head holds an offset to the value."""
        if self.base in ("bytes", "string") or (self.base == "array" and self.size is None):
            return True
        return any(member.dynamic for member in self.inner)

    @property
    def head(self) -> int:
        """Bytes that the value takes in the head."""
        if self.dynamic or not self.inner:
            return WORD
        return sum(m.head for m in self.inner) * (self.size or 1)

    def renamed(self, name: str) -> Type:
        """The same type of another argument."""
        return replace(self, name=name)


def split_arguments(text: str) -> list[str]:
    """The parts between the commas outside brackets."""
    parts, depth, current = [], 0, ""
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            parts.append(current.strip())
            current = ""
        else:
            current += letter
    return [*parts, current.strip()] if current.strip() else parts


def parse_type(text: str) -> Type:
    """A type with its argument's name: "uint256 amount", "(address a,bool b)[] list"."""
    close = text.rfind(")") + 1
    kind, _, name = text[close:].partition(" ")
    kind, name = text[:close] + kind, name.strip()
    if array := _ARRAY.match(kind):
        length = int(array.group(2)) if array.group(2) else None
        return Type("array", length, (parse_type(array.group(1)),), name)
    if kind.startswith("("):
        return Type("tuple", None, tuple(map(parse_type, split_arguments(kind[1:-1]))), name)
    match = _ELEMENTARY.fullmatch(kind)
    if match is None:
        raise MathError(f"{kind!r} is no ABI type")
    if match.group(1) is None:
        return Type(kind, None, (), name)
    base, size = match.group(1), int(match.group(2))
    return Type("fixed" if base == "bytes" else base, size, (), name)


def parse_signature(text: str) -> tuple[str, tuple[Type, ...]]:
    """Name and argument types of "transfer(address to, uint256 amount)"."""
    name, _, rest = text.partition("(")
    return name, tuple(map(parse_type, split_arguments(rest.rstrip()[:-1])))


def decode(types: Sequence[Type], data: bytes) -> tuple[Value, ...]:
    """The values that `data` holds; raises MathError on malformed data."""
    return _Reader(data).sequence(types, 0)


def encode(types: Sequence[Type], values: Sequence[Value]) -> bytes:
    """The canonical encoding: heads, then dynamic contents in order."""
    if len(types) != len(values):
        raise MathError(f"{len(values)} values for {len(types)} arguments")
    at, heads, tails = sum(t.head for t in types), b"", b""
    for kind, value in zip(types, values, strict=True):
        content = _content(kind, value)
        if kind.dynamic:
            heads += _word(at + len(tails))
            tails += content
        else:
            heads += content
    return heads + tails


class _Reader:
    """Reads one encoding; never visits more bytes than it has."""

    def __init__(self, data: bytes) -> None:
        self._data, self._left = data, len(data)

    def sequence(self, types: Sequence[Type], base: int) -> tuple[Value, ...]:
        """Values whose heads stand at `base`, which their offsets count from."""
        values, at = [], base
        for kind in types:
            place = base + self._number(at) if kind.dynamic else at
            values.append(self._value(kind, place))
            at += kind.head
        return tuple(values)

    def _value(self, kind: Type, at: int) -> Value:
        match kind.base:
            case "tuple":
                return self.sequence(kind.inner, at)
            case "array":
                length, at = self._length(kind, at)
                if length * kind.inner[0].head > self._left:
                    raise MathError(f"an array of {length} does not fit the data")
                return self.sequence(kind.inner * length, at)
            case "bytes" | "string":
                length, at = self._length(kind, at)
                content = self._take(at, length)
                return content if kind.base == "bytes" else _text(content)
        return _elementary(kind, self._number(at))

    def _length(self, kind: Type, at: int) -> tuple[int, int]:
        return (self._number(at), at + WORD) if kind.size is None else (kind.size, at)

    def _number(self, at: int) -> int:
        return int.from_bytes(self._take(at, WORD), "big")

    def _take(self, at: int, size: int) -> bytes:
        if at + size > len(self._data):
            raise MathError(f"the data ends at byte {len(self._data)}, before {at + size}")
        self._left -= size
        if self._left < 0:
            raise MathError("the data's contents overlap")
        return self._data[at : at + size]


def _elementary(kind: Type, word: int) -> Value:
    size = kind.size or 0
    match kind.base:
        case "uint" if word < 1 << size:
            return word
        case "int":
            signed = word - (1 << 256) if word >> 255 else word
            if -(1 << (size - 1)) <= signed < 1 << (size - 1):
                return signed
        case "address" if word < 1 << 160:
            return f"0x{word:040x}"
        case "bool" if word < 2:
            return bool(word)
        case "fixed" if word % (1 << 8 * (WORD - size)) == 0:
            return word.to_bytes(WORD, "big")[:size]
    raise MathError(f"0x{word:064x} is no {kind}")


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MathError("a string that is not UTF-8") from error


def _word(number: int) -> bytes:
    return (number % (1 << 256)).to_bytes(WORD, "big")


def _content(kind: Type, value: Value) -> bytes:
    """The encoding of a value, without the offset that leads to a dynamic one."""
    match kind.base, value:
        case "tuple", tuple():
            return encode(kind.inner, value)
        case "array", tuple():
            if kind.size is not None and kind.size != len(value):
                raise MathError(f"{len(value)} values for {kind}")
            count = b"" if kind.size is not None else _word(len(value))
            return count + encode(kind.inner * len(value), value)
        case "bytes", bytes():
            return _word(len(value)) + value + bytes(-len(value) % WORD)
        case "string", str():
            return _content(Type("bytes"), value.encode())
        case "fixed", bytes() if len(value) == kind.size:
            return value + bytes(WORD - len(value))
        case "address", str():
            return _checked(kind, int(value, 16))
        case (("uint" | "int" | "bool"), int()):
            return _checked(kind, value)
    raise MathError(f"{value!r} is no {kind}")


def _checked(kind: Type, number: int) -> bytes:
    word = number % (1 << 256)
    found = _elementary(kind, word)
    if kind.base != "address" and found != number:
        raise MathError(f"{number} is no {kind}")
    return _word(word)

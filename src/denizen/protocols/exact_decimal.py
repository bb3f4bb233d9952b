"""Decimal arithmetic that is the same on every machine: 60 digits, half-even, no float let in.

Contract: a function under `@exact` computes in `CONTEXT`, whatever the caller's context is.  An
argument or result that is not finite, and any signal (overflow, division by zero, a float), is a
MathError.  Source: IEEE 754-2008 decimal arithmetic, as the decimal module implements it.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import (
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DecimalException,
    DivisionByZero,
    FloatOperation,
    InvalidOperation,
    Overflow,
    localcontext,
)
from functools import wraps
from typing import ParamSpec, TypeVar

from .fixed_point import MathError

CONTEXT = Context(
    prec=60,
    rounding=ROUND_HALF_EVEN,
    traps=[InvalidOperation, DivisionByZero, Overflow, FloatOperation],
)
_P = ParamSpec("_P")
_R = TypeVar("_R")


def exact(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Run under CONTEXT; figures that are not finite and decimal signals become MathError."""

    @wraps(function)
    def inner(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        for value in (*args, *kwargs.values()):
            _finite(function.__name__, value)
        with localcontext(CONTEXT):
            try:
                result = function(*args, **kwargs)
            except DecimalException as error:
                raise MathError(f"{function.__name__}: impossible figures ({error})") from error
        _finite(function.__name__, result)
        return result

    return inner


def require(holds: bool, message: str) -> None:
    """MathError with the message unless it holds."""
    if not holds:
        raise MathError(message)


def _finite(name: str, value: object) -> None:
    if isinstance(value, Decimal) and not value.is_finite():
        raise MathError(f"{name}: {value} is not a finite figure")
    if isinstance(value, tuple | list):
        for part in value:
            _finite(name, part)

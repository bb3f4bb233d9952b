"""Periods of a question in the whole seconds, hours and epochs that the engine counts in.

A period is held in days, so that "8 hours" is a third of one: seconds are rounded to the nearest,
and what must come out whole is refused if it does not.  A year is 365 days, a month a twelfth.
"""

from __future__ import annotations

from decimal import Decimal

from denizen.tasks.catalogue import ToolError
from denizen.tasks.quantities import Quantity

EPOCHS = {"day": 86_400, "week": 604_800, "month": 2_628_000, "year": 31_536_000}
# No schedule, lock or trade of DeFi runs longer; it bounds the work of a call as well.
MAX_SECONDS = 200 * EPOCHS["year"]


def seconds(period: Quantity) -> int:
    """Whole seconds, at most two hundred years."""
    if not 0 <= period.value * 86_400 <= MAX_SECONDS:
        raise ToolError(f"{period.text} is not a period of at most 200 years")
    return int((period.value * Decimal(86_400)).to_integral_value())


def whole(period: Quantity, unit: int, name: str) -> int:
    """How many units of so many seconds a period holds; ToolError unless that is whole."""
    count, rest = divmod(seconds(period), unit)
    if rest or not count:
        raise ToolError(f"{period.text} is not a whole number of {name}s")
    return count

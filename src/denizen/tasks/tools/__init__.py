"""The calculator's tools, grouped by what they answer.

Each tool hands parsed quantities to the exact engine in `protocols/`; none computes a figure the
engine does not.  Parameter names carry a trailing underscore in Python (`in_`), since `in` is the
natural name in a call.  `ALL` fixes the order in which tools are described and offered.
"""

from denizen.tasks.catalogue import Tool
from denizen.tasks.tools.facts import FACT_TOOLS
from denizen.tasks.tools.positions import POSITION_TOOLS
from denizen.tasks.tools.refusal import REFUSAL_TOOLS
from denizen.tasks.tools.swaps import SWAP_TOOLS

ALL: tuple[Tool, ...] = (*SWAP_TOOLS, *POSITION_TOOLS, *FACT_TOOLS, *REFUSAL_TOOLS)

__all__ = ["ALL"]

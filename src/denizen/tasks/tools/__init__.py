"""The calculator's tools, grouped by what they answer.

Each tool hands parsed quantities to the exact engine in `protocols/`; none computes a figure the
engine does not.  Parameter names carry a trailing underscore in Python (`in_`), since `in` is the
natural name in a call.  `ALL` fixes the order in which tools are described and offered.
"""

from denizen.tasks.catalogue import Tool
from denizen.tasks.tools.erc import ERC_TOOLS
from denizen.tasks.tools.escrow import ESCROW_TOOLS
from denizen.tasks.tools.facts import FACT_TOOLS
from denizen.tasks.tools.incentives import INCENTIVE_TOOLS
from denizen.tasks.tools.lending import LENDING_TOOLS
from denizen.tasks.tools.lending_rates import LENDING_RATE_TOOLS
from denizen.tasks.tools.leverage import LEVERAGE_TOOLS
from denizen.tasks.tools.liquidation import LIQUIDATION_TOOLS
from denizen.tasks.tools.liquidation_price import LIQUIDATION_PRICE_TOOLS
from denizen.tasks.tools.perps import PERPS_TOOLS
from denizen.tasks.tools.pool_history import POOL_HISTORY_TOOLS
from denizen.tasks.tools.positions import POSITION_TOOLS
from denizen.tasks.tools.programmes import PROGRAMME_TOOLS
from denizen.tasks.tools.protocol_facts import PROTOCOL_FACT_TOOLS
from denizen.tasks.tools.refusal import REFUSAL_TOOLS
from denizen.tasks.tools.stable import STABLE_TOOLS
from denizen.tasks.tools.staking import STAKING_TOOLS
from denizen.tasks.tools.swaps import SWAP_TOOLS
from denizen.tasks.tools.ticks import TICKS_TOOLS
from denizen.tasks.tools.transactions import TRANSACTION_TOOLS
from denizen.tasks.tools.v2_liquidity import V2_LIQUIDITY_TOOLS
from denizen.tasks.tools.v4_pool import V4_POOL_TOOLS
from denizen.tasks.tools.vaults import VAULT_TOOLS
from denizen.tasks.tools.weighted import WEIGHTED_TOOLS
from denizen.tasks.tools.yield_math import YIELD_MATH_TOOLS

ALL: tuple[Tool, ...] = (
    *SWAP_TOOLS,
    *POSITION_TOOLS,
    *FACT_TOOLS,
    *TICKS_TOOLS,
    *V2_LIQUIDITY_TOOLS,
    *V4_POOL_TOOLS,
    *POOL_HISTORY_TOOLS,
    *STABLE_TOOLS,
    *WEIGHTED_TOOLS,
    *VAULT_TOOLS,
    *STAKING_TOOLS,
    *LENDING_RATE_TOOLS,
    *LENDING_TOOLS,
    *LIQUIDATION_PRICE_TOOLS,
    *LIQUIDATION_TOOLS,
    *YIELD_MATH_TOOLS,
    *INCENTIVE_TOOLS,
    *ESCROW_TOOLS,
    *PROGRAMME_TOOLS,
    *LEVERAGE_TOOLS,
    *PERPS_TOOLS,
    *PROTOCOL_FACT_TOOLS,
    *ERC_TOOLS,
    *TRANSACTION_TOOLS,
    *REFUSAL_TOOLS,
)

__all__ = ["ALL"]

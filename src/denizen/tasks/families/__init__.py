"""The task families, one short file each; `FAMILIES` maps name to Family."""

from denizen.tasks.families import (
    cl_quote,
    fee_apr,
    impermanent_loss,
    mechanics,
    position_value,
    range_status,
    swap_event,
    v2_quote,
)
from denizen.tasks.types import Family

FAMILIES: dict[str, Family] = {
    module.NAME: module.FAMILY
    for module in (
        mechanics,
        v2_quote,
        cl_quote,
        position_value,
        impermanent_loss,
        fee_apr,
        range_status,
        swap_event,
    )
}

__all__ = ["FAMILIES"]

"""A suite: the families a specialist is made for, and what its answers may therefore be.

Contract: `suite_of("core")` is the eight families of the quickstart, "all" every family, and a
comma-separated list just these; its grammar offers the tools and schemas of its families and
nothing else, so that a small specialist is not asked to tell fifty tools apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from denizen.project.errors import ConfigError
from denizen.tasks.calculator import catalogue
from denizen.tasks.catalogue import Tool
from denizen.tasks.families import FAMILIES
from denizen.tasks.grammar import grammar_for
from denizen.tasks.structured import Schema, SchemaError
from denizen.tasks.types import Family

CORE = (
    "mechanics",
    "v2_quote",
    "cl_quote",
    "position_value",
    "impermanent_loss",
    "fee_apr",
    "range_status",
    "swap_event",
)


@dataclass(frozen=True)
class Suite:
    """Family names in catalogue order."""

    names: tuple[str, ...]

    @property
    def families(self) -> dict[str, Family]:
        """The families by name."""
        return {name: FAMILIES[name] for name in self.names}

    @property
    def tools(self) -> dict[str, Tool]:
        """The calculator tools these families use, in catalogue order."""
        used = {tool for family in self.families.values() for tool in family.tools}
        return {name: tool for name, tool in catalogue().items() if name in used}

    @property
    def schemas(self) -> tuple[Schema, ...]:
        """The objects these families answer with."""
        return tuple(f.schema for f in self.families.values() if f.schema is not None)

    def object_in(self, text: str) -> Schema | None:
        """The schema of which the text is a valid object, if any."""
        for schema in self.schemas:
            try:
                schema.parse(text)
            except SchemaError:
                continue
            return schema
        return None

    def grammar(self, question: str) -> str:
        """GBNF of every answer this suite allows to a question."""
        return grammar_for(question, self.tools, self.schemas)


@cache
def suite_of(text: str) -> Suite:
    """ "core", "all" or names joined by commas; raises ConfigError naming what is unknown."""
    if text == "all":
        return Suite(tuple(FAMILIES))
    wanted = CORE if text == "core" else tuple(part.strip() for part in text.split(","))
    for name in wanted:
        if name not in FAMILIES:
            raise ConfigError(
                f"no task family {name!r}",
                where="data.families",
                fix=f"core, all, or some of {', '.join(FAMILIES)}",
            )
    return Suite(tuple(name for name in FAMILIES if name in wanted))

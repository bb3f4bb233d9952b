"""The catalogue in words: how a model that was not trained on the calculator is told about it."""

from __future__ import annotations

import json

from denizen.tasks.catalogue import describe
from denizen.tasks.suite import Suite


def catalogue_prompt(system: str, suite: Suite) -> str:
    """System prompt for an untrained model: role, answer formats, every tool, argument, schema."""
    text = (
        f"{system} Answer with a few words of draft, then exactly one calculator call:\n"
        "draft. <calc>tool(name=value; name=value)</calc>\n"
        "Copy quantities exactly as the user wrote them; the calculator does all arithmetic. "
        f"Tools:\n{describe(suite.tools)}"
    )
    if suite.schemas:
        objects = "\n".join(json.dumps(schema.json_schema()) for schema in suite.schemas)
        text += f"\nWhere one of these objects is asked for, answer with its JSON alone:\n{objects}"
    return text

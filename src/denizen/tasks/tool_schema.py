"""The tool catalogue as JSON Schema, in the form that function-calling interfaces take.

Contract: one object a tool: name, description, `parameters` (every argument a required string, its
unit told, words as an enum, nothing else allowed) and `returns` (what each value of the result is).
`docs/calculator.json` is this, written by `make docs`; a test keeps the two equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from denizen.tasks.catalogue import Parameter, Tool
from denizen.tasks.quantities import Kind

_EXAMPLES: dict[Kind, tuple[str, str]] = {
    "amount": ("a token amount", "4.5 WETH"),
    "percent": ("a percentage or basis points", "0.05%"),
    "period": ("a length of time", "7 days"),
    "price": ("a price, quote per base", "3,250 USDC per ETH"),
    "number": ("a number or dollar figure", "$21.7M"),
    "integer": ("an integer, raw units", "195714"),
    "multiple": ("a multiple", "3x"),
    "address": ("an address, 20 bytes of hex", "0x" + "00" * 19 + "01"),
    "hex": ("bytes as hex", "0xa9059cbb"),
}


def tool_schema(tool: Tool) -> dict[str, Any]:
    """One tool as a function with JSON-Schema parameters."""
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.doc,
            "strict": True,
            "parameters": {
                "type": "object",
                "properties": {p.name: _property(p) for p in tool.parameters},
                "required": [p.name for p in tool.parameters],
                "additionalProperties": False,
            },
            "returns": {
                "type": "object",
                "properties": {
                    key: {"type": "string", "description": text}
                    for key, text in tool.returns.items()
                },
                "required": list(tool.returns),
            },
        },
    }


def catalogue_schema(tools: Mapping[str, Tool]) -> list[dict[str, Any]]:
    """All tools, in catalogue order."""
    return [tool_schema(tool) for tool in tools.values()]


def _property(parameter: Parameter) -> dict[str, Any]:
    if parameter.kind is None:
        return {
            "type": "string",
            "enum": list(parameter.choices),
            "description": parameter.doc,
        }
    unit, example = _EXAMPLES[parameter.kind]
    return {
        "type": "string",
        "description": f"{parameter.doc}: {unit}",
        "maxLength": 200 if parameter.kind not in ("hex", "address") else 8192,
        "examples": [example],
    }

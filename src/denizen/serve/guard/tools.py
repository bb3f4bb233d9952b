"""Tools that the server runs itself: the exact calculator and the search, and nothing else.

Contract: `check_tools(request)` refuses (Fault 400) tools that a server would have to run and that
are not on the list; functions pass through, since it is the client that runs them. `ReadOnlyTools`
runs a listed tool after checking its arguments and refuses every other name, above all what signs,
sends, approves or writes. No listed tool has a side effect.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from denizen.serve.exchange import Fault, Request

SEARCH = "search"
# Kinds of tools in OpenAI's interfaces that are run by whoever answers.
_CLIENT_SIDE = frozenset({"function", "custom"})
_LISTED = frozenset({"calculator", SEARCH, "file_search"})
_ACTS = re.compile(
    r"(?:^|[_\W])(?:sign|send|transfer|approve|permit|withdraw|deposit|swap_?exact|execute|"
    r"exec|write|"
    r"delete|remove|drop|update|insert|set|grant|revoke|pay|mint|burn|deploy|broadcast|"
    r"submit|upload|"
    r"post|put|patch|shell|bash|python|eval|run|curl|http|fetch|open)(?:[_\W]|$)",
    re.IGNORECASE,
)
_MOST_ARGUMENTS, _LONGEST_ARGUMENT = 32, 20_000
_LONGEST_QUESTION = 4_000


def check_tools(request: Request) -> None:
    """Raises Fault 400 for a tool that this server would have to run and does not offer."""
    for place, tool in enumerate(request.tools):
        kind = str(tool.get("type", "function"))
        if kind in _CLIENT_SIDE or kind in _LISTED:
            continue
        raise Fault(
            400,
            f"this server does not run tools of type {kind[:60]!r}; it runs the calculator and "
            "the search of its own documents, and functions are run by the client",
            code="tool_not_allowed",
            param=f"tools[{place}].type",
        )


class ReadOnlyTools:
    """The list at work. `search` answers a question from the documents; None: there are none."""

    def __init__(self, search: Callable[[str], list[dict[str, Any]]] | None = None) -> None:
        self._search = search

    def names(self) -> tuple[str, ...]:
        """What may be run."""
        from denizen.tasks import catalogue

        return (*catalogue(), *((SEARCH,) if self._search else ()))

    def run(self, name: str, arguments: str | Mapping[str, Any]) -> dict[str, Any]:
        """A listed tool's result, or {"ok": false, "error"}; raises Fault 400 for another tool."""
        if name not in self.names():
            acts = _ACTS.search(name) is not None
            raise Fault(
                400,
                f"the tool {name[:60]!r} is not run here"
                + (": nothing that signs, sends, approves or writes is" if acts else ""),
                code="tool_not_allowed",
                param="tools",
            )
        given = _arguments(arguments)
        if isinstance(given, str):
            return {"ok": False, "error": given}
        if name == SEARCH and self._search is not None:
            question = given.get("question")
            if set(given) != {"question"} or not isinstance(question, str) or not question.strip():
                return {"ok": False, "error": "search takes one argument, question, a text"}
            if len(question) > _LONGEST_QUESTION:
                return {"ok": False, "error": f"a question has {_LONGEST_QUESTION} characters"}
            return {"ok": True, "passages": self._search(question)}
        from denizen.tasks import call_tool

        return call_tool(name, given)


def _arguments(arguments: str | Mapping[str, Any]) -> dict[str, Any] | str:
    """The arguments as an object of bounded size, or what is wrong with them."""
    if isinstance(arguments, str):
        if len(arguments) > _LONGEST_ARGUMENT:
            return f"arguments are longer than {_LONGEST_ARGUMENT} characters"
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            return "arguments are not JSON"
    if not isinstance(arguments, Mapping):
        return "arguments are an object of names and values"
    if len(arguments) > _MOST_ARGUMENTS:
        return f"more than {_MOST_ARGUMENTS} arguments"
    for key, value in arguments.items():
        if not isinstance(key, str) or not isinstance(value, str | int | float | bool | None):
            return f"argument {str(key)[:60]!r} is neither text nor a number"
        if isinstance(value, str) and len(value) > _LONGEST_ARGUMENT:
            return f"argument {key[:60]!r} is longer than {_LONGEST_ARGUMENT} characters"
    return dict(arguments)

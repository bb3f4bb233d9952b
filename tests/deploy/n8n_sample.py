"""Runs the shipped n8n workflow far enough to prove it: its code and expressions in node itself.

Contract: `Workflow(path).run(body, send)` gives (status, body) as n8n would answer the webhook;
`send` is the HTTP Request node: it takes its parameters with the JSON body, and gives the item.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

NODE = shutil.which("node")
_CODE = "const $input = {first: () => ({json: IN})}; const run = () => {CODE}; OUT(run()[0].json)"
_SHOW = "const OUT = (value) => console.log(JSON.stringify(value === undefined ? null : value));"
Send = Callable[[str, Any], dict[str, Any]]


def javascript(code: str) -> Any:
    """The JSON that a script prints."""
    done = subprocess.run(
        [NODE or "node", "-e", _SHOW + code], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def expression(text: str, item: Any) -> Any:
    """The value of `={{ ... }}` for an item."""
    return javascript(f"const $json = {json.dumps(item)}; OUT({text[3:-2]});")


class Workflow:
    """A workflow file; `visited` are the names of the nodes of the last run."""

    def __init__(self, path: Path) -> None:
        self.told: dict[str, Any] = json.loads(path.read_text("utf-8"))
        self.nodes = {node["name"]: node for node in self.told["nodes"]}
        self.visited: list[str] = []

    def run(self, body: Any, send: Send) -> tuple[int, Any]:
        """One call of the webhook."""
        name, item, self.visited = "Question", {"body": body}, []
        while True:
            self.visited.append(name)
            node = self.nodes[name]
            kind, parameters = node["type"].removeprefix("n8n-nodes-base."), node["parameters"]
            if kind == "respondToWebhook":
                answered = json.loads(expression(parameters["responseBody"], item))
                return parameters["options"]["responseCode"], answered
            output = 0
            if kind == "code":
                code = _CODE.replace("CODE", parameters["jsCode"], 1)
                item = javascript(code.replace("IN", json.dumps(item), 1))
            elif kind == "httpRequest":
                item = send(parameters["url"], json.loads(expression(parameters["jsonBody"], item)))
            elif kind == "if":
                conditions = parameters["conditions"]["conditions"]
                output = 0 if all(self._holds(one, item) for one in conditions) else 1
            name = self.told["connections"][name]["main"][output][0]["node"]

    @staticmethod
    def _holds(condition: dict[str, Any], item: Any) -> bool:
        left, right = expression(condition["leftValue"], item), condition["rightValue"]
        operation = condition["operator"]["type"], condition["operator"]["operation"]
        if operation == ("boolean", "true"):
            return left is True
        if operation == ("number", "gte"):
            return bool(left >= right)
        if operation == ("array", "empty"):
            return left == []
        raise NotImplementedError(operation)

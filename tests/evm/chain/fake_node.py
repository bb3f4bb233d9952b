"""A node in memory for tests: a chain of v2 Sync logs that can lie, stall, refuse and reorganise."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
from eth_abi.abi import encode

from denizen.evm.abi import keccak, topic
from denizen.evm.chain.rpc import Rpc

PAIR = "0x" + "ab" * 20
SYNC = topic("Sync(uint112,uint112)")
Log = dict[str, Any]
Fault = Callable[[Any], httpx.Response | None]


def refusal(code: int, message: str, status: int = 200, **headers: str) -> httpx.Response:
    """A JSON-RPC error."""
    body = {"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": message}}
    return httpx.Response(
        status, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


class FakeNode:
    """`per_block(n)` says how many logs block n has; `faults` are used up one a request."""

    def __init__(self, head: int = 100, per_block: Callable[[int], int] = lambda n: n % 3) -> None:
        self.head, self.per_block = head, per_block
        self.branches: list[tuple[int, int]] = []
        self.faults: list[Fault] = []
        self.twist: Callable[[list[Log]], list[Log]] = lambda logs: logs
        self.refuse: Callable[[int, int, int], httpx.Response | None] = lambda a, b, n: None
        self.before: Callable[[str, list[Any]], None] = lambda method, params: None
        self.asked: list[tuple[str, list[Any]]] = []
        self.slept: list[float] = []

    def rpc(self, **options: Any) -> Rpc:
        return Rpc(
            "https://node.example/v2/SECRETKEY123?token=HIDDEN99",
            transport=httpx.MockTransport(self.handle),
            sleep=self.slept.append,
            jitter=lambda: 0.0,
            **options,
        )

    def reorg(self, start: int) -> None:
        """Replace every block from `start` on."""
        self.branches.append((start, len(self.branches) + 1))

    def branch(self, block: int) -> int:
        return max((name for start, name in self.branches if start <= block), default=0)

    def hash(self, block: int) -> str:
        return "0x" + keccak(f"{self.branch(block)}/{block}".encode()).hex()

    def logs(self, start: int, end: int) -> list[Log]:
        found = []
        for block in range(start, min(end, self.head) + 1):
            for index in range(self.per_block(block)):
                reserves = [1 + block, 1000 * self.branch(block) + index]
                found.append(
                    {
                        "address": PAIR,
                        "topics": [SYNC],
                        "data": "0x" + encode(["uint112", "uint112"], reserves).hex(),
                        "blockNumber": hex(block),
                        "blockHash": self.hash(block),
                        "transactionHash": "0x"
                        + keccak(f"{self.hash(block)}{index}".encode()).hex(),
                        "transactionIndex": hex(index),
                        "logIndex": hex(2 * index + 1),
                        "removed": False,
                    }
                )
        return found

    def handle(self, request: httpx.Request) -> httpx.Response:
        ask = json.loads(request.content)
        self.asked.append((ask["method"], ask["params"]))
        self.before(ask["method"], ask["params"])
        if self.faults:
            found = self.faults.pop(0)(ask)
            if found is not None:
                return found
        result = self.answer(ask["method"], ask["params"])
        if isinstance(result, httpx.Response):
            return result
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": ask["id"], "result": result})

    def answer(self, method: str, params: list[Any]) -> Any:
        match method:
            case "eth_chainId":
                return "0x7a69"
            case "eth_blockNumber":
                return hex(self.head)
            case "eth_getCode":
                return "0x60" if params[0] == PAIR else "0x"
            case "eth_getBlockByNumber":
                return self.header(int(params[0], 16))
            case "eth_getLogs":
                start, end = int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16)
                found = self.logs(start, end)
                return self.refuse(start, end, len(found)) or self.twist(found)
        raise AssertionError(method)

    def header(self, number: int) -> dict[str, str] | None:
        if number > self.head:
            return None
        parent = self.hash(number - 1) if number else "0x" + "00" * 32
        return {
            "number": hex(number),
            "hash": self.hash(number),
            "parentHash": parent,
            "timestamp": hex(1_700_000_000 + number),
        }

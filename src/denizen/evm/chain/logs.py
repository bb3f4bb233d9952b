"""eth_getLogs in ranges that fit the node, with every answer held against what was asked.

Contract: `read` gives the logs of a run of blocks, each once, in chain order.  A range the node
finds too large (whatever the vendor's code and wording) or stalls on is halved; success grows it.
Removed, misplaced, doubled or contradictory logs raise RpcError, and so does an answer that a
second, narrower question shows to be cut short.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, NamedTuple

from denizen.evm.chain.events import RawLog, Source
from denizen.evm.chain.rpc import Refused, Rpc, RpcError, Stalled

FIRST_SPAN, LARGEST_SPAN = 1_000, 100_000
_HASH = re.compile(r"0x[0-9a-fA-F]{64}")
_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,16}")
_OTHER_NODE = "use another node"


class Window(NamedTuple):
    """The logs of blocks start..end, both included."""

    start: int
    end: int
    logs: tuple[RawLog, ...]


class LogReader:
    """Reads one source's logs; remembers which range the node accepts."""

    def __init__(self, rpc: Rpc, source: Source, span: int = FIRST_SPAN) -> None:
        self._rpc, self._source = rpc, source
        self.span, self._refused = span, False

    def read(self, start: int, stop: int) -> Window:
        """Logs from `start` as far towards `stop` as one answer goes; raises RpcError."""
        while True:
            end = min(start + self.span - 1, stop)
            try:
                logs = self._ask(start, end)
                self._ask_again(start, end, logs)
            except (Refused, Stalled) as error:
                if end == start:
                    raise RpcError(
                        f"the node gives no logs for block {start}: {error.what}",
                        where=self._rpc.name,
                        fix=_OTHER_NODE,
                    ) from None
                self.span, self._refused = (end - start + 1) // 2, True
                continue
            if end - start + 1 == self.span:
                # A limit once met is approached slowly, or every other question would be refused.
                grown = self.span + self.span // 8 + 1 if self._refused else 2 * self.span
                self.span = min(grown, LARGEST_SPAN)
            return Window(start, end, tuple(logs))

    def _ask(self, start: int, end: int) -> list[RawLog]:
        answer = self._rpc.call(
            "eth_getLogs",
            {**self._source.filter(), "fromBlock": hex(start), "toBlock": hex(end)},
            patient=start == end,
        )
        if not isinstance(answer, list):
            raise self._lie(f"logs of blocks {start} to {end} are not a list")
        logs = sorted((self._placed(raw) for raw in answer), key=lambda log: log[:2])
        for log in logs:
            if not start <= log.block <= end:
                raise self._lie(f"asked for blocks {start} to {end}, got a log of {log.block}")
        for one, two in pairwise(logs):
            self._compare(one, two)
        return logs

    def _ask_again(self, start: int, end: int, logs: list[RawLog]) -> None:
        """A node that caps its answers in silence gives more when asked from the cut on."""
        if not logs:
            return
        # From the last log's block, but where all are in one block the same cap would cut alike.
        at = logs[-1].block + (logs[0].block == logs[-1].block)
        if at > end:
            return
        expected = [log for log in logs if log.block >= at]
        found = self._ask(at, end)
        if found != expected:
            raise self._lie(
                f"of blocks {at} to {end} the node shows {len(expected)} logs in a wide answer "
                f"and {len(found)} in a narrow one"
            )

    def _placed(self, raw: Any) -> RawLog:
        try:
            time = raw.get("blockTimestamp")
            log = RawLog(
                _quantity(raw["blockNumber"]),
                _quantity(raw["logIndex"]),
                raw["blockHash"].lower(),
                raw["transactionHash"].lower(),
                _quantity(raw["transactionIndex"]),
                None if time is None else _quantity(time),
                raw["address"],
                raw["topics"],
                raw["data"],
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            known = raw if isinstance(raw, dict) else {}
            place = f"block {known.get('blockNumber')}, log {known.get('logIndex')}"
            raise self._lie(f"a log without a usable place: {place}"[:200]) from None
        if not _HASH.fullmatch(log.block_hash) or not _HASH.fullmatch(log.tx):
            raise self._lie(f"log {log.log_index} of block {log.block} has a malformed hash")
        if raw.get("removed"):
            raise self._lie(f"log {log.log_index} of block {log.block} is marked as removed")
        return log

    def _compare(self, one: RawLog, two: RawLog) -> None:
        """Neighbours in chain order that cannot both be true."""
        where = f"block {one.block}, log {one.log_index}"
        if one[:2] == two[:2]:
            kind = "twice" if one == two else "with two contents"
            raise self._lie(f"{where} comes {kind}")
        if (one.block == two.block) != (one.block_hash == two.block_hash):
            raise self._lie(f"{where} and the next disagree on the block's hash")
        if one.block == two.block and (
            one.tx_index > two.tx_index or (one.tx_index == two.tx_index) != (one.tx == two.tx)
        ):
            raise self._lie(f"{where} and the next disagree on their transactions")

    def _lie(self, what: str) -> RpcError:
        return RpcError(what, where=self._rpc.name, fix=_OTHER_NODE)


def _quantity(text: str) -> int:
    """A hex quantity of at most 64 bits; raises ValueError (int alone takes signs and blanks)."""
    if not _QUANTITY.fullmatch(text):
        raise ValueError(text)
    return int(text, 16)

"""The client survives what nodes do, believes nothing, and never shows the key."""

from __future__ import annotations

import http.server
import logging
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import httpx
import pytest
from tests.evm.chain.fake_node import PAIR, FakeNode, Log, refusal

from denizen.evm.chain.events import Source
from denizen.evm.chain.logs import LogReader
from denizen.evm.chain.rpc import Rpc, RpcError

SOURCE = Source("v2", PAIR)
KEYS = ("SECRETKEY123", "HIDDEN99")


def raising(error: Exception) -> Any:
    def fault(ask: Any) -> httpx.Response:
        raise error

    return fault


PASSING = [
    lambda ask: httpx.Response(429),
    lambda ask: httpx.Response(503, text="<html>busy</html>"),
    lambda ask: httpx.Response(200, text='{"jsonrpc": "2.0", "id": 1, "resu'),
    lambda ask: httpx.Response(200, json={"jsonrpc": "2.0", "id": "another", "result": "0x1"}),
    lambda ask: httpx.Response(200, json=[]),
    lambda ask: httpx.Response(200, text="[" * 200_000),
    lambda ask: refusal(-32005, "daily request count exceeded, request rate limited"),
    lambda ask: refusal(429, "Your app has exceeded its compute units per second capacity"),
    lambda ask: refusal(-32603, "Internal error"),
    lambda ask: refusal(-32000, "header not found"),
    raising(httpx.ConnectError("https://node.example/v2/SECRETKEY123")),
    raising(httpx.ReadTimeout("slow")),
]


@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_is_retried(fault: Any) -> None:
    node = FakeNode()
    node.faults = [fault, fault]
    assert node.rpc().head() == 100
    assert node.slept == [0.25, 0.5]  # exponential, and half of it is jitter


@pytest.mark.parametrize("fault", PASSING)
def test_what_does_not_pass_is_a_typed_error_without_the_key(fault: Any) -> None:
    node = FakeNode()
    node.faults = [fault] * 7
    with pytest.raises(RpcError, match="eth_blockNumber failed 7 times") as caught:
        node.rpc().head()
    assert caught.value.where == "https://node.example" and len(node.slept) == 6
    assert not any(key in str(caught.value) for key in KEYS)


@pytest.mark.parametrize(
    "message", ["limit exceeded", "Request limit reached", "429 Too Many Requests"]
)
def test_a_rate_limit_on_logs_is_waited_out_and_not_halved(message: str) -> None:
    node = FakeNode()
    node.faults = [lambda ask: refusal(-32005, message)]
    assert read_all(node) == places(node)
    assert node.slept == [0.25] and len(node.asked) == 3


@pytest.mark.parametrize(("date", "low", "high"), [(False, 7, 7), (True, 5, 7)])
def test_retry_after_is_honoured(date: bool, low: float, high: float) -> None:
    node = FakeNode()
    header = formatdate(time.time() + 7, usegmt=True) if date else "7"
    node.faults = [lambda ask: httpx.Response(429, headers={"retry-after": header})]
    assert node.rpc().head() == 100
    assert low <= node.slept[0] <= high


def test_an_hour_is_not_waited_for() -> None:
    node = FakeNode()
    node.faults = [lambda ask: refusal(-32005, "rate limit", 429, retry_after="3600")]
    with pytest.raises(RpcError, match="asks to wait 3600 s"):
        node.rpc().head()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (lambda ask: httpx.Response(401), "access denied"),
        (lambda ask: httpx.Response(404, text="no"), "HTTP 404"),
        (lambda ask: refusal(-32601, "no method at https://node.example/v2/SECRETKEY123"), r"no method at \[url\]"),
        (lambda ask: refusal(-32000, "key SECRETKEY123 is not for this", 400), r"key \[key\]"),
        (lambda ask: httpx.Response(200, json={"id": ask["id"], "result": "many"}), "not a number"),
    ],
)  # fmt: skip
def test_what_a_retry_cannot_mend_is_said_at_once(fault: Any, reason: str) -> None:
    node = FakeNode()
    node.faults = [fault]
    with pytest.raises(RpcError, match=reason) as caught:
        node.rpc().head()
    assert not node.slept and not any(key in str(caught.value) for key in KEYS)


def test_no_log_record_holds_the_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    rpc = FakeNode().rpc()
    logging.getLogger().setLevel(logging.DEBUG)
    assert rpc.head() == 100
    assert not any(key in caplog.text for key in KEYS)


@pytest.mark.parametrize("url", ["", "node", "ws://node/x", "https://", "http://[", "http://h:99999999/k"])  # fmt: skip
def test_an_unusable_url(url: str) -> None:
    with pytest.raises(RpcError, match="not a usable URL"):
        Rpc(url)


@pytest.mark.parametrize("host", ["a..b", "a" * 70])
def test_a_host_that_cannot_be_encoded_is_a_typed_error(host: str) -> None:
    with Rpc(f"http://{host}/KEY12345") as node, pytest.raises(RpcError, match="not a usable URL"):
        node.head()


@pytest.fixture
def trickle() -> Iterator[str]:
    """A server that sends a byte now and then, for ever."""
    stop = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            try:
                while not stop.wait(0.05):
                    self.wfile.write(b" ")
                    self.wfile.flush()
            except OSError:
                pass

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
    yield f"http://127.0.0.1:{server.server_port}"
    stop.set()
    server.shutdown()
    server.server_close()


def test_a_trickle_is_cut_at_the_deadline(trickle: str) -> None:
    start = time.monotonic()
    rpc = Rpc(trickle, timeout=0.3, attempts=2, sleep=lambda _: None)
    with rpc, pytest.raises(RpcError, match=r"no answer in 0\.3 s"):
        rpc.head()
    assert time.monotonic() - start < 3


TOO_LARGE = [  # wordings and codes as vendors send them
    (-32005, "query returned more than 10000 results. Try with this block range [0x1, 0x2]."),
    (-32602, "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range"),
    (-32614, "eth_getLogs is limited to a 10,000 range"),
    (-32000, "block range is too wide"),
    (-32000, "exceed maximum block range: 5000"),
    (-32000, "query exceeds max block range 100000"),
    (-32000, "requested too many blocks from 1 to 10000, maximum is set to 2048"),
    (-32005, "logs matched by query exceeds limit of 10000"),
    (-32701, "Please specify an address in your request or, to remove restrictions, order a dedicated full node"),
    (-32603, "block range greater than 10000 max"),
    (-32002, "request timed out"),
    (-32020, "backend response too large"),
    (35, "ranges over 10000 blocks are not supported on freetier"),
    (-32047, "Invalid eth_getLogs request. 'fromBlock'-'toBlock' range too large. Max range: 800"),
    (-32000, "response size should not greater than 10000000 bytes, try again with less"),
]  # fmt: skip


def read_all(node: FakeNode, start: int = 0, **options: Any) -> list[tuple[int, int]]:
    reader, found = LogReader(node.rpc(**options), SOURCE), []
    while start <= node.head:
        window = reader.read(start, node.head)
        assert window.start == start
        found += [log[:2] for log in window.logs]
        start = window.end + 1
    return found


def places(node: FakeNode) -> list[tuple[int, int]]:
    return [(n, 2 * i + 1) for n in range(node.head + 1) for i in range(node.per_block(n))]


@pytest.mark.parametrize(("code", "message"), TOO_LARGE)
def test_a_refused_range_is_halved_and_nothing_is_lost(code: int, message: str) -> None:
    node = FakeNode(head=900)
    node.refuse = lambda a, b, n: refusal(code, message, 400) if b - a >= 37 else None
    assert read_all(node) == places(node)
    asked = [int(p[0]["toBlock"], 16) - int(p[0]["fromBlock"], 16) for m, p in node.asked]
    assert max(asked) == 900 and not node.slept
    # Near the limit, not far below it: between half of it and itself in the main.
    assert sum(18 <= span <= 37 for span in asked) >= 900 // 38


def test_success_grows_the_range() -> None:
    node = FakeNode(head=7_500, per_block=lambda n: 0)
    read_all(node)
    spans = [int(p[0]["toBlock"], 16) - int(p[0]["fromBlock"], 16) + 1 for _, p in node.asked]
    assert spans == [1000, 2000, 4000, 501]


def test_a_stall_on_a_wide_range_is_halved() -> None:
    node = FakeNode(head=300)

    def stall(a: int, b: int, n: int) -> httpx.Response | None:
        if b - a > 50:
            raise httpx.ReadTimeout("")
        return None

    node.refuse = stall
    assert read_all(node) == places(node) and not node.slept


def test_one_block_that_is_always_refused_is_a_typed_error() -> None:
    node = FakeNode()
    node.refuse = lambda a, b, n: refusal(-32005, "query returned more than 10000 results") if a <= 8 <= b else None  # fmt: skip
    with pytest.raises(RpcError, match=r"no logs for block 8: .*more than 10000 results"):
        read_all(node)


def edit(place: int, **changes: Any) -> Any:
    def twist(logs: list[Log]) -> list[Log]:
        if len(logs) > place:
            logs[place] = logs[place] | changes
        return logs

    return twist


@pytest.mark.parametrize(
    ("twist", "reason"),
    [
        (lambda logs: "nothing", "not a list"),
        (lambda logs: [*logs, *logs[:1]], "block 1, log 1 comes twice"),
        (lambda logs: [*logs, logs[0] | {"data": "0x"}], "with two contents"),
        (edit(5, removed=True), "marked as removed"),
        (edit(5, blockNumber=hex(5000)), "got a log of 5000"),
        (edit(5, blockNumber="pending"), "without a usable place"),
        (edit(5, logIndex=None), "without a usable place"),
        (edit(5, blockHash="0x12"), "malformed hash"),
        (lambda logs: [*logs, "log"], "without a usable place"),
        (edit(1, blockHash="0x" + "77" * 32), "disagree on the block's hash"),
        (edit(2, transactionIndex="0x0"), "disagree on their transactions"),
    ],
)
def test_a_lie_is_a_typed_error(twist: Any, reason: str) -> None:
    node = FakeNode()
    node.twist = twist
    with pytest.raises(RpcError, match=reason):
        read_all(node)


@pytest.mark.parametrize("cap", [1, 2, 10, 50])
def test_a_silent_cap_is_found_out(cap: int) -> None:
    node = FakeNode()
    node.twist = lambda logs: logs[:cap]
    with pytest.raises(RpcError, match="wide answer"):
        read_all(node)


def test_logs_in_any_order_come_out_in_chain_order() -> None:
    node = FakeNode()
    node.twist = lambda logs: logs[::-1]
    assert read_all(node) == places(node)


@pytest.mark.parametrize(
    "change",
    [
        {"logIndex": "-0x1"},
        {"logIndex": " 0x1"},
        {"transactionIndex": "1_0"},
        {"blockNumber": 7},
        {"blockTimestamp": "0x" + "f" * 17},
    ],
)
def test_a_place_that_is_no_quantity_is_a_typed_error(change: dict[str, Any]) -> None:
    node = FakeNode()
    node.twist = lambda logs: [{**log, **change} for log in logs]
    with pytest.raises(RpcError, match="without a usable place"):
        LogReader(node.rpc(), SOURCE).read(0, 50)


def test_a_block_without_a_hash_identifies_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    node = FakeNode()
    monkeypatch.setattr(node, "hash", lambda number: None)
    with pytest.raises(RpcError, match="malformed hash"):
        node.rpc().header(5)


def test_a_key_that_is_the_whole_query_is_not_shown() -> None:
    def echo(_: httpx.Request) -> httpx.Response:
        return refusal(-32000, "no project BAREKEY77 or FRAGMENT88")

    node = Rpc("https://node.example/?BAREKEY77#FRAGMENT88", transport=httpx.MockTransport(echo))
    with pytest.raises(RpcError) as caught:
        node.head()
    assert "BAREKEY77" not in str(caught.value) and "FRAGMENT88" not in str(caught.value)

"""A real server in a process of its own: drained, hurried, refused, encrypted, revoked, slow."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from denizen.serve.operations import KeyStore

# A server as small as it can be: it streams, hangs, counts and asks for keys.
SERVER = """
import asyncio, json, sys
from pathlib import Path

from denizen.project.config import ServeConfig
from denizen.project.errors import DenizenError
from denizen.serve.exchange import Fault, Usage
from denizen.serve.operations import Operations
from denizen.serve.operations import gate, protocol, running

settings, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
protocol.HEAD_SECONDS = settings.pop("head_seconds", 10.0)
protocol.STALL_SECONDS = settings.pop("stall_seconds", 30.0)
gate.Gate.__init__.__kwdefaults__["body_seconds"] = settings.pop("body_seconds", 30.0)
slow_close, broken = settings.pop("slow_close", 0), settings.pop("broken", False)
serve = ServeConfig(**settings)


async def reply(send, status, body=b"", headers=()):
    headers = [(b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            failed = ".failed" if broken else ".complete"
            await send({"type": kind + failed, **({"message": "no disk"} if broken else {})})
            if kind == "lifespan.shutdown":
                return
    headers = dict(scope["headers"])
    if scope["path"] == "/readyz":
        await reply(send, 503 if operations.draining else 200)
        return
    try:
        caller = operations.admit(headers.get(b"authorization", b"").decode(), scope["client"][0])
        operations.need(caller, "chat")
        operations.take(caller)
        if scope["path"] == "/body":
            size = 0
            while True:
                message = await receive()
                size += len(message.get("body", b""))
                if not message.get("more_body"):
                    break
            await reply(send, 200, str(size).encode())
            return
        async with operations.place(caller):
            if scope["path"] == "/hang":
                await asyncio.sleep(3600)
            if scope["path"] == "/stream":
                await send({"type": "http.response.start", "status": 200, "headers": []})
                for number in range(15):
                    body = f"data: {number}\\n\\n".encode()
                    await send({"type": "http.response.body", "body": body, "more_body": True})
                    await asyncio.sleep(0.1)
                await send({"type": "http.response.body", "body": b"data: [DONE]\\n\\n"})
            elif scope["path"] == "/flood":
                await send({"type": "http.response.start", "status": 200, "headers": []})
                for _ in range(2000):
                    body = b"x" * 65536
                    await send({"type": "http.response.body", "body": body, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
            else:
                await reply(send, 200, json.dumps({"caller": caller.id}).encode())
        operations.spend(caller, Usage(10, 5))
    except Fault as fault:
        after = [] if fault.retry_after is None else [(b"retry-after", b"1")]
        await reply(send, fault.status, (fault.code or "").encode(), after)


async def close():
    await asyncio.sleep(slow_close)
    (folder / "closed").write_text("yes")


try:
    operations = Operations.from_config(serve, folder)
    running.run(app, serve, operations, close)
except DenizenError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(error.exit_code)
"""


# The real endpoint before a service that writes one word a tenth of a second.
ENDPOINT = """
import asyncio, json, sys
from pathlib import Path

from denizen.project.config import ServeConfig
from denizen.serve.exchange import ModelCard, Outcome, Piece, Usage
from denizen.serve.operations import Operations
from denizen.serve.operations.running import run
from denizen.serve.web.app import create_server

folder = Path(sys.argv[2])
serve = ServeConfig(**json.loads(sys.argv[1]))


class Slow:
    models = (ModelCard("m", "analyst"),)

    async def chat(self, request, visit):
        for number in range(15):
            yield Piece(text=f"w{number} ")
            await asyncio.sleep(0.1)
        yield Piece(finish="stop", usage=Usage(5, 15))
        yield Outcome("m", Usage(5, 15))

    async def ready(self):
        return True

    async def close(self):
        (folder / "closed").write_text("yes")


service = Slow()
operations = Operations.from_config(serve, folder)
app = create_server(service, operations, name="m", version="1", settings=serve)
run(app, serve, operations, service.close)
"""


class Server:
    """The process, its port, and what it wrote."""

    def __init__(self, folder: Path, *, script: str = SERVER, **settings: Any) -> None:
        self.folder, self.port = folder, settings.pop("port", 0) or free_port()
        settings |= {"port": self.port}
        environment = {k: v for k, v in os.environ.items() if k != "NOTIFY_SOCKET"}
        environment |= settings.pop("environment", {})
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, json.dumps(settings), str(folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def wait_ready(self) -> Server:
        end = time.monotonic() + 30
        while time.monotonic() < end and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.05)
        raise AssertionError(self.process.communicate(timeout=5)[1])

    def get(self, path: str, key: str = "", body: bytes | None = None) -> tuple[int, bytes, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        connection.request("POST" if body is not None else "GET", path, body, headers)
        answer = connection.getresponse()
        try:
            return answer.status, answer.read(), answer.headers
        finally:
            connection.close()

    def background(self, path: str) -> Callable[[], Any]:
        """Ask in a thread; the result is the answer, or the exception."""
        found: list[Any] = []

        def work() -> None:
            try:
                found.append(self.get(path))
            except (OSError, http.client.HTTPException) as error:
                found.append(error)

        thread = threading.Thread(target=work)
        thread.start()

        def result() -> Any:
            thread.join(30)
            return found[0]

        return result

    def end(self, number: int = signal.SIGTERM, seconds: float = 60) -> tuple[int, str]:
        """Send a signal (0: none, it was sent before) and wait; the exit code and the log."""
        if number and self.process.poll() is None:
            self.process.send_signal(number)
        _, log = self.process.communicate(timeout=seconds)
        return self.process.returncode, log

    @property
    def closed(self) -> bool:
        return (self.folder / "closed").exists()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
    return port


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    started: list[Server] = []

    def make(**settings: Any) -> Server:
        started.append(Server(tmp_path, **settings))
        return started[-1]

    yield make
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
            server.process.communicate(timeout=10)


pytestmark = pytest.mark.slow


def test_a_running_answer_is_finished_and_new_ones_are_refused(
    start: Callable[..., Server],
) -> None:
    server = start().wait_ready()
    assert server.get("/readyz")[0] == 200
    stream = server.background("/stream")
    time.sleep(0.4)
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    status, _, headers = server.get("/readyz")  # the listener stays open, so this is heard
    assert status == 503 and headers["connection"] == "close"
    status, body, headers = server.get("/quick")
    assert (status, body) == (503, b"shutting_down")
    assert headers["connection"] == "close" and headers["retry-after"]
    status, body, _ = stream()
    assert status == 200 and body.count(b"data: ") == 16 and body.endswith(b"data: [DONE]\n\n")
    code, log = server.end(0)
    assert code == 0 and server.closed, log
    lines = [json.loads(line) for line in log.splitlines()]
    assert [x["status"] for x in lines if x.get("path") == "/stream"] == [200]
    assert [x["completion_tokens"] for x in lines if x.get("path") == "/stream"] == [5]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_ends_at_once_with_0(start: Callable[..., Server], number: int) -> None:
    server = start().wait_ready()
    idle = http.client.HTTPConnection("127.0.0.1", server.port)
    idle.request("GET", "/readyz")
    assert idle.getresponse().read() == b""  # and the connection is kept open
    begun = time.monotonic()
    code, log = server.end(number)
    assert code == 0 and server.closed and time.monotonic() - begun < 3, log


def test_what_does_not_end_in_time_is_cancelled(start: Callable[..., Server]) -> None:
    server = start(drain_seconds=0.5, parallel=1).wait_ready()
    hanging = server.background("/hang")
    time.sleep(0.3)
    waiting = server.background("/quick")
    time.sleep(0.3)
    begun = time.monotonic()
    code, log = server.end()
    assert code == 0 and server.closed and 0.4 < time.monotonic() - begun < 6, log
    assert hanging()[0] == waiting()[0] == 503  # each of them got an answer
    assert "did not end in 0.5 s" in log


def test_a_cut_stream_is_seen_to_be_cut(start: Callable[..., Server]) -> None:
    server = start(drain_seconds=0.2).wait_ready()
    stream = server.background("/stream")
    time.sleep(0.5)
    assert server.end()[0] == 0
    assert isinstance(stream(), http.client.IncompleteRead)


def test_a_second_signal_ends_at_once(start: Callable[..., Server]) -> None:
    server = start(drain_seconds=600).wait_ready()
    hanging = server.background("/hang")
    time.sleep(0.3)
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert server.process.poll() is None
    begun = time.monotonic()
    code, _ = server.end(signal.SIGTERM)
    assert code == 128 + signal.SIGTERM and time.monotonic() - begun < 5 and server.closed
    hanging()


def test_a_third_signal_kills(start: Callable[..., Server]) -> None:
    server = start(slow_close=600).wait_ready()
    assert server.get("/readyz")[0] == 200
    for _ in range(2):
        server.process.send_signal(signal.SIGINT)
        time.sleep(0.2)
    begun = time.monotonic()
    code, _ = server.end(signal.SIGINT)
    assert code == 128 + signal.SIGINT and time.monotonic() - begun < 2 and not server.closed


def test_a_port_in_use_is_one_line_and_2(start: Callable[..., Server]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = start(port=taken.getsockname()[1])
        _, log = server.process.communicate(timeout=30)
    assert server.process.returncode == 2
    assert log.startswith("error: the port is in use") and log.count("\n") == 1
    assert not server.closed


def test_an_app_that_does_not_start_is_one_error(start: Callable[..., Server]) -> None:
    server = start(broken=True)
    _, log = server.process.communicate(timeout=30)
    assert server.process.returncode == 2 and server.closed
    assert log.splitlines()[-1].startswith("error: the server could not start")
    assert "no disk" in log


def test_keys_are_refused_and_revoked_while_it_runs(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    store = KeyStore(tmp_path)
    key, secret = store.create("a", ("chat",))
    server = start().wait_ready()
    assert server.get("/quick")[0] == 401
    status, body, _ = server.get("/quick", secret)
    assert status == 200 and json.loads(body) == {"caller": key.id}
    second = store.create("b", ("chat",)).secret
    store.revoke(key.id)
    end = time.monotonic() + 1.5
    while server.get("/quick", secret)[0] == 200:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert server.get("/quick", secret)[0] == 401
    assert server.get("/quick", second)[0] == 200
    code, log = server.end()
    assert code == 0 and key.id in log
    assert secret not in log and second not in log
    from denizen.serve.operations.quotas import used_today

    assert used_today(tmp_path)[key.id] >= 15


def test_limits_of_the_configuration_are_kept(start: Callable[..., Server]) -> None:
    server = start(requests_per_minute=3).wait_ready()
    assert [server.get("/quick")[0] for _ in range(5)] == [200, 200, 200, 429, 429]
    assert server.end()[0] == 0


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")
def test_tls(start: Callable[..., Server], tmp_path: Path) -> None:
    from test_operations_tls import make_pair

    certificate, key = make_pair(tmp_path, "own", "-days", "7")
    server = start(tls_certificate=certificate, tls_key=key).wait_ready()
    context = ssl.create_default_context(cafile=certificate)
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=10)
    connection.request("GET", "/quick")
    assert connection.getresponse().read() == b'{"caller": "local"}'
    connection.close()
    with pytest.raises((http.client.HTTPException, OSError)):
        server.get("/quick")  # plain HTTP gets nothing
    code, log = server.end()
    assert code == 0 and "expires in 7 days" in log
    wrong = start(tls_certificate=certificate, tls_key=certificate)
    _, log = wrong.process.communicate(timeout=30)
    assert wrong.process.returncode == 2 and log.count("\n") == 1


def until_dropped(connection: socket.socket, seconds: float, drip: bytes = b"") -> float:
    """Seconds until the server closes a connection; `drip` is sent all the time."""
    begun = time.monotonic()
    connection.settimeout(0.1)
    while time.monotonic() - begun < seconds:
        try:
            if drip:
                connection.sendall(drip)
            if connection.recv(4096) == b"":
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - begun


@pytest.mark.parametrize("first", [b"", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: "])
def test_a_slow_head_is_dropped(start: Callable[..., Server], first: bytes) -> None:
    server = start(head_seconds=1.0).wait_ready()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(first)
        assert 0.8 < until_dropped(connection, 10, b"a" if first else b"") < 3
    assert server.get("/quick")[0] == 200


def test_a_slow_head_after_a_good_request_is_dropped(start: Callable[..., Server]) -> None:
    server = start(head_seconds=1.0).wait_ready()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        time.sleep(1.3)  # still, but kept: nothing of a head has come
        connection.sendall(b"GET /rea")
        assert 0.8 < until_dropped(connection, 10) < 3


def test_a_slow_body_gets_a_408_and_is_dropped(start: Callable[..., Server]) -> None:
    server = start(body_seconds=1.0).wait_ready()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(
            b"POST /body HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\n"
        )
        begun, got = time.monotonic(), b""
        connection.settimeout(0.1)
        while time.monotonic() - begun < 8:
            try:
                connection.sendall(b"a")
                if not (part := connection.recv(4096)):
                    break
                got += part
            except TimeoutError:
                continue
            except OSError:
                break
    assert b" 408 " in got and b"connection: close" in got.lower()
    assert 0.8 < time.monotonic() - begun < 4
    assert server.get("/body", body=b"x" * 300_000)[:2] == (200, b"300000")


def test_a_client_that_does_not_read_is_dropped_and_frees_its_place(
    start: Callable[..., Server],
) -> None:
    server = start(stall_seconds=1.0, parallel=1).wait_ready()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"GET /flood HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        begun = time.monotonic()
        assert server.get("/quick")[0] == 200  # waited for the place, and got it
        assert 0.5 < time.monotonic() - begun < 15


@pytest.mark.parametrize("drain_seconds", [30, 0.2])
def test_the_real_endpoint_drains_an_openai_stream(
    start: Callable[..., Server], tmp_path: Path, drain_seconds: float
) -> None:
    import httpx

    key, secret = KeyStore(tmp_path).create("a", ("chat", "metrics"))
    server = start(script=ENDPOINT, drain_seconds=drain_seconds).wait_ready()
    url, headers = f"http://127.0.0.1:{server.port}", {"Authorization": f"Bearer {secret}"}
    asked = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    found = []
    with httpx.stream(
        "POST", f"{url}/v1/chat/completions", json=asked, headers=headers, timeout=30
    ) as answer:
        assert answer.status_code == 200
        for line in answer.iter_lines():
            if not found and line:
                server.process.send_signal(signal.SIGTERM)
            if not found and line and drain_seconds > 1:
                time.sleep(0.3)
                assert httpx.get(f"{url}/readyz").status_code == 503
                late = httpx.post(f"{url}/v1/chat/completions", json=asked, headers=headers)
                assert late.status_code == 503 and late.headers["connection"] == "close"
                assert int(late.headers["retry-after"]) > 0
            found.append(line)
    text = "".join(found)
    code, log = server.end(0)
    assert code == 0 and server.closed, log
    lines = [json.loads(line) for line in log.splitlines()]
    used = [x["completion_tokens"] for x in lines if x.get("status") == 200 and x.get("path", "").endswith("completions")]  # fmt: skip
    if drain_seconds == 30:
        assert text.endswith("data: [DONE]") and "w14" in text and used == [15]
    else:
        assert "w14" not in text and "error" in text  # the cut is told, and what it cost is counted
        assert 0 < used[0] < 15
    assert key.id in log and secret not in log


def test_heads_are_bounded_and_nonsense_is_a_400(start: Callable[..., Server]) -> None:
    server = start().wait_ready()
    for raw in (b"GET / HTTP/1.1\r\nX-A: " + b"a" * 200_000, b"\x16\x03\x01\x02\x00\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
            connection.sendall(raw)
            with contextlib.suppress(ConnectionResetError):  # closed while we still wrote
                assert b" 400 " in connection.recv(4096)
    assert server.get("/quick")[0] == 200
    assert server.end()[0] == 0


def test_systemd_hears_of_start_and_end(start: Callable[..., Server], tmp_path: Path) -> None:
    path = str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(path)
        channel.settimeout(30)
        server = start(environment={"NOTIFY_SOCKET": path})
        assert channel.recv(64) == b"READY=1"
        assert server.get("/quick")[0] == 200
        assert server.end()[0] == 0
        assert channel.recv(64) == b"STOPPING=1"


def test_three_hundred_clients_at_once_all_get_an_answer(start: Callable[..., Server]) -> None:
    server = start(parallel=4, queue=400).wait_ready()
    results = [server.background("/quick") for _ in range(300)]
    assert [r()[0] for r in results] == [200] * 300
    assert server.end()[0] == 0

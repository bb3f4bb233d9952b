"""Servers under measurement, each in a process of its own: Denizen's, and llama.cpp's alone.

Contract: `denizen` and `raw` start a server on a free loopback port, wait until it answers, and end
it with SIGTERM when the block is left; SystemExit with the end of its log where it does not come
up.  `python -m benchmarks.servers GGUF PORT CONTEXT PARALLEL` is the raw one.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE = 180.0
_ENTRY = "from denizen.cli.app import entry; entry()"


@dataclass(frozen=True)
class Running:
    """A server that answers: its address without a path, its process, its log."""

    address: str
    process: subprocess.Popen[bytes]
    log: Path

    def memory(self) -> int:
        """Resident bytes of the process."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def tail(self, characters: int = 2000) -> str:
        """The end of its log."""
        return self.log.read_text("utf-8", "replace")[-characters:] if self.log.exists() else ""


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def denizen(
    gguf: Path, workspace: Path, config: dict[str, dict[str, Any]], port: int = 0
) -> Iterator[Running]:
    """`denizen serve` with a configuration (sections of denizen.yaml), on loopback."""
    workspace.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    settings = {**config, "serve": {**config.get("serve", {}), "port": port}}
    path = workspace / "bench.yaml"
    path.write_text(json.dumps(settings))  # JSON is YAML
    command = [sys.executable, "-c", _ENTRY, "serve", "--gguf", str(gguf)]
    command += ["--config", str(path), "--workspace", str(workspace)]
    with _started(command, port, "/readyz", workspace / "denizen.log") as running:
        yield running


@contextmanager
def raw(gguf: Path, workspace: Path, *, context: int, parallel: int) -> Iterator[Running]:
    """llama.cpp's own HTTP server, from the same library, with the same settings."""
    workspace.mkdir(parents=True, exist_ok=True)
    port = free_port()
    numbers = (port, context, parallel)
    command = [sys.executable, "-m", "benchmarks.servers", str(gguf), *map(str, numbers)]
    with _started(command, port, "/health", workspace / "raw.log") as running:
        yield running


@contextmanager
def _started(command: list[str], port: int, ready: str, log: Path) -> Iterator[Running]:
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    running = Running(f"http://127.0.0.1:{port}", process, log)
    try:
        _await(running, ready)
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _await(running: Running, path: str) -> None:
    import httpx

    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and running.process.poll() is None:
        try:
            if httpx.get(f"{running.address}{path}", timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise SystemExit(f"the server did not come up:\n{running.tail()}")


def main(arguments: list[str]) -> None:
    """Serve raw until SIGTERM: the parameters are those of serve/backend/engine.py."""
    import threading

    import xllamacpp

    from denizen.project.machine import cores

    gguf, port, context, parallel = arguments
    params = xllamacpp.CommonParams()
    params.model.path = gguf
    params.n_ctx, params.n_parallel = int(context) * int(parallel), int(parallel)
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = cores()
    params.n_batch = 512
    params.warmup, params.verbosity = False, -1
    params.cache_ram_mib = 0
    params.ui = False
    params.hostnames, params.port = ["127.0.0.1"], int(port)
    server = xllamacpp.Server(params)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    print(server.listening_address, flush=True)
    ended.wait()


if __name__ == "__main__":
    main(sys.argv[1:])

"""A real Ethereum node on this machine, for tests: anvil from its pinned npm package.

Contract: `with Anvil() as node:` gives a node on a free loopback port with funded, unlocked
accounts; it is stopped when the block ends and also when this process dies.  The binary is unpacked
once into the cache and its SHA-256 is checked before every start.  Linux on x86-64 only.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from denizen.evm.abi import encode
from denizen.evm.chain.rpc import Rpc
from denizen.evm.packages import PACKAGES, fetch
from denizen.project.atomic import atomic_path
from denizen.project.cache import cache_dir
from denizen.project.errors import ArtefactError
from denizen.project.hashing import sha256_file

_MEMBER = "package/bin/anvil"
_SHA256 = "10c1c727d6c1de973aeb160e59875b9a9a23464d6e74149ee8abb30b3500311b"
_LISTENING = re.compile(r"Listening on 127\.0\.0\.1:(\d+)")
# Whoever ends first takes the other along: the node, or we, whose end closes the shell's input.
_GUARD = """
exec 3<&0
"$0" "$@" </dev/null 3<&- & node=$!
{ read -r line; kill $node; } <&3 2>/dev/null &
wait $node; kill $! 2>/dev/null
"""


def binary() -> Path:
    """The unpacked binary, checked; raises ArtefactError."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise ArtefactError("the pinned anvil runs on Linux x86-64 only", where=platform.machine())
    package = PACKAGES["anvil"]
    path = cache_dir() / "tools" / f"anvil-{package.version}"
    if not path.exists():
        with tarfile.open(fetch(package)) as archive, atomic_path(path) as temporary:
            member = archive.extractfile(_MEMBER)
            if member is None:
                raise ArtefactError("the package holds no anvil", where=str(package.tarball))
            with member, temporary.open("wb") as file:
                shutil.copyfileobj(member, file)
            temporary.chmod(0o755)
    if sha256_file(path) != _SHA256:
        raise ArtefactError(
            "not the pinned anvil", where=str(path), fix="delete it; it is unpacked again"
        )
    return path


class Anvil:
    """A running node: `url`, `rpc`, and transactions from its first account."""

    def __init__(self, *arguments: str, timeout: float = 20.0) -> None:
        self._arguments, self._timeout = arguments, timeout
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Anvil:
        with tempfile.NamedTemporaryFile("w+b") as log:
            self._process = subprocess.Popen(
                [
                    "sh",
                    "-c",
                    _GUARD,
                    str(binary()),
                    "--host",
                    "127.0.0.1",
                    "--port",
                    "0",
                    *self._arguments,
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                self.url = f"http://127.0.0.1:{self._port(Path(log.name))}"
                self.rpc = Rpc(self.url)
                self.account = str(self.rpc.call("eth_accounts")[0])
            except BaseException:
                self._stop()
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.rpc.__exit__(kind, value, trace)
        self._stop()

    @property
    def pid(self) -> int:
        """The process group of the node."""
        assert self._process is not None
        return self._process.pid

    def deploy(self, code: bytes, types: tuple[str, ...] = (), values: tuple[Any, ...] = ()) -> str:
        """Run creation code with constructor arguments; the new contract's address."""
        receipt = self.receipt(self.send(None, code + encode(types, values)))
        return str(receipt["contractAddress"]).lower()

    def send(self, to: str | None, data: bytes, value: int = 0) -> str:
        """Send a transaction; its hash.  Mined at once unless automine is off."""
        ask = {"from": self.account, "data": "0x" + data.hex(), "value": hex(value)}
        # A fixed limit spares the node an estimate of every call.
        ask |= {"gas": hex(15_000_000)} | ({"to": to} if to else {})
        return str(self.rpc.call("eth_sendTransaction", ask))

    def receipt(self, transaction: str) -> dict[str, Any]:
        """The receipt once there is one; raises ArtefactError if the call reverted."""
        deadline = time.monotonic() + self._timeout
        while time.monotonic() < deadline:
            found: dict[str, Any] | None = self.rpc.call("eth_getTransactionReceipt", transaction)
            if found:
                if found["status"] != "0x1":
                    raise ArtefactError("the transaction reverted", where=transaction)
                return found
            time.sleep(0.01)
        raise ArtefactError("the transaction is not mined", where=transaction)

    def _port(self, log: Path) -> int:
        deadline = time.monotonic() + self._timeout
        assert self._process is not None
        while time.monotonic() < deadline and self._process.poll() is None:
            found = _LISTENING.search(log.read_text("utf-8", "replace"))
            if found:
                return int(found[1])
            time.sleep(0.02)
        last = (log.read_text("utf-8", "replace").strip().splitlines() or ["it said nothing"])[-1]
        raise ArtefactError("anvil did not start", where=last[:200], fix="start it by hand")

    def _stop(self) -> None:
        """Ask through the guard, then kill the whole group: nothing may outlive the block."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

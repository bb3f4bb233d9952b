"""Solidity to bytecode: the pinned solc (0.8.26, WebAssembly) in a warm node process.

Contract: standard JSON in and out; imports come from pinned packages only; a refusal is a
SolidityError with the first message and its line; results are kept by compiler, sources, settings.
Why node: sources may be a model's, a process can be killed when one runs away, and the embedded V8
(mini-racer 0.14) twice hung at exit in 36 runs.  npm, which fetches the packages, brings node.
"""

from __future__ import annotations

import contextlib
import json
import posixpath
import re
import selectors
import shutil
import subprocess
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

from denizen.evm.packages import PACKAGES, Package, fetch, read_member
from denizen.project.atomic import atomic_write_bytes, atomic_write_text
from denizen.project.cache import cache_dir
from denizen.project.errors import ArtefactError, DenizenError
from denizen.project.hashing import content_hash, sha256_bytes, sha256_file

BYTECODE = ("abi", "evm.bytecode.object", "evm.deployedBytecode.object")
_TIMEOUT = 60
_COMPILER = PACKAGES["solc"]
# One JSON line in, one out.  After a crash of the compiler its memory is unusable: exit.
_WORKER = """
const M = require(process.argv[1]);
const compile = M.cwrap('solidity_compile', 'string', ['string', 'number', 'number']);
const reset = M.cwrap('solidity_reset', null, []);
require('readline').createInterface({input: process.stdin}).on('line', line => {
  const out = compile(line, 0, 0);
  reset();
  process.stdout.write(JSON.stringify(JSON.parse(out)) + '\\n');
}).on('close', () => process.exit(0));
"""
_TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)|(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')"""
    r"""|(?P<word>[A-Za-z_$][\w$]*)|(?P<end>;)""",
    re.DOTALL,
)


class SolidityError(DenizenError):
    """The compiler refused: its first message, the source and the line (0 if it names none)."""

    def __init__(self, message: str, *, source: str = "", line: int = 0, code: str = "") -> None:
        self.message, self.source, self.line, self.code = message, source, line, code
        super().__init__(message, where=f"{source}:{line}" if line else source or None)


@dataclass(frozen=True)
class Compiled:
    """Contracts by name, as solc's output has them (`abi`, `evm`), and the warnings' texts."""

    contracts: Mapping[str, Mapping[str, Any]]
    warnings: tuple[str, ...] = ()

    def creation_code(self, name: str) -> bytes:
        """Creation bytecode; SolidityError for an abstract, unknown or unlinked contract."""
        if name not in self.contracts:
            raise SolidityError(f"no contract {name} among {', '.join(self.contracts) or 'none'}")
        code: str = self.contracts[name]["evm"]["bytecode"]["object"]
        if not code:
            raise SolidityError(f"{name} is abstract or an interface: it has no bytecode")
        if "__$" in code:
            raise SolidityError(f"{name} calls an external library that is not linked")
        return bytes.fromhex(code)


class Solc:
    """One warm compiler process; thread-safe, restarted after a crash or a timeout."""

    def __init__(self, timeout: int = _TIMEOUT) -> None:
        self._timeout = timeout
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes] | None = None

    def close(self) -> None:
        """End the process; the next request starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, self._stderr):
                # Unwritten input to a dead process is of no use to anyone.
                with contextlib.suppress(OSError):
                    pipe and pipe.close()

    def standard_json(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """solc's own answer to a standard JSON request (errors and all), uncached."""
        line = json.dumps(request).encode() + b"\n"
        with self._lock:
            process = self._started()
            assert process.stdin is not None
            try:
                process.stdin.write(line)
                process.stdin.flush()
                answer = self._read(process)
            except BrokenPipeError:
                answer = b""
            except BaseException:
                self.close()
                raise
            if not answer:
                raise self._died(process)
        result: dict[str, Any] = json.loads(answer)
        return result

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            node = shutil.which("node")
            if node is None:
                raise ArtefactError(
                    "node is needed to compile Solidity", where="PATH", fix="install Node.js"
                )
            self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the process)
            self._process = subprocess.Popen(
                [node, "-e", _WORKER, str(_soljson())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
            )
        return self._process

    def _read(self, process: subprocess.Popen[bytes]) -> bytes:
        """One line of output; nothing when the process ended."""
        assert process.stdout is not None
        pieces: list[bytes] = []
        deadline = time.monotonic() + self._timeout
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while not (pieces and pieces[-1].endswith(b"\n")):
                if not selector.select(max(0, deadline - time.monotonic())):
                    raise SolidityError(f"the compiler gave no answer in {self._timeout} s")
                # read1: what is there now; a line is never followed by another's beginning.
                piece = process.stdout.read1(1 << 20)  # type: ignore[attr-defined]
                if not piece:
                    return b""
                pieces.append(piece)
        return b"".join(pieces)

    def _died(self, process: subprocess.Popen[bytes]) -> SolidityError:
        process.wait()
        assert self._stderr is not None
        self._stderr.seek(0)
        said = [text for text in self._stderr.read().decode(errors="replace").splitlines() if text]
        reason = next((text for text in said if "Error" in text), "no reason given")
        self.close()
        return SolidityError(f"the compiler ended without an answer: {reason.strip()[:200]}")


@cache
def worker() -> Solc:
    """The process every caller shares; it ends with this one (its input closes)."""
    return Solc()


def compile_sources(
    sources: Mapping[str, str], *, optimizer_runs: int | None = 200, via_ir: bool = False
) -> Compiled:
    """Compile source units by name to bytecode; raises SolidityError."""
    settings = {
        "optimizer": {"enabled": optimizer_runs is not None, "runs": optimizer_runs or 200},
        "viaIR": via_ir,
        "outputSelection": {"*": {"*": list(BYTECODE)}},
    }
    return _compiled(sources, settings)


def compile_source(text: str, name: str = "source.sol") -> Compiled:
    """Compile one source text with the default settings; raises SolidityError."""
    return compile_sources({name: text})


def check_source(text: str, name: str = "source.sol") -> tuple[str, ...]:
    """Parse and type-check without bytecode (ms); the warnings, or SolidityError."""
    return _compiled({name: text}, {"outputSelection": {"*": {"": []}}}).warnings


def _compiled(sources: Mapping[str, str], settings: Mapping[str, Any]) -> Compiled:
    units = resolve_imports(sources)
    request = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in sorted(units.items())},
        "settings": settings,
    }
    kept = cache_dir() / "solc" / f"{content_hash([_COMPILER.sha256, request])}.json"
    answer = _cached(kept)
    if answer is None:
        answer = worker().standard_json(request)
        answer.pop("sources", None)
        atomic_write_text(kept, json.dumps(answer))
    problems = answer.get("errors", [])
    for problem in problems:
        if problem["severity"] == "error":
            raise _refusal(problem, units)
    return Compiled(
        # Own contracts win over an import's of the same name.
        {
            contract: built
            for own in (False, True)
            for unit, contracts in answer.get("contracts", {}).items()
            if (unit in sources) is own
            for contract, built in contracts.items()
        },
        tuple(problem["message"] for problem in problems if problem["severity"] == "warning"),
    )


def _cached(path: Path) -> dict[str, Any] | None:
    try:
        loaded = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return loaded if isinstance(loaded, dict) else None


def _refusal(problem: Mapping[str, Any], units: Mapping[str, str]) -> SolidityError:
    location = problem.get("sourceLocation", {})
    source, start = location.get("file", ""), location.get("start", -1)
    line = 0
    if source in units and start >= 0:
        # solc counts bytes, not characters.
        line = units[source].encode()[:start].count(b"\n") + 1
    message = f"{problem['type']}: {problem['message']}"
    return SolidityError(message, source=source, line=line, code=problem.get("errorCode", ""))


def resolve_imports(sources: Mapping[str, str]) -> dict[str, str]:
    """The sources and all they import from pinned packages; what is missing solc itself names."""
    units = dict(sources)
    waiting = list(units)
    while waiting:
        unit = waiting.pop()
        for path in imports(units[unit]):
            target = path
            if path.startswith(("./", "../")):
                target = posixpath.normpath(posixpath.join(posixpath.dirname(unit), path))
            text = None if target in units else _packaged(target)
            if text is not None:
                units[target] = text
                waiting.append(target)
    return units


def imports(text: str) -> Iterator[str]:
    """Paths of a source's import directives (`import` is a reserved word of the language)."""
    inside = False
    for token in _TOKEN.finditer(text):
        if token.lastgroup == "word" and token.group() == "import":
            inside = True
        elif token.lastgroup == "end":
            inside = False
        elif inside and token.lastgroup == "string":
            yield token.group()[1:-1]


def _packaged(unit: str) -> str | None:
    for package in PACKAGES.values():
        if unit.startswith(f"{package.name}/"):
            return _solidity(package).get(unit.removeprefix(f"{package.name}/"))
    return None


@cache
def _solidity(package: Package) -> dict[str, str]:
    """Every source of a package in one pass: each look-up would unpack the archive anew."""
    with tarfile.open(fetch(package)) as archive:
        return {
            member.name.removeprefix("package/"): file.read().decode()
            for member in archive
            if member.name.endswith(".sol") and (file := archive.extractfile(member))
        }


def _soljson() -> Path:
    """The compiler as a file node can load, written anew unless it is the pinned one."""
    script = read_member(_COMPILER, "soljson.js")
    path = cache_dir() / "solc" / f"soljson-{_COMPILER.version}.js"
    if not path.exists() or sha256_file(path) != sha256_bytes(script):
        atomic_write_bytes(path, script)
    return path

"""The inside of the sandbox: a script that gives up its rights, then runs a program it is given.

Contract: started as `python -I -S jail.py` in an empty folder, with one JSON object on stdin
({program, nonce, memory, seconds}); standard library only, nothing of ours.  It prints the nonce
once the program has come to its end without an error.  In order: its own user, network and IPC
namespaces; Landlock (the kernel refuses writing outside the folder and reading outside Python and
system libraries); resource limits; and an audit hook that refuses files, processes and sockets
where a kernel offers none of these.  It stops accidents, not an attacker with a kernel exploit.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
from typing import Any

_NEW_NAMESPACES = 0x10000000 | 0x40000000 | 0x08000000  # user, network, IPC
_NO_NEW_PRIVILEGES = 38
_CREATE, _ADD, _RESTRICT = 444, 445, 446  # Landlock's system calls, alike on every architecture
_READ = 0b1101  # execute, read a file, list a folder
_ALL = 0x1FFF  # what the first version of Landlock knows
_REFUSED = (
    *("os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.kill", "os.killpg"),
    *("os.chmod", "os.chown", "os.link", "os.symlink", "os.truncate", "os.chdir", "os.fchdir"),
    *("subprocess.Popen", "pty.spawn", "ctypes.dlopen", "ctypes.dlsym", "signal.pthread_kill"),
)
_CHANGES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.utime", "shutil.rmtree")


class _Rules(ctypes.Structure):
    _fields_ = [("handled", ctypes.c_uint64)]


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32)]


def main() -> None:
    """Read the order, lock the door, run, and say that it ran."""
    order: dict[str, Any] = json.loads(sys.stdin.read())
    out = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for handle in (0, 1, 2):
        os.dup2(nothing, handle)
    folder = os.path.realpath(os.getcwd())
    guards = [*_namespaces(), *_landlock(folder), *_limits(order)]
    os.write(out, (json.dumps([*guards, "audit"]) + "\n").encode())
    nonce = order.pop("nonce")
    program = compile(order["program"], "<program>", "exec")
    _audit(folder)
    exec(program, {"__name__": "__main__"})
    os.write(out, nonce.encode())


def _namespaces() -> list[str]:
    unshare = getattr(ctypes.CDLL(None, use_errno=True), "unshare", None)
    if unshare is None or unshare(_NEW_NAMESPACES):
        return []
    return ["network"]


def _landlock(folder: str) -> list[str]:
    libc = ctypes.CDLL(None, use_errno=True)
    if sys.platform != "linux" or libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        return []
    rules = _Rules(_ALL)
    ruleset = libc.syscall(_CREATE, ctypes.byref(rules), ctypes.sizeof(rules), 0)
    if ruleset < 0:
        return []
    libraries = {sys.base_prefix, sys.prefix, "/usr/lib", "/usr/lib64", "/lib", "/lib64"}
    for place, allowed in ((folder, _ALL), *((one, _READ) for one in sorted(libraries))):
        if not os.path.isdir(place):
            continue
        handle = os.open(place, os.O_PATH | os.O_CLOEXEC)
        beneath = _Beneath(allowed, handle)
        if libc.syscall(_ADD, ruleset, 1, ctypes.byref(beneath), 0):
            return []
        os.close(handle)
    if libc.syscall(_RESTRICT, ruleset, 0):
        return []
    os.close(ruleset)
    return ["landlock"]


def _limits(order: dict[str, Any]) -> list[str]:
    seconds, memory = int(order["seconds"]) + 1, int(order["memory"])
    # A write past the limit on size is an error to the program, not a signal.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    wanted = {
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_FSIZE: 2**20,
        resource.RLIMIT_NOFILE: 32,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,
    }
    for kind, most in wanted.items():
        with contextlib.suppress(ValueError, OSError):  # not every system has every limit
            resource.setrlimit(kind, (most, most))
    return ["limits"]


def _audit(folder: str) -> None:
    inside = folder + os.sep
    written = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

    def outside(path: Any) -> bool:
        if isinstance(path, int):
            return True
        place = os.path.realpath(os.fsdecode(path))
        return not place.startswith(inside)

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        refused = event in _REFUSED or event.startswith(("socket.", "ctypes.call"))
        if event == "open":
            path, _, flags = arguments
            refused = bool(flags & written) and outside(path)
        elif event in _CHANGES:
            paths = [one for one in arguments[:2] if isinstance(one, (str, bytes))]
            refused = any(outside(path) for path in paths)
        if refused:
            raise PermissionError(f"the sandbox refuses {event}")

    sys.addaudithook(refuse)


if __name__ == "__main__":
    main()

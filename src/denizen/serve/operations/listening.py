"""The sockets a server listens on, and the word to systemd that it does.

Contract: `listen` takes every address a host name has, or raises DenizenError in one line (the
port is taken, is not ours to take, the host is not this machine). `notify` tells systemd (sd_notify
protocol, NOTIFY_SOCKET) and does nothing elsewhere.
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress

from denizen.project.errors import ConfigError, DenizenError

_BACKLOG = 2048


class PortError(DenizenError):
    """The address cannot be listened on."""


def listen(host: str, port: int) -> list[socket.socket]:
    """Listening sockets, one for each address of the host; early callers wait in the backlog."""
    try:
        found = socket.getaddrinfo(
            host.strip("[]") or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"no such host {host!r}", where="serve.host", fix="use 127.0.0.1, or 0.0.0.0 for all"
        ) from error
    sockets: list[socket.socket] = []
    failed: OSError | None = None
    for family, kind, protocol, _, address in dict.fromkeys(found):
        try:
            sockets.append(_bound(family, kind, protocol, address))
        except OSError as error:
            # A name such as localhost may have an address this machine does not (IPv6).
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                _close(sockets)
                raise _explained(error, host, port) from error
            failed = error
    if not sockets:
        raise _explained(failed or OSError(errno.EADDRNOTAVAIL, ""), host, port) from failed
    return sockets


def notify(state: str) -> None:
    """Tell systemd, as `READY=1`; nobody listening is no error."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.connect("\0" + path[1:] if path[0] == "@" else path)
        channel.sendall(state.encode())


def _bound(
    family: socket.AddressFamily,
    kind: socket.SocketKind,
    protocol: int,
    address: tuple[object, ...],
) -> socket.socket:
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # else :: takes the IPv4 port as well, and 0.0.0.0 fails
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
        # bind() alone lets a second server in that sets SO_REUSEADDR; listen() finds it out.
        made.listen(_BACKLOG)
    except OSError:
        made.close()
        raise
    made.setblocking(False)
    return made


def _close(sockets: list[socket.socket]) -> None:
    for one in sockets:
        one.close()


def _explained(error: OSError, host: str, port: int) -> PortError:
    where = f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return PortError(
            "the port is in use",
            where=where,
            fix="stop what listens there, or choose another with --port",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return PortError(
            "this port may not be listened on", where=where, fix="choose one from 1024 on"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return PortError(
            "this machine has no such address", where=where, fix="use 127.0.0.1, or 0.0.0.0 for all"
        )
    return PortError(f"cannot listen, {error.strerror}", where=where, fix="choose another address")

"""Documents by address: http and https only, within limits, and never from a private network.

Contract: `UrlList` reads a text file of addresses, one a line. Every hop of a redirect is checked:
the name is resolved once, all its addresses must be public (unless private ones are allowed), and
the connection goes to the very address that was checked, so a name that changes its mind gains
nothing. Size, time and redirects are bounded. A page that does not come is an `Unread` with the
reason; 404 and 410 mean that it is gone. Proxies and netrc of the environment are not used.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from denizen.project.errors import DataError
from denizen.retrieve.formats import form_of
from denizen.retrieve.sources import Folder, Raw, Source, Stated, Unread

if TYPE_CHECKING:
    import httpx

_AGENT = "denizen-ingest"
_REDIRECTS = 5
_GONE = (404, 410)
# Not global, though ipaddress (3.11) says so: IPv4 dressed as IPv6, local NAT64, site-local.
_INSIDE = tuple(map(ipaddress.ip_network, ("::/96", "64:ff9b:1::/48", "fec0::/10")))
_ENCODINGS = ("gzip", "deflate")  # every httpx unpacks these; others stay packed, or burst
Resolve = Callable[[str, int], list[str]]


@dataclass(frozen=True)
class Limits:
    """What one address may cost: bytes after decompression, and seconds in all."""

    size: int = 8 * 2**20
    seconds: float = 30.0
    at_once: int = 4


class _Refused(Exception):
    """An address is not fetched, or what came is not taken; the text says why."""


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host; raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True)
class UrlList:
    """The addresses of a file, as one collection."""

    path: Path
    collection: str
    stated: Stated = field(default_factory=Stated)
    limits: Limits = field(default_factory=Limits)
    allow_private: bool = False
    resolve: Resolve = resolve
    transport: httpx.BaseTransport | None = None

    def read(self) -> Iterator[Raw | Unread]:
        """Every document, in the order of the list; raises DataError for a bad list."""
        addresses = read_list(self.path)
        with ThreadPoolExecutor(self.limits.at_once) as pool:
            yield from pool.map(self.fetch, addresses)

    def fetch(self, url: str) -> Raw | Unread:
        """One address."""
        import httpx

        started = time.monotonic()
        try:
            return self._fetch(url)
        except _Refused as error:
            return Unread(url, str(error))
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, RuntimeError) as error:
            late = time.monotonic() - started >= self.limits.seconds
            if late or isinstance(error, httpx.TimeoutException):
                return Unread(url, f"not done within {self.limits.seconds:.0f} s")
            return Unread(url, f"{type(error).__name__}: {error}"[:160])

    def _fetch(self, url: str) -> Raw | Unread:
        import httpx

        deadline = time.monotonic() + self.limits.seconds
        timeout = httpx.Timeout(min(10.0, self.limits.seconds))
        transport = self.transport or httpx.HTTPTransport(retries=1)
        with (
            httpx.Client(transport=transport, timeout=timeout, trust_env=False) as client,
            _closed_after(self.limits.seconds, client),
        ):
            hop = url
            for _ in range(_REDIRECTS + 1):
                with client.stream(**self._request(hop)) as answer:
                    if answer.is_redirect:
                        hop = urljoin(hop, answer.headers.get("location", ""))
                        continue
                    if answer.status_code in _GONE:
                        return Unread(url, f"gone ({answer.status_code})", gone=True)
                    if answer.status_code != 200:
                        raise _Refused(f"the server answered {answer.status_code}")
                    return self._document(url, answer, deadline)
        raise _Refused(f"more than {_REDIRECTS} redirects")

    def _request(self, url: str) -> dict[str, Any]:
        """The request for one hop, to an address that was checked."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise _Refused("only http and https are fetched")
        if parts.username or parts.password:
            raise _Refused("addresses with a user name are not fetched")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        found = self.resolve(parts.hostname, port)
        if not found:
            raise _Refused(f"{parts.hostname} has no address")
        if not self.allow_private and (inside := [a for a in found if not is_public(a)]):
            raise _Refused(f"{parts.hostname} is at the private address {inside[0]}")
        address = f"[{found[0]}]" if ":" in found[0] else found[0]
        path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        return {
            "method": "GET",
            "url": f"{parts.scheme}://{address}:{port}{path}",
            "headers": {
                "Host": parts.netloc,
                "User-Agent": _AGENT,
                "Accept": "text/html,text/markdown,text/plain,application/pdf",
                "Accept-Encoding": ", ".join(_ENCODINGS),
            },
            # The certificate is checked against the name, not the address we connect to.
            "extensions": {"sni_hostname": parts.hostname},
        }

    def _document(self, url: str, answer: httpx.Response, deadline: float) -> Raw:
        form = form_of(urlsplit(url).path, answer.headers.get("content-type", ""))
        if form is None:
            kind = answer.headers.get("content-type", "no type")
            raise _Refused(f"no document format ({kind[:60]})")
        encoding = answer.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in (*_ENCODINGS, "identity", ""):
            raise _Refused(f"packed in a way that was not asked for ({encoding[:40]})")
        pieces, size = [], 0
        for piece in answer.iter_bytes():
            size += len(piece)
            if size > self.limits.size:
                raise _Refused(f"over {self.limits.size / 2**20:.0f} MiB")
            if time.monotonic() > deadline:
                raise _Refused(f"not done within {self.limits.seconds:.0f} s")
            pieces.append(piece)
        fallback = Stated(as_of=_day(answer.headers.get("last-modified", "")))
        charset = answer.charset_encoding or ""
        return Raw(url, b"".join(pieces), form, url, self.stated, fallback, charset)


@contextmanager
def _closed_after(seconds: float, client: httpx.Client) -> Iterator[None]:
    """Close a client when its time is up: a server that drips its headers resets every timeout."""
    timer = Timer(seconds, client.close)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def is_public(address: str) -> bool:
    """Whether an IP address is on the public internet, also when dressed as IPv6."""
    ip = ipaddress.ip_address(address.split("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            ip = inner
    return ip.is_global and not ip.is_multicast and not any(ip in net for net in _INSIDE)


def read_list(path: Path) -> list[str]:
    """Addresses of a file, one a line, `#` for comments; raises DataError naming the line."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"cannot read the list of addresses: {error}", where=str(path), fix="give a text file"
        ) from error
    found: dict[str, None] = {}
    for number, line in enumerate(lines, start=1):
        address = line.strip()
        if not address or address.startswith("#"):
            continue
        with suppress(ValueError):  # "http://[x"
            if urlsplit(address).scheme in ("http", "https"):
                found[address] = None
                continue
        raise DataError(
            f"not an http or https address: {address[:80]!r}",
            where=f"{path}:{number}",
            fix="write one address a line",
        )
    if not found:
        raise DataError("no addresses", where=str(path), fix="write one a line")
    return list(found)


def source_of(
    path: Path,
    collection: str = "",
    stated: Stated | None = None,
    *,
    limits: Limits | None = None,
    allow_private: bool = False,
) -> Source:
    """A folder or document as a Folder, any other file as a list of addresses."""
    own = path.name if path.is_dir() else path.stem
    name, facts = collection or own or "docs", stated or Stated()
    if path.is_dir() or form_of(path.name) is not None or not path.exists():
        return Folder(path, name, facts)
    return UrlList(path, name, facts, limits or Limits(), allow_private)


def _day(header: str) -> str:
    """A Last-Modified header as an ISO day, else today: then is when it was seen to hold."""
    try:
        return parsedate_to_datetime(header).astimezone(UTC).date().isoformat()
    except (TypeError, ValueError):
        return datetime.now(UTC).date().isoformat()

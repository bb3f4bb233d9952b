"""What may stand in a request that leaves this machine: an address, and a key in a header.

Contract: pure functions; who asks says what is wrong, in the words of the setting it came from.
"""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit


def web_address(url: str) -> SplitResult | None:
    """An http or https address with a host, in its parts; None for whatever no request reaches."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # a wrong port is only told of when asked for
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") and host else None


def fits_header(key: str) -> bool:
    """Whether a header can carry a key: one line of ASCII (RFC 9110, 5.5)."""
    return key.isascii() and key.isprintable()

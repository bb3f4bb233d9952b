"""Pages that a training step frees stay with the process until training ends (glibc only).

A step takes and frees about a gigabyte.  By default glibc gives large blocks back to the system at
once and asks for them again, and every page must be zeroed anew: several per cent of a step.
Contract: inside `kept_pages` freed memory is reused; after it the rest goes back to the system.
Elsewhere (musl, macOS, Windows) nothing happens.  The settings are mallopt(3)'s, process-wide.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_NEVER = 2**31 - 1
# Where glibc's own, growing thresholds end on a 64-bit machine.
_MMAP_USUAL, _TRIM_USUAL = 32 * 2**20, 64 * 2**20


@contextmanager
def kept_pages() -> Iterator[None]:
    """Keep freed memory for the next step; give it back at the end."""
    libc = _glibc()
    if libc is None:
        yield
        return
    libc.mallopt(_MMAP_THRESHOLD, _NEVER)
    libc.mallopt(_TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        libc.mallopt(_MMAP_THRESHOLD, _MMAP_USUAL)
        libc.mallopt(_TRIM_THRESHOLD, _TRIM_USUAL)
        libc.malloc_trim(0)


def _glibc() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None

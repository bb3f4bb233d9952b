"""What writes tokens: the shipped GGUF in this process, or another server over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from denizen.serve.backend.opening import open_backend

if TYPE_CHECKING:
    from denizen.serve.backend.local import LocalBackend
    from denizen.serve.backend.remote import RemoteBackend

__all__ = ["LocalBackend", "RemoteBackend", "open_backend"]


def __getattr__(name: str) -> Any:
    if name == "LocalBackend":
        from denizen.serve.backend.local import LocalBackend

        return LocalBackend
    if name == "RemoteBackend":
        from denizen.serve.backend.remote import RemoteBackend

        return RemoteBackend
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""The backend that denizen.yaml asks for: the GGUF in this process, or a server elsewhere.

Contract: raises a typed error before anything is served; the key of a remote server comes from the
environment and is never written anywhere.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from denizen.project.errors import ArtefactError, ConfigError

if TYPE_CHECKING:
    from denizen.project.config import ServeConfig
    from denizen.serve.backend.local import LocalBackend
    from denizen.serve.backend.remote import RemoteBackend


def open_backend(
    serve: ServeConfig, gguf: Path | None, context: int
) -> LocalBackend | RemoteBackend:
    """Load the GGUF (`context` tokens a request), or get ready to call serve.backend_url."""
    if serve.backend == "openai":
        return _remote(serve)
    if gguf is None:
        raise ArtefactError(
            "there is no model to serve", fix="run `denizen quickstart`, or set serve.backend"
        )
    from denizen.serve.backend.local import LocalBackend

    return LocalBackend(
        gguf,
        context=context,
        parallel=serve.parallel,
        adapters={name: Path(path) for name, path in serve.adapters.items()},
    )


def _remote(serve: ServeConfig) -> RemoteBackend:
    address = urlsplit(serve.backend_url)
    if address.scheme not in ("http", "https") or not address.hostname or address.username:
        raise ConfigError(
            "serve.backend_url is no address of a server",
            where=address.hostname or "serve.backend_url",
            fix="write it as http://host:port/v1, the key in serve.backend_key_env",
        )
    if not serve.backend_model:
        raise ConfigError(
            "serve.backend_model is empty", fix="name the model that serve.backend_url serves"
        )
    key = os.environ.get(serve.backend_key_env, "") if serve.backend_key_env else ""
    if serve.backend_key_env and not key:
        raise ConfigError(
            "the key of the backend is not in the environment",
            where=serve.backend_key_env,
            fix="export it, or clear serve.backend_key_env",
        )
    from denizen.serve.backend.remote import RemoteBackend

    return RemoteBackend(serve.backend_url, serve.backend_model, key, serve.request_seconds)

"""A served release for the length of a block: what other harnesses are pointed at.

Contract: loopback, a free port, the same app as `denizen serve`; the block gets the base URL (it
ends in /v1) and the server is gone when the block is left.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from denizen.project.errors import DenizenError

_PATIENCE = 30.0


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve `app` while the block runs; raises DenizenError if it does not come up."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        end = time.monotonic() + _PATIENCE
        while not server.started:
            if time.monotonic() > end or not thread.is_alive():
                raise DenizenError(
                    "the server did not come up", where="127.0.0.1", fix="see the lines above"
                )
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.should_exit = True
        thread.join(_PATIENCE)

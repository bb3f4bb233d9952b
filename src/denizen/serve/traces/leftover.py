"""What an exporter that was switched off still had to send: kept no longer than other traces.

Contract: the file is never made, and its old rows are forgotten at the start and every hour.  One
that cannot be read, or that another holds, is told of once and tried again.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from denizen.project.errors import DenizenError
from denizen.serve.traces import retention, schema

_HOUR = 3600.0
_LOG = logging.getLogger("denizen.traces")


class Leftover:
    """The thread that forgets what came in more than `days` ago; none without the file."""

    def __init__(self, path: Path, days: int, *, every: float = _HOUR) -> None:
        self._path, self._days, self._every = path, days, every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="denizen-leftover", daemon=True)
        if path.is_file():
            self._thread.start()

    def close(self) -> None:
        """End the thread, once a deletion under way is done."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        told = False
        while not self._stop.is_set():
            try:
                if self._path.is_file():
                    with closing(schema.connect(self._path)) as db:
                        retention.keep_days(db, self._days)
            except (sqlite3.Error, OSError, DenizenError) as error:
                if not told:
                    _LOG.warning("old traces in %s stay for now: %s", self._path.name, error)
                told = True
            self._stop.wait(self._every)

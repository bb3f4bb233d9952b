"""One thread that writes: jobs in batches, acknowledged once they are on the disk.

Contract: `submit` never blocks and never raises; its Future is done when the job's transaction was
committed and synced. While the file cannot be written (a full disk, a lock) jobs wait in memory,
`limit` of them; what is beyond that, or cannot be written at all, is counted in `lost`, logged, and
its Future fails with WriteLost. A job that raises fails alone; the others of its batch are written.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from denizen.project.errors import DenizenError
from denizen.serve.exchange import Fault

Job = Callable[[sqlite3.Connection], None]
_BATCH = 256  # jobs of one transaction
_LINGER = 0.02  # seconds a first job waits for company
_LONGEST_PAUSE = 15.0
_LOG = logging.getLogger("denizen.traces")
# What says that the file is in trouble; any other error is the job's own.
_TROUBLE = (sqlite3.OperationalError, sqlite3.InternalError, DenizenError, OSError, MemoryError)


class WriteLost(Exception):
    """A job that will not be written."""


@dataclass(slots=True)
class _Item:
    job: Job
    urgent: bool
    counted: bool
    done: Future[None] = field(default_factory=Future)


class Writer:
    """The thread. `upkeep` is called at the start and every `upkeep_seconds` after that.

    `moved` says that the connection's file is no longer there: then `connect` is called again.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        *,
        moved: Callable[[], bool] = lambda: False,
        upkeep: Job | None = None,
        upkeep_seconds: float = 3600.0,
        committed: Callable[[], None] = lambda: None,
        limit: int = 10_000,
    ) -> None:
        self._connect, self._upkeep, self._committed = connect, upkeep, committed
        self._upkeep_seconds, self._limit, self._moved = upkeep_seconds, limit, moved
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._stop = threading.Event()
        self._waiting = 0
        self.written = self.lost = self.failures = 0
        self.trouble = ""
        self.told_of_losses: Callable[[int], None] = lambda count: None
        self._thread = threading.Thread(target=self._run, name="denizen-traces", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Jobs that are not on the disk yet."""
        return self._waiting

    def submit(self, job: Job, *, urgent: bool = False, counted: bool = True) -> Future[None]:
        """Have a job written; an urgent one does not wait for company.

        One that holds nothing of anybody (`counted` False) is neither written nor lost.
        """
        item = _Item(job, urgent, counted)
        item.done.set_running_or_notify_cancel()  # who waits may leave; the job stays
        with self._lock:
            reason = "the store is closed" if self._closed else ""
            if not reason and self._waiting >= self._limit:
                reason = f"{self._waiting} others wait already"
            if not reason:
                self._waiting += 1
                self._queue.put(item)
        if reason:
            self._lose([item], reason, waited=False)
        return item.done

    def flush(self, timeout: float = 30.0) -> bool:
        """Wait until what was submitted before is on the disk; False when it is not."""
        try:
            self.submit(lambda db: None, urgent=True, counted=False).result(timeout)
        except (TimeoutError, WriteLost):
            return False
        return True

    def close(self, timeout: float = 30.0) -> bool:
        """Write what waits and end the thread; False when something was lost or still waits."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._stop.set()
        before = self.lost
        self._thread.join(timeout)
        return not self._thread.is_alive() and self.lost == before

    def _run(self) -> None:
        db: sqlite3.Connection | None = None
        last, next_upkeep, pause = False, 0.0, 0.5
        batch: list[_Item] = []
        while not (last and not batch):
            if not batch:
                batch, last = self._gather(max(0.0, next_upkeep - time.monotonic()))
            try:
                if db is not None and self._moved():
                    _LOG.warning("the file of traces was moved away; a new one is begun")
                    db = self._dropped(db)
                db = db or self._connect()
                if batch:
                    self._write(db, batch)
                    batch, pause = [], 0.5
                    self._recovered()
                    self._committed()
                if self._upkeep is not None and time.monotonic() >= next_upkeep and not last:
                    next_upkeep = time.monotonic() + self._upkeep_seconds
                    self._upkeep(db)
            except Exception as error:  # nothing may end this thread
                self._troubled(error)
                db = self._dropped(db)
                if self._stop.is_set():  # there is no later: one try was the last
                    self._lose(batch + self._rest(), str(error))
                    batch, last = [], True
                    continue
                self._stop.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
        self._dropped(db)

    def _gather(self, patience: float) -> tuple[list[_Item], bool]:
        """The next batch, and whether it is the last."""
        batch: list[_Item] = []
        try:
            # Without upkeep there is nothing to wake for.
            item = self._queue.get(timeout=patience if self._upkeep is not None else None)
            until = time.monotonic() + _LINGER
            while item is not None:
                batch.append(item)
                left = until - time.monotonic()
                if item.urgent or len(batch) >= _BATCH:
                    left = 0.0
                if len(batch) >= _BATCH:
                    return batch, False
                item = self._queue.get(timeout=left) if left > 0 else self._queue.get_nowait()
        except queue.Empty:
            return batch, False
        return batch, True

    def _rest(self) -> list[_Item]:
        found = []
        try:
            while True:
                if (item := self._queue.get_nowait()) is not None:
                    found.append(item)
        except queue.Empty:
            return found

    def _write(self, db: sqlite3.Connection, batch: list[_Item]) -> None:
        failed: dict[int, Exception] = {}
        db.execute("BEGIN IMMEDIATE")
        try:
            for place, item in enumerate(batch):
                db.execute("SAVEPOINT job")
                try:
                    item.job(db)
                except _TROUBLE:
                    raise
                except Exception as error:
                    if type(error) is sqlite3.DatabaseError:  # a damaged file
                        raise
                    failed[place] = error
                    db.execute("ROLLBACK TO job")
                db.execute("RELEASE job")
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        for place, item in enumerate(batch):
            self._finish(item, failed.get(place))

    def _finish(self, item: _Item, error: Exception | None) -> None:
        if error is not None and not isinstance(error, Fault):
            self._lose([item], f"{type(error).__name__}: {error}")
            return
        with self._lock:
            self._waiting -= 1
            self.written += error is None and item.counted
        if error is None:
            item.done.set_result(None)
        else:  # refused, as the job meant it: nothing is lost
            item.done.set_exception(error)

    def _lose(self, items: list[_Item], reason: str, *, waited: bool = True) -> None:
        count = sum(item.counted for item in items)
        with self._lock:
            before, self.lost = self.lost, self.lost + count
            self._waiting -= len(items) if waited else 0
        for item in items:
            item.done.set_exception(WriteLost(reason))
        if count:
            self.told_of_losses(count)
        # The first, and then when they have doubled: a full disk must not fill a log.
        if before.bit_length() != (before + count).bit_length():
            _LOG.error("traces were lost, %d so far: %s", before + count, reason[:200])

    def _troubled(self, error: Exception) -> None:
        self.failures += 1
        if not self.trouble:
            _LOG.warning("traces cannot be written and wait in memory: %s", error)
        self.trouble = str(error)

    def _recovered(self) -> None:
        if self.trouble:
            _LOG.warning("traces are written again")
        self.trouble = ""

    @staticmethod
    def _dropped(db: sqlite3.Connection | None) -> None:
        if db is not None:
            with contextlib.suppress(sqlite3.Error):
                db.close()
        return None

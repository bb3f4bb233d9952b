"""The server's log: one JSON object a line on standard error, without secrets.

Contract: every message and traceback is redacted and cut at 8 KiB; control characters and
everything outside ASCII are escaped by JSON, so no input can forge a line or drive a terminal. A
thread writes: whoever reads the log and stalls does not stall the server, but loses lines, and the
next line says how many.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TextIO

from denizen.serve.operations.redaction import redact

NAME = "denizen.serve"
_LONGEST = 8192
_HEARD = (NAME, "uvicorn.error")
_WAITING = 10_000  # lines that may wait to be written
_EVERY = 0.2  # seconds between writes
_PATIENCE = 2.0  # seconds to write the last ones


class JsonLines(logging.Formatter):
    """A record as a line of JSON; `extra={"fields": {...}}` adds fields of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        when = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, object] = {
            "time": when.isoformat("T", "milliseconds"),
            "level": record.levelname.lower(),
        }
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            line |= {
                k: redact(v[:_LONGEST]) if isinstance(v, str) else v for k, v in fields.items()
            }
        if message := record.getMessage().strip():
            line["message"] = redact(message[:_LONGEST])
        if record.exc_info and record.exc_info[0] is not None:
            # The end of a traceback says what happened.
            line["traceback"] = redact(self.formatException(record.exc_info)[-_LONGEST:])
        return json.dumps(line, ensure_ascii=True, default=str)


class Behind(logging.Handler):
    """Formats and writes records in a thread of its own, a few times a second.

    It is not woken for each record: that would take the interpreter's lock from the request.
    """

    def __init__(self, write: Callable[[str], object], waiting: int = _WAITING) -> None:
        super().__init__()
        self.setFormatter(JsonLines())
        self._write, self._most = write, waiting
        self._records: deque[logging.LogRecord] = deque()
        self._lost = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Leave a record to the thread, or count it as lost."""
        if len(self._records) < self._most:
            self._records.append(record)
        else:
            self._lost += 1

    def close(self) -> None:
        """Write what waits, for a moment."""
        self._ended.set()
        self._thread.join(_PATIENCE)
        super().close()

    def _work(self) -> None:
        while not self._ended.wait(_EVERY):
            self._write_waiting()
        self._write_waiting()

    def _write_waiting(self) -> None:
        while self._records:
            self._line(self._records.popleft())
        if self._lost:
            lost, self._lost = self._lost, 0
            text = f"{lost} lines of the log were lost: it was not read fast enough"
            self._line(logging.LogRecord(NAME, logging.WARNING, "", 0, text, (), None))

    def _line(self, record: logging.LogRecord) -> None:
        try:
            self._write(self.format(record) + "\n")
        except Exception:  # nobody is left to tell
            self._lost += 1


@contextmanager
def logging_to(stream: TextIO | None = None) -> Iterator[logging.Logger]:
    """Send our log and uvicorn's to a stream (standard error) for the length of the block."""
    handler = Behind(stream.write if stream else _standard_error())
    loggers = [logging.getLogger(name) for name in _HEARD]
    before = [(logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    for logger, level in zip(loggers, (logging.INFO, logging.WARNING), strict=True):
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
    try:
        yield loggers[0]
    finally:
        for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)
        handler.close()


def _standard_error() -> Callable[[str], object]:
    # Past sys.stderr's buffer: a thread that is stuck holding its lock would abort the exit.
    try:
        number = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        return sys.stderr.write if sys.stderr else lambda _: None

    def write(text: str) -> None:
        data = text.encode()
        while data:
            data = data[os.write(number, data) :]

    return write

"""Connections to PostgreSQL: one a thread, made again once when the server hung up.

Contract: `run` does a piece of work on this thread's connection; where the connection turns out to
be lost, the work is done once more on a new one, unless the thread `holds` it (a lock would be
gone). Statements end after `patience` seconds, but for those within `unhurried`. Whatever psycopg
raises becomes one line of WorkspaceError, without user or password. psycopg 3 comes with the extra
`postgres`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from denizen.project.errors import ArtefactError, WorkspaceError

T = TypeVar("T")
PATIENCE = 20.0  # seconds a statement of a search may take, and a silent network go on
_CONNECT = 10  # seconds


class Connections:
    """This process's connections to one database."""

    def __init__(self, url: str, patience: float = PATIENCE) -> None:
        self._url, self._patience = url, patience
        self._local = threading.local()
        self._open: list[Any] = []
        info = self.own().info
        # Kept: an error about a lost server must not ask that server where it is.
        self.where = f"postgresql://{info.host or 'localhost'}/{info.dbname}"

    def run(self, work: Callable[[Any], T]) -> T:
        """The work's result; raises WorkspaceError."""
        with self.told():
            connection = self.own()
            try:
                return work(connection)
            except _psycopg().Error:
                if not connection.closed or self._held:
                    raise
            return work(self.own())

    @contextmanager
    def told(self) -> Iterator[None]:
        """psycopg's errors as ours."""
        try:
            yield
        except _psycopg().Error as error:
            raise self._failure(error) from error

    @contextmanager
    def holding(self) -> Iterator[None]:
        """While this lasts the thread's connection is not replaced."""
        self._local.held = True
        try:
            yield
        finally:
            self._local.held = False

    @contextmanager
    def unhurried(self, connection: Any) -> Iterator[None]:
        """A transaction whose statements may take as long as they need."""
        with connection.transaction():
            connection.execute("SET LOCAL statement_timeout = 0")
            yield

    def close(self) -> None:
        """Close every thread's connection."""
        while self._open:
            self._open.pop().close()

    def own(self) -> Any:
        """This thread's connection; raises WorkspaceError."""
        connection = getattr(self._local, "connection", None)
        if connection is None or (connection.closed and not self._held):
            with suppress(ValueError):  # the first, or `close` came between
                self._open.remove(connection)
            connection = self._connected()
            self._local.connection = connection
            self._open.append(connection)
        return connection

    @property
    def _held(self) -> bool:
        return getattr(self._local, "held", False)

    def _connected(self) -> Any:
        psycopg = _psycopg()
        quiet = int(self._patience)
        try:
            connection = psycopg.connect(
                self._url,
                autocommit=True,
                connect_timeout=_CONNECT,
                # A machine that vanished sends nothing: the network itself must be asked.
                keepalives_idle=max(1, quiet // 2),
                keepalives_interval=max(1, quiet // 6),
                keepalives_count=3,
                tcp_user_timeout=1000 * quiet,
            )
            milliseconds = str(round(1000 * self._patience))
            connection.execute("SELECT set_config('statement_timeout', %s, false)", (milliseconds,))
        except psycopg.OperationalError as error:
            raise WorkspaceError(
                f"cannot reach PostgreSQL: {_line(error)}",
                fix="check serve.postgres and that the server runs",
            ) from error
        except psycopg.Error as error:
            # Its words repeat the address, and with it a password.
            raise WorkspaceError(
                "not an address of PostgreSQL",
                where="serve.postgres",
                fix="write it as postgresql://user@host:5432/database",
            ) from error
        return connection

    def _failure(self, error: Exception) -> WorkspaceError:
        psycopg = _psycopg()
        if isinstance(error, psycopg.errors.QueryCanceled):
            what, fix = f"PostgreSQL took too long: {_line(error)}", "look at what else it is doing"
        elif isinstance(error, psycopg.OperationalError):
            what = f"the connection to PostgreSQL was lost: {_line(error)}"
            fix = "check that the server runs; what was being written is not there, try again"
        else:
            what = f"PostgreSQL refused: {_line(error)}"
            fix = "check the rights of serve.postgres's user and that the index is whole"
        return WorkspaceError(what, where=self.where, fix=fix)


def _line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _psycopg() -> Any:
    try:
        import psycopg
    except ImportError as error:
        raise ArtefactError(
            "PostgreSQL needs psycopg", fix="pip install 'denizen[postgres]'"
        ) from error
    return psycopg

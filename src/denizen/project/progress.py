"""Progress of staged work: one bar a stage with time spent and time left.

Contract: on a terminal a live bar; elsewhere one plain line about every ten seconds, so logs stay
readable; with `quiet` nothing.  Everything goes to standard error, results to standard output.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_PLAIN_SECONDS = 10.0


class Bar:
    """The bar of one stage."""

    def __init__(self, name: str, total: float, quiet: bool) -> None:
        self.name, self.total, self.done = name, max(total, 1e-9), 0.0
        self.text = ""
        self._quiet = quiet
        self._start = self._last = time.monotonic()
        self._live: Progress | None = None
        self._task: TaskID | None = None

    def advance(self, amount: float = 1.0, text: str | None = None) -> None:
        """Move on by `amount` of `total`."""
        self.update(self.done + amount, text)

    def update(self, done: float, text: str | None = None) -> None:
        """Set what is done; `text` is a short figure to show beside the bar."""
        self.done = min(done, self.total)
        self.text = self.text if text is None else text
        if self._live is not None and self._task is not None:
            self._live.update(self._task, completed=self.done, note=self.text)
        elif not self._quiet and time.monotonic() - self._last > _PLAIN_SECONDS:
            self._last = time.monotonic()
            print(f"  {self.name} {self._line()}", file=sys.stderr, flush=True)

    def _line(self) -> str:
        spent = time.monotonic() - self._start
        share = self.done / self.total
        left = f"{clock(spent * (1 - share) / share)} left" if share > 0.01 else "estimating"
        return f"{share:4.0%} {clock(spent)} spent, {left} {self.text}".rstrip()

    @contextmanager
    def shown(self) -> Iterator[Bar]:
        """Show the bar while the block runs."""
        if self._quiet:
            yield self
            return
        if not sys.stderr.isatty():
            print(f"> {self.name}", file=sys.stderr, flush=True)
            yield self
            spent = clock(time.monotonic() - self._start)
            print(
                f"  {self.name} done in {spent} {self.text}".rstrip(), file=sys.stderr, flush=True
            )
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("[bold]{task.description:<22}"),
            BarColumn(bar_width=28),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[note]}"),
        )
        with Progress(*columns, console=Console(stderr=True)) as live:
            self._live = live
            self._task = task = live.add_task(self.name, total=self.total, note="")
            try:
                yield self
                live.update(task, completed=self.total)
            finally:
                self._live = None


def clock(seconds: float) -> str:
    """Seconds as m:ss."""
    whole = max(round(seconds), 0)
    return f"{whole // 60}:{whole % 60:02d}"

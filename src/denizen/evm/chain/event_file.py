"""Where ingested events lie: JSON lines, and beside them a state that says how much counts.

Contract: one event a line in chain order; OUT.state.json holds the last final block, its hash and
the bytes of OUT that belong to it.  Bytes beyond are a killed run's and are never read.  The state
is renamed into place after the lines it counts are on the disk.  No node's address is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from glob import escape
from pathlib import Path
from typing import BinaryIO, NamedTuple

from denizen.evm.chain.events import Event, Source, from_line
from denizen.project.atomic import atomic_write_text
from denizen.project.errors import DataError, WorkspaceError, from_os_error

_FORMAT = 1
_KEPT = 256  # checkpoints to step back to; a deeper reorganisation starts again


class Checkpoint(NamedTuple):
    """A final block, its hash, and how long the file was when it was done."""

    block: int
    hash: str
    size: int


@dataclass(frozen=True)
class State:
    """What OUT.state.json holds.  `facts`: the pool's constants that no event carries."""

    version: str
    address: str
    pool_id: str | None
    chain_id: int
    first: int
    facts: dict[str, int]
    checkpoints: tuple[Checkpoint, ...]
    format: int = _FORMAT

    @property
    def last(self) -> Checkpoint:
        """The last final block."""
        return self.checkpoints[-1]

    @property
    def source(self) -> Source:
        """Who emitted the events."""
        return Source(self.version, self.address, self.pool_id)

    def upto(self, count: int) -> State:
        """The state as it was at an earlier checkpoint."""
        return replace(self, checkpoints=self.checkpoints[:count])

    def then(self, checkpoint: Checkpoint) -> State:
        """The state after one more window; the very first checkpoint is always kept."""
        first, *rest = (*self.checkpoints, checkpoint)
        return replace(self, checkpoints=(first, *rest[-_KEPT:]))


def state_path(out: Path) -> Path:
    """Where the state of a file is."""
    return out.with_name(out.name + ".state.json")


def load_state(out: Path) -> State:
    """The state of a file; raises DataError if it is missing or unreadable."""
    try:
        value = json.loads(state_path(out).read_text("utf-8"))
        points = tuple(Checkpoint(*point) for point in value.pop("checkpoints"))
        state = State(**value, checkpoints=points)
        numbers = [state.chain_id, state.first, *state.facts.values()]
        numbers += [number for point in points for number in (point.block, point.size)]
        if state.format != _FORMAT or not points or any(type(n) is not int for n in numbers):
            raise ValueError
        Source.of(state.version, state.pool_id or state.address, state.address)
        if state.version == "v3" and not {"fee", "tickSpacing"} <= state.facts.keys():
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError, AttributeError, DataError) as error:
        raise DataError(
            "no usable state of an ingestion",
            where=str(state_path(out)),
            fix="delete it together with the events, and ingest again",
        ) from error
    return state


def load_events(out: Path) -> Iterator[Event]:
    """The events that the state counts, in order; raises DataError naming the line."""
    state = load_state(out)
    check_size(out, state)
    size, before = 0, (-1, -1)
    with out.open("rb") as file:
        for number, line in enumerate(file, 1):
            if size >= state.last.size:
                return
            size += len(line)
            try:
                event = from_line(state.version, line.decode("utf-8"))
                if event[1:3] <= before:
                    raise ValueError("out of order")
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise DataError(
                    f"line {number} is not an event: {error}", where=str(out), fix="ingest again"
                ) from error
            before = (event.block, event.log_index)
            yield event


def check_size(out: Path, state: State) -> None:
    """Raise DataError if the file holds less than its state counts."""
    size = out.stat().st_size if out.exists() else 0
    if size < state.last.size:
        raise DataError(
            f"the file has {size} bytes, its state counts {state.last.size}",
            where=str(out),
            fix="delete both and ingest again",
        )


def save_state(out: Path, state: State) -> None:
    """Make this the file's state, whole or not at all."""
    atomic_write_text(state_path(out), json.dumps(asdict(state), indent=1))


@contextmanager
def opened(out: Path) -> Iterator[BinaryIO]:
    """The file to write into; a full disk is a typed error."""
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(out, "r+b" if out.exists() else "w+b") as file:
            yield file
    except OSError as error:
        raise from_os_error(error, out) or error from error


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """One process a file: two would both append."""
    import fcntl

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        file = open(out.with_name(f".{out.name}.lock"), "a+")  # noqa: SIM115
    except OSError as error:
        raise from_os_error(error, out) or error from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WorkspaceError(
                "another process writes this file", where=str(out), fix="wait for it"
            ) from None
        for part in out.parent.glob(f".{escape(state_path(out).name)}.*.part"):
            part.unlink()
        yield

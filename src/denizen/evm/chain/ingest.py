"""Events from a node into a file: resumable, reorg-safe, nothing lost and nothing twice.

Contract: OUT holds one event a line in chain order, final blocks only; OUT.state.json says how many
of its bytes count, up to which block and hash.  Lines are synced before the state that counts them
is renamed into place, so a kill at any moment leaves at most uncounted bytes, which are cut off on
the next run.  Blocks that left the chain are stepped back over, and that is said.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from denizen.evm.abi import selector
from denizen.evm.chain.event_file import (
    Checkpoint,
    State,
    check_size,
    load_state,
    locked,
    opened,
    save_state,
    state_path,
)
from denizen.evm.chain.events import Event, LogError, RawLog, Source, decode, set_aside, to_line
from denizen.evm.chain.logs import LogReader, Window
from denizen.evm.chain.rpc import Rpc, RpcError
from denizen.project.errors import DataError
from denizen.project.progress import Bar

_UNSETTLED = 5  # contradictions in a row with the chain's own headers before giving up
_WORD = 32


@dataclass
class Summary:
    """What one run did: blocks first..last are in the file."""

    out: str
    chain_id: int
    first: int
    last: int
    target: int
    new_events: int = 0
    malformed: int = 0
    stepped_back_to: list[int] = field(default_factory=list)
    requests: int = 0


@dataclass(frozen=True)
class Job:
    """What to fetch: `stop` None means up to the newest final block."""

    source: Source
    out: Path
    start: int | None = None
    stop: int | None = None
    confirmations: int = 64
    skip_malformed: bool = False


def ingest(
    rpc: Rpc, job: Job, *, say: Callable[[str], None] = lambda _: None, quiet: bool = True
) -> Summary:
    """Bring OUT up to the newest final block (or `stop`); raises DenizenError, keeps progress."""
    if job.stop is not None and job.stop < (job.start or 0):
        raise DataError(
            f"the last block {job.stop} is before the first {job.start}",
            where="--to",
            fix="give --to a block from --from on",
        )
    with locked(job.out):
        state = _begun_or_resumed(rpc, job)
        target = rpc.head() - job.confirmations
        if job.stop is not None:
            target = min(target, job.stop)
        summary = Summary(str(job.out), state.chain_id, state.first, state.last.block, target)
        state = _Run(rpc, job, summary, say).go(state, quiet)
        summary.last, summary.requests = state.last.block, rpc.requests
        return summary


class _Run:
    """One run's moving parts."""

    def __init__(self, rpc: Rpc, job: Job, summary: Summary, say: Callable[[str], None]) -> None:
        self._rpc, self._job, self._summary, self._say = rpc, job, summary, say
        self._reader = LogReader(rpc, job.source)

    def go(self, state: State, quiet: bool) -> State:
        """Window after window up to the target."""
        target, unsettled = self._summary.target, 0
        bar = Bar("ingest", target - state.first + 1, quiet)
        with bar.shown(), opened(self._job.out) as file:
            state = self._on_chain(state, file)
            while state.last.block < target:
                window = self._reader.read(state.last.block + 1, target)
                tip = self._settled(state, window)
                if tip is None:
                    unsettled += 1
                    if unsettled > _UNSETTLED:
                        raise RpcError(
                            f"logs and headers of blocks {window.start} to {window.end} disagree",
                            where=self._rpc.name,
                            fix="use another node, or more --confirmations",
                        )
                    state = self._on_chain(state, file)
                    continue
                unsettled = 0
                state = self._keep(state, window, tip, file)
                bar.update(state.last.block - state.first + 1, f"block {state.last.block}")
        return state

    def _settled(self, state: State, window: Window) -> str | None:
        """The hash of the window's last block, or None if the chain moved under the answer."""
        last = window.logs[-1].block if window.logs else window.end
        headers = {n: self._rpc.header(n) for n in sorted({window.start, last, window.end})}
        first, tip = headers[window.start], headers[window.end]
        if first is None or tip is None or first.parent_hash != state.last.hash:
            return None
        for log in window.logs:
            header = headers.get(log.block, tip)
            if log.block in headers and (header is None or header.hash != log.block_hash):
                return None
        return tip.hash

    def _keep(self, state: State, window: Window, tip: str, file: BinaryIO) -> State:
        events = [self._decoded(log) for log in window.logs]
        text = "".join(to_line(state.version, event) + "\n" for event in events).encode()
        file.seek(state.last.size)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        state = state.then(Checkpoint(window.end, tip, state.last.size + len(text)))
        save_state(self._job.out, state)
        self._summary.new_events += len(events)
        self._summary.malformed += sum(event.name == "Malformed" for event in events)
        return state

    def _decoded(self, log: RawLog) -> Event:
        try:
            return decode(self._job.source, log)
        except LogError as error:
            if not self._job.skip_malformed:
                raise
            return set_aside(log, error.reason)

    def _on_chain(self, state: State, file: BinaryIO) -> State:
        """Steps back to the newest checkpoint still on the chain; cuts off what is not counted."""
        for count in range(len(state.checkpoints), 0, -1):
            point = state.checkpoints[count - 1]
            header = self._rpc.header(max(point.block, 0))
            if header is None and count == len(state.checkpoints):
                raise RpcError(
                    f"the node does not have block {point.block}, which is in the file",
                    where=self._rpc.name,
                    fix="wait until it has caught up, or use another node",
                )
            if header and (header.parent_hash if point.block < 0 else header.hash) == point.hash:
                break
        else:
            raise RpcError(
                f"block {point.block}, before the first event, is no longer on the chain",
                where=self._rpc.name,
                fix=f"delete {self._job.out} and its state, and ingest again",
            )
        if count < len(state.checkpoints):
            self._say(
                f"block {state.last.block} is no longer on the chain: "
                f"stepped back to block {point.block}, the common one"
            )
            self._summary.stepped_back_to.append(point.block)
            state = state.upto(count)
            save_state(self._job.out, state)
        file.truncate(state.last.size)
        return state


def _begun_or_resumed(rpc: Rpc, job: Job) -> State:
    """The state found, checked against what is asked, or a new one."""
    chain = rpc.chain_id()
    if not state_path(job.out).exists():
        return _begun(rpc, job, chain)
    state = load_state(job.out)
    asked = {"chain": chain, "source": job.source, "--from": job.start}
    held = {"chain": state.chain_id, "source": state.source, "--from": state.first}
    for what, value in asked.items():
        if value not in (held[what], None):
            raise DataError(
                f"the file holds another {what}", where=str(job.out), fix="choose another --out"
            )
    check_size(job.out, state)
    return state


def _begun(rpc: Rpc, job: Job, chain: int) -> State:
    if job.out.exists() and job.out.stat().st_size:
        raise DataError(
            "a file without the state of an ingestion stands here",
            where=str(job.out),
            fix="choose another --out",
        )
    if not rpc.code(job.source.address):
        raise DataError(
            f"no contract at {job.source.address} on chain {chain}",
            where=rpc.name,
            fix="check the address and the chain of the node",
        )
    first = job.start or 0
    header = rpc.header(max(first - 1, 0))
    if header is None:
        raise DataError(f"the chain has no block {first}", where="--from", fix="start earlier")
    before = header.hash if first else header.parent_hash
    facts = {}
    if job.source.version == "v3":
        facts = {name: _constant(rpc, job.source, name) for name in ("fee", "tickSpacing")}
    point = Checkpoint(first - 1, before, 0)
    state = State(*job.source[:2], job.source.pool_id, chain, first, facts, (point,))
    save_state(job.out, state)
    return state


def _constant(rpc: Rpc, source: Source, name: str) -> int:
    word = rpc.read(source.address, selector(f"{name}()"))
    if len(word) != _WORD:
        raise DataError(
            f"the contract has no {name}(): not a {source.version} pool",
            where=source.address,
            fix="check --pool and --version",
        )
    return int.from_bytes(word, "big")

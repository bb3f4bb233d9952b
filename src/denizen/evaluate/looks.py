"""The ledger of looks: every candidate ever judged on a holdout, in an append-only file.

Contract: a look is counted by `LookLedger.look` BEFORE the holdout is scored, under a lock, whole
or not at all; the same candidate with the same scoring is the same look, so judging cached scores
again costs nothing. Entries are chained by hash, and a head file beside the ledger remembers the
last one: an edited, cut, reordered or missing ledger raises LedgerError and nothing is judged.
Whoever rewrites both files together leaves no trace in them; that is what witnesses are for, the
`look_hash` of earlier verdicts, which must all be found in the chain.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from denizen.evaluate.spending import Schedule
from denizen.project.atomic import atomic_write_text
from denizen.project.errors import DenizenError
from denizen.project.hashing import content_hash
from denizen.project.locking import exclusive

_START = "0" * 64


class LedgerError(DenizenError):
    """A ledger of looks that was changed, or that allows no further look."""


@dataclass(frozen=True, slots=True)
class Look:
    """One counted look. `number` counts the looks at this holdout from 1, `alpha` is its level.

    `spent` and `left` are of `total`, after this look. `repeated`: it had been counted before.
    `entry` is the hash of the ledger's line.
    """

    holdout: str
    candidate: str
    number: int
    alpha: float
    total: float
    spent: float
    left: float
    repeated: bool
    entry: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line of the ledger, without its hash; `at` is ISO 8601, UTC."""

    holdout: str
    candidate: str
    scoring: str
    number: int
    total: float
    planned: int | None
    alpha: float
    at: str
    previous: str

    def hash(self) -> str:
        return content_hash(asdict(self))


class LookLedger:
    """The ledger in a folder of the workspace, for any number of holdouts."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "looks.jsonl"
        self.head = folder / "looks.head.json"
        self._lock = folder / "looks.lock"

    def look(
        self,
        holdout: str,
        candidate: str,
        *,
        schedule: Schedule | None = None,
        scoring: str = "",
        witnesses: Iterable[str] = (),
    ) -> Look:
        """Count a look at `holdout` (its content hash) by `candidate` (the file's content hash).

        `scoring` is a hash of whatever else decides the scores (prompt, decoding, code): with
        other settings the same file gets another look. Raises LedgerError when the ledger was
        changed, when the holdout's looks follow another schedule, or when a plan is used up.
        """
        schedule = schedule or Schedule()
        if not holdout or not candidate:
            raise LedgerError(
                "a look needs the content hashes of the holdout and the candidate",
                where=str(self.path),
                fix="freeze the holdout and pass the hash of the file that is judged",
            )
        with exclusive(self._lock, "the ledger of looks"):
            entries = self._read(witnesses)
            mine = [entry for entry in entries if entry.holdout == holdout]
            self._same_schedule(mine, schedule)
            for entry in mine:
                if (entry.candidate, entry.scoring) == (candidate, scoring):
                    return _look(entry, repeated=True)
            alpha = schedule.level(len(mine) + 1)
            if alpha <= 0:
                raise LedgerError(
                    f"all {schedule.planned} planned looks at this holdout are used",
                    where=str(self.path),
                    fix="freeze a new holdout",
                )
            entry = _Entry(
                holdout,
                candidate,
                scoring,
                len(mine) + 1,
                schedule.total,
                schedule.planned,
                alpha,
                datetime.now(UTC).isoformat("T", "seconds"),
                entries[-1].hash() if entries else _START,
            )
            self._write([*entries, entry])
            return _look(entry, repeated=False)

    def looks(self, holdout: str, witnesses: Iterable[str] = ()) -> tuple[Look, ...]:
        """Every look at a holdout so far, in order. Raises LedgerError when it was changed."""
        with exclusive(self._lock, "the ledger of looks"):
            entries = self._read(witnesses)
        return tuple(_look(e, repeated=True) for e in entries if e.holdout == holdout)

    def _read(self, witnesses: Iterable[str]) -> list[_Entry]:
        lines = self._lines()
        entries: list[_Entry] = []
        hashes: list[str] = []
        for number, line in enumerate(lines, start=1):
            try:
                data: dict[str, Any] = json.loads(line)
                recorded = data.pop("hash")
                entry = _Entry(**data)
            except (TypeError, ValueError, KeyError, AttributeError) as error:
                raise self._changed(f"line {number} is not an entry") from error
            if entry.previous != (hashes[-1] if hashes else _START) or entry.hash() != recorded:
                raise self._changed(f"line {number} does not follow from the one before it")
            entries.append(entry)
            hashes.append(recorded)
        count, last = self._remembered()
        # A kill between the two writes leaves the head behind: that look stays counted.
        if len(hashes) < count or (hashes[count - 1] if count else _START) != last:
            raise self._changed(f"{count} looks were counted, and the last is not there")
        if lost := set(witnesses) - {""} - set(hashes):
            raise self._changed(f"{len(lost)} looks that verdicts name are not there")
        return entries

    def _lines(self) -> list[str]:
        try:
            return self.path.read_text("utf-8").splitlines() if self.path.exists() else []
        except (OSError, UnicodeDecodeError) as error:
            raise self._changed("it cannot be read") from error

    def _remembered(self) -> tuple[int, str]:
        if not self.head.exists():
            if self.path.exists():
                raise self._changed("its head file is missing")
            return 0, _START
        try:
            head = json.loads(self.head.read_text("utf-8"))
            count, last = int(head["count"]), str(head["hash"])
        except (OSError, TypeError, ValueError, KeyError) as error:
            raise self._changed("its head file is not one") from error
        if count < 0:
            raise self._changed("its head file is not one")
        return count, last

    def _write(self, entries: list[_Entry]) -> None:
        # The head exists before the ledger does, so a ledger without one was tampered with.
        if not self.head.exists():
            atomic_write_text(self.head, json.dumps({"count": 0, "hash": _START}) + "\n")
        lines = [json.dumps(asdict(entry) | {"hash": entry.hash()}) for entry in entries]
        atomic_write_text(self.path, "\n".join(lines) + "\n")
        head = {"count": len(entries), "hash": entries[-1].hash()}
        atomic_write_text(self.head, json.dumps(head) + "\n")

    def _same_schedule(self, mine: list[_Entry], schedule: Schedule) -> None:
        if mine and (mine[0].total, mine[0].planned) != (schedule.total, schedule.planned):
            planned = mine[0].planned or "any number of"
            raise LedgerError(
                f"looks at this holdout share alpha = {mine[0].total:g} over {planned} looks, "
                "and that cannot change once the first was taken",
                where=str(self.path),
                fix="set the same alpha and plan again, or freeze a new holdout",
            )

    def _changed(self, how: str) -> LedgerError:
        return LedgerError(
            f"the ledger of looks was changed: {how}",
            where=str(self.path),
            fix="restore it from a backup, or freeze a new holdout",
        )


def _look(entry: _Entry, *, repeated: bool) -> Look:
    schedule = Schedule(entry.total, entry.planned)
    return Look(
        entry.holdout,
        entry.candidate,
        entry.number,
        entry.alpha,
        entry.total,
        schedule.spent(entry.number),
        schedule.left(entry.number),
        repeated,
        entry.hash(),
    )

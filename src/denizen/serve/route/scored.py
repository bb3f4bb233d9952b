"""Local answers to the calibration questions: asked as the server asks, judged, kept as they come.

Contract: `score_all` answers every question once through an `Ask` (the server's own guided path),
judges it with the exact verifier and appends it to a journal that a killed run goes on from; the
journal's key covers the file, the questions and how they are asked.  Nothing here fits or chooses.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from denizen.project.atomic import atomic_write_text
from denizen.project.errors import ArtefactError, DataError, WorkspaceError, from_os_error
from denizen.serve.exchange import Fault
from denizen.serve.route.signals import read_answer, signals_of

if TYPE_CHECKING:
    from denizen.project.config import Config
    from denizen.serve.answering.turning import Local
    from denizen.serve.exchange import Guiding
    from denizen.tasks import Item, Suite

Ask = Callable[[str], Awaitable["Local"]]
_KEPT = 4000  # characters of an answer that are kept


@dataclass(frozen=True)
class Scored:
    """One local answer; `cluster` is its template and version, `text` what the model wrote,
    `item` the question with its gold answer."""

    id: str
    family: str
    cluster: str
    group: str
    ok: bool
    signals: Mapping[str, float]
    item: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""

    @classmethod
    def from_json(cls, data: Any) -> Scored:
        """Raises TypeError or ValueError for anything that is not one."""
        made = cls(**data)
        if not isinstance(made.ok, bool) or not isinstance(made.signals, dict):
            raise ValueError("not a scored answer")
        return made


@dataclass
class Journal:
    """Answers already judged, in a file of one header line and one answer a line."""

    path: Path
    key: str
    done: dict[str, Scored] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path, key: str) -> Journal:
        """Read what is there for this key; another key's file begins anew."""
        journal = cls(path, key)
        try:
            lines = path.read_text("utf-8", "replace").split("\n") if path.exists() else []
            if lines and _header(lines[0]) == key:
                for line in lines[1:]:
                    try:
                        scored = Scored.from_json(json.loads(line))
                    except (ValueError, TypeError):
                        break  # cut by a kill: what follows is suspect too
                    journal.done[scored.id] = scored
            rows = [json.dumps(asdict(one)) for one in journal.done.values()]
            head = json.dumps({"kind": "denizen.route", "key": key})
            atomic_write_text(path, "\n".join([head, *rows]) + "\n")
        except OSError as error:
            raise _unusable(path, error) from error
        return journal

    def add(self, scored: Scored) -> None:
        """Keep one answer, on the disk before the next is asked for."""
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(scored)) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _unusable(self.path, error) from error
        self.done[scored.id] = scored


def asking(backend: Guiding, suite: Suite, config: Config) -> Ask:
    """Questions put to a backend by the Analyst's own draft stage: grammar, skills and checks."""
    from denizen.serve.answering.conversation import read
    from denizen.serve.answering.drafting import Drafting
    from denizen.serve.answering.naming import Named
    from denizen.serve.answering.ports import NullRecording, Parts
    from denizen.serve.answering.skills import Senses
    from denizen.serve.answering.turning import InTurn
    from denizen.serve.exchange import Request, Turn, Visit

    drafting, senses = Drafting(Parts(backend, suite, config=config)), Senses.of(suite)

    async def ask(question: str) -> Local:
        request = Request("", (Turn("user", question),))
        talk = read(request)
        sense = senses.read(talk.question)
        named, visit, trace = Named("analyst"), Visit("calibration"), NullRecording()
        turn = InTurn(request, named, visit, trace, talk, sense, None, ())
        return await drafting.local(turn)

    return ask


async def score_all(
    items: Sequence[Item],
    ask: Ask,
    suite: Suite,
    journal: Journal,
    *,
    parallel: int = 4,
    on_done: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Scored]:
    """Every item's scored answer, in order; `on_done(done, total)` after each.

    Raises DataError if the backend refuses a question; what was answered stays in the journal.
    """
    left = iter([item for item in items if item.id not in journal.done])
    on_done(sum(item.id in journal.done for item in items), len(items))

    async def work() -> None:
        for item in left:
            try:
                local = await ask(item.prompt)
            except Fault as fault:
                raise DataError(
                    f"the model refused calibration question {item.id}: {fault.message}",
                    where="route calibration",
                    fix="raise export.context or evaluate.max_new_tokens",
                ) from fault
            journal.add(judged(item, local, suite))
            on_done(sum(one.id in journal.done for one in items), len(items))

    workers = [asyncio.ensure_future(work()) for _ in range(parallel)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return [journal.done[item.id] for item in items]


def judged(item: Item, local: Local, suite: Suite) -> Scored:
    """One answer with its signals (the question's distance comes later) and its verdict."""
    from denizen.tasks import verify

    reading = read_answer(local.written, suite)
    signals = signals_of(
        local.guided,
        coverage=None,
        schema_ok=reading.schema_ok,
        recompute_ok=reading.recompute_ok and local.holds,
        distance=None,
    )
    return Scored(
        item.id,
        item.family,
        f"{item.template}@{item.version}",
        reading.group,
        verify(item, local.written).ok,
        signals,
        item.to_json(),
        local.written[:_KEPT],
    )


def write_scored(path: Path, scored: Sequence[Scored]) -> None:
    """One answer a line, whole or not at all."""
    atomic_write_text(path, "".join(json.dumps(asdict(one)) + "\n" for one in scored))


def read_scored(path: Path) -> list[Scored]:
    """What `write_scored` wrote; raises ArtefactError."""
    try:
        return [Scored.from_json(json.loads(s)) for s in path.read_text("utf-8").splitlines()]
    except (OSError, ValueError, TypeError) as error:
        raise ArtefactError(
            "the calibration's answers cannot be read",
            where=str(path),
            fix="run `denizen route calibrate` again",
        ) from error


def _header(line: str) -> str:
    try:
        return str(json.loads(line)["key"])
    except (ValueError, KeyError, TypeError):
        return ""


def _unusable(path: Path, error: OSError) -> WorkspaceError:
    typed = from_os_error(error, path)
    if isinstance(typed, WorkspaceError):
        return typed
    return WorkspaceError(
        f"cannot keep the calibration's answers: {error.strerror or error}",
        where=str(path),
        fix="free some space or make the folder writable, then run the same command again",
    )

"""The frontier's answers to the testing half: asked once, judged by the exact verifier, kept.

Contract: `frontier_answers` asks an upstream every question that its cache lacks, as an escalated
request would be sent; failures are not kept and are asked again next time.  It stops after
GIVE_UP failures in a row, since a server that is down would cost every timeout.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from denizen.project.atomic import atomic_write_text
from denizen.project.hashing import content_hash, source_hash
from denizen.serve.exchange import Request, Sampling, Turn, Usage, Visit
from denizen.serve.route.reply import UpstreamFailed

if TYPE_CHECKING:
    from denizen.serve.route.scored import Scored
    from denizen.tasks import Suite

GIVE_UP = 5
PARALLEL = 4
_KEPT = 4000


class Replied(Protocol):
    """What an upstream gives."""

    @property
    def text(self) -> str: ...
    @property
    def usage(self) -> Usage: ...


class Checks(Protocol):
    """An upstream that is asked outside the escalation budget."""

    async def check(self, request: Request, visit: Visit) -> Replied: ...


@dataclass(frozen=True)
class FrontierAnswer:
    """One judged answer of the frontier."""

    id: str
    ok: bool
    text: str
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Frontier:
    """What was answered (by question id) and why the others were not."""

    answers: dict[str, FrontierAnswer]
    failed: dict[str, str]


def cache_file(folder: Path, address: str, model: str, scored: Sequence[Scored]) -> Path:
    """Where the answers of one upstream to these questions, as they are judged, are kept."""
    key = content_hash([address, model, source_hash("tasks"), [[s.id, s.item] for s in scored]])
    return folder / f"upstream-{key[:16]}.jsonl"


def request_of(question: str, suite: Suite) -> Request:
    """A question as the Analyst escalates it: the calculator in words, then the question."""
    from denizen.models.chat import SYSTEM
    from denizen.serve.answering.escalating import UPSTREAM_TOKENS
    from denizen.tasks import catalogue_prompt

    turns = (Turn("system", catalogue_prompt(SYSTEM, suite)), Turn("user", question))
    return Request("", turns, sampling=Sampling(max_tokens=UPSTREAM_TOKENS, temperature=0.0))


async def frontier_answers(
    upstream: Checks,
    scored: Sequence[Scored],
    path: Path,
    *,
    suite: Suite,
    on_done: Callable[[int], None] = lambda _: None,
) -> Frontier:
    """Answers to all questions, the kept ones first."""
    from denizen.tasks import Item, verify

    known = _read(path)
    failed: dict[str, str] = {}
    left = iter([one for one in scored if one.id not in known])
    row = 0

    async def work() -> None:
        nonlocal row
        for one in left:
            if row >= GIVE_UP:
                failed[one.id] = f"not asked after {GIVE_UP} failures in a row"
                continue
            request = request_of(str(one.item["prompt"]), suite)
            try:
                reply = await upstream.check(request, Visit(f"route-{one.id}"))
            except UpstreamFailed as error:
                row += 1
                failed[one.id] = error.reason
            else:
                row = 0
                verdict = verify(Item.from_json(dict(one.item)), reply.text)
                known[one.id] = FrontierAnswer(
                    one.id,
                    verdict.ok,
                    reply.text[:_KEPT],
                    reply.usage.prompt_tokens,
                    reply.usage.completion_tokens,
                )
                _append(path, known[one.id])
            on_done(len(known) + len(failed))

    on_done(len(known))
    workers = [asyncio.ensure_future(work()) for _ in range(PARALLEL)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return Frontier({s.id: known[s.id] for s in scored if s.id in known}, failed)


def _read(path: Path) -> dict[str, FrontierAnswer]:
    known: dict[str, FrontierAnswer] = {}
    text = path.read_text("utf-8", "replace") if path.exists() else ""
    for line in text.splitlines():
        try:
            one = FrontierAnswer(**json.loads(line))
        except (ValueError, TypeError):
            continue  # a line cut by a kill is asked again
        known[one.id] = one
    lines = "".join(json.dumps(asdict(one)) + "\n" for one in known.values())
    atomic_write_text(path, lines)
    return known


def _append(path: Path, answer: FrontierAnswer) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(answer)) + "\n")
        file.flush()
